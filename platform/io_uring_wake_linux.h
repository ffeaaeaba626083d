// WakeSignal: lets any thread end the sleep of one. The word is the protocol; the eventfd is only the bell: its counter
// means nothing.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/platform/syscalls_linux.h>
#include <gyre/platform/unique_fd.h>
#include <gyre/platform/wake_word.h>

namespace gyre {

class WakeSignal {
 public:
  // Errors: too_many_files_open, not_enough_memory.
  Result<void> open() noexcept {
    Result<UniqueFd> bell = sys::eventfd(0);
    if (!bell) return bell.error();
    bell_ = std::move(*bell);
    return {};
  }
  // Polls readable after a wake.
  NativeDescriptor bell() const noexcept { return bell_.get(); }

  // Any thread, signal handlers too.
  void wake() noexcept {
    if (word_.wake()) ring();
  }
  // Wakes so far that took a system call. Any thread.
  std::uint64_t rings() const noexcept { return rings_.load(std::memory_order_relaxed); }

  // Owner only. True: somebody called wake() since the last time this was asked.
  bool take() noexcept { return word_.take(); }
  // Owner only. False: there is a wake to be taken, so do not sleep.
  [[nodiscard]] bool prepare_to_sleep() noexcept { return word_.prepare_to_sleep(); }

  // Makes the bell readable whoever asks.
  void ring() noexcept {
    const std::uint64_t one = 1;
    rings_.fetch_add(1, std::memory_order_relaxed);
    // EAGAIN: the counter is full, so the bell rings already.
    const std::int64_t written = sys::write(bell_.get(), &one, sizeof(one));
    GYRE_DCHECK(fault_injection || written == sizeof(one) || written == -EAGAIN);
    (void)written;
  }
  // Silences the bell, for those who poll it level-triggered.
  void silence() noexcept {
    std::uint64_t counter = 0;
    sys::read(bell_.get(), &counter, sizeof(counter));
  }

 private:
  // A line of their own: other threads write here.
  alignas(64) WakeWord word_;
  std::atomic<std::uint64_t> rings_ = 0;
  alignas(64) UniqueFd bell_;
};

}  // namespace gyre
