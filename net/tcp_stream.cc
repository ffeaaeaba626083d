#include <gyre/net/tcp_stream.h>

#include <gyre/platform/socket.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

Task<Result<TcpStream>> TcpStream::connect(Endpoint peer) {
  Result<UniqueFd> socket = open_socket(peer.family(), SocketType::stream);
  if (!socket) co_return socket.error().with(OperationKind::connect).at(peer.place());
  const Result<void> no_delay = gyre::set_option(socket->get(), SocketOption::no_delay, 1);
  if (!no_delay) co_return no_delay.error().at(peer.place());
  Result<TcpStream> stream = adopt(std::move(*socket));
  if (!stream) co_return stream.error().at(peer.place());
  Operation& operation = stream->open().output;
  operation.kind = OperationKind::connect;
  operation.flags = 0;
  operation.address = &peer.address();
  const Result<std::size_t> connected = co_await OperationAwaiter(operation);
  if (!connected) co_return connected.error().at(peer.place());
  co_return stream;
}

Result<std::pair<TcpStream, TcpStream>> TcpStream::pair() {
  Result<DescriptorPair> sockets = open_tcp_pair();
  if (!sockets) return sockets.error();
  for (const UniqueFd* socket : {&sockets->first, &sockets->second}) {
    const Result<void> no_delay = gyre::set_option(socket->get(), SocketOption::no_delay, 1);
    if (!no_delay) return no_delay.error();
  }
  Result<TcpStream> first = adopt(std::move(sockets->first));
  if (!first) return first.error();
  Result<TcpStream> second = adopt(std::move(sockets->second));
  if (!second) return second.error();
  return std::pair<TcpStream, TcpStream>(std::move(*first), std::move(*second));
}

Result<TcpStream> TcpStream::adopt(UniqueFd socket) {
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> descriptor = poller.attach(std::move(socket), DescriptorKind::socket);
  if (!descriptor) return descriptor.error();
  return TcpStream(poller, **descriptor);
}

Result<Endpoint> TcpStream::local_endpoint() const noexcept {
  const Result<SocketAddress> address = local_address(open().native);
  if (!address) return address.error();
  return Endpoint(*address);
}

Result<Endpoint> TcpStream::peer_endpoint() const noexcept {
  const Result<SocketAddress> address = peer_address(open().native);
  if (!address) return address.error();
  return Endpoint(*address);
}

}  // namespace gyre
