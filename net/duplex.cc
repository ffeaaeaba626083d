#include <gyre/net/duplex.h>

#include <algorithm>
#include <cstring>

#include <gyre/platform/check.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/sleep.h>

namespace gyre {

namespace detail {

namespace {

constexpr WaitKind read_wait{"read from a duplex stream", WaitList::cancel};
constexpr WaitKind write_wait{"write to a duplex stream", WaitList::cancel};

Error system_error(std::errc code, OperationKind operation) noexcept {
  return Error::system(static_cast<std::int32_t>(code), operation);
}

}  // namespace

DuplexPipe::DuplexPipe(std::size_t capacity, std::size_t transfer_max)
    : bytes_(std::make_unique<std::byte[]>(capacity)), capacity_(capacity), transfer_max_(transfer_max) {
  GYRE_CHECK_HINT(capacity > 0, "a pipe that holds nothing");
  GYRE_CHECK_HINT(transfer_max > 0, "transfers of nothing");
}

bool DuplexPipe::is_ready(Side side) const noexcept {
  if (reset_ || output_ended_ || input_ended_) return true;
  return side == Side::input ? size_ > 0 : size_ < capacity_;
}

Result<std::size_t> DuplexPipe::take(std::span<std::byte> buffer) noexcept {
  if (reset_) return system_error(std::errc::connection_reset, OperationKind::receive);
  const std::size_t count = std::min({size_, buffer.size(), transfer_max_});
  const std::size_t first = std::min(count, capacity_ - begin_);
  if (count == 0) return count;
  std::memcpy(buffer.data(), bytes_.get() + begin_, first);
  std::memcpy(buffer.data() + first, bytes_.get(), count - first);
  begin_ = (begin_ + count) % capacity_;
  size_ -= count;
  writers_.wake_first();
  return count;
}

Result<std::size_t> DuplexPipe::put(std::span<const std::byte> bytes) noexcept {
  if (reset_) return system_error(std::errc::connection_reset, OperationKind::send);
  if (output_ended_ || input_ended_) return system_error(std::errc::broken_pipe, OperationKind::send);
  const std::size_t count = std::min({capacity_ - size_, bytes.size(), transfer_max_});
  const std::size_t end = (begin_ + size_) % capacity_;
  const std::size_t first = std::min(count, capacity_ - end);
  std::memcpy(bytes_.get() + end, bytes.data(), first);
  std::memcpy(bytes_.get(), bytes.data() + first, count - first);
  size_ += count;
  readers_.wake_first();
  return count;
}

void DuplexPipe::end_output() noexcept {
  output_ended_ = true;
  wake_all();
}

bool DuplexPipe::end_input() noexcept {
  const bool lost = size_ > 0;
  input_ended_ = true;
  size_ = 0;
  wake_all();
  return lost;
}

void DuplexPipe::reset() noexcept {
  reset_ = true;
  size_ = 0;
  wake_all();
}

void DuplexPipe::wake_all() noexcept {
  readers_.wake_all();
  writers_.wake_all();
}

bool DuplexAwaiter::await_ready() noexcept {
  if (pipe_ == nullptr) return settle(WaitOutcome::closed);
  WaitList& list = pipe_->waiters(side_);
  bool& busy = pipe_->is_busy(side_);
  GYRE_CHECK_HINT(!busy, "a stream is read, or written, by two tasks at once");
  busy = true;
  if (is_refused(list)) return true;
  return settle(pipe_->is_ready(side_) ? WaitOutcome::granted : WaitOutcome::none);
}

void DuplexAwaiter::await_suspend(std::coroutine_handle<> frame) noexcept {
  if (pipe_ == nullptr) return thread_state.scheduler->ready(frame.address());
  suspend(pipe_->waiters(side_), frame, side_ == DuplexPipe::Side::input ? read_wait : write_wait);
}

Result<std::size_t> DuplexAwaiter::await_resume() noexcept {
  const bool reads = side_ == DuplexPipe::Side::input;
  if (pipe_ != nullptr) pipe_->is_busy(side_) = false;
  if (!is_granted()) return error(reads ? OperationKind::receive : OperationKind::send);
  return reads ? pipe_->take({data_, size_}) : pipe_->put({data_, size_});
}

}  // namespace detail

Result<void> DuplexStream::shutdown(ShutdownSide side) noexcept {
  if (!is_open()) return Error(Errc::closed, OperationKind::shutdown);
  if (side != ShutdownSide::read) output().end_output();
  if (side != ShutdownSide::write) static_cast<void>(input().end_input());
  return {};
}

Task<Result<void>> DuplexStream::close() {
  using Side = detail::DuplexPipe::Side;
  if (!is_open()) co_return Result<void>{};
  DuplexStream closing = std::move(*this);
  detail::DuplexPipe& input = closing.input();
  detail::DuplexPipe& output = closing.output();
  input.waiters(Side::input).wake_all(WaitOutcome::closed);
  output.waiters(Side::output).wake_all(WaitOutcome::closed);
  const CancelScope shielded(CancelScopeOptions{.shielded = true});
  // Who was woken runs within the turn.
  while (input.is_busy(Side::input) || output.is_busy(Side::output)) {
    static_cast<void>(co_await yield());
  }
  closing.drop();
  co_return Result<void>{};
}

void DuplexStream::abort() noexcept {
  if (state_ == nullptr) return;
  state_->forth.reset();
  state_->back.reset();
  drop();
}

void DuplexStream::drop() noexcept {
  using Side = detail::DuplexPipe::Side;
  if (state_ == nullptr) return;
  GYRE_CHECK_HINT(!input().is_busy(Side::input) && !output().is_busy(Side::output),
                  "a stream goes while an operation on it is in flight");
  output().end_output();
  // As a socket does: the peer must not believe that what it wrote was read.
  if (input().end_input()) {
    state_->forth.reset();
    state_->back.reset();
  }
  state_.reset();
}

std::pair<DuplexStream, DuplexStream> make_duplex(const DuplexOptions& options) {
  auto state = std::make_shared<detail::DuplexState>(options.capacity, options.transfer_max);
  return {DuplexStream(state, true), DuplexStream(state, false)};
}

}  // namespace gyre
