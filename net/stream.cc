#include <gyre/net/stream.h>

#include <cerrno>

#include <gyre/platform/socket.h>

namespace gyre {

namespace detail {

constinit const WaitKind WriteAllAwaiter::wait_kind{"write_all", cancel};

// Kept here, for when the task runs the descriptor may have been closed.
void WriteAllAwaiter::fail(std::int64_t result) noexcept {
  failure_ = io_result(result, descriptor_->generation);
}

[[gnu::always_inline]] inline void WriteAllAwaiter::take_off(std::int64_t sent) noexcept {
  const auto count = static_cast<std::size_t>(count_transfer<OperationKind::send>(descriptor_->output, sent));
  data_ += count;
  left_ -= count;
}

[[gnu::always_inline]] inline bool WriteAllAwaiter::note_sent() noexcept {
  const Operation& operation = descriptor_->output;
  if (operation.failed()) [[unlikely]] {
    fail(operation.result);
    return true;
  }
  take_off(operation.result);
  return left_ == 0;
}

[[gnu::always_inline]] inline bool WriteAllAwaiter::go_on(Poller& poller) noexcept {
  // A peer that reads as fast as we send makes room all the time: then others come first now and then.
  constexpr int at_once_max = 4;
  Operation& operation = descriptor_->output;
  for (int round = 0;; ++round) {
    operation.kind = OperationKind::send;
    operation.flags = round < at_once_max ? 0 : operation_no_inline;
    operation.buffer = const_cast<std::byte*>(data_);
    operation.size = left_;
    operation.complete = complete;
    operation.owner = this;
    if (!poller.start(operation)) return false;
    if (note_sent()) return true;
  }
}

bool WriteAllAwaiter::end_early() noexcept {
  if (left_ == 0) return true;
  if (descriptor_ == nullptr) {
    failure_ = io_not_open;
  } else {
    fail(-ECANCELED);
  }
  return true;
}

bool WriteAllAwaiter::let_others_go_first() noexcept {
  others_first_ = true;
  return false;
}

bool WriteAllAwaiter::note_first(std::int64_t answer) noexcept {
  const std::int64_t sent = current_poller().settle_send(*descriptor_, data_, left_, answer);
  if (sent < 0 && sent != Poller::would_block) {
    fail(sent);
    return true;
  }
  if (sent > 0) take_off(sent);
  others_first_ = false;
  return left_ == 0;
}

bool WriteAllAwaiter::begin(TaskContext& task, void* frame) noexcept {
  const bool others_first = others_first_;
  if (go_on(poller_of(task))) {
    if (!others_first && may_continue()) return false;
    thread_state.scheduler->ready(frame);
    return true;
  }
  task_ = &task;
  task.wait_in(this, wait_kind, frame);
  return true;
}

void WriteAllAwaiter::complete(Operation& operation) noexcept {
  auto& self = *static_cast<WriteAllAwaiter*>(operation.owner);
  TaskContext& task = *self.task_;
  operation.flags = 0;  // go_on() may have asked for operation_no_inline; who sends next does not
  bool is_decided = self.note_sent();
  if (!is_decided && task.leaf == nullptr) {
    // Cancelled while the last part was on its way.
    self.fail(-ECANCELED);
    is_decided = true;
  }
  if (is_decided || self.go_on(poller_of(task))) task.end_wait();
}

void WriteAllAwaiter::cancel(void* leaf, TaskContext& task) noexcept {
  poller_of(task).cancel(static_cast<WriteAllAwaiter*>(leaf)->descriptor_->output);
}

}  // namespace detail

Task<Result<void>> Stream::read_exactly(std::span<std::byte> buffer, std::size_t* received) {
  std::size_t filled = 0;
  if (received != nullptr) *received = 0;
  while (filled < buffer.size()) {
    const Result<std::size_t> count = co_await read(buffer.subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Error(Errc::end_of_stream, OperationKind::read);
    filled += *count;
    if (received != nullptr) *received = filled;
  }
  co_return Result<void>{};
}

namespace {

// Takes `count` bytes, and the empty slices around them, off the front.
void use_up(std::span<IoSlice>& slices, std::size_t count) noexcept {
  while (!slices.empty() && slices.front().size <= count) {
    count -= slices.front().size;
    slices.front().data = static_cast<std::byte*>(slices.front().data) + slices.front().size;
    slices.front().size = 0;
    slices = slices.subspan(1);
  }
  if (count == 0) return;
  slices.front().data = static_cast<std::byte*>(slices.front().data) + count;
  slices.front().size -= count;
}

}  // namespace

Task<Result<void>> Stream::write_all_pieces(std::span<IoSlice> slices, std::size_t* written) {
  if (written != nullptr) *written = 0;
  for (use_up(slices, 0); !slices.empty();) {
    const Result<std::size_t> count = co_await write(slices);
    if (!count) co_return count.error();
    if (written != nullptr) *written += *count;
    use_up(slices, *count);
  }
  co_return Result<void>{};
}

Task<Result<void>> Stream::read_exactly_pieces(std::span<IoSlice> slices, std::size_t* received) {
  if (received != nullptr) *received = 0;
  for (use_up(slices, 0); !slices.empty();) {
    const Result<std::size_t> count = co_await read(slices);
    if (!count) co_return count.error();
    if (*count == 0) co_return Error(Errc::end_of_stream, OperationKind::read);
    if (received != nullptr) *received += *count;
    use_up(slices, *count);
  }
  co_return Result<void>{};
}

Result<void> Stream::shutdown(ShutdownSide side) noexcept {
  if (!is_open()) return Error(Errc::closed, OperationKind::shutdown);
  const Result<void> done = shutdown_socket(native(), side != ShutdownSide::write, side != ShutdownSide::read);
  if (!done) return done.error().at(place_of(last_peer_address(native())));
  return done;
}

void Stream::abort() noexcept {
  if (!is_open()) return;
  static_cast<void>(set_linger(native(), {.on = true, .seconds = 0}));
  close_now();
}

}  // namespace gyre
