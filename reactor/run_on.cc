#include <gyre/reactor/run_on.h>

namespace gyre::detail {

const WaitKind RemoteCall::wait_kind{"run_on", &RemoteCall::cancel};

RemoteCall::RemoteCall(RemoteReactor there, RemoteReactor home) noexcept
    : there_(std::move(there)), home_(std::move(home)) {
  start_.call = cancel_.call = end_.call = this;
  start_.deliver = on_start;
  cancel_.deliver = on_cancel;
  end_.deliver = on_end;
}

bool RemoteCall::start(TaskContext& task, void* frame) noexcept {
  if (task.cancel_requested()) {
    was_cancelled_ = true;
    return false;
  }
  waiter_ = &task;
  task.wait_in(this, wait_kind, frame);
  holders_.fetch_add(1, std::memory_order_relaxed);
  if (there_.post_message(start_)) return true;
  release();
  task.leaf = nullptr;
  is_refused_ = true;
  return false;
}

void RemoteCall::cancel(void* leaf, TaskContext&) noexcept {
  auto& self = *static_cast<RemoteCall*>(leaf);
  self.holders_.fetch_add(1, std::memory_order_relaxed);
  // Refused: the other side ends by itself.
  if (!self.there_.post_message(self.cancel_)) self.release();
}

void RemoteCall::on_start(Inbox::Message& message, bool wanted) noexcept {
  RemoteCall& self = *static_cast<Letter&>(message).call;
  // Refused: the reactor is shutting down.
  if (!wanted || self.there_.local().scheduler().detached().spawn(self.task()).was_refused()) self.end(false);
}

void RemoteCall::on_cancel(Inbox::Message& message, bool) noexcept {
  RemoteCall& self = *static_cast<Letter&>(message).call;
  self.cancel_asked_ = true;
  if (self.running_ != nullptr) self.running_->cancel();
  self.release();
}

void RemoteCall::begin() noexcept {
  running_ = current_task();
  if (cancel_asked_) running_->cancel();
}

// There; the task may hold frames of its own for a moment longer, but nothing of the call.
void RemoteCall::end(bool has_result) noexcept {
  running_ = nullptr;
  has_result_ = has_result;
  // The reactor at home waits for this: it cannot have shut down.
  const bool posted = home_.post_message(end_);
  GYRE_CHECK(posted);
}

void RemoteCall::on_end(Inbox::Message& message, bool) noexcept {
  RemoteCall& self = *static_cast<Letter&>(message).call;
  self.waiter_->end_wait();
  self.release();  // what start() has added
}

Result<void> RemoteCall::outcome() const noexcept {
  if (was_cancelled_) return current_task()->cancel_error(OperationKind::offload);
  if (is_refused_ || !has_result_) return Error(Errc::stopped, OperationKind::offload);
  return {};
}

}  // namespace gyre::detail
