// WakeWord: whether the one who sleeps in a poller has to be woken, and whether somebody wanted him awake.
//
// One atomic read-modify-write for each step, so that no wake is lost and none is paid for twice:
//   awake     the owner runs              wake(): -> notified, nudge(): -> nudged; no system call
//   sleeping  the owner is about to sleep, or asleep; it alone moves awake -> sleeping
//                                         the same, and whoever did it signals
//   nudged    there is something for the poller itself to see to, and no reason for its wait() to return
//   notified  a wake that the owner has not seen yet; a nudge leaves it so
// The owner goes from any to awake when it looks, and does not fall asleep in `nudged` and `notified`.
//
// Threads: wake() and nudge() any, in signal handlers too; the rest the owner's.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/atomics.h>

namespace gyre {

template <typename Atomics>
class BasicWakeWord {
 public:
  // True: the owner sleeps, so signal.
  [[nodiscard]] bool wake() noexcept {
    // acq_rel: pairs with take(). Even if it says notified already: what was done since must be published too.
    return state_.exchange(notified, std::memory_order_acq_rel) == sleeping;
  }
  // As wake(), but take() then says false.
  [[nodiscard]] bool nudge() noexcept {
    std::uint32_t before = state_.load(std::memory_order_relaxed);
    // acq_rel: as wake().
    while (!state_.compare_exchange_weak(before, before == notified ? notified : nudged, std::memory_order_acq_rel,
                                         std::memory_order_relaxed)) {
    }
    return before == sleeping;
  }

  // The owner is awake from here on. True: somebody called wake() since the last time this was asked.
  bool take() noexcept {
    if (state_.load(std::memory_order_relaxed) == awake) return false;
    // acq_rel: what was done before wake() or nudge() is seen after this.
    return state_.exchange(awake, std::memory_order_acq_rel) == notified;
  }
  // False: there is a wake or a nudge to be taken, so do not sleep.
  [[nodiscard]] bool prepare_to_sleep() noexcept {
    std::uint32_t expected = awake;
    return state_.compare_exchange_strong(expected, sleeping, std::memory_order_acq_rel, std::memory_order_acquire) ||
           expected == sleeping;
  }

 private:
  static constexpr std::uint32_t awake = 0;
  static constexpr std::uint32_t sleeping = 1;
  static constexpr std::uint32_t nudged = 2;
  static constexpr std::uint32_t notified = 3;

  typename Atomics::template Atomic<std::uint32_t> state_{awake};
};

using WakeWord = BasicWakeWord<StdAtomics>;

}  // namespace gyre
