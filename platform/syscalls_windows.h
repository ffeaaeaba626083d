// System functions of Windows, typed: the door from the poller and the sockets to the system, and the seam where tests
// inject failures.
//
// Calls return std::int64_t: >= 0, or a negated errno (error_windows.h has the table). What is done overlapped answers
// -EINPROGRESS if a packet will tell the result; otherwise it is done. All of them
//   - abort for errors that only a bug of ours can cause: EBADF, EFAULT, ENOTSOCK;
//   - open handles that no child inherits.
// Each comment names what is special; everything else is returned.
//
// Threads: any.
#pragma once

#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <windows.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/error_windows.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

// Names of ours that those headers define away.
#undef near
#undef far
#undef interface

namespace gyre::sys {

// By which failures are injected: a number for each function.
enum Number : long {
  number_create_port = 1,
  number_associate,
  number_wait,
  number_post,
  number_cancel,
  number_timer,
  number_socket,
  number_bind,
  number_listen,
  number_accept,
  number_connect,
  number_receive,
  number_send,
  number_poll,
  number_transmit_file,
  number_shutdown,
  number_set_option,
  number_get_option,
  number_name,
  number_read_file,
  number_write_file,
  number_open_file,
  number_sync_file,
  number_close,
};

// What one transfer moves at most: 1 GiB. Lengths have 32 bits.
inline constexpr std::size_t transfer_max = std::size_t{1} << 30;

inline HANDLE handle_of(NativeDescriptor descriptor) noexcept { return reinterpret_cast<HANDLE>(descriptor); }
inline SOCKET socket_of(NativeDescriptor descriptor) noexcept { return static_cast<SOCKET>(descriptor); }
inline NativeDescriptor descriptor_of(HANDLE handle) noexcept { return reinterpret_cast<NativeDescriptor>(handle); }

namespace detail {

// Aborts if `error`, an errno, can only come from a bug of ours.
[[gnu::cold]] void check_no_bug(std::int64_t error) noexcept;

inline std::int64_t failed(std::uint32_t code) noexcept {
  const std::int64_t error = errno_of(code);
  if (error == EBADF || error == EFAULT || error == ENOTSOCK) [[unlikely]] check_no_bug(error);
  return -error;
}
inline std::int64_t last_error() noexcept { return failed(::GetLastError()); }
inline std::int64_t last_socket_error() noexcept { return failed(static_cast<std::uint32_t>(::WSAGetLastError())); }

}  // namespace detail

// The seam: `make` makes the call and answers as the calls here do.
template <typename Make>
inline std::int64_t call([[maybe_unused]] long number, [[maybe_unused]] const Site& site, Make&& make) noexcept {
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number, site);
    if (fault.kind == Fault::Kind::fail) return -fault.value;
    if (fault.kind == Fault::Kind::replace) return fault.value;
    if (fault.kind == Fault::Kind::after) {
      const std::int64_t result = make();
      return result < 0 ? result : -fault.value;
    }
  }
  return make();
}

// The same of a transfer of at most `size` bytes, which a fault may shorten.
template <typename Make>
inline std::int64_t call_sized([[maybe_unused]] long number, [[maybe_unused]] const Site& site, std::size_t size,
                               Make&& make) noexcept {
  if (size > transfer_max) size = transfer_max;
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number, site);
    if (fault.kind == Fault::Kind::fail) return -fault.value;
    if (fault.kind == Fault::Kind::replace) return fault.value;
    if (fault.kind == Fault::Kind::shorten && static_cast<std::size_t>(fault.value) < size) {
      size = static_cast<std::size_t>(fault.value);
    }
  }
  return make(static_cast<ULONG>(size));
}

// --- Completion ports ------------------------------------------------------------------------------------------------

// For one thread at a time.
Result<UniqueFd> create_port(const Site& site = Site::current()) noexcept;

// Packets of what is done on `handle` go to `port` from now on; what is done at once sends none where `skips` comes out
// true. Returned also: EINVAL: it belongs to another port, or its operations are not overlapped.
std::int64_t associate(NativeDescriptor port, NativeDescriptor handle, ULONG_PTR key, bool* skips,
                       const Site& site = Site::current()) noexcept;
// The opposite, since Windows 8.1. False: it cannot be taken back.
bool dissociate(NativeDescriptor handle) noexcept;

// Waits at most `timeout_ms` (INFINITE: for ever) and runs this thread's asynchronous procedure calls meanwhile.
// Returns the number of packets, 0 when time is over. EINTR: such a call was run.
inline std::int64_t wait_port(NativeDescriptor port, OVERLAPPED_ENTRY* entries, ULONG entries_max, DWORD timeout_ms,
                              const Site& site = Site::current()) noexcept {
  return call(number_wait, site, [&]() noexcept -> std::int64_t {
    ULONG count = 0;
    if (::GetQueuedCompletionStatusEx(handle_of(port), entries, entries_max, &count, timeout_ms, TRUE) != 0) {
      return static_cast<std::int64_t>(count);
    }
    const DWORD code = ::GetLastError();
    if (code == WAIT_TIMEOUT) return 0;
    if (code == WAIT_IO_COMPLETION) return -EINTR;
    return detail::failed(code);
  });
}

// Puts a packet into the port's queue.
inline std::int64_t post(NativeDescriptor port, ULONG_PTR key, OVERLAPPED* overlapped,
                         const Site& site = Site::current()) noexcept {
  return call(number_post, site, [&]() noexcept -> std::int64_t {
    return ::PostQueuedCompletionStatus(handle_of(port), 0, key, overlapped) != 0 ? 0 : detail::last_error();
  });
}

// Asks for the end of one operation; its packet tells. Returned: EINVAL and the like: there is nothing to cancel.
inline std::int64_t cancel(NativeDescriptor handle, OVERLAPPED* overlapped,
                           const Site& site = Site::current()) noexcept {
  return call(number_cancel, site, [&]() noexcept -> std::int64_t {
    return ::CancelIoEx(handle_of(handle), overlapped) != 0 ? 0 : -EINVAL;
  });
}

// What became of an overlapped operation: 0 or a negated errno. The end of a file is ENODATA.
std::int64_t status_of(const OVERLAPPED& overlapped) noexcept;

// A timer that ends an alertable wait of the thread that has set it; as precise as this Windows can.
Result<UniqueFd> create_timer(const Site& site = Site::current()) noexcept;
std::int64_t set_timer(NativeDescriptor timer, Duration after, const Site& site = Site::current()) noexcept;

// Any handle.
void close(NativeDescriptor handle) noexcept;

// --- Sockets ---------------------------------------------------------------------------------------------------------

// Once in each process, before anything else of sockets; socket() does it.
Result<void> start_sockets() noexcept;
// Non-blocking, overlapped. Datagram sockets do not tell of refusals of what they have sent (they would fail receives).
Result<UniqueFd> socket(int family, int type, int protocol, const Site& site = Site::current()) noexcept;
// On anything else it does nothing.
void set_non_blocking(NativeDescriptor socket) noexcept;

inline std::int64_t bind(NativeDescriptor fd, const void* address, std::uint32_t size,
                         const Site& site = Site::current()) noexcept {
  return call(number_bind, site, [&]() noexcept -> std::int64_t {
    const int result = ::bind(socket_of(fd), static_cast<const sockaddr*>(address), static_cast<int>(size));
    return result == 0 ? 0 : detail::last_socket_error();
  });
}
inline std::int64_t listen(NativeDescriptor fd, int backlog, const Site& site = Site::current()) noexcept {
  return call(number_listen, site, [&]() noexcept -> std::int64_t {
    return ::listen(socket_of(fd), backlog) == 0 ? 0 : detail::last_socket_error();
  });
}
// Returns a new socket, non-blocking. `peer` may be null. Not yet: EAGAIN.
std::int64_t accept(NativeDescriptor fd, void* peer, std::uint32_t* peer_size,
                    const Site& site = Site::current()) noexcept;
// Not yet: EAGAIN; the connection is being made.
inline std::int64_t connect(NativeDescriptor fd, const void* address, std::uint32_t size,
                            const Site& site = Site::current()) noexcept {
  return call(number_connect, site, [&]() noexcept -> std::int64_t {
    const int result = ::connect(socket_of(fd), static_cast<const sockaddr*>(address), static_cast<int>(size));
    return result == 0 ? 0 : detail::last_socket_error();
  });
}
inline std::int64_t shutdown(NativeDescriptor fd, int how, const Site& site = Site::current()) noexcept {
  return call(number_shutdown, site, [&]() noexcept -> std::int64_t {
    return ::shutdown(socket_of(fd), how) == 0 ? 0 : detail::last_socket_error();
  });
}
// ENOTSOCK is returned here.
inline std::int64_t getsockopt(NativeDescriptor fd, int level, int name, void* value, int* size,
                               const Site& site = Site::current()) noexcept {
  return call(number_get_option, site, [&]() noexcept -> std::int64_t {
    if (::getsockopt(socket_of(fd), level, name, static_cast<char*>(value), size) == 0) return 0;
    return -errno_of(static_cast<std::uint32_t>(::WSAGetLastError()));
  });
}
inline std::int64_t setsockopt(NativeDescriptor fd, int level, int name, const void* value, int size,
                               const Site& site = Site::current()) noexcept {
  return call(number_set_option, site, [&]() noexcept -> std::int64_t {
    const int result = ::setsockopt(socket_of(fd), level, name, static_cast<const char*>(value), size);
    return result == 0 ? 0 : detail::last_socket_error();
  });
}
// An option of ioctlsocket() that reads or writes a number. ENOTSOCK is returned here.
std::int64_t ioctl(NativeDescriptor fd, long command, u_long* value, const Site& site = Site::current()) noexcept;
std::int64_t getsockname(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site = Site::current()) noexcept;
// ENOTSOCK is returned here.
std::int64_t getpeername(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site = Site::current()) noexcept;
// The error that is pending, positive, which is thereby cleared; 0: none.
std::int64_t take_socket_error(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// Overlapped or, without `overlapped`, at once. Returns bytes. Not yet: EAGAIN. `flags`: in and out.
// EMSGSIZE: a datagram was cut off; `received` has what there was room for.
inline std::int64_t receive(NativeDescriptor fd, WSABUF* slices, DWORD slices_count, DWORD* flags, sockaddr* address,
                            int* address_size, OVERLAPPED* overlapped, DWORD* received,
                            const Site& site = Site::current()) noexcept {
  return call(number_receive, site, [&]() noexcept -> std::int64_t {
    const int result = address == nullptr
                           ? ::WSARecv(socket_of(fd), slices, slices_count, received, flags, overlapped, nullptr)
                           : ::WSARecvFrom(socket_of(fd), slices, slices_count, received, flags, address, address_size,
                                           overlapped, nullptr);
    return result == 0 ? static_cast<std::int64_t>(*received) : detail::last_socket_error();
  });
}
// A datagram with its control data, at once.
std::int64_t receive_message(NativeDescriptor fd, WSAMSG* message, DWORD* received,
                             const Site& site = Site::current()) noexcept;
// At once. Not yet: EAGAIN.
inline std::int64_t send(NativeDescriptor fd, WSABUF* slices, DWORD slices_count, const sockaddr* address,
                         int address_size, const Site& site = Site::current()) noexcept {
  return call(number_send, site, [&]() noexcept -> std::int64_t {
    DWORD sent = 0;
    const int result =
        address == nullptr
            ? ::WSASend(socket_of(fd), slices, slices_count, &sent, 0, nullptr, nullptr)
            : ::WSASendTo(socket_of(fd), slices, slices_count, &sent, 0, address, address_size, nullptr, nullptr);
    return result == 0 ? static_cast<std::int64_t>(sent) : detail::last_socket_error();
  });
}
std::int64_t send_message(NativeDescriptor fd, WSAMSG* message, const Site& site = Site::current()) noexcept;

// Overlapped. `addresses` has room for two addresses and 16 bytes with each.
std::int64_t accept_into(NativeDescriptor listener, NativeDescriptor accepted, void* addresses, DWORD address_room,
                         OVERLAPPED* overlapped, const Site& site = Site::current()) noexcept;
// Overlapped. The socket must be bound.
std::int64_t connect_overlapped(NativeDescriptor fd, const void* address, std::uint32_t size, OVERLAPPED* overlapped,
                                const Site& site = Site::current()) noexcept;
// Overlapped; from the offset that `overlapped` has.
std::int64_t transmit_file(NativeDescriptor fd, NativeDescriptor file, std::size_t size, OVERLAPPED* overlapped,
                           const Site& site = Site::current()) noexcept;
// Overlapped: asks through `fd` what select() asks; `poll` is in and out.
std::int64_t poll_socket(NativeDescriptor fd, void* poll, std::size_t poll_size, OVERLAPPED* overlapped,
                         const Site& site = Site::current()) noexcept;

// --- Files, pipes ----------------------------------------------------------------------------------------------------

// Overlapped; from the offset that `overlapped` has. Returns bytes. Returned also: ENODATA: the end of a file; EPIPE: the
// end of a pipe; ECANCELED also for a console, where the system says that it has read nothing.
inline std::int64_t read_file(NativeDescriptor file, void* buffer, std::size_t size, OVERLAPPED* overlapped,
                              const Site& site = Site::current()) noexcept {
  return call_sized(number_read_file, site, size, [&](ULONG length) noexcept -> std::int64_t {
    DWORD count = 0;
    ::SetLastError(ERROR_SUCCESS);
    if (::ReadFile(handle_of(file), buffer, length, &count, overlapped) != 0) {
      return count == 0 && ::GetLastError() == ERROR_OPERATION_ABORTED ? -ECANCELED : static_cast<std::int64_t>(count);
    }
    const DWORD code = ::GetLastError();
    return code == ERROR_HANDLE_EOF ? -ENODATA : detail::failed(code);
  });
}
inline std::int64_t write_file(NativeDescriptor file, const void* buffer, std::size_t size, OVERLAPPED* overlapped,
                               const Site& site = Site::current()) noexcept {
  return call_sized(number_write_file, site, size, [&](ULONG length) noexcept -> std::int64_t {
    DWORD count = 0;
    return ::WriteFile(handle_of(file), buffer, length, &count, overlapped) != 0 ? static_cast<std::int64_t>(count)
                                                                                  : detail::last_error();
  });
}
// `path` is UTF-8; flags as of open_file. Returns a new handle, overlapped; a directory's if that is asked for.
std::int64_t open_file(const char* path, std::size_t flags, const Site& site = Site::current()) noexcept;
// The same to be read, not overlapped.
std::int64_t open_plain_file(const char* path, const Site& site = Site::current()) noexcept;
std::int64_t sync_file(NativeDescriptor file, const Site& site = Site::current()) noexcept;
bool is_directory(NativeDescriptor file) noexcept;
// Bytes, or a negated errno.
std::int64_t file_size(NativeDescriptor file) noexcept;
// Waits for an operation that was asked for with an event in its `overlapped`. Returns as read_file().
std::int64_t wait_for_file(NativeDescriptor file, OVERLAPPED* overlapped) noexcept;

// --- Threads of the system's pool ------------------------------------------------------------------------------------

// Calls `signalled` once, on a thread of the system's, when `handle` is signalled.
std::int64_t register_wait(HANDLE* wait, NativeDescriptor handle, WAITORTIMERCALLBACK signalled, void* context) noexcept;
// Afterwards it will not be called, and no call is running.
void unregister_wait(HANDLE wait) noexcept;
// Calls `run` on a thread of the system's.
std::int64_t submit(PTP_SIMPLE_CALLBACK run, void* context) noexcept;

}  // namespace gyre::sys
