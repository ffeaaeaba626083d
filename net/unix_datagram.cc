#include <gyre/net/unix_datagram.h>

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

Task<Result<void>> UnixDatagram::close() {
  file_.remove();
  return DatagramSocket::close();
}

}  // namespace gyre
