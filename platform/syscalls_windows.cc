#include <gyre/platform/syscalls_windows.h>

#include <winternl.h>

#include <gyre/platform/operation.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/windows_function_windows.h>

namespace gyre::sys {
namespace detail {

void check_no_bug(std::int64_t error) noexcept {
  GYRE_CHECK_HINT(error != EBADF, "a handle that is not open: closed twice, or by somebody else");
  GYRE_CHECK_HINT(error != EFAULT, "an address that the process does not have");
  GYRE_CHECK_HINT(error != ENOTSOCK, "an operation of sockets on another handle");
}

}  // namespace detail

namespace {

constexpr ULONG status_end_of_file = 0xC0000011;

Result<UniqueFd> as_handle(std::int64_t result) noexcept {
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), OperationKind::setup);
  return UniqueFd(static_cast<NativeDescriptor>(result));
}

}  // namespace

Result<UniqueFd> create_port(const Site& site) noexcept {
  return as_handle(call(number_create_port, site, []() noexcept -> std::int64_t {
    const HANDLE port = ::CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
    return port != nullptr ? descriptor_of(port) : detail::last_error();
  }));
}

std::int64_t associate(NativeDescriptor port, NativeDescriptor handle, ULONG_PTR key, bool* skips,
                       const Site& site) noexcept {
  *skips = false;
  return call(number_associate, site, [&]() noexcept -> std::int64_t {
    if (::CreateIoCompletionPort(handle_of(handle), handle_of(port), key, 0) == nullptr) {
      // Wine says no more than that it has failed.
      const DWORD code = ::GetLastError();
      return code == ERROR_INVALID_HANDLE ? detail::failed(code) : -EINVAL;
    }
    constexpr UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    *skips = ::SetFileCompletionNotificationModes(handle_of(handle), modes) != 0;
    return 0;
  });
}

bool dissociate(NativeDescriptor handle) noexcept {
  struct Association {
    HANDLE port;
    void* key;
  };
  constexpr int replace_completion = 61;  // FileReplaceCompletionInformation
  using Set = NTSTATUS(NTAPI*)(HANDLE, IO_STATUS_BLOCK*, void*, ULONG, int);
  static const Set set = windows_function<Set>(L"ntdll.dll", "NtSetInformationFile");
  Association none{};
  IO_STATUS_BLOCK status{};
  return set != nullptr && set(handle_of(handle), &status, &none, sizeof(none), replace_completion) >= 0;
}

std::int64_t status_of(const OVERLAPPED& overlapped) noexcept {
  const auto status = static_cast<ULONG>(overlapped.Internal);
  if (status == 0) return 0;
  if (status == status_end_of_file) return -ENODATA;
  using Translate = ULONG(NTAPI*)(NTSTATUS);
  static const Translate translate = windows_function<Translate>(L"ntdll.dll", "RtlNtStatusToDosError");
  return -errno_of(translate(static_cast<NTSTATUS>(status)));
}

Result<UniqueFd> create_timer(const Site& site) noexcept {
  return as_handle(call(number_timer, site, []() noexcept -> std::int64_t {
    constexpr DWORD high_resolution = 2;  // since Windows 10, version 1803
    HANDLE timer = ::CreateWaitableTimerExW(nullptr, nullptr, high_resolution, TIMER_ALL_ACCESS);
    if (timer == nullptr) timer = ::CreateWaitableTimerExW(nullptr, nullptr, 0, TIMER_ALL_ACCESS);
    return timer != nullptr ? descriptor_of(timer) : detail::last_error();
  }));
}

std::int64_t set_timer(NativeDescriptor timer, Duration after, const Site& site) noexcept {
  return call(number_timer, site, [&]() noexcept -> std::int64_t {
    LARGE_INTEGER due{};
    due.QuadPart = -((after.count() - 1) / 100 + 1);  // of 100 ns, rounded up; negative: from now on
    const auto rung = [](void*, DWORD, DWORD) {};     // that it is called ends the wait
    return ::SetWaitableTimer(handle_of(timer), &due, 0, rung, nullptr, FALSE) != 0 ? 0 : detail::last_error();
  });
}

void close(NativeDescriptor handle) noexcept { UniqueFd closed(handle); }

// --- Sockets ---------------------------------------------------------------------------------------------------------

Result<void> start_sockets() noexcept {
  static const int failed = [] {
    WSADATA ignored{};
    return ::WSAStartup(MAKEWORD(2, 2), &ignored);
  }();
  if (failed == 0) return {};
  return Error::system(errno_of(static_cast<std::uint32_t>(failed)), OperationKind::socket);
}

namespace {

// Functions that only a socket tells.
struct Extensions {
  LPFN_CONNECTEX connect_ex = nullptr;
  LPFN_WSARECVMSG receive_message = nullptr;
};

template <typename Function>
void find(SOCKET socket, GUID id, Function* function) noexcept {
  DWORD size = 0;
  ::WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), function, sizeof(*function), &size, nullptr,
             nullptr);
}

const Extensions& extensions() noexcept {
  static const Extensions found = [] {
    Extensions functions;
    static_cast<void>(start_sockets());
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      const SOCKET asked = ::WSASocketW(AF_INET, type, 0, nullptr, 0, WSA_FLAG_NO_HANDLE_INHERIT);
      if (asked == INVALID_SOCKET) continue;
      if (type == SOCK_STREAM) find(asked, WSAID_CONNECTEX, &functions.connect_ex);
      if (type == SOCK_DGRAM) find(asked, WSAID_WSARECVMSG, &functions.receive_message);
      ::closesocket(asked);
    }
    return functions;
  }();
  return found;
}

}  // namespace

Result<UniqueFd> socket(int family, int type, int protocol, const Site& site) noexcept {
  const std::int64_t result = call(number_socket, site, [&]() noexcept -> std::int64_t {
    if (const Result<void> ready = start_sockets(); !ready) return -ready.error().code();
    constexpr DWORD flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
    const SOCKET made = ::WSASocketW(family, type, protocol, nullptr, 0, flags);
    return made != INVALID_SOCKET ? static_cast<std::int64_t>(made) : detail::last_socket_error();
  });
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), OperationKind::socket);
  UniqueFd made(static_cast<NativeDescriptor>(result));
  set_non_blocking(made.get());
  if (type == SOCK_DGRAM && family != AF_UNIX) {
    constexpr DWORD connection_reset = IOC_IN | IOC_VENDOR | 12;  // SIO_UDP_CONNRESET
    constexpr DWORD net_reset = IOC_IN | IOC_VENDOR | 15;         // SIO_UDP_NETRESET
    for (const DWORD option : {connection_reset, net_reset}) {
      BOOL off = FALSE;
      DWORD size = 0;
      ::WSAIoctl(socket_of(made.get()), option, &off, sizeof(off), nullptr, 0, &size, nullptr, nullptr);
    }
  }
  return made;
}

void set_non_blocking(NativeDescriptor socket) noexcept {
  u_long on = 1;
  ::ioctlsocket(socket_of(socket), static_cast<long>(FIONBIO), &on);
}

std::int64_t accept(NativeDescriptor fd, void* peer, std::uint32_t* peer_size, const Site& site) noexcept {
  return call(number_accept, site, [&]() noexcept -> std::int64_t {
    int size = peer == nullptr ? 0 : static_cast<int>(*peer_size);
    const SOCKET made = ::accept(socket_of(fd), static_cast<sockaddr*>(peer), peer == nullptr ? nullptr : &size);
    if (made == INVALID_SOCKET) return detail::last_socket_error();
    if (peer != nullptr) *peer_size = static_cast<std::uint32_t>(size);
    const auto result = static_cast<NativeDescriptor>(made);
    ::SetHandleInformation(handle_of(result), HANDLE_FLAG_INHERIT, 0);
    set_non_blocking(result);
    return result;
  });
}

std::int64_t ioctl(NativeDescriptor fd, long command, u_long* value, const Site& site) noexcept {
  return call(number_get_option, site, [&]() noexcept -> std::int64_t {
    if (::ioctlsocket(socket_of(fd), command, value) == 0) return 0;
    return -errno_of(static_cast<std::uint32_t>(::WSAGetLastError()));
  });
}

std::int64_t getsockname(NativeDescriptor fd, void* address, std::uint32_t* size, const Site& site) noexcept {
  return call(number_name, site, [&]() noexcept -> std::int64_t {
    int length = static_cast<int>(*size);
    if (::getsockname(socket_of(fd), static_cast<sockaddr*>(address), &length) != 0) return detail::last_socket_error();
    *size = static_cast<std::uint32_t>(length);
    return 0;
  });
}

std::int64_t getpeername(NativeDescriptor fd, void* address, std::uint32_t* size, const Site& site) noexcept {
  return call(number_name, site, [&]() noexcept -> std::int64_t {
    int length = static_cast<int>(*size);
    if (::getpeername(socket_of(fd), static_cast<sockaddr*>(address), &length) != 0) {
      return -errno_of(static_cast<std::uint32_t>(::WSAGetLastError()));
    }
    *size = static_cast<std::uint32_t>(length);
    return 0;
  });
}

std::int64_t take_socket_error(NativeDescriptor fd, const Site& site) noexcept {
  int error = 0;
  int size = sizeof(error);
  const std::int64_t result = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size, site);
  return result < 0 ? -result : errno_of(static_cast<std::uint32_t>(error));
}

std::int64_t receive_message(NativeDescriptor fd, WSAMSG* message, DWORD* received, const Site& site) noexcept {
  return call(number_receive, site, [&]() noexcept -> std::int64_t {
    const LPFN_WSARECVMSG function = extensions().receive_message;
    if (function == nullptr) return -EOPNOTSUPP;
    const int result = function(socket_of(fd), message, received, nullptr, nullptr);
    return result == 0 ? static_cast<std::int64_t>(*received) : detail::last_socket_error();
  });
}

std::int64_t send_message(NativeDescriptor fd, WSAMSG* message, const Site& site) noexcept {
  return call(number_send, site, [&]() noexcept -> std::int64_t {
    DWORD sent = 0;
    const int result = ::WSASendMsg(socket_of(fd), message, 0, &sent, nullptr, nullptr);
    return result == 0 ? static_cast<std::int64_t>(sent) : detail::last_socket_error();
  });
}

std::int64_t accept_into(NativeDescriptor listener, NativeDescriptor accepted, void* addresses, DWORD address_room,
                         OVERLAPPED* overlapped, const Site& site) noexcept {
  return call(number_accept, site, [&]() noexcept -> std::int64_t {
    DWORD received = 0;
    const BOOL done = ::AcceptEx(socket_of(listener), socket_of(accepted), addresses, 0, address_room, address_room,
                                 &received, overlapped);
    return done != 0 ? 0 : detail::last_socket_error();
  });
}

std::int64_t connect_overlapped(NativeDescriptor fd, const void* address, std::uint32_t size, OVERLAPPED* overlapped,
                                const Site& site) noexcept {
  return call(number_connect, site, [&]() noexcept -> std::int64_t {
    const LPFN_CONNECTEX function = extensions().connect_ex;
    if (function == nullptr) return -EOPNOTSUPP;
    const BOOL done = function(socket_of(fd), static_cast<const sockaddr*>(address), static_cast<int>(size), nullptr, 0,
                               nullptr, overlapped);
    return done != 0 ? 0 : detail::last_socket_error();
  });
}

std::int64_t transmit_file(NativeDescriptor fd, NativeDescriptor file, std::size_t size, OVERLAPPED* overlapped,
                           const Site& site) noexcept {
  return call_sized(number_transmit_file, site, size, [&](ULONG length) noexcept -> std::int64_t {
    const BOOL done = ::TransmitFile(socket_of(fd), handle_of(file), length, 0, overlapped, nullptr, 0);
    return done != 0 ? static_cast<std::int64_t>(length) : detail::last_socket_error();
  });
}

std::int64_t poll_socket(NativeDescriptor fd, void* poll, std::size_t poll_size, OVERLAPPED* overlapped,
                         const Site& site) noexcept {
  return call(number_poll, site, [&]() noexcept -> std::int64_t {
    constexpr DWORD request = 0x12024;  // IOCTL_AFD_POLL, which no header has
    const auto size = static_cast<DWORD>(poll_size);
    if (::DeviceIoControl(handle_of(fd), request, poll, size, poll, size, nullptr, overlapped) != 0) return 0;
    return detail::last_error();
  });
}

// --- Files, pipes ----------------------------------------------------------------------------------------------------

namespace {

constexpr DWORD shared_by_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

// UTF-16, for the system; false: it is too long, or no UTF-8.
struct WidePath {
  wchar_t text[1024];
  bool assign(const char* path) noexcept {
    return ::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, text, 1024) > 0;
  }
};

DWORD access_of(std::size_t flags) noexcept {
  DWORD access = 0;
  if ((flags & open_read) != 0) access |= GENERIC_READ;
  if ((flags & open_append) != 0) {
    access |= FILE_APPEND_DATA | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
  } else if ((flags & open_write) != 0) {
    access |= GENERIC_WRITE;
  }
  return access;
}

DWORD disposition_of(std::size_t flags) noexcept {
  if ((flags & open_create) == 0) return (flags & open_truncate) != 0 ? TRUNCATE_EXISTING : OPEN_EXISTING;
  if ((flags & open_exclusive) != 0) return CREATE_NEW;
  return (flags & open_truncate) != 0 ? CREATE_ALWAYS : OPEN_ALWAYS;
}

}  // namespace

bool is_directory(NativeDescriptor file) noexcept {
  FILE_BASIC_INFO information{};
  return ::GetFileInformationByHandleEx(handle_of(file), FileBasicInfo, &information, sizeof(information)) != 0 &&
         (information.FileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

std::int64_t open_file(const char* path, std::size_t flags, const Site& site) noexcept {
  return call(number_open_file, site, [&]() noexcept -> std::int64_t {
    WidePath wide;
    if (!wide.assign(path)) return ::GetLastError() == ERROR_INSUFFICIENT_BUFFER ? -ENAMETOOLONG : -ENOENT;
    const bool wants_directory = (flags & open_directory) != 0;
    // Backup semantics: that a directory can be opened at all.
    const DWORD attributes = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OVERLAPPED | FILE_FLAG_BACKUP_SEMANTICS;
    const HANDLE file = ::CreateFileW(wide.text, access_of(flags), shared_by_all, nullptr, disposition_of(flags),
                                      attributes, nullptr);
    if (file == INVALID_HANDLE_VALUE) {
      const DWORD code = ::GetLastError();
      const DWORD found = code == ERROR_ACCESS_DENIED ? ::GetFileAttributesW(wide.text) : INVALID_FILE_ATTRIBUTES;
      const bool refuses = found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY) != 0;
      return refuses ? -EISDIR : detail::failed(code);
    }
    UniqueFd opened(descriptor_of(file));
    const bool is_one = is_directory(opened.get());
    if (wants_directory && !is_one) return -ENOTDIR;
    if (is_one && (flags & (open_write | open_append | open_truncate)) != 0) return -EISDIR;
    return opened.release();
  });
}

std::int64_t open_plain_file(const char* path, const Site& site) noexcept {
  return call(number_open_file, site, [&]() noexcept -> std::int64_t {
    WidePath wide;
    if (!wide.assign(path)) return ::GetLastError() == ERROR_INSUFFICIENT_BUFFER ? -ENAMETOOLONG : -ENOENT;
    const HANDLE file = ::CreateFileW(wide.text, GENERIC_READ, shared_by_all, nullptr, OPEN_EXISTING,
                                      FILE_ATTRIBUTE_NORMAL, nullptr);
    return file != INVALID_HANDLE_VALUE ? descriptor_of(file) : detail::last_error();
  });
}

std::int64_t sync_file(NativeDescriptor file, const Site& site) noexcept {
  return call(number_sync_file, site, [&]() noexcept -> std::int64_t {
    if (::FlushFileBuffers(handle_of(file)) != 0) return 0;
    const DWORD code = ::GetLastError();
    return code == ERROR_ACCESS_DENIED ? 0 : detail::failed(code);  // opened for reading: there is nothing to write
  });
}

std::int64_t file_size(NativeDescriptor file) noexcept {
  LARGE_INTEGER size{};
  return ::GetFileSizeEx(handle_of(file), &size) != 0 ? size.QuadPart : detail::last_error();
}

std::int64_t wait_for_file(NativeDescriptor file, OVERLAPPED* overlapped) noexcept {
  DWORD count = 0;
  if (::GetOverlappedResult(handle_of(file), overlapped, &count, TRUE) != 0) return count;
  const DWORD code = ::GetLastError();
  return code == ERROR_HANDLE_EOF ? -ENODATA : detail::failed(code);
}

// --- Threads of the system's pool ------------------------------------------------------------------------------------

std::int64_t register_wait(HANDLE* wait, NativeDescriptor handle, WAITORTIMERCALLBACK signalled, void* context) noexcept {
  const ULONG flags = WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE;
  if (::RegisterWaitForSingleObject(wait, handle_of(handle), signalled, context, INFINITE, flags) != 0) return 0;
  *wait = nullptr;
  return detail::last_error();
}

void unregister_wait(HANDLE wait) noexcept { ::UnregisterWaitEx(wait, INVALID_HANDLE_VALUE); }

std::int64_t submit(PTP_SIMPLE_CALLBACK run, void* context) noexcept {
  return ::TrySubmitThreadpoolCallback(run, context, nullptr) != 0 ? 0 : detail::last_error();
}

}  // namespace gyre::sys
