#include <gyre/task/barrier.h>

namespace gyre {

constinit const WaitKind Barrier::wait_kind{"barrier", on_cancel};

void Barrier::complete() noexcept {
  arrived_ = 0;
  // Places are given out now and not on arrival: whoever was cancelled leaves no gap.
  for (std::uint32_t place = 0; !waiters_.empty(); ++place) {
    Waiter& waiter = waiters_.take_first();
    waiter.set_number(place);
    WaitList::wake(waiter, WaitOutcome::granted);
  }
}

void Barrier::abort() noexcept {
  is_broken_ = true;
  arrived_ = 0;
  waiters_.wake_all(WaitOutcome::broken);
}

void Barrier::reset() noexcept {
  is_broken_ = false;
  arrived_ = 0;
  waiters_.wake_all(WaitOutcome::broken);
}

void Barrier::on_cancel(void* leaf, TaskContext& task) noexcept {
  --static_cast<Awaiter*>(static_cast<Waiter*>(leaf))->barrier_.arrived_;
  WaitList::cancel(leaf, task);
}

}  // namespace gyre
