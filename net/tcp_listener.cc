#include <gyre/net/tcp_listener.h>

#include <utility>

#include <gyre/platform/socket.h>

namespace gyre {

namespace {

// What can be done before the reactor comes in.
Result<UniqueFd> open_listener(const Endpoint& where, const ListenOptions& options) {
  if (!where.is_ip()) return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::bind);
  Result<UniqueFd> socket = open_socket(where.family(), SocketType::stream);
  if (!socket) return socket.error().with(OperationKind::bind);
  const NativeDescriptor fd = socket->get();
  struct Setting {
    SocketOption option;
    bool wanted;
    bool applies;
  };
  const bool is_v6 = where.family() == AddressFamily::ipv6;
  // Accepted connections inherit no_delay, which saves a system call for each.
  const Setting settings[] = {{SocketOption::reuse_address, options.reuse_address, true},
                              {SocketOption::reuse_port, options.reuse_port, options.reuse_port},
                              {SocketOption::only_v6, options.only_v6, is_v6},
                              {SocketOption::no_delay, true, true}};
  for (const Setting& setting : settings) {
    if (!setting.applies) continue;
    const Result<void> set = set_option(fd, setting.option, setting.wanted ? 1 : 0);
    if (!set) return set.error();
  }
  const Result<void> bound = bind_socket(fd, where.address());
  if (!bound) return bound.error();
  const Result<void> listening = listen_on(fd, options.backlog);
  if (!listening) return listening.error();
  return socket;
}

}  // namespace

Task<Result<TcpListener>> TcpListener::bind(Endpoint where, ListenOptions options) {
  Result<UniqueFd> socket = open_listener(where, options);
  if (!socket) co_return socket.error().at(where.place());
  Result<TcpListener> listener = adopt(std::move(*socket));
  if (!listener) co_return listener.error().at(where.place());
  co_return listener;
}

Result<TcpListener> TcpListener::adopt(UniqueFd socket) {
  TcpListener listener;
  const Result<void> opened = listener.listen_with(std::move(socket));
  if (!opened) return opened.error();
  return listener;
}

}  // namespace gyre
