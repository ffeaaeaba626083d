#include <gyre/task/semaphore.h>

namespace gyre {

constinit const WaitKind Semaphore::wait_kind{"semaphore", on_cancel};

void Semaphore::admit() noexcept {
  while (Waiter* const first = waiters_.first()) {
    if (first->number() > available_) return;
    available_ -= first->number();
    waiters_.wake(waiters_.take_first(), WaitOutcome::granted);
  }
}

// Whoever stood behind a large request may now be first, and content with what there is.
void Semaphore::on_cancel(void* leaf, TaskContext& task) noexcept {
  Semaphore& semaphore = static_cast<Awaiter*>(static_cast<Waiter*>(leaf))->semaphore_;
  WaitList::cancel(leaf, task);
  semaphore.admit();
}

}  // namespace gyre
