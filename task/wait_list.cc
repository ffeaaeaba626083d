#include <gyre/task/wait_list.h>

#include <cstdio>

namespace gyre {

namespace detail {

Error wait_error(WaitOutcome outcome, OperationKind operation) noexcept {
  switch (outcome) {
    case WaitOutcome::cancelled:
      return current_task()->cancel_error(operation);
    case WaitOutcome::closed:
      return Error(Errc::closed, operation);
    case WaitOutcome::broken:
      return Error(Errc::broken, operation);
    case WaitOutcome::none:
    case WaitOutcome::parked:
    case WaitOutcome::granted:
      break;
  }
  GYRE_CHECK_HINT(false, "the result of a wait that has not ended");
  return Error(Errc::broken, operation);
}

void wait_list_dies(const WaitLink& first) noexcept {
  const TaskContext& task = *static_cast<const Waiter&>(first).task_;
  std::fprintf(stderr, "gyre: task %u still waits: %.*s\n", task.id,
               static_cast<int>(task.wait_kind->name.size()), task.wait_kind->name.data());
  check_failed(__FILE__, __LINE__, "nobody waits",
               "a synchronisation primitive must outlive the tasks that wait for it");
}

}  // namespace detail

std::size_t WaitList::count_waiters() const noexcept {
  std::size_t count = 0;
  for (const detail::WaitLink* at = head_.next; at != &head_; at = at->next) ++count;
  return count;
}

void WaitList::adopt(Waiter& waiter) noexcept {
  home_ = &waiter.task_->scheduler();
  append(waiter);
}

void WaitList::cancel(void* leaf, TaskContext& task) noexcept {
  Waiter& waiter = *static_cast<Waiter*>(leaf);
  remove(waiter);
  waiter.outcome_ = WaitOutcome::cancelled;
  task.end_wait();
}

void WaitList::check_user() noexcept {
  GYRE_CHECK_HINT(detail::thread_state.current != nullptr, "awaited outside a task");
  if (home_ == nullptr) home_ = detail::thread_state.scheduler;
  GYRE_CHECK_HINT(home_ == detail::thread_state.scheduler,
                  "a synchronisation primitive is used by tasks of two schedulers");
}

void WaitList::check_waker() const noexcept {
  const Scheduler* const running = detail::thread_state.scheduler;
  GYRE_CHECK_HINT(running == nullptr || running == home_,
                  "a synchronisation primitive is used by tasks of two schedulers");
}

}  // namespace gyre
