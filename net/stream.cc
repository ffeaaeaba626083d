#include <gyre/net/stream.h>

#include <cerrno>

#include <gyre/platform/socket.h>

namespace gyre {

namespace detail {

constinit const WaitKind WriteAllAwaiter::wait_kind{"write_all", cancel};

// Kept here, for when the task runs the descriptor may have been closed.
void WriteAllAwaiter::fail(std::int64_t result) noexcept {
  failure_ = io_result(result, operation_->descriptor->generation);
}

[[gnu::always_inline]] inline bool WriteAllAwaiter::note_sent() noexcept {
  if (operation_->failed()) [[unlikely]] {
    fail(operation_->result);
    return true;
  }
  const auto sent = static_cast<std::size_t>(count_transfer<OperationKind::send>(*operation_, operation_->result));
  bytes_ = bytes_.subspan(sent);
  return bytes_.empty();
}

[[gnu::always_inline]] inline bool WriteAllAwaiter::go_on(Poller& poller) noexcept {
  for (;;) {  // bound: each turn but the last sends at least one byte
    operation_->kind = OperationKind::send;
    operation_->flags = 0;
    operation_->buffer = const_cast<std::byte*>(bytes_.data());
    operation_->size = bytes_.size();
    operation_->complete = complete;
    operation_->owner = this;
    if (!poller.start(*operation_)) return false;
    if (note_sent()) return true;
  }
}

bool WriteAllAwaiter::end_early() noexcept {
  if (bytes_.empty()) return true;
  if (operation_ == nullptr) {
    failure_ = io_not_open;
  } else {
    fail(-ECANCELED);
  }
  return true;
}

bool WriteAllAwaiter::note_first(std::int64_t sent) noexcept {
  failure_ = 0;  // begin() asks
  if (sent == Poller::would_block) return false;
  if (sent < 0) {
    fail(sent);
    return may_continue();
  }
  bytes_ = bytes_.subspan(static_cast<std::size_t>(count_transfer<OperationKind::send>(*operation_, sent)));
  return false;
}

// The slice is used up, or there is more to send.
bool WriteAllAwaiter::begin(TaskContext& task, void* frame) noexcept {
  const bool is_decided = bytes_.empty() || failure_ < 0;
  if (is_decided || go_on(poller_of(task))) {
    if (!is_decided && may_continue()) return false;
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
  bool is_decided = self.note_sent();
  if (!is_decided && task.leaf == nullptr) {
    // Cancelled while the last part was on its way.
    self.fail(-ECANCELED);
    is_decided = true;
  }
  if (is_decided || self.go_on(poller_of(task))) task.end_wait();
}

void WriteAllAwaiter::cancel(void* leaf, TaskContext& task) noexcept {
  poller_of(task).cancel(*static_cast<WriteAllAwaiter*>(leaf)->operation_);
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
