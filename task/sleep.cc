#include <gyre/task/sleep.h>

#include <gyre/task/scheduler.h>

namespace gyre::detail {

constinit const WaitKind SleepAwaiter::wait_kind{"sleep", on_cancel};

bool SleepAwaiter::begin(void* frame) noexcept {
  if (task_->cancel_requested()) {
    is_cancelled_ = true;
    return false;
  }
  Scheduler& scheduler = task_->scheduler();
  if (from_now_) {
    const Duration delay = deadline_.since_epoch();
    if (delay <= Duration::zero()) {
      scheduler.ready(frame);
      return true;
    }
    deadline_ = scheduler.clock().now() + delay;
  }
  scheduler.timers().arm(*this, deadline_);
  task_->wait_in(this, wait_kind, frame);
  return true;
}

void SleepAwaiter::on_time(Timer& timer) noexcept {
  auto& sleep = static_cast<SleepAwaiter&>(timer);
  sleep.task_->end_wait();
}

void SleepAwaiter::on_cancel(void* leaf, TaskContext& task) noexcept {
  auto& sleep = *static_cast<SleepAwaiter*>(leaf);
  sleep.is_cancelled_ = true;
  task.scheduler().timers().cancel(sleep);
  task.end_wait();
}

}  // namespace gyre::detail
