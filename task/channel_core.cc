#include <gyre/task/channel_core.h>

namespace gyre::detail {

constinit const WaitKind ChannelCore::send_wait{"channel send", WaitList::cancel};
constinit const WaitKind ChannelCore::reserve_wait{"channel reserve", WaitList::cancel};
constinit const WaitKind ChannelCore::receive_wait{"channel receive", WaitList::cancel};
constinit const WaitKind ChannelCore::join_wait{"channel join", WaitList::cancel};

void ChannelCore::close_to_drain() noexcept {
  if (is_closed_) return;
  is_closed_ = true;
  senders_.wake_all(WaitOutcome::closed);
  // Receivers that wait get nothing more, but for what Permits still may send.
  if (reserved_ == 0) receivers_.wake_all(WaitOutcome::closed);
}

void ChannelCore::close_at_once(std::size_t dropped) noexcept {
  if (is_immediate_) return;
  is_closed_ = true;
  is_immediate_ = true;
  senders_.wake_all(WaitOutcome::closed);
  receivers_.wake_all(WaitOutcome::closed);
  GYRE_DCHECK(dropped <= unfinished_);
  unfinished_ -= dropped;
  if (unfinished_ == 0) joiners_.wake_all();
}

}  // namespace gyre::detail
