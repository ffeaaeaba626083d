// TcpListener: accepts TCP connections.
#pragma once

#include <gyre/net/endpoint.h>
#include <gyre/net/listener.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

// Options that must be set before a socket listens. Others: set_option().
struct ListenOptions {
  int backlog = 4096;        // connections that may wait to be accepted; the system cuts it
  bool reuse_address = true; // bind although old connections linger
  bool reuse_port = false;   // several listeners share the port, one per reactor say
  bool only_v6 = true;       // an IPv6 listener leaves IPv4 alone
};

class TcpListener : public Listener, public SocketAccess<TcpListener> {
 public:
  TcpListener() noexcept = default;

  // Listens at `where`; port 0 lets the system choose (see local_endpoint()). Errors name the endpoint: address_in_use,
  // address_not_available, permission_denied, invalid_argument for what is no IP endpoint.
  [[nodiscard]] static Task<Result<TcpListener>> bind(Endpoint where, ListenOptions options = {});
  // Takes over a socket that listens already. Must be called inside a task. Errors: invalid_argument if it does not.
  [[nodiscard]] static Result<TcpListener> adopt(UniqueFd socket);

  // The next connection; TCP_NODELAY is on. Errors name the listener's endpoint: too_many_files_open,
  // connection_aborted, cancelled, timed_out; Errc::closed.
  [[nodiscard]] detail::AcceptAwaiter<TcpStream> accept() noexcept { return accept_as<TcpStream>(); }
};

}  // namespace gyre
