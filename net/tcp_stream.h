// TcpStream: a TCP connection.
#pragma once

#include <cstddef>
#include <utility>

#include <gyre/net/endpoint.h>
#include <gyre/net/socket_options.h>
#include <gyre/net/stream.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

struct TcpConnectOptions {
  // Where the connection comes from; a default one lets the system choose. Its family must be the peer's.
  Endpoint local;
  bool reuse_address = false;      // of `local`
  bool no_delay = true;
  bool fast_open = false;          // the first write takes the data along with the SYN, and reports what became of it
  std::size_t send_buffer = 0;     // 0: the system's default
  std::size_t receive_buffer = 0;  // as well
};

class TcpStream : public Stream, public SocketAccess<TcpStream> {
 public:
  TcpStream() noexcept = default;

  // Connects to `peer`. TCP_NODELAY is on. Errors name the peer (or the local endpoint if that is the reason):
  // connection_refused (also where TCP would connect the socket to itself), timed_out, network_unreachable,
  // host_unreachable, address_not_available, address_in_use, address_family_not_supported (of the local endpoint),
  // invalid_argument for what is no IP endpoint, cancelled.
  [[nodiscard]] static Task<Result<TcpStream>> connect(Endpoint peer, TcpConnectOptions options = {});
  // Two that are connected to each other over the loopback interface, for tests. Must be called inside a task.
  [[nodiscard]] static Result<std::pair<TcpStream, TcpStream>> pair();
  // Takes over a connected socket. Must be called inside a task. On failure it is closed.
  [[nodiscard]] static Result<TcpStream> adopt(UniqueFd socket);
};

}  // namespace gyre
