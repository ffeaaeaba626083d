#include <gyre/platform/pipe_windows.h>

#include <windows.h>

#include <atomic>
#include <cwchar>

#include <gyre/platform/last_error_windows.h>

namespace gyre::sys {
namespace {

constexpr DWORD buffer_size = 64 * 1024;

DWORD flag_of(PipeMode mode) noexcept { return mode == PipeMode::overlapped ? FILE_FLAG_OVERLAPPED : 0; }

NativeDescriptor native(HANDLE handle) noexcept { return reinterpret_cast<NativeDescriptor>(handle); }

}  // namespace

Result<DescriptorPair> open_pipe(PipeMode reader, PipeMode writer) noexcept {
  static std::atomic<std::uint64_t> made{0};
  wchar_t name[80];
  LARGE_INTEGER now;
  ::QueryPerformanceCounter(&now);
  std::swprintf(name, sizeof(name) / sizeof(*name), L"\\\\.\\pipe\\gyre-%lu-%llu-%llx", ::GetCurrentProcessId(),
                static_cast<unsigned long long>(made.fetch_add(1, std::memory_order_relaxed)),
                static_cast<unsigned long long>(now.QuadPart));
  const HANDLE reading = ::CreateNamedPipeW(
      name, PIPE_ACCESS_INBOUND | FILE_FLAG_FIRST_PIPE_INSTANCE | flag_of(reader),
      PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, buffer_size, buffer_size, 0,
      nullptr);
  if (reading == INVALID_HANDLE_VALUE) return last_error(OperationKind::pipe);
  UniqueFd first(native(reading));
  // FILE_READ_ATTRIBUTES lets the writer ask what it has got.
  const HANDLE writing = ::CreateFileW(name, GENERIC_WRITE | FILE_READ_ATTRIBUTES, 0, nullptr, OPEN_EXISTING,
                                       FILE_ATTRIBUTE_NORMAL | flag_of(writer), nullptr);
  if (writing == INVALID_HANDLE_VALUE) return last_error(OperationKind::pipe);
  return DescriptorPair{std::move(first), UniqueFd(native(writing))};
}

}  // namespace gyre::sys
