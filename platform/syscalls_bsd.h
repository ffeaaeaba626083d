// System calls of macOS and the BSDs, typed, through their C library: the numbers of system calls are no interface there.
// The same functions as those of Linux (platform/syscalls_linux.h says what each one does, and sorts its errnos); here is
// said only what differs.
//
// Close-on-exec, and non-blocking, are set by a second call where the system has no flag for it: a child that other code
// forks at that very moment inherits the descriptor. Gyre's own children do not (see process.h). SIGPIPE of sockets is
// prevented for each socket, see prevent_broken_pipe_signal().
//
// Threads: any.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/pause_instruction.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::sys {

// By which failures are injected: the numbers that macOS has, without its header.
inline constexpr long number_read = 3;
inline constexpr long number_write = 4;
inline constexpr long number_close = 6;
inline constexpr long number_wait4 = 7;
inline constexpr long number_unlink = 10;
inline constexpr long number_recvmsg = 27;
inline constexpr long number_sendmsg = 28;
inline constexpr long number_recvfrom = 29;
inline constexpr long number_accept = 30;
inline constexpr long number_getpeername = 31;
inline constexpr long number_getsockname = 32;
inline constexpr long number_kill = 37;
inline constexpr long number_pipe = 42;
inline constexpr long number_ioctl = 54;
inline constexpr long number_spawn = 59;
inline constexpr long number_fcntl = 92;
inline constexpr long number_fsync = 95;
inline constexpr long number_socket = 97;
inline constexpr long number_connect = 98;
inline constexpr long number_bind = 104;
inline constexpr long number_setsockopt = 105;
inline constexpr long number_listen = 106;
inline constexpr long number_getsockopt = 118;
inline constexpr long number_readv = 120;
inline constexpr long number_writev = 121;
inline constexpr long number_fchmod = 124;
inline constexpr long number_rename = 128;
inline constexpr long number_sendto = 133;
inline constexpr long number_shutdown = 134;
inline constexpr long number_socketpair = 135;
inline constexpr long number_pread = 153;
inline constexpr long number_pwrite = 154;
inline constexpr long number_stat = 188;
inline constexpr long number_fstat = 189;
inline constexpr long number_ftruncate = 201;
inline constexpr long number_poll = 230;
inline constexpr long number_sendfile = 337;
inline constexpr long number_openat = 463;

// A message of recvmmsg() and sendmmsg(), which are made of recvmsg() and sendmsg().
struct mmsghdr {
  msghdr msg_hdr;
  unsigned msg_len;
};

// Is not known here: preadv2() and pwritev2() answer EOPNOTSUPP for it.
inline constexpr int no_wait = 1;
// No pipe keeps packets apart.
inline constexpr int packet_pipe = 0;
// NetBSD and macOS heed MSG_DONTWAIT in receives only: sockets are made non-blocking.
inline constexpr bool sockets_stay_blocking = false;
// POLLIN says so.
inline constexpr int poll_read_ended = 0;
// A transfer's length must fit into an int.
inline constexpr std::size_t transfer_max = std::size_t{1} << 30;

namespace detail {

// Aborts if `error`, an errno, can only come from a bug of ours.
[[gnu::cold]] void check_no_bug(std::int64_t error) noexcept;

inline constexpr std::size_t whole = std::numeric_limits<std::size_t>::max();

// `function` makes the call as libc does, -1 and errno for failure. One that takes a size transfers no more than that.
template <typename Function>
std::int64_t make(Function& function, [[maybe_unused]] std::size_t most) noexcept {
  std::int64_t result = 0;
  if constexpr (std::is_invocable_v<Function&, std::size_t>) {
    result = static_cast<std::int64_t>(function(most));
  } else {
    result = static_cast<std::int64_t>(function());
  }
  return result == -1 ? -static_cast<std::int64_t>(errno) : result;
}

}  // namespace detail

// The seam: every system call of Gyre is made here; `number` is for injected failures.
template <typename Function>
std::int64_t call([[maybe_unused]] long number, [[maybe_unused]] const Site& site, Function function) noexcept {
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number, site);
    switch (fault.kind) {
      case Fault::Kind::none: break;
      case Fault::Kind::fail: return -fault.value;
      case Fault::Kind::replace: return fault.value;
      case Fault::Kind::shorten: return detail::make(function, static_cast<std::size_t>(fault.value));
      case Fault::Kind::after: {
        const std::int64_t result = detail::make(function, detail::whole);
        return result < 0 ? result : -fault.value;
      }
    }
  }
  return detail::make(function, detail::whole);
}

// As call(); repeats it when interrupted, and aborts for an errno that shows a bug.
template <typename Function>
std::int64_t call_whole(long number, const Site& site, Function function) noexcept {
  for (;;) {  // bound: signals come to an end
    const std::int64_t result = call(number, site, function);
    if (result >= 0 || result == -EAGAIN) return result;
    if (result == -EINTR) continue;
    detail::check_no_bug(-result);
    return result;
  }
}

// --- Sockets: data ---------------------------------------------------------------------------------------------------

std::int64_t recv(NativeDescriptor fd, void* buffer, std::size_t size, int flags,
                  const Site& site = Site::current()) noexcept;
// EPROTOTYPE (macOS, while the connection is being taken down) is returned as EPIPE. sendmsg() and sendmmsg() likewise; these
// answer EOPNOTSUPP to control data that cut a message into segments.
std::int64_t send(NativeDescriptor fd, const void* buffer, std::size_t size, int flags,
                  const Site& site = Site::current()) noexcept;
// These and judged() are apart where that saves something: see syscalls_linux.h.
inline std::int64_t recv_once(NativeDescriptor fd, void* buffer, std::size_t size, int flags,
                              const Site& site = Site::current()) noexcept {
  return recv(fd, buffer, size, flags, site);
}
inline std::int64_t send_once(NativeDescriptor fd, const void* buffer, std::size_t size, int flags,
                              const Site& site = Site::current()) noexcept {
  return send(fd, buffer, size, flags, site);
}
inline std::int64_t judged(std::int64_t result) noexcept { return result; }
// Received descriptors are close-on-exec.
std::int64_t recvmsg(NativeDescriptor fd, msghdr* message, int flags, const Site& site = Site::current()) noexcept;
std::int64_t sendmsg(NativeDescriptor fd, const msghdr* message, int flags,
                     const Site& site = Site::current()) noexcept;
// What fails after the first message is not an error but the end of the batch: the next call meets it.
std::int64_t recvmmsg(NativeDescriptor fd, mmsghdr* messages, unsigned count, int flags,
                      const Site& site = Site::current()) noexcept;
std::int64_t sendmmsg(NativeDescriptor fd, mmsghdr* messages, unsigned count, int flags,
                      const Site& site = Site::current()) noexcept;
std::int64_t accept4(NativeDescriptor fd, void* peer, std::uint32_t* peer_size,
                     const Site& site = Site::current()) noexcept;
std::int64_t connect(NativeDescriptor fd, const void* address, std::uint32_t size,
                     const Site& site = Site::current()) noexcept;

// --- Files, pipes ----------------------------------------------------------------------------------------------------

std::int64_t read(NativeDescriptor fd, void* buffer, std::size_t size, const Site& site = Site::current()) noexcept;
std::int64_t write(NativeDescriptor fd, const void* buffer, std::size_t size,
                   const Site& site = Site::current()) noexcept;
std::int64_t readv(NativeDescriptor fd, const iovec* slices, int count, const Site& site = Site::current()) noexcept;
std::int64_t writev(NativeDescriptor fd, const iovec* slices, int count, const Site& site = Site::current()) noexcept;
// With `flags`: EOPNOTSUPP.
std::int64_t preadv2(NativeDescriptor fd, const iovec* slices, int count, std::int64_t offset, int flags,
                     const Site& site = Site::current()) noexcept;
std::int64_t pwritev2(NativeDescriptor fd, const iovec* slices, int count, std::int64_t offset, int flags,
                      const Site& site = Site::current()) noexcept;
// There is none: ENOSYS.
std::int64_t splice(NativeDescriptor from, NativeDescriptor to, std::size_t size,
                    const Site& site = Site::current()) noexcept;
// What is no file, or no stream socket: EINVAL, as on Linux.
std::int64_t sendfile(NativeDescriptor to, NativeDescriptor from, std::int64_t* offset, std::size_t size,
                      const Site& site = Site::current()) noexcept;
std::int64_t openat(NativeDescriptor directory, const char* path, int flags, unsigned mode,
                    const Site& site = Site::current()) noexcept;
// Whether a disk is needed cannot be asked: ENOSYS.
std::int64_t open_cached(NativeDescriptor directory, const char* path, int flags, unsigned mode,
                         const Site& site = Site::current()) noexcept;
// Down to the medium (macOS: F_FULLFSYNC), where the file system can.
std::int64_t fsync(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
Result<void> unlink(const char* path, const Site& site = Site::current()) noexcept;
Result<void> rename(const char* from, const char* to, const Site& site = Site::current()) noexcept;
Result<void> ftruncate(NativeDescriptor fd, std::int64_t size, const Site& site = Site::current()) noexcept;
Result<void> fchmod(NativeDescriptor fd, unsigned mode, const Site& site = Site::current()) noexcept;
Result<struct ::stat> stat(const char* path, const Site& site = Site::current()) noexcept;
Result<struct ::stat> fstat(NativeDescriptor fd, const Site& site = Site::current()) noexcept;

// --- Any descriptor --------------------------------------------------------------------------------------------------

std::int64_t close(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
std::int64_t shutdown(NativeDescriptor fd, int how, const Site& site = Site::current()) noexcept;
Result<UniqueFd> duplicate(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
Result<void> set_non_blocking(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
Result<void> set_blocking(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
std::int64_t get_flags(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
std::int64_t ioctl(NativeDescriptor fd, unsigned long request, void* argument,
                   const Site& site = Site::current()) noexcept;
// In whole milliseconds, rounded up; what is longer than 12 days ends earlier.
std::int64_t poll(pollfd* descriptors, std::size_t count, Duration timeout,
                  const Site& site = Site::current()) noexcept;

// --- Making descriptors ----------------------------------------------------------------------------------------------

Result<UniqueFd> socket(int family, int type, int protocol, const Site& site = Site::current()) noexcept;
// Neither end raises SIGPIPE.
Result<void> socketpair(int type, UniqueFd (&ends)[2], const Site& site = Site::current()) noexcept;
Result<void> pipe2(UniqueFd (&ends)[2], int flags, const Site& site = Site::current()) noexcept;

// --- Sockets: everything else ----------------------------------------------------------------------------------------

Result<void> bind(NativeDescriptor fd, const void* address, std::uint32_t size,
                  const Site& site = Site::current()) noexcept;
Result<void> listen(NativeDescriptor fd, int backlog, const Site& site = Site::current()) noexcept;
Result<void> getsockname(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site = Site::current()) noexcept;
Result<void> getpeername(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site = Site::current()) noexcept;
// Nothing is known of a connection that has been reset.
std::int64_t get_peer_name(NativeDescriptor fd, void* address, std::uint32_t* size,
                           const Site& site = Site::current()) noexcept;
Result<void> setsockopt(NativeDescriptor fd, int level, int name, const void* value, std::uint32_t size,
                        const Site& site = Site::current()) noexcept;
Result<void> getsockopt(NativeDescriptor fd, int level, int name, void* value, std::uint32_t* size,
                        const Site& site = Site::current()) noexcept;
std::int64_t take_socket_error(NativeDescriptor fd, const Site& site = Site::current()) noexcept;
// Makes that sending to this socket, or a copy of it, does not raise SIGPIPE (SO_NOSIGPIPE; there may be no flag for the
// single call). What is no socket is left alone.
void prevent_broken_pipe_signal(NativeDescriptor fd) noexcept;

// --- Time, processes, threads ----------------------------------------------------------------------------------------

// Stands still while the machine sleeps, as on Linux.
Instant monotonic_now() noexcept;
std::int64_t getpid() noexcept;
std::int64_t kill(std::int64_t process, int signal, const Site& site = Site::current()) noexcept;
// Another number of `fd`, `least` or more, close-on-exec; or a negated errno. Returned: EMFILE, EBADF.
std::int64_t duplicate_above(NativeDescriptor fd, int least, const Site& site = Site::current()) noexcept;
// Whether it is open and not close-on-exec.
bool is_inheritable(NativeDescriptor fd) noexcept;
// posix_spawn(): the child's number, or a negated errno. Returned: everything, for the path is the user's.
std::int64_t spawn(const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
                   char* const* arguments, char* const* environment, const Site& site = Site::current()) noexcept;
// Waits for a child; `options`: WNOHANG. Returned: ECHILD.
std::int64_t waitpid(std::int64_t process, int* status, int options, const Site& site = Site::current()) noexcept;
std::int64_t start_thread(pthread_t* thread, void* (*run)(void*), void* argument,
                          const Site& site = Site::current()) noexcept;
void join_thread(pthread_t thread) noexcept;
void detach_thread(pthread_t thread) noexcept;
void name_thread(const char* name) noexcept;
// As sleep_on() and wake_threads() (platform/thread.h) want it: sleeps at most `timeout` while the word is `expected`.
void wait_on_word(const void* word, std::uint32_t expected, Duration timeout) noexcept;
void wake_word(const void* word, int count) noexcept;
void ignore_broken_pipes(const Site& site = Site::current()) noexcept;

}  // namespace gyre::sys
