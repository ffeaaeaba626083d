#include <gyre/platform/worker_process.h>

#include <windows.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace gyre {
namespace {

HANDLE handle_of(NativeDescriptor descriptor) noexcept { return reinterpret_cast<HANDLE>(descriptor); }

// The handle that the parent has passed under this number, from the same table as the C runtime has its descriptors.
// (process_windows.cc makes it.) The runtime itself is not asked: some abort over a number that is not open.
HANDLE inherited_handle(std::size_t number) noexcept {
  STARTUPINFOW startup{};
  ::GetStartupInfoW(&startup);
  std::uint32_t count = 0;
  if (startup.lpReserved2 == nullptr || startup.cbReserved2 < sizeof(count)) return nullptr;
  std::memcpy(&count, startup.lpReserved2, sizeof(count));
  const std::size_t place = sizeof(count) + count + number * sizeof(HANDLE);
  if (number >= count || startup.cbReserved2 < place + sizeof(HANDLE)) return nullptr;
  HANDLE handle = nullptr;
  std::memcpy(&handle, startup.lpReserved2 + place, sizeof(handle));
  return handle == INVALID_HANDLE_VALUE ? nullptr : handle;
}

// A socket is read and written as a file is, so that a worker need not wake Winsock up. The poller's calls are overlapped,
// and so are these, each with an event to wait for. Returns the bytes, or 0: the other side has gone.
class Line {
 public:
  explicit Line(NativeDescriptor socket) noexcept : socket_(handle_of(socket)), event_(::CreateEventW(nullptr, TRUE, FALSE, nullptr)) {}
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() { ::CloseHandle(event_); }

  std::size_t read(std::byte* buffer, std::size_t size) noexcept {
    OVERLAPPED overlapped = fresh();
    return outcome(::ReadFile(socket_, buffer, limited(size), nullptr, &overlapped), overlapped);
  }
  std::size_t write(const std::byte* bytes, std::size_t size) noexcept {
    OVERLAPPED overlapped = fresh();
    return outcome(::WriteFile(socket_, bytes, limited(size), nullptr, &overlapped), overlapped);
  }

 private:
  static DWORD limited(std::size_t size) noexcept {
    return static_cast<DWORD>(std::min<std::size_t>(size, std::size_t{1} << 20));
  }
  OVERLAPPED fresh() const noexcept {
    OVERLAPPED overlapped{};
    overlapped.hEvent = event_;
    return overlapped;
  }
  std::size_t outcome(BOOL done, OVERLAPPED& overlapped) noexcept {
    if (!done && ::GetLastError() != ERROR_IO_PENDING) return 0;
    DWORD count = 0;
    return ::GetOverlappedResult(socket_, &overlapped, &count, TRUE) ? count : 0;
  }

  HANDLE socket_;
  HANDLE event_;
};

}  // namespace

bool is_worker_process() noexcept {
  return ::GetEnvironmentVariableA(worker_variable.data(), nullptr, 0) != 0;
}

UniqueFd take_worker_socket() noexcept {
  if (!is_worker_process()) return {};
  ::SetEnvironmentVariableA(worker_variable.data(), nullptr);
  // The runtime's copy.
  ::_putenv((std::string(worker_variable) + '=').c_str());
  const HANDLE socket = inherited_handle(worker_descriptor);
  if (socket == nullptr) return {};  // somebody else set the variable
  ::SetConsoleCtrlHandler(nullptr, TRUE);
  // Children of the function do not keep the line open.
  ::SetHandleInformation(socket, HANDLE_FLAG_INHERIT, 0);
  return UniqueFd(reinterpret_cast<NativeDescriptor>(socket));
}

bool read_whole(NativeDescriptor socket, void* buffer, std::size_t size) noexcept {
  Line line(socket);
  auto* const bytes = static_cast<std::byte*>(buffer);
  for (std::size_t done = 0; done < size;) {
    const std::size_t count = line.read(bytes + done, size - done);
    if (count == 0) return false;
    done += count;
  }
  return true;
}

bool write_whole(NativeDescriptor socket, const void* bytes, std::size_t size) noexcept {
  Line line(socket);
  const auto* const from = static_cast<const std::byte*>(bytes);
  for (std::size_t done = 0; done < size;) {
    const std::size_t count = line.write(from + done, size - done);
    if (count == 0) return false;
    done += count;
  }
  return true;
}

}  // namespace gyre
