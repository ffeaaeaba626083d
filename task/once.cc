#include <gyre/task/once.h>

namespace gyre::detail {

constinit const WaitKind OnceGate::wait_kind{"once", WaitList::cancel};

void OnceGate::finish() noexcept {
  state_ = State::done;
  while (!waiters_.empty()) {
    Waiter& waiter = waiters_.take_first();
    waiter.set_number(is_made);
    waiters_.wake(waiter, WaitOutcome::granted);
  }
}

void OnceGate::fail() noexcept {
  if (waiters_.empty()) {
    state_ = State::idle;
    return;
  }
  // Stays busy: the next is at it from now on.
  Waiter& waiter = waiters_.take_first();
  waiter.set_number(must_make);
  waiters_.wake(waiter, WaitOutcome::granted);
}

}  // namespace gyre::detail
