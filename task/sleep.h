// Waiting for time to pass, and for one's turn.
#pragma once

#include <coroutine>

#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/timer_queue.h>

namespace gyre {

namespace detail {

// A timer, and the frame that waits for it.
class [[nodiscard]] SleepAwaiter : private Timer {
 public:
  explicit SleepAwaiter(Instant deadline) noexcept : Timer(on_time), deadline_(deadline) {}
  SleepAwaiter(const SleepAwaiter&) = delete;
  SleepAwaiter& operator=(const SleepAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    task_ = frame.promise().context;
    return begin(frame.address());
  }
  Result<void> await_resume() const noexcept {
    if (!is_cancelled_) [[likely]] return {};
    return task_->cancel_error(OperationKind::sleep);
  }

 protected:
  // `delay` from now on; the clock is read when the task suspends.
  struct FromNow {};
  SleepAwaiter(FromNow, Duration delay) noexcept
      : Timer(on_time), deadline_(delay), from_now_(true) {}

 private:
  // False if there is nothing to wait for: the task is cancelled.
  bool begin(void* frame) noexcept;
  static void on_time(Timer& timer) noexcept;
  static void on_cancel(void* leaf, TaskContext& task) noexcept;
  static const WaitKind wait_kind;

  Instant deadline_;
  TaskContext* task_ = nullptr;
  bool is_cancelled_ = false;
  bool from_now_ = false;
};

class [[nodiscard]] DelayAwaiter : public SleepAwaiter {
 public:
  explicit DelayAwaiter(Duration delay) noexcept : SleepAwaiter(FromNow{}, delay) {}
};

// Empty: that a task was cancelled meanwhile shows when it resumes.
struct [[nodiscard]] YieldAwaiter {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> frame) const noexcept {
    thread_state.scheduler->ready(frame.address());
  }
  Result<void> await_resume() const noexcept {
    const TaskContext& task = *thread_state.current;
    if (!task.cancel_requested()) [[likely]] return {};
    return task.cancel_error(OperationKind::yield);
  }
};

struct [[nodiscard]] Yield {
  YieldAwaiter operator co_await() const noexcept { return {}; }
};

class [[nodiscard]] CheckpointAwaiter {
 public:
  CheckpointAwaiter() noexcept = default;
  CheckpointAwaiter(const CheckpointAwaiter&) = delete;
  CheckpointAwaiter& operator=(const CheckpointAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  // Goes on at once, but to the queue when the slice is used up.
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    TaskContext& task = *frame.promise().context;
    if (task.cancel_requested()) [[unlikely]] {
      cancelled_ = &task;
      return false;
    }
    if (may_continue()) return false;
    thread_state.scheduler->ready(frame.address());
    return true;
  }
  Result<void> await_resume() const noexcept {
    if (cancelled_ == nullptr) [[likely]] return {};
    return cancelled_->cancel_error(OperationKind::yield);
  }

 private:
  const TaskContext* cancelled_ = nullptr;
};

}  // namespace detail

// Waits until `deadline` has passed: never returns early, and always lets the other ready tasks run first. With `never`
// it waits to be cancelled. Errors: cancelled, timed_out.
inline detail::SleepAwaiter sleep_until(Instant deadline) noexcept {
  return detail::SleepAwaiter(deadline);
}

// Waits for `delay` from now on. Zero and negative delays wait for one turn. Errors: cancelled, timed_out.
inline detail::DelayAwaiter sleep(Duration delay) noexcept { return detail::DelayAwaiter(delay); }

// Lets the other ready tasks run first. Errors: cancelled, timed_out.
inline detail::Yield yield() noexcept { return {}; }

// Reports a cancelled scope; otherwise goes on, and lets others run only when this task's slice is used up. For long
// loops without another await. Errors: cancelled, timed_out.
inline detail::CheckpointAwaiter checkpoint() noexcept { return {}; }

}  // namespace gyre
