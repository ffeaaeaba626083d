// Signal: one task waits for one thing to happen, which may be reset and happen again.
//
// The building block of the combinators; for many waiters see Event.
#pragma once

#include <coroutine>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/task/context.h>
#include <gyre/task/scheduler.h>

namespace gyre::detail {

class Signal {
 public:
  Signal() noexcept = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() { GYRE_CHECK_HINT(waiter_ == nullptr, "a task still waits for this"); }

  void set() noexcept {
    is_set_ = true;
    if (waiter_ != nullptr) std::exchange(waiter_, nullptr)->end_wait();
  }
  void reset() noexcept { is_set_ = false; }
  bool is_set() const noexcept { return is_set_; }

  class [[nodiscard]] Awaiter {
   public:
    explicit Awaiter(Signal& signal) noexcept : signal_(signal) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return signal_.is_set_; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      TaskContext& task = *frame.promise().context;
      if (task.cancel_requested()) return false;
      GYRE_CHECK(signal_.waiter_ == nullptr);
      signal_.waiter_ = &task;
      task.wait_in(&signal_, wait_kind, frame.address());
      return true;
    }
    // Whether the signal was set; false if the wait was cancelled first.
    bool await_resume() const noexcept { return signal_.is_set_; }

   private:
    Signal& signal_;
  };

  // Cancellable.
  Awaiter wait() noexcept { return Awaiter(*this); }

 private:
  static void cancel(void* leaf, TaskContext& task) noexcept;
  static const WaitKind wait_kind;

  TaskContext* waiter_ = nullptr;
  bool is_set_ = false;
};

}  // namespace gyre::detail
