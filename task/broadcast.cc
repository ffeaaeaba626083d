#include <gyre/task/broadcast.h>

namespace gyre::detail {

constinit const WaitKind BroadcastCore::wait_kind{"broadcast", WaitList::cancel};

void BroadcastCore::close() noexcept {
  is_closed_ = true;
  // Who waits has received all there was.
  waiters_.wake_all(WaitOutcome::closed);
}

bool BroadcastCore::Cursor::skip_missed() noexcept {
  if (next_ >= broadcast_->head_) return false;
  missed_ = broadcast_->head_ - next_;
  next_ = broadcast_->head_;
  return true;
}

}  // namespace gyre::detail
