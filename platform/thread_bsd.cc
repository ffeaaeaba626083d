#include <gyre/platform/thread.h>

#include <sched.h>

#include <gyre/platform/pause_instruction.h>
#include <gyre/platform/syscalls_bsd.h>

namespace gyre {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

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
