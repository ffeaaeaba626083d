// The calls that every POSIX system makes through the same functions of its C library.
#include <gyre/platform/syscalls_posix.h>

namespace gyre::sys {

namespace detail {

void check_no_bug(std::int64_t error) noexcept {
  GYRE_CHECK_HINT(error != EBADF, "a descriptor was closed behind the back of its owner");
  GYRE_CHECK_HINT(error != EFAULT, "a buffer is not memory of this process");
  GYRE_CHECK_HINT(error != ENOTSOCK, "the descriptor is not a socket");
}

}  // namespace detail

std::int64_t start_thread(pthread_t* thread, void* (*run)(void*), void* argument,
                          const Site& site) noexcept {
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number_start_thread, site);
    if (fault.kind == Fault::Kind::fail) return -fault.value;
  }
  // Signals are for the program's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);  // a macro on some systems
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = ::pthread_create(thread, nullptr, run, argument);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return -error;
}

void join_thread(pthread_t thread) noexcept {
  const int result = ::pthread_join(thread, nullptr);
  GYRE_CHECK(result == 0);
}

void detach_thread(pthread_t thread) noexcept {
  const int result = ::pthread_detach(thread);
  GYRE_CHECK(result == 0);
}

void ignore_broken_pipes(const Site&) noexcept {
  // Through libc, which alone knows how a handler returns. Cannot fail for this signal.
  struct ::sigaction old {};
  if (::sigaction(SIGPIPE, nullptr, &old) == 0 && old.sa_handler == SIG_DFL) {
    old.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &old, nullptr);
  }
}

}  // namespace gyre::sys
