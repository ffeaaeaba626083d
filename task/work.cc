#include <gyre/task/work.h>

namespace gyre::detail {

void WorkPromiseBase::unhandled_exception() noexcept {
  check_joined();
  failure = new std::exception_ptr(std::current_exception());
}

void WorkFinalAwaiter::hand_over_failure(WorkPromiseBase& promise) noexcept {
  work_promise_of(promise.parent).forks.fail(std::exchange(promise.failure, nullptr));
}

std::coroutine_handle<> WorkFinalAwaiter::end_elsewhere(CpuWorker& worker, void* parent) noexcept {
  WorkPromiseBase& promise = work_promise_of(parent);
  if (!promise.forks.end_child()) return std::noop_coroutine();
  promise.worker = &worker;
  return worker.transfer(parent);
}

std::coroutine_handle<> WorkFinalAwaiter::end_rarely(WorkPromiseBase& promise,
                                                     std::coroutine_handle<> finished) noexcept {
  CpuWorker& worker = *promise.worker;
  if (promise.kind == WorkKind::root) {
    worker.end_root(*static_cast<WorkRoot*>(promise.parent));
    return std::noop_coroutine();
  }
  GYRE_CHECK(promise.kind == WorkKind::forked_alone);
  void* const parent = promise.parent;
  if (promise.failure != nullptr) hand_over_failure(promise);
  finished.destroy();
  work_promise_of(parent).worker = &worker;
  return worker.transfer(parent);
}

void CpuWorker::run(void* frame) noexcept {
  next_ = frame;
  while (next_ != nullptr) {
    transfers_left_ = transfers_max;
    std::coroutine_handle<>::from_address(std::exchange(next_, nullptr)).resume();
  }
  // What is waited for elsewhere was forked by what has been taken from here before.
  GYRE_DCHECK(deque_.looks_empty());
  if (ended_ != nullptr) {
    WorkRoot& root = *std::exchange(ended_, nullptr);
    root.ended(root);
  }
}

}  // namespace gyre::detail
