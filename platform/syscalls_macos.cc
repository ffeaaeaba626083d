// What macOS has that the other systems with kqueue have not, or otherwise.
#include <gyre/platform/syscalls_bsd.h>

#include <unistd.h>

#include <algorithm>

// The system's futex, which libc++ and others build on; its public form, os_sync_wait_on_address(), needs macOS 14.4.
extern "C" {
int __ulock_wait(std::uint32_t operation, void* address, std::uint64_t value, std::uint32_t timeout_us);
int __ulock_wake(std::uint32_t operation, void* address, std::uint64_t wake_value);
}

namespace gyre::sys {

std::int64_t sendfile(NativeDescriptor to, NativeDescriptor from, std::int64_t* offset, std::size_t size,
                      const Site& site) noexcept {
  off_t sent = 0;
  const std::int64_t result = call_whole(number_sendfile, site, [&](std::size_t most) {
    sent = static_cast<off_t>(std::min(size, most));
    // 0 bytes would mean: up to the end.
    if (sent == 0) return 0;
    return ::sendfile(static_cast<int>(from), static_cast<int>(to), *offset, &sent, nullptr, 0);
  });
  // Some may have gone out before it had to wait, or was interrupted.
  if (sent > 0 && (result >= 0 || result == -EAGAIN)) {
    *offset += sent;
    return sent;
  }
  if (result == -ENOTSUP || result == -EOPNOTSUPP || result == -ENOTSOCK) return -EINVAL;
  return result;
}

std::int64_t fsync(NativeDescriptor fd, const Site& site) noexcept {
  // fsync() leaves the data in the drive's own memory.
  const std::int64_t result = call_whole(number_fsync, site, [&] { return ::fcntl(static_cast<int>(fd), F_FULLFSYNC); });
  if (result != -ENOTSUP && result != -EINVAL && result != -ENOTTY) return result;
  return call_whole(number_fsync, site, [&] { return ::fsync(static_cast<int>(fd)); });
}

// CLOCK_MONOTONIC goes on while the machine sleeps, and counts microseconds only.
Instant monotonic_now() noexcept {
  return Instant(Duration(static_cast<std::int64_t>(::clock_gettime_nsec_np(CLOCK_UPTIME_RAW))));
}

void name_thread(const char* name) noexcept { ::pthread_setname_np(name); }

namespace {
constexpr std::uint32_t compare_and_wait = 1;          // UL_COMPARE_AND_WAIT
constexpr std::uint32_t without_errno = 0x01000000;    // ULF_NO_ERRNO
}  // namespace

void wait_on_word(const void* word, std::uint32_t expected, Duration timeout) noexcept {
  std::uint32_t limit_us = 0;  // for ever
  if (timeout != Duration::max()) {
    constexpr std::int64_t most = 3'600'000'000;  // an hour; who sleeps longer is woken in between, and looks again
    const std::int64_t whole = timeout.count() / 1000 + (timeout.count() % 1000 != 0);
    limit_us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(whole, 1, most));
  }
  // Another value, the time, a signal: all mean that the caller looks again.
  (void)::__ulock_wait(compare_and_wait | without_errno, const_cast<void*>(word), expected, limit_us);
}

void wake_word(const void* word, int count) noexcept {
  for (int i = 0; i < count; ++i) {  // bound: the threads that sleep
    if (::__ulock_wake(compare_and_wait | without_errno, const_cast<void*>(word), 0) < 0) return;  // ENOENT: no more
  }
}

}  // namespace gyre::sys
