// Latch: opens, once and for ever, when it has been counted down to zero.
//
// Errors of wait() and arrive_and_wait(): cancelled, timed_out; atomic (an arrival stays counted).
#pragma once

#include <coroutine>
#include <cstddef>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class Latch {
 public:
  explicit Latch(std::size_t count) noexcept : count_(count) {}
  Latch(const Latch&) = delete;
  Latch& operator=(const Latch&) = delete;

  // Precondition: `by` is no more than count().
  void count_down(std::size_t by = 1) noexcept {
    GYRE_CHECK_HINT(by <= count_, "a Latch is counted down below zero");
    count_ -= by;
    if (count_ == 0) waiters_.wake_all();
  }
  bool is_open() const noexcept { return count_ == 0; }
  std::size_t count() const noexcept { return count_; }

  // Until the latch is open; at once if it is.
  [[nodiscard]] auto wait() noexcept { return detail::WaitOperation<Awaiter, Latch>(*this); }
  // Counts down by one, now, and waits.
  [[nodiscard]] auto arrive_and_wait() noexcept {
    count_down();
    return detail::WaitOperation<Awaiter, Latch>(*this);
  }

  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(Latch& latch) noexcept : latch_(latch) {}

    bool await_ready() noexcept {
      if (is_refused(latch_.waiters_)) [[unlikely]] return true;
      return settle(latch_.is_open() ? WaitOutcome::granted : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(latch_.waiters_, frame, wait_kind);
    }
    Result<void> await_resume() noexcept {
      if (is_granted()) [[likely]] return {};
      return error(OperationKind::wait);
    }

   private:
    Latch& latch_;
  };

  static const WaitKind wait_kind;

  WaitList waiters_;
  std::size_t count_;
};

}  // namespace gyre
