// What FreeBSD has that the other systems with kqueue have not, or otherwise.
#include <gyre/platform/syscalls_bsd.h>

#include <pthread_np.h>
#include <sys/umtx.h>
#include <unistd.h>

#include <algorithm>

namespace gyre::sys {

std::int64_t sendfile(NativeDescriptor to, NativeDescriptor from, std::int64_t* offset, std::size_t size,
                      const Site& site) noexcept {
  off_t sent = 0;
  const std::int64_t result = call_whole(number_sendfile, site, [&](std::size_t most) {
    const std::size_t wanted = std::min(size, most);
    // 0 bytes would mean: up to the end.
    if (wanted == 0) return 0;
    sent = 0;
    const int answer = ::sendfile(static_cast<int>(from), static_cast<int>(to), *offset, wanted, nullptr, &sent, 0);
    // What has gone out before a signal came is not sent again.
    return answer < 0 && errno == EINTR && sent > 0 ? 0 : answer;
  });
  // Some may have gone out before it had to wait.
  if (sent > 0 && (result >= 0 || result == -EAGAIN)) {
    *offset += sent;
    return sent;
  }
  if (result == -EOPNOTSUPP || result == -ENOTSOCK) return -EINVAL;
  return result;
}

std::int64_t fsync(NativeDescriptor fd, const Site& site) noexcept {
  return call_whole(number_fsync, site, [&] { return ::fsync(static_cast<int>(fd)); });
}

Instant monotonic_now() noexcept {
  timespec now{};
  (void)::clock_gettime(CLOCK_UPTIME, &now);
  return Instant(Duration(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec));
}

void name_thread(const char* name) noexcept { ::pthread_set_name_np(::pthread_self(), name); }

void wait_on_word(const void* word, std::uint32_t expected, Duration timeout) noexcept {
  constexpr std::int64_t nanoseconds = 1'000'000'000;
  constexpr std::int64_t seconds_max = 3'600;  // who sleeps longer is woken in between, and looks again
  struct _umtx_time limit {};  // how long, by a clock that nobody sets
  limit._clockid = CLOCK_MONOTONIC;
  const std::int64_t seconds = timeout.count() / nanoseconds;
  limit._timeout.tv_sec = static_cast<time_t>(std::min(seconds, seconds_max));
  limit._timeout.tv_nsec = seconds < seconds_max ? static_cast<long>(timeout.count() % nanoseconds) : 0;
  // The fourth argument is the size of the fifth. Another value, the time, a signal: all mean that the caller looks again.
  const bool bounded = timeout != Duration::max();
  (void)::_umtx_op(const_cast<void*>(word), UMTX_OP_WAIT_UINT_PRIVATE, expected,
                   bounded ? reinterpret_cast<void*>(sizeof(limit)) : nullptr, bounded ? &limit : nullptr);
}

void wake_word(const void* word, int count) noexcept {
  (void)::_umtx_op(const_cast<void*>(word), UMTX_OP_WAKE_PRIVATE, static_cast<unsigned long>(count), nullptr, nullptr);
}

}  // namespace gyre::sys
