#include <gyre/platform/thread.h>

#include <sched.h>
#include <unistd.h>

#include <gyre/platform/pause_instruction.h>
#include <gyre/platform/syscalls_bsd.h>
#include <gyre/platform/thread_posix.h>

namespace gyre {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

// macOS ties no thread to a processor; its affinity tags are hints, and have none on Apple's own processors.
void detail::pin_this_thread(int) noexcept {}

unsigned count_processors() noexcept {
  const long count = ::sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

void sleep_on(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) noexcept {
  Duration left = Duration::max();
  if (deadline != never) {
    left = deadline - sys::monotonic_now();
    if (left <= Duration::zero()) return;
  }
  sys::wait_on_word(&word, expected, left);
}

void wake_threads(const std::atomic<std::uint32_t>& word, int count) noexcept { sys::wake_word(&word, count); }

void relax_processor() noexcept { sys::pause_instruction(); }
void yield_processor() noexcept { ::sched_yield(); }

}  // namespace gyre
