// ConditionVariable: tasks that hold a Mutex wait until another task that holds it says that something has changed.
//
//   Result<MutexLock> lock = co_await mutex.lock();
//   while (queue.empty()) {
//     Result<void> notified = co_await changed.wait(*lock);
//     if (!notified) co_return notified.error();     // cancelled; the lock is held here too
//   }
//
// A notified waiter goes straight into the queue of the mutex. From then on it has the notification, and its wait()
// succeeds, whoever cancels it: no notification is lost, and none wakes two.
//
// Errors of wait(): cancelled, timed_out; atomic, and always with the mutex locked again: a cancelled task leaves the
// waiters at once, but waits for the mutex, which nothing can cancel.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/mutex.h>
#include <gyre/task/task.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class ConditionVariable {
 public:
  // `mutex` must outlive it.
  explicit ConditionVariable(Mutex& mutex) noexcept : mutex_(mutex) {}
  ConditionVariable(const ConditionVariable&) = delete;
  ConditionVariable& operator=(const ConditionVariable&) = delete;

  // Unlocks the mutex, waits for a notification, and locks the mutex again. Precondition: `lock` owns this object's mutex,
  // and goes on doing so as far as it knows.
  [[nodiscard]] auto wait(const MutexLock& lock) noexcept {
    GYRE_CHECK_HINT(lock.mutex() == &mutex_, "wait() without a lock of the condition variable's mutex");
    return detail::WaitOperation<Awaiter, ConditionVariable>(*this);
  }
  // Until `predicate()` is true, which is asked only with the mutex locked.
  template <typename Predicate>
  Task<Result<void>> wait(const MutexLock& lock, Predicate predicate) {
    while (!predicate()) {
      Result<void> notified = co_await wait(lock);
      if (!notified) co_return notified;
    }
    co_return Result<void>();
  }

  // Ends the wait of the `count` that have waited longest. Precondition: the mutex is locked.
  void notify(std::size_t count = 1) noexcept;
  void notify_all() noexcept { notify(~std::size_t{0}); }

  // Those that have not been notified yet.
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  static constexpr std::uint32_t not_notified = 0;
  static constexpr std::uint32_t is_notified = 1;

  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(ConditionVariable& condition) noexcept : Waiter(not_notified), condition_(condition) {}

    bool await_ready() noexcept {
      return is_refused(condition_.waiters_);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      condition_.waiters_.park(*this, frame, wait_kind);
      condition_.mutex_.unlock();
    }
    Result<void> await_resume() noexcept {
      if (number() == is_notified) [[likely]] return {};
      return detail::wait_error(WaitOutcome::cancelled, OperationKind::wait);
    }

   private:
    friend class ConditionVariable;

    ConditionVariable& condition_;
  };

  static const WaitKind wait_kind;
  static const WaitKind relock_kind;
  static void on_cancel(void* leaf, TaskContext& task) noexcept;

  Mutex& mutex_;
  WaitList waiters_;
};

}  // namespace gyre
