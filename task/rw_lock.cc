#include <gyre/task/rw_lock.h>

namespace gyre {

constinit const WaitKind RwLock::wait_kind{"rw lock", on_cancel};

void RwLock::admit() noexcept {
  while (Waiter* const first = waiters_.first()) {
    if (!has_room_for(first->number())) return;
    take(first->number());
    waiters_.wake(waiters_.take_first(), WaitOutcome::granted);
  }
}

// A writer that no longer waits may have kept readers out.
void RwLock::on_cancel(void* leaf, TaskContext& task) noexcept {
  RwLock& lock = static_cast<Pending*>(static_cast<Waiter*>(leaf))->lock_;
  WaitList::cancel(leaf, task);
  lock.admit();
}

}  // namespace gyre
