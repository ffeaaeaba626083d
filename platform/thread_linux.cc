#include <gyre/platform/thread.h>

#include <sched.h>

#include <gyre/platform/pause_instruction.h>
#include <gyre/platform/syscalls_linux.h>
#include <gyre/platform/thread_posix.h>

namespace gyre {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

namespace detail {

// To the n-th processor of those allowed, modulo their number.
void pin_this_thread(int processor) noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sys::sched_getaffinity(&allowed, sizeof(allowed)) < 0) return;
  const int count = CPU_COUNT(&allowed);
  if (count == 0) return;
  int left = processor % count;
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed) || left-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    // Without it the thread only runs where the kernel thinks best.
    static_cast<void>(sys::sched_setaffinity(&one, sizeof(one)));
    return;
  }
}

}  // namespace detail

unsigned count_processors() noexcept {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sys::sched_getaffinity(&allowed, sizeof(allowed)) < 0) return 1;
  const int count = CPU_COUNT(&allowed);
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) noexcept {
  timespec until{};
  const bool bounded = deadline != never;
  if (bounded) {
    const std::int64_t ns = deadline.nanoseconds() > 0 ? deadline.nanoseconds() : 0;
    until.tv_sec = ns / 1'000'000'000;
    until.tv_nsec = ns % 1'000'000'000;
  }
  // EAGAIN (the word has changed), ETIMEDOUT and EINTR all mean: look again.
  static_cast<void>(sys::futex_wait(&word, expected, bounded ? &until : nullptr));
}

void wake_threads(const std::atomic<std::uint32_t>& word, int count) noexcept {
  sys::futex_wake(&word, count);
}

void relax_processor() noexcept { sys::pause_instruction(); }
void yield_processor() noexcept { sys::sched_yield(); }

}  // namespace gyre
