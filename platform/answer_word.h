// AnswerWord: one yes or no for a thread that sleeps until it is there.
//
//   unanswered -> yes, or no: once, by whoever answers
//
// The word may go as soon as wait() returns: the other thread touches its memory no more after the store.
//
// Threads: wait() one, answer() another.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/atomics.h>
#include <gyre/platform/clock.h>

namespace gyre {

template <typename Atomics>
class BasicAnswerWord {
 public:
  void answer(bool is_yes) noexcept {
    // release: pairs with the acquire in wait(), after which what was done before the answer is seen.
    state_.store(is_yes ? yes : no, std::memory_order_release);
    Atomics::wake(state_, 1);
  }
  [[nodiscard]] bool wait() const noexcept {
    for (;;) {
      const std::uint32_t state = state_.load(std::memory_order_acquire);
      if (state != unanswered) return state == yes;
      Atomics::sleep_on(state_, unanswered, never);
    }
  }

 private:
  static constexpr std::uint32_t unanswered = 0;
  static constexpr std::uint32_t yes = 1;
  static constexpr std::uint32_t no = 2;

  typename Atomics::template Atomic<std::uint32_t> state_{unanswered};
};

using AnswerWord = BasicAnswerWord<StdAtomics>;

}  // namespace gyre
