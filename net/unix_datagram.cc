#include <gyre/net/unix_datagram.h>

#include <algorithm>
#include <array>

#include <gyre/platform/control_data.h>
#include <gyre/platform/socket.h>

namespace gyre {

Task<Result<UnixDatagram>> UnixDatagram::bind(Endpoint where, UnixDatagramOptions options) {
  Result<UniqueFd> opened = open_socket(AddressFamily::local, SocketType::datagram);
  if (!opened) co_return opened.error().with(OperationKind::bind).at(where.place());
  Result<SocketFile> file = SocketFile::bind(opened->get(), where, options.replace_stale);
  if (!file) co_return file.error();
  Result<UnixDatagram> socket = adopt(std::move(*opened));
  if (!socket) co_return socket.error().at(where.place());
  if (options.remove_on_close) {
    socket->file_ = std::move(*file);
  } else {
    file->forget();
  }
  co_return socket;
}

Task<Result<UnixDatagram>> UnixDatagram::connect(Endpoint peer) {
  if (peer.family() != AddressFamily::local) {
    co_return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::connect).at(peer.place());
  }
  Result<UniqueFd> opened = open_socket(AddressFamily::local, SocketType::datagram);
  if (!opened) co_return opened.error().with(OperationKind::connect).at(peer.place());
  Result<UnixDatagram> socket = adopt(std::move(*opened));
  if (!socket) co_return socket.error().at(peer.place());
  const Result<void> connected = co_await socket->connect_to(peer);
  if (!connected) co_return connected.error();
  co_return socket;
}

Result<std::pair<UnixDatagram, UnixDatagram>> UnixDatagram::pair() {
  Result<DescriptorPair> sockets = open_socket_pair(SocketType::datagram);
  if (!sockets) return sockets.error();
  Result<UnixDatagram> first = adopt(std::move(sockets->first));
  if (!first) return first.error();
  Result<UnixDatagram> second = adopt(std::move(sockets->second));
  if (!second) return second.error();
  return std::pair<UnixDatagram, UnixDatagram>(std::move(*first), std::move(*second));
}

Result<UnixDatagram> UnixDatagram::adopt(UniqueFd socket) {
  UnixDatagram adopted;
  const Result<void> attached = adopted.attach(std::move(socket), DescriptorKind::socket);
  if (!attached) return attached.error();
  return adopted;
}

Task<Result<void>> UnixDatagram::send_with(std::span<const std::byte> bytes,
                                           std::span<const NativeDescriptor> descriptors, Endpoint to) {
  alignas(8) std::array<std::byte, descriptors_room(passed_descriptors_max)> control;
  IoSlice slice{const_cast<std::byte*>(bytes.data()), bytes.size()};
  Message message;
  message.slices = &slice;
  message.slices_count = 1;
  message.address = to.address().size != 0 ? &to.address() : nullptr;
  message.control = control.data();
  message.control_size = pack_descriptors(control, descriptors);
  const Result<std::size_t> sent =
      co_await detail::TransferAwaiter<OperationKind::send_message>(output(), &message, 0);
  if (sent) co_return Result<void>{};
  co_return message.address != nullptr ? sent.error().at(to.place()) : sent.error();
}

Task<Result<DatagramAndDescriptors>> UnixDatagram::receive_with(std::span<std::byte> buffer,
                                                                std::span<UniqueFd> descriptors) {
  alignas(8) std::array<std::byte, descriptors_room(passed_descriptors_max) + credentials_room> control;
  SocketAddress from;
  IoSlice slice{buffer.data(), buffer.size()};
  Message message;
  message.slices = &slice;
  message.slices_count = 1;
  message.address = &from;
  message.control = control.data();
  message.control_size = control.size();
  const Result<std::size_t> received =
      co_await detail::TransferAwaiter<OperationKind::receive_message>(input(), &message, 0);
  if (!received) co_return received.error();
  const auto beside = std::span<const std::byte>(control).first(message.control_size);
  DatagramAndDescriptors datagram;
  datagram.size = *received;
  datagram.from = Endpoint(from);
  datagram.truncated = (message.flags & message_truncated) != 0;
  const std::size_t count = unpack_descriptors(beside, descriptors);
  datagram.descriptors = std::min(count, descriptors.size());
  datagram.lost_some = count > descriptors.size() || (message.flags & message_control_truncated) != 0;
  datagram.sender = find_credentials(beside);
  co_return datagram;
}

Result<PeerCredentials> UnixDatagram::credentials() const noexcept {
  if (!is_open()) return Error(Errc::closed, OperationKind::get_option);
  return peer_credentials(native());
}

Task<Result<void>> UnixDatagram::close() {
  file_.remove();
  return DatagramSocket::close();
}

}  // namespace gyre
