// WakeSignal: lets any thread end the sleep of one.
//
// The word is the protocol (one RMW each, so that no wake is lost and none is paid for twice):
//   awake     the owner runs            wake(): -> notified, and no system call
//   sleeping  the owner is about to sleep, or asleep; it alone moves awake -> sleeping, by compare-and-swap
//                                        wake(): -> notified, and one write to the eventfd
//   notified  a wake is not yet seen    wake(): nothing;   the owner: -> awake when it looks, and does not sleep
// The eventfd is only the bell: its counter means nothing.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/platform/syscalls_linux.h>
#include <gyre/platform/unique_fd.h>

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
    // acq_rel: what the waker did before is seen by the owner that reads `notified`.
    if (state_.exchange(notified, std::memory_order_acq_rel) == sleeping) ring();
  }
  // Wakes so far that took a system call. Any thread.
  std::uint64_t rings() const noexcept { return rings_.load(std::memory_order_relaxed); }

  // Owner only. True: somebody called wake() since the last time this was asked.
  bool take() noexcept {
    if (state_.load(std::memory_order_relaxed) == awake) return false;
    return state_.exchange(awake, std::memory_order_acq_rel) == notified;
  }
  // Owner only. False: there is a wake to be taken, so do not sleep.
  bool prepare_to_sleep() noexcept {
    std::uint32_t expected = awake;
    return state_.compare_exchange_strong(expected, sleeping, std::memory_order_acq_rel);
  }

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
  static constexpr std::uint32_t awake = 0;
  static constexpr std::uint32_t sleeping = 1;
  static constexpr std::uint32_t notified = 2;

  // A line of their own: other threads write here.
  alignas(64) std::atomic<std::uint32_t> state_ = awake;
  std::atomic<std::uint64_t> rings_ = 0;
  alignas(64) UniqueFd bell_;
};

}  // namespace gyre
