#include <gyre/task/barrier.h>

namespace gyre {

constinit const WaitKind Barrier::wait_kind{"barrier", on_cancel};

WaitOutcome Barrier::arrive(Waiter& waiter) noexcept {
  if (is_broken_) return WaitOutcome::broken;
  if (arrived_ + 1 < parties_) {
    ++arrived_;
    return WaitOutcome::none;
  }
  waiter.set_number(arrived_);
  arrived_ = 0;
  // Places are given out now and not on arrival: whoever was cancelled leaves no gap.
  for (std::uint32_t place = 0; !waiters_.empty(); ++place) {
    Waiter& other = waiters_.take_first();
    other.set_number(place);
    waiters_.wake(other, WaitOutcome::granted);
  }
  return WaitOutcome::granted;
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
