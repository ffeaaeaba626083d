// Linux system calls, typed: the only door from Gyre to the kernel, and the one seam where tests inject failures.
//
// Calls on data paths return std::int64_t: >= 0, or a negated errno. The others return a Result. All of them
//   - go to the kernel directly: no libc wrapper, no errno, no cancellation point (under a sanitizer: through libc, whose
//     calls it intercepts);
//   - are repeated here when a signal interrupted them (EINTR), but close() never, and those that wait not: who waits
//     for a time must look at the clock again;
//   - abort for errnos that only a bug of ours can cause, unless the comment says otherwise: EBADF, EFAULT, ENOTSOCK;
//   - open descriptors close-on-exec, sockets also non-blocking; never raise SIGPIPE (MSG_NOSIGNAL).
// Each comment sorts the errnos: Bug (aborts), Not yet (try again once it is ready), Returned. EINTR is retried where
// nothing else is said.
//
// Threads: any.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/raw_syscall_linux.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::sys {

// Numbers that are the same on every processor and newer than some headers.
inline constexpr long number_pidfd_send_signal = 424;
inline constexpr long number_io_uring_setup = 425;
inline constexpr long number_io_uring_enter = 426;
inline constexpr long number_io_uring_register = 427;
inline constexpr long number_pidfd_open = 434;
inline constexpr long number_clone3 = number_start_thread;
inline constexpr long number_close_range = 436;
inline constexpr long number_openat2 = 437;
inline constexpr long number_epoll_pwait2 = 441;
// Those that tests let fail on every system.
inline constexpr long number_spawn = SYS_clone;
inline constexpr long number_pipe = SYS_pipe2;
inline constexpr long number_openat = SYS_openat;
inline constexpr long number_accept = SYS_accept4;
inline constexpr long number_socket = SYS_socket;
inline constexpr long number_bind = SYS_bind;
inline constexpr long number_listen = SYS_listen;
inline constexpr long number_connect = SYS_connect;
inline constexpr long number_getsockname = SYS_getsockname;

// A message of recvmmsg() and sendmmsg().
using ::mmsghdr;
// preadv2, pwritev2: only what needs no disk.
inline constexpr int no_wait = RWF_NOWAIT;
// poll(): the peer will send no more. 0 where POLLIN says so.
inline constexpr int poll_read_ended = POLLRDHUP;
// MSG_DONTWAIT goes for sends, too: a socket need not be made non-blocking.
inline constexpr bool sockets_stay_blocking = true;
// get_flags() of a pipe that keeps packets apart.
inline constexpr int packet_pipe = O_DIRECT;

// What the kernel accepts in one transfer, and what we ask for at most: 1 GiB. More would only be cut by the kernel at
// 2^31 - 4096, and io_uring's lengths have 32 bits.
inline constexpr std::size_t transfer_max = std::size_t{1} << 30;

namespace detail {

// The same call through libc, for sanitizers: -errno, too.
template <long number, typename... Arguments>
std::int64_t call_libc(Arguments... arguments) noexcept;

// As the fault wants it: a shortened call.
template <long number, typename... Arguments>
std::int64_t call_shortened(std::int64_t limit, Arguments... arguments) noexcept;

template <long number, typename... Arguments>
inline std::int64_t call_kernel(Arguments... arguments) noexcept {
  if constexpr (sanitized) {
    return call_libc<number>(arguments...);
  } else {
    return raw_syscall(number, word(arguments)...);
  }
}

template <long number, typename... Arguments>
[[gnu::noinline]] std::int64_t call_faulty(const Fault& fault, Arguments... arguments) noexcept {
  switch (fault.kind) {
    case Fault::Kind::none: break;
    case Fault::Kind::fail: return -fault.value;
    case Fault::Kind::replace: return fault.value;
    case Fault::Kind::shorten: return call_shortened<number>(fault.value, arguments...);
    case Fault::Kind::after: {
      const std::int64_t result = call_kernel<number>(arguments...);
      return result < 0 ? result : -fault.value;
    }
  }
  return call_kernel<number>(arguments...);
}

// Aborts if `error`, an errno, can only come from a bug of ours.
[[gnu::cold]] void check_no_bug(std::int64_t error) noexcept;

}  // namespace detail

// The seam: every system call of Gyre is made here.
template <long number, typename... Arguments>
inline std::int64_t call([[maybe_unused]] const Site& site, Arguments... arguments) noexcept {
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number, site);
    if (fault.kind != Fault::Kind::none) [[unlikely]] {
      return detail::call_faulty<number>(fault, arguments...);
    }
  }
  return detail::call_kernel<number>(arguments...);
}

// As call(); repeats it when interrupted, and aborts for an errno that shows a bug.
template <long number, typename... Arguments>
inline std::int64_t call_whole(const Site& site, Arguments... arguments) noexcept {
  for (;;) {  // bound: signals come to an end
    const std::int64_t result = call<number>(site, arguments...);
    if (result >= 0 || result == -EAGAIN) [[likely]] return result;
    if (result == -EINTR) continue;
    detail::check_no_bug(-result);
    return result;
  }
}

// --- Sockets: data ---------------------------------------------------------------------------------------------------

// Not yet: EAGAIN. Returned: ECONNRESET, ETIMEDOUT, ENOTCONN, ECONNREFUSED (datagrams), EHOSTUNREACH, ENOMEM.
inline std::int64_t recv(NativeDescriptor fd, void* buffer, std::size_t size, int flags,
                         const Site& site = Site::current()) noexcept {
  return call_whole<SYS_recvfrom>(site, fd, buffer, size, flags, nullptr, nullptr);
}

// Not yet: EAGAIN. Returned: EPIPE, ECONNRESET, ETIMEDOUT, ENOTCONN, ENOBUFS, ENOMEM, EMSGSIZE, EHOSTUNREACH.
inline std::int64_t send(NativeDescriptor fd, const void* buffer, std::size_t size, int flags,
                         const Site& site = Site::current()) noexcept {
  return call_whole<SYS_sendto>(site, fd, buffer, size, flags | MSG_NOSIGNAL, nullptr, 0);
}

// As recv() and send(), but made only once: EINTR is returned, and judged() is for any failure but EAGAIN. So the path
// of what succeeds calls nothing else.
inline std::int64_t recv_once(NativeDescriptor fd, void* buffer, std::size_t size, int flags,
                              const Site& site = Site::current()) noexcept {
  return call<SYS_recvfrom>(site, fd, buffer, size, flags, nullptr, nullptr);
}
inline std::int64_t send_once(NativeDescriptor fd, const void* buffer, std::size_t size, int flags,
                              const Site& site = Site::current()) noexcept {
  return call<SYS_sendto>(site, fd, buffer, size, flags | MSG_NOSIGNAL, nullptr, 0);
}
// `result`; aborts for an errno that shows a bug.
inline std::int64_t judged(std::int64_t result) noexcept {
  if (result < 0 && result != -EAGAIN) detail::check_no_bug(-result);
  return result;
}

// As recv. Descriptors received in control data are close-on-exec.
inline std::int64_t recvmsg(NativeDescriptor fd, msghdr* message, int flags,
                            const Site& site = Site::current()) noexcept {
  return call_whole<SYS_recvmsg>(site, fd, message, flags | MSG_CMSG_CLOEXEC);
}

// As send; also Returned: EINVAL and EPERM (control data or an address that the kernel refuses), EACCES (broadcast).
inline std::int64_t sendmsg(NativeDescriptor fd, const msghdr* message, int flags,
                            const Site& site = Site::current()) noexcept {
  return call_whole<SYS_sendmsg>(site, fd, message, flags | MSG_NOSIGNAL);
}

// As recvmsg, `count` of them: returns how many. Does not wait for more than the first.
inline std::int64_t recvmmsg(NativeDescriptor fd, mmsghdr* messages, unsigned count, int flags,
                             const Site& site = Site::current()) noexcept {
  return call_whole<SYS_recvmmsg>(site, fd, messages, count, flags | MSG_CMSG_CLOEXEC, nullptr);
}

// As sendmsg, `count` of them: returns how many.
inline std::int64_t sendmmsg(NativeDescriptor fd, mmsghdr* messages, unsigned count, int flags,
                             const Site& site = Site::current()) noexcept {
  return call_whole<SYS_sendmmsg>(site, fd, messages, count, flags | MSG_NOSIGNAL);
}

// Returns a new descriptor, non-blocking and close-on-exec. `peer` may be null.
// Not yet: EAGAIN. Bug also: EOPNOTSUPP. Returned: ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, EINVAL
// (not listening any more, after shutdown), and what was pending on the connection: ENETDOWN, ENOPROTOOPT, EHOSTDOWN,
// ENONET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT.
inline std::int64_t accept4(NativeDescriptor fd, void* peer, std::uint32_t* peer_size,
                            const Site& site = Site::current()) noexcept {
  return call_whole<SYS_accept4>(site, fd, peer, peer_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// Not retried: EINTR, after which the connection is being made all the same; it is answered as EINPROGRESS.
// Not yet: EINPROGRESS, EALREADY, EAGAIN (Unix: the listener's queue is full). Returned: ECONNREFUSED, ETIMEDOUT, ENETUNREACH,
// EHOSTUNREACH, EADDRINUSE, EADDRNOTAVAIL, EACCES, EPERM, EAFNOSUPPORT, EISCONN, EINVAL, ENOENT, EPROTOTYPE, ECONNRESET.
inline std::int64_t connect(NativeDescriptor fd, const void* address, std::uint32_t size,
                            const Site& site = Site::current()) noexcept {
  const std::int64_t result = call<SYS_connect>(site, fd, address, size);
  if (result >= 0) return result;
  if (result == -EINTR) return -EINPROGRESS;
  detail::check_no_bug(-result);
  return result;
}

// --- Files, pipes ----------------------------------------------------------------------------------------------------

// Not yet: EAGAIN. Returned: EIO, EISDIR, EINVAL, ECONNRESET and the like (sockets), ENOMEM.
inline std::int64_t read(NativeDescriptor fd, void* buffer, std::size_t size,
                         const Site& site = Site::current()) noexcept {
  return call_whole<SYS_read>(site, fd, buffer, size);
}

// Raises SIGPIPE on a pipe without a reader, which no flag prevents: see ignore_broken_pipes().
// Not yet: EAGAIN. Returned: EPIPE, EIO, ENOSPC, EDQUOT, EFBIG, EINVAL, ECONNRESET and the like.
inline std::int64_t write(NativeDescriptor fd, const void* buffer, std::size_t size,
                          const Site& site = Site::current()) noexcept {
  return call_whole<SYS_write>(site, fd, buffer, size);
}

// As read.
inline std::int64_t readv(NativeDescriptor fd, const iovec* slices, int count,
                          const Site& site = Site::current()) noexcept {
  return call_whole<SYS_readv>(site, fd, slices, count);
}

// As write.
inline std::int64_t writev(NativeDescriptor fd, const iovec* slices, int count,
                           const Site& site = Site::current()) noexcept {
  return call_whole<SYS_writev>(site, fd, slices, count);
}

// `flags`: RWF_NOWAIT and the like. The kernel takes the offset in two words, of which a 64-bit one uses the first.
// Not yet: EAGAIN (with RWF_NOWAIT: the data are not in memory). Returned: EOPNOTSUPP (the file system does not know
// RWF_NOWAIT), EIO, EISDIR, EINVAL, ESPIPE.
inline std::int64_t preadv2(NativeDescriptor fd, const iovec* slices, int count,
                            std::int64_t offset, int flags,
                            const Site& site = Site::current()) noexcept {
  return call_whole<SYS_preadv2>(site, fd, slices, count, offset, 0, flags);
}

// As preadv2, and as write.
inline std::int64_t pwritev2(NativeDescriptor fd, const iovec* slices, int count,
                             std::int64_t offset, int flags,
                             const Site& site = Site::current()) noexcept {
  return call_whole<SYS_pwritev2>(site, fd, slices, count, offset, 0, flags);
}

// Moves bytes between a pipe and another descriptor, neither of which waits. SIGPIPE as with write().
// Not yet: EAGAIN. Returned: EINVAL (neither is a pipe, or the file system cannot), EPIPE, ENOMEM, ESPIPE, and as read and write.
inline std::int64_t splice(NativeDescriptor from, NativeDescriptor to, std::size_t size,
                           const Site& site = Site::current()) noexcept {
  constexpr unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
  return call_whole<SYS_splice>(site, from, nullptr, to, nullptr, size, flags);
}

// Sends part of a file; `offset` is advanced.
// Not yet: EAGAIN. Returned: EINVAL (not a file that can be mapped), EOVERFLOW, EIO, ENOMEM, and as send.
inline std::int64_t sendfile(NativeDescriptor to, NativeDescriptor from, std::int64_t* offset,
                             std::size_t size, const Site& site = Site::current()) noexcept {
  return call_whole<SYS_sendfile>(site, to, from, offset, size);
}

// Returns a new descriptor, close-on-exec. `directory`: AT_FDCWD, or where a relative path starts.
// Returned: everything, for the path is the user's: ENOENT, EACCES, EEXIST, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG, EMFILE, ENFILE,
// ENOSPC, EROFS, ETXTBSY, EINVAL, EPERM, ENOMEM, ENXIO, EOVERFLOW.
std::int64_t openat(NativeDescriptor directory, const char* path, int flags, unsigned mode,
                    const Site& site = Site::current()) noexcept;

// As openat, if that can be done without waiting for a disk (openat2 with RESOLVE_CACHED, Linux 5.12).
// Not yet: EAGAIN (it cannot). Returned: as openat, and ENOSYS, E2BIG.
std::int64_t open_cached(NativeDescriptor directory, const char* path, int flags, unsigned mode,
                         const Site& site = Site::current()) noexcept;

// Returned: EIO, ENOSPC, EDQUOT, EROFS, EINVAL (cannot be synchronised).
std::int64_t fsync(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// Returned: ENOENT, EACCES, EPERM, EISDIR, EBUSY, EROFS and the like.
Result<void> unlink(const char* path, const Site& site = Site::current()) noexcept;

// As unlink; also EXDEV, ENOTEMPTY, EEXIST, ENOTDIR. Replaces what `to` named, in one step.
Result<void> rename(const char* from, const char* to, const Site& site = Site::current()) noexcept;

// Returned: EFBIG, EINVAL (not a regular file), EIO, EPERM, EROFS, ENOSPC.
Result<void> ftruncate(NativeDescriptor fd, std::int64_t size,
                       const Site& site = Site::current()) noexcept;

// Returned: EPERM, EROFS, EIO.
Result<void> fchmod(NativeDescriptor fd, unsigned mode, const Site& site = Site::current()) noexcept;

// Follows symbolic links. Returned: ENOENT, EACCES, ENOTDIR, ELOOP, ENAMETOOLONG, EOVERFLOW, ENOMEM.
Result<struct ::stat> stat(const char* path, const Site& site = Site::current()) noexcept;

// Returned: EOVERFLOW, ENOMEM.
Result<struct ::stat> fstat(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// --- Any descriptor --------------------------------------------------------------------------------------------------

// Never retried: on Linux the descriptor is gone whatever the answer, and its number may already be another's.
// Bug: EBADF (closed twice). Returned, for who cares: EINTR, EIO, ENOSPC, EDQUOT.
std::int64_t close(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// `how`: SHUT_RD, SHUT_WR, SHUT_RDWR. Returned: ENOTCONN (the peer may have been faster), EINVAL.
std::int64_t shutdown(NativeDescriptor fd, int how, const Site& site = Site::current()) noexcept;

// A second descriptor, close-on-exec, of the same file. Returned: EMFILE, ENOMEM.
Result<UniqueFd> duplicate(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// Makes `to` another name of `from`, not close-on-exec if `inherited` (for a child's standard streams).
// Returned: EMFILE, EBUSY (a race with open).
std::int64_t dup3(NativeDescriptor from, NativeDescriptor to, bool inherited,
                  const Site& site = Site::current()) noexcept;

// Adds O_NONBLOCK where it is missing. Returned: EPERM, EACCES (never seen).
Result<void> set_non_blocking(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// Takes O_NONBLOCK away. Returned: as set_non_blocking.
Result<void> set_blocking(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// The open file's flags (O_NONBLOCK, O_APPEND ...). EBADF is returned, so that it can be asked whether one is open.
std::int64_t get_flags(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// Returned: ENOTTY, EINVAL and whatever the device says.
std::int64_t ioctl(NativeDescriptor fd, unsigned long request, void* argument,
                   const Site& site = Site::current()) noexcept;

// Waits at most `timeout` (never: for ever). Not retried: EINTR. Returned: ENOMEM.
std::int64_t poll(pollfd* descriptors, std::size_t count, Duration timeout,
                  const Site& site = Site::current()) noexcept;

// --- Making descriptors ----------------------------------------------------------------------------------------------

// Non-blocking. Returned: EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT, EPROTONOSUPPORT, EINVAL.
Result<UniqueFd> socket(int family, int type, int protocol,
                        const Site& site = Site::current()) noexcept;

// Two Unix sockets connected to each other, non-blocking. Returned: as socket.
Result<void> socketpair(int type, UniqueFd (&ends)[2],
                        const Site& site = Site::current()) noexcept;

// ends[0] reads, ends[1] writes. `flags` besides O_CLOEXEC: O_NONBLOCK. Returned: EMFILE, ENFILE.
Result<void> pipe2(UniqueFd (&ends)[2], int flags, const Site& site = Site::current()) noexcept;

// Returned: EMFILE, ENFILE, ENOMEM.
Result<UniqueFd> epoll_create1(const Site& site = Site::current()) noexcept;

// Non-blocking. Returned: EMFILE, ENFILE, ENOMEM.
Result<UniqueFd> eventfd(unsigned value, const Site& site = Site::current()) noexcept;

// --- Sockets: everything else ----------------------------------------------------------------------------------------

// Returned: EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL, and for a Unix path ENOENT, ENOTDIR, ELOOP, EROFS, ENAMETOOLONG.
Result<void> bind(NativeDescriptor fd, const void* address, std::uint32_t size,
                  const Site& site = Site::current()) noexcept;

// Returned: EADDRINUSE, EOPNOTSUPP, EINVAL.
Result<void> listen(NativeDescriptor fd, int backlog, const Site& site = Site::current()) noexcept;

// `size`: in: room, out: the address's size. Returned: ENOBUFS.
Result<void> getsockname(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site = Site::current()) noexcept;

// As getsockname. Returned: ENOTCONN, EINVAL (after shutdown), ENOBUFS.
Result<void> getpeername(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site = Site::current()) noexcept;

// As getpeername, but also of a connection that has been reset (Linux keeps its address for SO_PEERNAME), and of what is
// not a socket: Returned: ENOTSOCK, ENOTCONN, EINVAL, ENOBUFS, ENOPROTOOPT.
std::int64_t get_peer_name(NativeDescriptor fd, void* address, std::uint32_t* size,
                           const Site& site = Site::current()) noexcept;

// Returned: ENOPROTOOPT, EOPNOTSUPP, EINVAL, EDOM, EPERM, ENODEV, EADDRINUSE, EADDRNOTAVAIL, ENOMEM, EISCONN.
Result<void> setsockopt(NativeDescriptor fd, int level, int name, const void* value,
                        std::uint32_t size, const Site& site = Site::current()) noexcept;

// `size`: in: room, out: the value's size. Returned: as setsockopt.
Result<void> getsockopt(NativeDescriptor fd, int level, int name, void* value, std::uint32_t* size,
                        const Site& site = Site::current()) noexcept;

// The error that is pending on a socket, which is cleared: 0 or an errno.
std::int64_t take_socket_error(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// --- epoll -----------------------------------------------------------------------------------------------------------

// `operation`: EPOLL_CTL_ADD, _MOD, _DEL. Bug also: EINVAL.
// Returned: EEXIST (ADD: is there already), ELOOP (an epoll inside itself), ENOMEM, ENOSPC (the limit on watches), EPERM (cannot be polled: a regular file), ENOENT.
std::int64_t epoll_ctl(NativeDescriptor epoll, int operation, NativeDescriptor fd,
                       epoll_event* event, const Site& site = Site::current()) noexcept;

// Does not sleep. Returns the number of events. Not retried: EINTR cannot happen without sleeping.
inline std::int64_t epoll_poll(NativeDescriptor epoll, epoll_event* events, int events_max,
                               const Site& site = Site::current()) noexcept {
  const std::int64_t count =
      call<SYS_epoll_pwait>(site, epoll, events, events_max, 0, nullptr, std::size_t{8});
  if (count < 0 && count != -EINTR) [[unlikely]] detail::check_no_bug(-count);
  return count;
}

// Sleeps until there are events. As epoll_wait, otherwise.
inline std::int64_t epoll_wait_for_ever(NativeDescriptor epoll, epoll_event* events, int events_max,
                                        const Site& site = Site::current()) noexcept {
  const std::int64_t count =
      call<SYS_epoll_pwait>(site, epoll, events, events_max, -1, nullptr, std::size_t{8});
  if (count < 0 && count != -EINTR) [[unlikely]] detail::check_no_bug(-count);
  return count;
}

// Sleeps at most `timeout` and never less: where the kernel has no epoll_pwait2 (before 5.11), or a filter forbids
// it, whole milliseconds, rounded up. Not retried: EINTR, so that the deadline is computed anew. Bug also: EINVAL.
std::int64_t epoll_wait(NativeDescriptor epoll, epoll_event* events, int events_max,
                        Duration timeout, const Site& site = Site::current()) noexcept;

// --- io_uring --------------------------------------------------------------------------------------------------------
// Structures and constants are the poller's own. Everything but a bug is returned, EINTR too.

// Returned: ENOSYS, EPERM, EACCES, EINVAL, ENOMEM, EMFILE, ENFILE.
std::int64_t io_uring_setup(unsigned entries, void* parameters,
                            const Site& site = Site::current()) noexcept;

// Returned: EINTR, ETIME, EAGAIN, EBUSY, EBADR, ENXIO, EEXIST, ENOMEM, EINVAL, EOPNOTSUPP. With IORING_ENTER_REGISTERED_RING
// `ring` is an index.
inline std::int64_t io_uring_enter(NativeDescriptor ring, unsigned to_submit, unsigned min_complete,
                                   unsigned flags, const void* argument, std::size_t argument_size,
                                   const Site& site = Site::current()) noexcept {
  return call<number_io_uring_enter>(site, ring, to_submit, min_complete, flags, argument,
                                     argument_size);
}

// Returned: EINVAL, EBUSY, ENOMEM, EEXIST, EPERM, EOPNOTSUPP, ENXIO.
std::int64_t io_uring_register(NativeDescriptor ring, unsigned opcode, void* argument,
                               unsigned count, const Site& site = Site::current()) noexcept;

// --- Memory, time, processes -----------------------------------------------------------------------------------------

// Anonymous private memory if `fd` is no_descriptor, else a shared mapping. Returned: ENOMEM, EAGAIN, EPERM, EINVAL.
Result<void*> mmap(std::size_t size, NativeDescriptor fd, std::int64_t offset,
                   const Site& site = Site::current()) noexcept;
// Bug: EINVAL.
void munmap(void* address, std::size_t size, const Site& site = Site::current()) noexcept;
// `advice`: MADV_DONTFORK and the like. Returned: EINVAL, ENOMEM, EAGAIN.
std::int64_t madvise(void* address, std::size_t size, int advice,
                     const Site& site = Site::current()) noexcept;

// The monotonic clock, without entering the kernel (vDSO, through libc).
Instant monotonic_now() noexcept;

// The process's number as the kernel has it.
std::int64_t getpid() noexcept;
// The calling thread's.
std::int64_t gettid() noexcept;

// A descriptor, close-on-exec, that is readable once the process has ended. Returned: ESRCH, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS.
Result<UniqueFd> pidfd_open(std::int64_t process, const Site& site = Site::current()) noexcept;
// To all of the group that the process leads, or led. Linux 6.9; EINVAL before.
inline constexpr unsigned pidfd_signal_process_group = 4;
// Returned: ESRCH, EPERM, EINVAL, ENOSYS.
Result<void> pidfd_send_signal(NativeDescriptor pidfd, int signal, unsigned flags,
                               const Site& site = Site::current()) noexcept;
// Returned: ECHILD. With WNOHANG `info->si_pid` is 0 if there is nothing yet.
std::int64_t waitid(int id_type, std::int64_t id, siginfo_t* info, int options,
                    const Site& site = Site::current()) noexcept;
// Returned: ESRCH, EPERM, EINVAL.
std::int64_t kill(std::int64_t process, int signal, const Site& site = Site::current()) noexcept;

// Starts a thread that gets no signals (through libc, which must know of it); 0 or a negated errno. Failures are injected as number_start_thread's.
// Returned: EAGAIN (the limit on threads, or memory).
std::int64_t start_thread(pthread_t* thread, void* (*run)(void*), void* argument,
                          const Site& site = Site::current()) noexcept;
void join_thread(pthread_t thread) noexcept;
void detach_thread(pthread_t thread) noexcept;
// The calling thread's name, as debuggers show it; its first 15 bytes.
void name_thread(const char* name) noexcept;

// Sleeps while the word is `expected`, until woken or until the monotonic clock says `deadline` (null: never). Of this
// process only. Returned: EAGAIN (another value), ETIMEDOUT, EINTR (not retried: a woken caller looks again anyway).
std::int64_t futex_wait(const void* word, std::uint32_t expected, const timespec* deadline) noexcept;
// The memory behind `word` is not touched: it may be gone already.
void futex_wake(const void* word, int count) noexcept;
// The calling thread's. Returned: EINVAL, ESRCH, EPERM. sched_getaffinity: the number of bytes written.
std::int64_t sched_getaffinity(void* set, std::size_t size) noexcept;
std::int64_t sched_setaffinity(const void* set, std::size_t size) noexcept;
void sched_yield() noexcept;

// Before a socket is sent to for the first time: MSG_NOSIGNAL does without.
inline void prevent_broken_pipe_signal(NativeDescriptor) noexcept {}

// SIGPIPE cannot be kept off a pipe by a flag. Makes the process ignore it, unless it has a handler or is ignored
// already. Inherited over exec: who starts a process resets it.
void ignore_broken_pipes(const Site& site = Site::current()) noexcept;

}  // namespace gyre::sys

#include <gyre/platform/syscalls_linux_detail.h>
