#include "child_program.h"

#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <tlhelp32.h>  // after windows.h

#include <gyre/platform/exit_code_windows.h>
#include <gyre/platform/signal_handler.h>

namespace gyre::test {

bool is_gone(std::int64_t id) {
  const HANDLE process = ::OpenProcess(SYNCHRONIZE, FALSE, static_cast<DWORD>(id));
  if (process == nullptr) return true;
  const bool has_ended = ::WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
  ::CloseHandle(process);
  return has_ended;
}

bool has_children() {
  const HANDLE all = ::CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
  PROCESSENTRY32W entry{};
  entry.dwSize = sizeof(entry);
  bool found = false;
  for (BOOL more = ::Process32FirstW(all, &entry); more && !found; more = ::Process32NextW(all, &entry)) {
    found = entry.th32ParentProcessID == ::GetCurrentProcessId() && !is_gone(entry.th32ProcessID);
  }
  ::CloseHandle(all);
  return found;
}

void kill_process(std::int64_t id) {
  const HANDLE process = ::OpenProcess(PROCESS_TERMINATE, FALSE, static_cast<DWORD>(id));
  ::TerminateProcess(process, sys::exit_code_of_signal(9));
  ::CloseHandle(process);
}

void set_variable(const char* name, const char* value) {
  // The runtime's copy and the system's.
  ::_putenv_s(name, value != nullptr ? value : "");
  ::SetEnvironmentVariableA(name, value);
}

UniqueFd inheritable_copy(NativeDescriptor descriptor) {
  HANDLE copy = nullptr;
  const HANDLE self = ::GetCurrentProcess();
  ::DuplicateHandle(self, reinterpret_cast<HANDLE>(descriptor), self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS);
  return UniqueFd(reinterpret_cast<NativeDescriptor>(copy));
}

namespace child_steps {

void use_binary_streams() {
  for (int number = 0; number <= 2; ++number) static_cast<void>(::_setmode(number, _O_BINARY));
}

void ignore_requests_to_end() {
  static Result<SignalHandler> ignored = SignalHandler::install(signal_terminate, [](int) {});
}

bool is_open_number(int descriptor) {
  return reinterpret_cast<HANDLE>(::_get_osfhandle(descriptor)) != INVALID_HANDLE_VALUE;
}

void end_after(unsigned seconds) {
  ::CloseHandle(::CreateThread(
      nullptr, 0,
      [](void* limit) -> DWORD {
        ::Sleep(static_cast<DWORD>(reinterpret_cast<std::uintptr_t>(limit)));
        ::TerminateProcess(::GetCurrentProcess(), 92);
        return 0;
      },
      reinterpret_cast<void*>(std::uintptr_t{seconds} * 1000), 0, nullptr));
}

}  // namespace child_steps
}  // namespace gyre::test
