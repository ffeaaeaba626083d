#include <gyre/net/io_handle.h>

#include <utility>

#include <gyre/platform/socket.h>
#include <gyre/task/cancel_scope.h>

namespace gyre {

namespace detail {

Error io_error(OperationKind kind, const Operation* operation, std::int64_t failure) noexcept {
  if (operation == nullptr) return Error(Errc::closed, kind);
  const std::int64_t result = -(failure & 0xffffffff);
  const Error error = operation_error(kind, result);
  const Descriptor* const descriptor = descriptor_of(operation, failure);
  if (descriptor == nullptr) return error;
  if (kind == OperationKind::accept) {
    const Result<SocketAddress> own = local_address(descriptor->native);
    return own ? error.at(place_of(*own)) : error;
  }
  return error.at(place_of(last_peer_address(descriptor->native)));
}

const Descriptor* descriptor_of(const Operation* operation, std::int64_t failure) noexcept {
  if (operation == nullptr) return nullptr;
  const auto generation = static_cast<std::uint32_t>(failure >> 32 & 0x7fffffff);
  const Descriptor& descriptor = *operation->descriptor;
  return (descriptor.generation & 0x7fffffff) == generation ? &descriptor : nullptr;
}

}  // namespace detail

Result<void> IoHandle::attach(UniqueFd fd, DescriptorKind kind) {
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> descriptor = poller.attach(std::move(fd), kind);
  if (!descriptor) return descriptor.error();
  close_now();
  poller_ = &poller;
  descriptor_ = *descriptor;
  return {};
}

Task<Result<void>> IoHandle::connect_to(const Endpoint& peer) {
  SocketAddress address = peer.address();
  Operation& operation = open().output;
  operation.kind = OperationKind::connect;
  operation.flags = 0;
  operation.address = &address;
  const Result<std::size_t> connected = co_await OperationAwaiter(operation);
  if (!connected) co_return connected.error().at(peer.place());
  co_return Result<void>{};
}

Task<Result<void>> IoHandle::close() {
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

}  // namespace gyre
