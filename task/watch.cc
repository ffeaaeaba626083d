#include <gyre/task/watch.h>

namespace gyre::detail {

constinit const WaitKind WatchCore::wait_kind{"watch", WaitList::cancel};

void WatchCore::close() noexcept {
  is_closed_ = true;
  // Who waits has seen the last change.
  waiters_.wake_all(WaitOutcome::closed);
}

}  // namespace gyre::detail
