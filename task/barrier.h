// Barrier: so many tasks wait for each other, again and again.
//
// The task that completes a round ends the wait of all others at once, and the barrier is free for the next round: who
// arrives before they have run belongs to that one, and cannot mix with theirs.
//
// Errors of wait(): broken, after abort() and for those who waited at reset(); cancelled and timed_out, and then the task
// no longer counts as arrived (atomic). With the last arrival the round is complete, whoever is cancelled after it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class Barrier {
 public:
  // Precondition: parties > 0.
  explicit Barrier(std::uint32_t parties) noexcept : parties_(parties) {
    GYRE_CHECK_HINT(parties > 0, "a Barrier for nobody");
  }
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  // Until all parties have come. The result is the task's place in its round, in the order of arrival: each of
  // 0 ... parties() - 1 once; the last is the one that did not have to wait.
  [[nodiscard]] auto wait() noexcept { return detail::WaitOperation<Awaiter, Barrier>(*this); }

  // Whoever waits gets `broken`, and so does whoever comes, until reset(). Idempotent.
  void abort() noexcept;
  // Whoever waits gets `broken`; the barrier is as new.
  void reset() noexcept;

  std::uint32_t parties() const noexcept { return parties_; }
  // How many wait now.
  std::uint32_t arrived() const noexcept { return arrived_; }
  bool is_broken() const noexcept { return is_broken_; }

 private:
  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(Barrier& barrier) noexcept : barrier_(barrier) {}

    bool await_ready() noexcept {
      if (is_refused(barrier_.waiters_)) [[unlikely]] return true;
      return settle(barrier_.arrive(*this));
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(barrier_.waiters_, frame, wait_kind);
    }
    Result<std::uint32_t> await_resume() noexcept {
      if (is_granted()) [[likely]] return number();
      return error(OperationKind::wait);
    }

   private:
    friend class Barrier;

    Barrier& barrier_;
  };

  static const WaitKind wait_kind;
  static void on_cancel(void* leaf, TaskContext& task) noexcept;
  // Granted to the last of a round, whose others are then woken.
  WaitOutcome arrive(Waiter& waiter) noexcept;

  WaitList waiters_;
  std::uint32_t parties_;
  std::uint32_t arrived_ = 0;  // waiters on the list
  bool is_broken_ = false;
};

}  // namespace gyre
