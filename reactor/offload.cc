#include <gyre/reactor/offload.h>

namespace gyre::detail {

const WaitKind OffloadJob::wait_kind{"offload", &OffloadJob::cancel};

OffloadJob::OffloadJob(OnCancel on_cancel) noexcept : on_cancel_(on_cancel) {
  Job::work = [](Job& job) noexcept { static_cast<OffloadJob&>(job).call(); };
  Job::end = on_end;
  Job::request_stop = [](Job& job) noexcept { static_cast<OffloadJob&>(job).stop_.request_stop(); };
  Inbox::Message::deliver = on_delivery;
}

bool OffloadJob::start(TaskContext& task, void* frame, JobRunner& runner) noexcept {
  if (task.cancel_requested()) {
    end_ = End::cancelled;
    return false;
  }
  home_ = this_reactor().remote();
  runner_ = &runner;
  waiter_ = &task;
  // Before the job is another thread's.
  task.wait_in(this, wait_kind, frame);
  switch (runner.submit(*this)) {
    case Submitted::queued:
      return true;
    case Submitted::full:
      end_ = End::full;
      break;
    case Submitted::stopped:
      end_ = End::stopped;
      break;
    case Submitted::no_thread:
      end_ = End::no_thread;
      break;
  }
  task.leaf = nullptr;
  return false;
}

void OffloadJob::cancel(void* leaf, TaskContext& task) noexcept {
  auto& self = *static_cast<OffloadJob*>(leaf);
  if (self.runner_->withdraw(self)) {
    self.end_ = End::cancelled;
    task.end_wait();
    return;
  }
  self.stop_.request_stop();
  if (self.on_cancel_ == OnCancel::abandon) {
    self.is_abandoned_ = true;
    task.end_wait();
  }
}

// The runner's thread. The message is the last that it touches.
void OffloadJob::on_end(Job& job, bool worked) noexcept {
  auto& self = static_cast<OffloadJob&>(job);
  self.end_ = worked ? End::worked : End::stopped;
  // A copy: once posted, the job may be gone.
  const RemoteReactor home = self.home_;
  // Refused: the reactor has ended, and the task before it.
  if (!home.post_message(self)) delete &self;
}

void OffloadJob::on_delivery(Inbox::Message& message, bool) noexcept {
  auto& self = static_cast<OffloadJob&>(message);
  self.is_delivered_ = true;
  if (!self.is_abandoned_) {
    self.waiter_->end_wait();
  } else if (self.has_left_) {
    delete &self;
  }
}

Result<void> OffloadJob::outcome() const noexcept {
  // An abandoned job's end_ is another thread's.
  if (is_abandoned_) return current_task()->cancel_error(OperationKind::offload);
  switch (end_) {
    case End::worked:
      return {};
    case End::cancelled:
      return current_task()->cancel_error(OperationKind::offload);
    case End::full:
      return Error(Errc::limit_exceeded, OperationKind::offload);
    case End::no_thread:
      return Error::system(static_cast<int>(std::errc::resource_unavailable_try_again), OperationKind::offload);
    case End::stopped:
    case End::none:
      break;
  }
  return Error(Errc::stopped, OperationKind::offload);
}

}  // namespace gyre::detail
