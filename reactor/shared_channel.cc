#include <gyre/reactor/shared_channel.h>

namespace gyre::detail {

const WaitKind SharedWaiter::wait_kind{"shared channel", &SharedWaiter::cancel};

SharedWaiter::SharedWaiter(std::mutex& mutex) noexcept : mutex_(mutex) {
  Inbox::Message::deliver = [](Inbox::Message& message, bool) noexcept {
    static_cast<SharedWaiter&>(message).task_->end_wait();
  };
}

void SharedWaiter::wait(TaskContext& task, void* frame) noexcept {
  home_ = this_reactor().remote();
  task_ = &task;
  task.wait_in(this, wait_kind, frame);
}

void SharedWaiter::wake() noexcept {
  // A copy: once posted, the waiter may be gone.
  const RemoteReactor home = home_;
  const bool posted = home.post_message(*this);
  GYRE_CHECK(posted);  // a reactor does not end while a task of it waits
}

void SharedWaiter::cancel(void* leaf, TaskContext& task) noexcept {
  auto& self = *static_cast<SharedWaiter*>(leaf);
  {
    const std::lock_guard lock(self.mutex_);
    // Decided already: the message is on its way.
    if (!self.is_linked()) return;
    self.unlink();
    self.outcome = Outcome::cancelled;
  }
  task.end_wait();
}

Error shared_error(SharedWaiter::Outcome outcome, OperationKind operation) noexcept {
  if (outcome == SharedWaiter::Outcome::closed) return Error(Errc::closed, operation);
  return current_task()->cancel_error(operation);
}

}  // namespace gyre::detail
