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
  const auto& waiter = static_cast<const Waiter&>(first);
  const TaskContext& task = *promise_of(waiter.frame_).context;
  std::fprintf(stderr, "gyre: a %.*s dies while task %u waits for it\n",
               static_cast<int>(task.wait_kind->name.size()), task.wait_kind->name.data(), task.id);
  check_failed(__FILE__, __LINE__, "nobody waits",
               "a synchronisation primitive must outlive the tasks that wait for it");
}

}  // namespace detail

std::size_t WaitList::count_waiters() const noexcept {
  std::size_t count = 0;
  for (const detail::WaitLink* at = head_.next; at != &head_; at = at->next) ++count;
  return count;
}

void WaitList::cancel(void* leaf, TaskContext& task) noexcept {
  Waiter& waiter = *static_cast<Waiter*>(leaf);
  remove(waiter);
  waiter.outcome_ = WaitOutcome::cancelled;
  task.scheduler->ready(waiter.frame_);
}

void WaitList::check_waker(const TaskContext& woken) noexcept {
  const TaskContext* const waker = current_task();
  GYRE_CHECK_HINT(waker == nullptr || waker->scheduler == woken.scheduler,
                  "a task of another scheduler uses this synchronisation primitive");
}

}  // namespace gyre
