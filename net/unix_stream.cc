#include <gyre/net/unix_stream.h>

#include <algorithm>
#include <array>

#include <gyre/platform/control_data.h>
#include <gyre/platform/socket.h>

namespace gyre {

Task<Result<UnixStream>> UnixStream::connect(Endpoint peer) {
  if (peer.family() != AddressFamily::local) {
    co_return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::connect).at(peer.place());
  }
  Result<UniqueFd> socket = open_socket(AddressFamily::local, SocketType::stream);
  if (!socket) co_return socket.error().with(OperationKind::connect).at(peer.place());
  Result<UnixStream> stream = adopt(std::move(*socket));
  if (!stream) co_return stream.error().at(peer.place());
  const Result<void> connected = co_await stream->connect_to(peer);
  if (!connected) co_return connected.error();
  co_return stream;
}

Result<std::pair<UnixStream, UnixStream>> UnixStream::pair() {
  Result<DescriptorPair> sockets = open_socket_pair(SocketType::stream);
  if (!sockets) return sockets.error();
  Result<UnixStream> first = adopt(std::move(sockets->first));
  if (!first) return first.error();
  Result<UnixStream> second = adopt(std::move(sockets->second));
  if (!second) return second.error();
  return std::pair<UnixStream, UnixStream>(std::move(*first), std::move(*second));
}

Result<UnixStream> UnixStream::adopt(UniqueFd socket) {
  UnixStream stream;
  const Result<void> attached = stream.attach(std::move(socket), DescriptorKind::socket);
  if (!attached) return attached.error();
  return stream;
}

Task<Result<std::size_t>> UnixStream::write_with(std::span<const std::byte> bytes,
                                                 std::span<const NativeDescriptor> descriptors) {
  GYRE_CHECK_HINT(!bytes.empty(), "descriptors travel with bytes");
  alignas(8) std::array<std::byte, descriptors_room(passed_descriptors_max)> control;
  IoSlice slice{const_cast<std::byte*>(bytes.data()), bytes.size()};
  Message message;
  message.slices = &slice;
  message.slices_count = 1;
  message.control = control.data();
  message.control_size = pack_descriptors(control, descriptors);
  const Result<std::size_t> sent =
      co_await detail::TransferAwaiter<OperationKind::send_message>(output(), &message, 0);
  co_return sent;
}

Task<Result<BytesAndDescriptors>> UnixStream::read_with(std::span<std::byte> buffer,
                                                        std::span<UniqueFd> descriptors) {
  GYRE_CHECK_HINT(!buffer.empty(), "read_with() into an empty buffer could not tell the end of the stream");
  alignas(8) std::array<std::byte, descriptors_room(passed_descriptors_max)> control;
  IoSlice slice{buffer.data(), buffer.size()};
  Message message;
  message.slices = &slice;
  message.slices_count = 1;
  message.control = control.data();
  message.control_size = control.size();
  const Result<std::size_t> received =
      co_await detail::TransferAwaiter<OperationKind::receive_message>(input(), &message, 0);
  if (!received) co_return received.error();
  const std::size_t count = unpack_descriptors(std::span(control).first(message.control_size), descriptors);
  co_return BytesAndDescriptors{.bytes = *received,
                                .descriptors = std::min(count, descriptors.size()),
                                .lost_some = count > descriptors.size() ||
                                             (message.flags & message_control_truncated) != 0};
}

Result<PeerCredentials> UnixStream::credentials() const noexcept {
  if (!is_open()) return Error(Errc::closed, OperationKind::get_option);
  return peer_credentials(native());
}

}  // namespace gyre
