#include <gyre/net/tcp_stream.h>

#include <gyre/platform/socket.h>

namespace gyre {

namespace {

Error system_error(std::errc code, OperationKind operation) noexcept {
  return Error::system(static_cast<int>(code), operation);
}

// What can be done before the reactor comes in. Errors name `peer` or `options.local`.
Result<UniqueFd> open_client(const Endpoint& peer, const TcpConnectOptions& options) {
  if (!peer.is_ip()) return system_error(std::errc::invalid_argument, OperationKind::connect).at(peer.place());
  const bool is_bound = options.local.family() != AddressFamily::none;
  if (is_bound && options.local.family() != peer.family()) {
    return system_error(std::errc::address_family_not_supported, OperationKind::bind).at(options.local.place());
  }
  Result<UniqueFd> socket = open_socket(peer.family(), SocketType::stream);
  if (!socket) return socket.error().with(OperationKind::connect).at(peer.place());
  const NativeDescriptor fd = socket->get();
  const Result<int> send_buffer = detail::to_option_number(options.send_buffer, OptionUnit::bytes);
  if (!send_buffer) return send_buffer.error().at(peer.place());
  const Result<int> receive_buffer = detail::to_option_number(options.receive_buffer, OptionUnit::bytes);
  if (!receive_buffer) return receive_buffer.error().at(peer.place());
  struct Setting {
    SocketOption option;
    int value;
    bool applies;
  };
  const Setting settings[] = {{SocketOption::no_delay, 1, options.no_delay},
                              {SocketOption::reuse_address, 1, is_bound && options.reuse_address},
                              {SocketOption::fast_open_connect, 1, options.fast_open},
                              {SocketOption::send_buffer, *send_buffer, *send_buffer != 0},
                              {SocketOption::receive_buffer, *receive_buffer, *receive_buffer != 0}};
  for (const Setting& setting : settings) {
    if (!setting.applies) continue;
    const Result<void> set = set_option(fd, setting.option, setting.value);
    if (!set) return set.error().at(peer.place());
  }
  if (is_bound) {
    const Result<void> bound = bind_socket(fd, options.local.address());
    if (!bound) return bound.error().at(options.local.place());
  }
  return socket;
}

}  // namespace

Task<Result<TcpStream>> TcpStream::connect(Endpoint peer, TcpConnectOptions options) {
  Result<UniqueFd> socket = open_client(peer, options);
  if (!socket) co_return socket.error();
  Result<TcpStream> stream = adopt(std::move(*socket));
  if (!stream) co_return stream.error().at(peer.place());
  const Result<void> connected = co_await stream->connect_to(peer);
  if (!connected) co_return connected.error();
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
  TcpStream stream;
  const Result<void> attached = stream.attach(std::move(socket), DescriptorKind::socket);
  if (!attached) return attached.error();
  return stream;
}

}  // namespace gyre
