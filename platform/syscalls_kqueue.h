// kqueue and kevent, typed, for the systems that have them (macOS, the BSDs), through their C library: the numbers of
// system calls are no interface there. The rules are those of the other calls (platform/syscalls_posix.h).
//
// Threads: any.
#pragma once

#include <fcntl.h>
#include <sys/event.h>
#include <time.h>

#include <cerrno>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/result.h>
#include <gyre/platform/syscalls_posix.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::sys {

// By which failures are injected.
inline constexpr long number_kqueue = 362;
inline constexpr long number_kevent = 363;

// Close-on-exec; not inherited by a forked child. Returned: EMFILE, ENFILE, ENOMEM.
inline Result<UniqueFd> kqueue(const Site& site = Site::current()) noexcept {
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number_kqueue, site);
    if (fault.kind == Fault::Kind::fail) return Error::system(static_cast<std::int32_t>(fault.value), OperationKind::setup);
  }
  const int fd = ::kqueue();
  if (fd < 0) return Error::system(errno, OperationKind::setup);
  UniqueFd queue(fd);
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return Error::system(errno, OperationKind::setup);
  return queue;
}

// Makes the changes, then waits at most `timeout` (zero: not at all; Duration::max(): for ever) for events. A change that
// fails is an event with EV_ERROR and its errno in `data`, as long as there is room for it.
// Returns the number of events. Not retried: EINTR; the changes have then been made. Bug also: EINVAL, ENOENT.
// Returned: EINTR, ENOMEM (the changes from the one that failed have not been made).
inline std::int64_t kevent(NativeDescriptor queue, const struct ::kevent* changes, int changes_count,
                           struct ::kevent* events, int events_max, Duration timeout,
                           const Site& site = Site::current()) noexcept {
  constexpr std::int64_t nanoseconds = 1'000'000'000;
  constexpr std::int64_t seconds_max = 86'400;  // systems refuse what is too long; who waits looks at the clock again
  timespec limit{};
  const std::int64_t seconds = timeout.count() / nanoseconds;
  limit.tv_sec = static_cast<time_t>(seconds < seconds_max ? seconds : seconds_max);
  limit.tv_nsec = seconds < seconds_max ? static_cast<long>(timeout.count() % nanoseconds) : 0;
  const timespec* const wait = timeout == Duration::max() ? nullptr : &limit;
  if constexpr (fault_injection) {
    const Fault fault = detail::consult(number_kevent, site);
    if (fault.kind == Fault::Kind::fail) {
      const timespec at_once{};
      if (fault.value == EINTR) (void)::kevent(static_cast<int>(queue), changes, changes_count, nullptr, 0, &at_once);
      return -fault.value;
    }
  }
  const int count = ::kevent(static_cast<int>(queue), changes, changes_count, events, events_max, wait);
  if (count >= 0) [[likely]] return count;
  const int error = errno;
  GYRE_CHECK_HINT(error == EINTR || error == ENOMEM, "kevent() was called wrongly: a bug of Gyre's");
  return -error;
}

}  // namespace gyre::sys
