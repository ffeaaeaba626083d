#include <gyre/task/condition_variable.h>

namespace gyre {

namespace {

// Locking again is not to be cancelled. The task waits on, and is asked no second time.
void ignore_cancel(void*, TaskContext&) noexcept {}

}  // namespace

constinit const WaitKind ConditionVariable::wait_kind{"condition variable", on_cancel};
constinit const WaitKind ConditionVariable::relock_kind{"condition variable's mutex", ignore_cancel};

void ConditionVariable::notify(std::size_t count) noexcept {
  GYRE_CHECK_HINT(mutex_.is_locked(), "notify() without the mutex of the condition variable");
  for (; count > 0 && !waiters_.empty(); --count) {
    Waiter& waiter = waiters_.take_first();
    waiter.set_number(is_notified);
    mutex_.waiters_.adopt(waiter);
  }
}

void ConditionVariable::on_cancel(void* leaf, TaskContext& task) noexcept {
  Waiter& waiter = *static_cast<Waiter*>(leaf);
  ConditionVariable& condition = static_cast<Awaiter&>(waiter).condition_;
  // Still for dump_tasks() to see.
  task.wait_in(leaf, relock_kind, task.frame);
  if (waiter.number() == is_notified) return;
  WaitList::remove(waiter);
  if (condition.mutex_.try_acquire()) {
    condition.waiters_.wake(waiter, WaitOutcome::granted);
  } else {
    condition.mutex_.waiters_.adopt(waiter);
  }
}

}  // namespace gyre
