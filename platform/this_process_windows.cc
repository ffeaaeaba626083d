#include <gyre/platform/this_process.h>

#include <windows.h>

#include <psapi.h>
#include <tlhelp32.h>

#include <gyre/platform/text_windows.h>
#include <gyre/platform/windows_function_windows.h>

namespace gyre {
namespace {

// Calls `look` with each entry of the system's list until it answers true.
template <typename Entry, typename Look>
void look_at_all(DWORD what, BOOL(WINAPI* first)(HANDLE, Entry*), BOOL(WINAPI* next)(HANDLE, Entry*), Look look) {
  const HANDLE all = ::CreateToolhelp32Snapshot(what, 0);
  if (all == INVALID_HANDLE_VALUE) return;
  Entry entry{};
  entry.dwSize = sizeof(entry);
  for (BOOL more = first(all, &entry); more && !look(entry); more = next(all, &entry)) {
  }
  ::CloseHandle(all);
}

}  // namespace

std::int64_t process_id() noexcept { return ::GetCurrentProcessId(); }

std::int64_t parent_process_id() noexcept {
  std::int64_t parent = 0;
  look_at_all<PROCESSENTRY32W>(TH32CS_SNAPPROCESS, ::Process32FirstW, ::Process32NextW, [&](const PROCESSENTRY32W& entry) {
    if (entry.th32ProcessID == ::GetCurrentProcessId()) parent = entry.th32ParentProcessID;
    return parent != 0;
  });
  return parent;
}

// Windows 10, version 1607.
std::string thread_name() {
  using Get = HRESULT(WINAPI*)(HANDLE, PWSTR*);
  static const auto get = windows_function<Get>(L"kernelbase.dll", "GetThreadDescription");
  PWSTR text = nullptr;
  if (get == nullptr || FAILED(get(::GetCurrentThread(), &text)) || text == nullptr) return {};
  const std::string name = sys::to_utf8(text);
  ::LocalFree(text);
  return name;
}

std::size_t count_threads() {
  std::size_t count = 0;
  look_at_all<THREADENTRY32>(TH32CS_SNAPTHREAD, ::Thread32First, ::Thread32Next, [&](const THREADENTRY32& entry) {
    if (entry.th32OwnerProcessID == ::GetCurrentProcessId()) ++count;
    return false;
  });
  return count;
}

std::uint64_t peak_memory() {
  using Ask = BOOL(WINAPI*)(HANDLE, PROCESS_MEMORY_COUNTERS*, DWORD);
  static const auto ask = windows_function<Ask>(L"kernel32.dll", "K32GetProcessMemoryInfo");
  PROCESS_MEMORY_COUNTERS counters{};
  if (ask == nullptr || !ask(::GetCurrentProcess(), &counters, sizeof(counters))) return 0;
  return counters.PeakWorkingSetSize;
}

bool is_terminal_output() noexcept {
  DWORD mode = 0;
  return ::GetConsoleMode(::GetStdHandle(STD_OUTPUT_HANDLE), &mode) != 0;
}

}  // namespace gyre
