#include <gyre/platform/syscalls_linux.h>

#include <linux/futex.h>
#include <netinet/in.h>

#include <atomic>

namespace gyre::sys {
namespace {

// The kernel's size of a signal set, which is not libc's.
constexpr std::size_t signal_set_size = 8;

Result<void> answer(std::int64_t result, OperationKind operation) noexcept {
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), operation);
  return {};
}

Result<UniqueFd> answer_descriptor(std::int64_t result, OperationKind operation) noexcept {
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), operation);
  return UniqueFd(static_cast<NativeDescriptor>(result));
}

timespec to_timespec(Duration time) noexcept {
  constexpr std::int64_t nanoseconds = 1'000'000'000;
  timespec result{};
  result.tv_sec = static_cast<time_t>(time.count() / nanoseconds);
  result.tv_nsec = static_cast<long>(time.count() % nanoseconds);
  return result;
}

// epoll_pwait counts whole milliseconds. Rounded up: rounding down would turn the last fraction before a deadline into a
// zero timeout, and the loop would spin until then.
int to_milliseconds(Duration timeout) noexcept {
  if (timeout == Duration::max()) return -1;
  constexpr std::int64_t most = 1 << 30;  // 12 days; who sleeps longer is woken in between
  const std::int64_t whole = timeout.count() / 1'000'000 + (timeout.count() % 1'000'000 != 0);
  return static_cast<int>(whole < most ? whole : most);
}

}  // namespace

std::int64_t openat(NativeDescriptor directory, const char* path, int flags, unsigned mode,
                    const Site& site) noexcept {
  return call_whole<SYS_openat>(site, directory, path, flags | O_CLOEXEC, mode);
}

std::int64_t open_cached(NativeDescriptor directory, const char* path, int flags, unsigned mode,
                         const Site& site) noexcept {
  // struct open_how; the kernel refuses a mode without O_CREAT.
  const std::uint64_t how[3] = {
      static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC)),
      (flags & O_CREAT) != 0 ? mode & 07777u : 0u,
      0x20,  // RESOLVE_CACHED
  };
  return call_whole<number_openat2>(site, directory, path, &how[0], sizeof(how));
}

std::int64_t fsync(NativeDescriptor fd, const Site& site) noexcept {
  return call_whole<SYS_fsync>(site, fd);
}

Result<void> unlink(const char* path, const Site& site) noexcept {
  return answer(call_whole<SYS_unlinkat>(site, AT_FDCWD, path, 0), OperationKind::none);
}

Result<void> rename(const char* from, const char* to, const Site& site) noexcept {
  return answer(call_whole<SYS_renameat2>(site, AT_FDCWD, from, AT_FDCWD, to, 0), OperationKind::none);
}

Result<void> ftruncate(NativeDescriptor fd, std::int64_t size, const Site& site) noexcept {
  return answer(call_whole<SYS_ftruncate>(site, fd, size), OperationKind::none);
}

Result<void> fchmod(NativeDescriptor fd, unsigned mode, const Site& site) noexcept {
  return answer(call_whole<SYS_fchmod>(site, fd, mode), OperationKind::none);
}

Result<struct ::stat> stat(const char* path, const Site& site) noexcept {
  struct ::stat status {};
  const std::int64_t result = call_whole<SYS_newfstatat>(site, AT_FDCWD, path, &status, 0);
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result));
  return status;
}

Result<struct ::stat> fstat(NativeDescriptor fd, const Site& site) noexcept {
  struct ::stat status {};
  const std::int64_t result = call_whole<SYS_fstat>(site, fd, &status);
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result));
  return status;
}

std::int64_t close(NativeDescriptor fd, const Site& site) noexcept {
  const std::int64_t result = call<SYS_close>(site, fd);
  GYRE_CHECK_HINT(result != -EBADF, "a descriptor was closed twice");
  return result;
}

std::int64_t shutdown(NativeDescriptor fd, int how, const Site& site) noexcept {
  return call_whole<SYS_shutdown>(site, fd, how);
}

Result<UniqueFd> duplicate(NativeDescriptor fd, const Site& site) noexcept {
  return answer_descriptor(call_whole<SYS_fcntl>(site, fd, F_DUPFD_CLOEXEC, 0), OperationKind::none);
}

std::int64_t dup3(NativeDescriptor from, NativeDescriptor to, bool inherited,
                  const Site& site) noexcept {
  return call_whole<SYS_dup3>(site, from, to, inherited ? 0 : O_CLOEXEC);
}

Result<void> set_non_blocking(NativeDescriptor fd, const Site& site) noexcept {
  const std::int64_t flags = call_whole<SYS_fcntl>(site, fd, F_GETFL, 0);
  if (flags < 0) return answer(flags, OperationKind::setup);
  if ((flags & O_NONBLOCK) != 0) return {};
  return answer(call_whole<SYS_fcntl>(site, fd, F_SETFL, flags | O_NONBLOCK), OperationKind::setup);
}

Result<void> set_blocking(NativeDescriptor fd, const Site& site) noexcept {
  const std::int64_t flags = call_whole<SYS_fcntl>(site, fd, F_GETFL, 0);
  if (flags < 0) return answer(flags, OperationKind::setup);
  if ((flags & O_NONBLOCK) == 0) return {};
  return answer(call_whole<SYS_fcntl>(site, fd, F_SETFL, flags & ~O_NONBLOCK), OperationKind::setup);
}

std::int64_t get_flags(NativeDescriptor fd, const Site& site) noexcept {
  return call<SYS_fcntl>(site, fd, F_GETFL, 0);
}

std::int64_t ioctl(NativeDescriptor fd, unsigned long request, void* argument,
                   const Site& site) noexcept {
  return call_whole<SYS_ioctl>(site, fd, request, argument);
}

std::int64_t poll(pollfd* descriptors, std::size_t count, Duration timeout,
                  const Site& site) noexcept {
  const timespec time = to_timespec(timeout);
  const timespec* const limit = timeout == Duration::max() ? nullptr : &time;
  return call<SYS_ppoll>(site, descriptors, count, limit, nullptr, signal_set_size);
}

Result<UniqueFd> socket(int family, int type, int protocol, const Site& site) noexcept {
  return answer_descriptor(
      call_whole<SYS_socket>(site, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol),
      OperationKind::socket);
}

Result<void> socketpair(int type, UniqueFd (&ends)[2], const Site& site) noexcept {
  int both[2] = {-1, -1};
  const std::int64_t result = call_whole<SYS_socketpair>(
      site, AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, &both[0]);
  if (result < 0) return answer(result, OperationKind::socket);
  ends[0].reset(both[0]);
  ends[1].reset(both[1]);
  return {};
}

Result<void> pipe2(UniqueFd (&ends)[2], int flags, const Site& site) noexcept {
  int both[2] = {-1, -1};
  const std::int64_t result = call_whole<SYS_pipe2>(site, &both[0], flags | O_CLOEXEC);
  if (result < 0) return answer(result, OperationKind::pipe);
  ends[0].reset(both[0]);
  ends[1].reset(both[1]);
  return {};
}

Result<UniqueFd> epoll_create1(const Site& site) noexcept {
  return answer_descriptor(call_whole<SYS_epoll_create1>(site, EPOLL_CLOEXEC), OperationKind::setup);
}

Result<UniqueFd> eventfd(unsigned value, const Site& site) noexcept {
  constexpr int flags = O_CLOEXEC | O_NONBLOCK;  // EFD_CLOEXEC and EFD_NONBLOCK are these
  return answer_descriptor(call_whole<SYS_eventfd2>(site, value, flags), OperationKind::setup);
}

Result<void> bind(NativeDescriptor fd, const void* address, std::uint32_t size,
                  const Site& site) noexcept {
  return answer(call_whole<SYS_bind>(site, fd, address, size), OperationKind::bind);
}

Result<void> listen(NativeDescriptor fd, int backlog, const Site& site) noexcept {
  return answer(call_whole<SYS_listen>(site, fd, backlog), OperationKind::listen);
}

Result<void> getsockname(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site) noexcept {
  return answer(call_whole<SYS_getsockname>(site, fd, address, size), OperationKind::address);
}

Result<void> getpeername(NativeDescriptor fd, void* address, std::uint32_t* size,
                         const Site& site) noexcept {
  return answer(call_whole<SYS_getpeername>(site, fd, address, size), OperationKind::address);
}

std::int64_t get_peer_name(NativeDescriptor fd, void* address, std::uint32_t* size,
                           const Site& site) noexcept {
  // SO_PEERNAME gives the beginning of an address to who asks for too little: so one call is enough, usually.
  for (const std::size_t usual : {sizeof(sockaddr_in), sizeof(sockaddr_in6)}) {
    auto asked = static_cast<std::uint32_t>(usual);
    if (asked > *size || call<SYS_getsockopt>(site, fd, SOL_SOCKET, SO_PEERNAME, address, &asked) < 0) break;
    const sa_family_t family = static_cast<const sockaddr*>(address)->sa_family;
    if (family == (usual == sizeof(sockaddr_in) ? AF_INET : AF_INET6)) {
      *size = asked;
      return 0;
    }
    if (family != AF_INET6) break;
  }
  std::uint32_t room = *size;
  std::int64_t result = call<SYS_getpeername>(site, fd, address, size);
  if (result != -ENOTCONN) return result;
  // SO_PEERNAME wants the exact size, which is that of the own address.
  result = call<SYS_getsockname>(site, fd, address, &room);
  if (result < 0) return result;
  if (room > *size) return -EINVAL;
  *size = room;
  return call<SYS_getsockopt>(site, fd, SOL_SOCKET, SO_PEERNAME, address, size);
}

Result<void> setsockopt(NativeDescriptor fd, int level, int name, const void* value,
                        std::uint32_t size, const Site& site) noexcept {
  return answer(call_whole<SYS_setsockopt>(site, fd, level, name, value, size),
                OperationKind::set_option);
}

Result<void> getsockopt(NativeDescriptor fd, int level, int name, void* value, std::uint32_t* size,
                        const Site& site) noexcept {
  return answer(call_whole<SYS_getsockopt>(site, fd, level, name, value, size),
                OperationKind::get_option);
}

std::int64_t take_socket_error(NativeDescriptor fd, const Site& site) noexcept {
  int error = 0;
  std::uint32_t size = sizeof(error);
  const std::int64_t result =
      call_whole<SYS_getsockopt>(site, fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return result < 0 ? -result : error;
}

std::int64_t epoll_ctl(NativeDescriptor epoll, int operation, NativeDescriptor fd,
                       epoll_event* event, const Site& site) noexcept {
  const std::int64_t result = call_whole<SYS_epoll_ctl>(site, epoll, operation, fd, event);
  GYRE_CHECK(result != -EINVAL);
  return result;
}

std::int64_t epoll_wait(NativeDescriptor epoll, epoll_event* events, int events_max,
                        Duration timeout, const Site& site) noexcept {
  // Found missing once, it is not asked again. EPERM is what some seccomp filters answer for calls they do not know.
  static constinit std::atomic<bool> has_pwait2 = true;
  std::int64_t count = -ENOSYS;
  if (has_pwait2.load(std::memory_order_relaxed)) {
    const timespec time = to_timespec(timeout);
    const timespec* const limit = timeout == Duration::max() ? nullptr : &time;
    count = call<number_epoll_pwait2>(site, epoll, events, events_max, limit, nullptr,
                                      signal_set_size);
    // An injected failure says nothing about this kernel.
    if (!fault_injection && (count == -ENOSYS || count == -EPERM)) {
      has_pwait2.store(false, std::memory_order_relaxed);
    }
  }
  if (count == -ENOSYS || count == -EPERM) {
    count = call<SYS_epoll_pwait>(site, epoll, events, events_max, to_milliseconds(timeout),
                                  nullptr, signal_set_size);
  }
  if (count < 0 && count != -EINTR) {
    detail::check_no_bug(-count);
    GYRE_CHECK(count != -EINVAL);
  }
  return count;
}

std::int64_t io_uring_setup(unsigned entries, void* parameters, const Site& site) noexcept {
  return call<number_io_uring_setup>(site, entries, parameters);
}

std::int64_t io_uring_register(NativeDescriptor ring, unsigned opcode, void* argument,
                               unsigned count, const Site& site) noexcept {
  return call<number_io_uring_register>(site, ring, opcode, argument, count);
}

Result<void*> mmap(std::size_t size, NativeDescriptor fd, std::int64_t offset,
                   const Site& site) noexcept {
  const int flags = fd == no_descriptor ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  const std::int64_t result = call_whole<SYS_mmap>(site, nullptr, size, PROT_READ | PROT_WRITE,
                                                   flags, fd, offset);
  // Addresses are no errnos, but may be "negative" on other processors.
  if (result < 0 && result >= -4095) {
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::setup);
  }
  return reinterpret_cast<void*>(result);
}

void munmap(void* address, std::size_t size, const Site& site) noexcept {
  const std::int64_t result = call_whole<SYS_munmap>(site, address, size);
  GYRE_CHECK(result != -EINVAL);
}

std::int64_t madvise(void* address, std::size_t size, int advice, const Site& site) noexcept {
  return call_whole<SYS_madvise>(site, address, size, advice);
}

Instant monotonic_now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);  // cannot fail with this clock and this pointer
  return Instant(Duration(std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec));
}

std::int64_t getpid() noexcept { return call<SYS_getpid>(Site::current()); }
std::int64_t gettid() noexcept { return call<SYS_gettid>(Site::current()); }

Result<UniqueFd> pidfd_open(std::int64_t process, const Site& site) noexcept {
  return answer_descriptor(call_whole<number_pidfd_open>(site, process, 0),
                           OperationKind::spawn_process);
}

Result<void> pidfd_send_signal(NativeDescriptor pidfd, int signal, unsigned flags, const Site& site) noexcept {
  return answer(call_whole<number_pidfd_send_signal>(site, pidfd, signal, nullptr, flags),
                OperationKind::signal);
}

std::int64_t waitid(int id_type, std::int64_t id, siginfo_t* info, int options,
                    const Site& site) noexcept {
  return call_whole<SYS_waitid>(site, id_type, id, info, options, nullptr);
}

std::int64_t kill(std::int64_t process, int signal, const Site& site) noexcept {
  return call_whole<SYS_kill>(site, process, signal);
}

void name_thread(const char* name) noexcept {
  char short_name[16] = {};
  for (std::size_t i = 0; i + 1 < sizeof(short_name) && name[i] != '\0'; ++i) short_name[i] = name[i];
  ::pthread_setname_np(::pthread_self(), short_name);  // fails only for a longer name
}

std::int64_t futex_wait(const void* word, std::uint32_t expected, const timespec* deadline) noexcept {
  // The bitset variant takes an absolute time.
  return detail::call_kernel<SYS_futex>(word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, deadline, nullptr,
                                        FUTEX_BITSET_MATCH_ANY);
}

void futex_wake(const void* word, int count) noexcept {
  static_cast<void>(
      detail::call_kernel<SYS_futex>(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, nullptr, nullptr, 0));
}

std::int64_t sched_getaffinity(void* set, std::size_t size) noexcept {
  return detail::call_kernel<SYS_sched_getaffinity>(0, size, set);
}
std::int64_t sched_setaffinity(const void* set, std::size_t size) noexcept {
  return detail::call_kernel<SYS_sched_setaffinity>(0, size, set);
}
void sched_yield() noexcept { static_cast<void>(detail::call_kernel<SYS_sched_yield>()); }

}  // namespace gyre::sys
