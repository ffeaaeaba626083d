#include <gyre/net/udp_socket.h>

#include <gyre/platform/reported_error.h>
#include <gyre/platform/socket.h>

namespace gyre {

namespace {

Error not_open() noexcept { return Error(Errc::closed, OperationKind::set_option); }

Result<UniqueFd> open_udp(const Endpoint& where, OperationKind operation) {
  if (!where.is_ip()) {
    return Error::system(static_cast<int>(std::errc::invalid_argument), operation).at(where.place());
  }
  Result<UniqueFd> socket = open_socket(where.family(), SocketType::datagram);
  if (!socket) return socket.error().with(operation).at(where.place());
  return socket;
}

}  // namespace

Task<Result<UdpSocket>> UdpSocket::bind(Endpoint where, UdpOptions options) {
  Result<UniqueFd> opened = open_udp(where, OperationKind::bind);
  if (!opened) co_return opened.error();
  struct Setting {
    SocketOption option;
    bool value;
    bool applies;
  };
  const Setting settings[] = {{SocketOption::reuse_address, true, options.reuse_address},
                              {SocketOption::reuse_port, true, options.reuse_port},
                              {SocketOption::only_v6, options.only_v6, where.family() == AddressFamily::ipv6}};
  for (const Setting& setting : settings) {
    if (!setting.applies) continue;
    const Result<void> set = gyre::set_option(opened->get(), setting.option, setting.value ? 1 : 0);
    if (!set) co_return set.error().at(where.place());
  }
  const Result<void> bound = bind_socket(opened->get(), where.address());
  if (!bound) co_return bound.error().at(where.place());
  co_return adopt(std::move(*opened));
}

Task<Result<UdpSocket>> UdpSocket::connect(Endpoint peer) {
  Result<UniqueFd> opened = open_udp(peer, OperationKind::connect);
  if (!opened) co_return opened.error();
  Result<UdpSocket> socket = adopt(std::move(*opened));
  if (!socket) co_return socket.error().at(peer.place());
  const Result<void> connected = co_await socket->connect_to(peer);
  if (!connected) co_return connected.error();
  co_return socket;
}

Result<UdpSocket> UdpSocket::adopt(UniqueFd socket) {
  UdpSocket adopted;
  const Result<void> attached = adopted.attach(std::move(socket), DescriptorKind::socket);
  if (!attached) return attached.error();
  return adopted;
}

Task<Result<void>> UdpSocket::connect_with(Endpoint peer) {
  if (!is_open()) co_return Error(Errc::closed, OperationKind::connect);
  const Result<void> connected = co_await connect_to(peer);
  co_return connected;
}

Result<void> UdpSocket::report_errors(bool on) noexcept {
  if (!is_open()) return not_open();
  return gyre::report_errors(native(), on);
}

Result<void> UdpSocket::join_group(const Endpoint& group, std::uint32_t interface) noexcept {
  if (!is_open()) return not_open();
  const Result<void> joined = gyre::join_group(native(), group.address(), interface);
  if (!joined) return joined.error().at(group.place());
  return joined;
}

Result<void> UdpSocket::leave_group(const Endpoint& group, std::uint32_t interface) noexcept {
  if (!is_open()) return not_open();
  const Result<void> left = gyre::leave_group(native(), group.address(), interface);
  if (!left) return left.error().at(group.place());
  return left;
}

Result<void> UdpSocket::set_multicast_interface_v4(std::uint32_t interface) noexcept {
  if (!is_open()) return not_open();
  return gyre::set_multicast_interface_v4(native(), interface);
}

}  // namespace gyre
