// TcpStream: a TCP connection.
#pragma once

#include <utility>

#include <gyre/net/endpoint.h>
#include <gyre/net/stream.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

class TcpStream : public Stream {
 public:
  TcpStream() noexcept = default;

  // Connects to `peer`. TCP_NODELAY is on. Errors name the peer: connection_refused, timed_out, network_unreachable,
  // host_unreachable, address_not_available, cancelled.
  [[nodiscard]] static Task<Result<TcpStream>> connect(Endpoint peer);
  // Two that are connected to each other over the loopback interface, for tests. TCP_NODELAY is on. Must be called inside a task.
  [[nodiscard]] static Result<std::pair<TcpStream, TcpStream>> pair();
  // Takes over a connected socket. Must be called inside a task. On failure it is closed.
  [[nodiscard]] static Result<TcpStream> adopt(UniqueFd socket);

  [[nodiscard]] Result<Endpoint> local_endpoint() const noexcept;
  // Errors: not_connected, once the connection is gone.
  [[nodiscard]] Result<Endpoint> peer_endpoint() const noexcept;

  // See SocketOption for values. Errors: no_protocol_option where the system lacks it.
  [[nodiscard]] Result<void> set_option(SocketOption option, int value) noexcept {
    return gyre::set_option(open().native, option, value);
  }
  [[nodiscard]] Result<int> option(SocketOption option) const noexcept {
    return get_option(open().native, option);
  }

 private:
  friend class TcpListener;
  TcpStream(Poller& poller, Descriptor& descriptor) noexcept : Stream(poller, descriptor) {}
};

}  // namespace gyre
