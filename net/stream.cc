#include <gyre/net/stream.h>

#include <cerrno>

#include <gyre/platform/socket.h>

namespace gyre {

namespace detail {

Error stream_error(OperationKind kind, const Operation* operation, std::int64_t failure) noexcept {
  if (operation == nullptr) return Error(Errc::closed, kind);
  const std::int64_t result = -(failure & 0xffffffff);
  const Error error = operation_error(kind, result);
  const auto generation = static_cast<std::uint32_t>(failure >> 32 & 0x7fffffff);
  const Descriptor& descriptor = *operation->descriptor;
  if ((descriptor.generation & 0x7fffffff) != generation) return error;
  if (kind == OperationKind::accept) {
    const Result<SocketAddress> own = local_address(descriptor.native);
    return own ? error.at(place_of(*own)) : error;
  }
  return error.at(place_of(last_peer_address(descriptor.native)));
}

constinit const WaitKind WriteAllAwaiter::wait_kind{"write_all", cancel};

bool WriteAllAwaiter::begin(TaskContext& task, void* frame) noexcept {
  if (operation_ == nullptr) return false;
  if (task.cancel_requested()) {
    fail(-ECANCELED);
    return false;
  }
  task_ = &task;
  if (go_on()) {
    if (may_continue()) return false;
    thread_state.scheduler->ready(frame);
    return true;
  }
  task.wait_in(this, wait_kind, frame);
  return true;
}

bool WriteAllAwaiter::go_on() noexcept {
  for (;;) {  // bound: each turn but the last sends at least one byte
    operation_->kind = OperationKind::send;
    operation_->flags = 0;
    operation_->buffer = const_cast<std::byte*>(bytes_.data());
    operation_->size = bytes_.size();
    operation_->complete = complete;
    operation_->owner = this;
    if (!poller_->start(*operation_)) return false;
    if (note_sent()) return true;
  }
}

bool WriteAllAwaiter::note_sent() noexcept {
  if (operation_->failed()) {
    fail(operation_->result);
    return true;
  }
  const auto sent = static_cast<std::size_t>(count_transfer<OperationKind::send>(*operation_, operation_->result));
  bytes_ = bytes_.subspan(sent);
  if (written_ != nullptr) *written_ += sent;
  return bytes_.empty();
}

// Kept here, for when the task runs the descriptor may have been closed.
void WriteAllAwaiter::fail(std::int64_t result) noexcept {
  failure_ = stream_result(result, operation_->descriptor->generation);
}

void WriteAllAwaiter::complete(Operation& operation) noexcept {
  auto& self = *static_cast<WriteAllAwaiter*>(operation.owner);
  if (self.note_sent()) {
    self.task_->end_wait();
  } else if (self.task_->leaf == nullptr) {
    // Cancelled while the last part was on its way.
    self.fail(-ECANCELED);
    self.task_->end_wait();
  } else if (self.go_on()) {
    self.task_->end_wait();
  }
}

void WriteAllAwaiter::cancel(void* leaf, TaskContext&) noexcept {
  auto& self = *static_cast<WriteAllAwaiter*>(leaf);
  self.poller_->cancel(*self.operation_);
}

}  // namespace detail

Result<void> Stream::attach(UniqueFd fd, DescriptorKind kind) {
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> descriptor = poller.attach(std::move(fd), kind);
  if (!descriptor) return descriptor.error();
  drop();
  poller_ = &poller;
  descriptor_ = *descriptor;
  return {};
}

Task<Result<void>> Stream::connect_to(const Endpoint& peer) {
  SocketAddress address = peer.address();
  Operation& operation = open().output;
  operation.kind = OperationKind::connect;
  operation.flags = 0;
  operation.address = &address;
  const Result<std::size_t> connected = co_await OperationAwaiter(operation);
  if (!connected) co_return connected.error().at(peer.place());
  co_return Result<void>{};
}

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

Result<void> Stream::shutdown(ShutdownSide side) noexcept {
  if (descriptor_ == nullptr) return Error(Errc::closed, OperationKind::shutdown);
  const Result<void> done =
      shutdown_socket(descriptor_->native, side != ShutdownSide::write, side != ShutdownSide::read);
  if (!done) return done.error().at(place_of(last_peer_address(descriptor_->native)));
  return done;
}

Task<Result<void>> Stream::close() {
  if (descriptor_ == nullptr) co_return Result<void>{};
  Operation closing;
  closing.kind = OperationKind::close;
  closing.descriptor = std::exchange(descriptor_, nullptr);
  // A close that has begun goes through.
  CancelScope shielded(CancelScopeOptions{.shielded = true});
  const Result<std::size_t> closed = co_await OperationAwaiter(closing);
  if (!closed) co_return closed.error();
  co_return Result<void>{};
}

void Stream::abort() noexcept {
  if (descriptor_ == nullptr) return;
  static_cast<void>(set_linger(descriptor_->native, {.on = true, .seconds = 0}));
  drop();
}

}  // namespace gyre
