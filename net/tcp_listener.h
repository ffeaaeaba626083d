// TcpListener: accepts TCP connections.
#pragma once

#include <gyre/net/endpoint.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

struct ListenOptions {
  int backlog = 4096;        // connections that may wait to be accepted; the system cuts it
  bool reuse_address = true; // bind although old connections linger
  bool reuse_port = false;   // several listeners share the port, one per reactor say
  bool only_v6 = true;       // an IPv6 listener leaves IPv4 alone
};

class TcpListener {
 public:
  TcpListener() noexcept = default;
  TcpListener(TcpListener&& other) noexcept;
  TcpListener& operator=(TcpListener&& other) noexcept;
  // Closes at once. Precondition: no accept is in flight.
  ~TcpListener();

  // Listens at `where`; port 0 lets the system choose (see local_endpoint()). Errors name the endpoint: address_in_use,
  // address_not_available, permission_denied.
  [[nodiscard]] static Task<Result<TcpListener>> bind(Endpoint where, ListenOptions options = {});
  // Takes over a socket that listens already. Must be called inside a task. Errors: invalid_argument if it does not.
  [[nodiscard]] static Result<TcpListener> adopt(UniqueFd socket);

  // The next connection; TCP_NODELAY is on. One accept at a time. A connection that was accepted is delivered even if
  // the task was cancelled meanwhile. Errors: too_many_files_open, connection_aborted, cancelled, timed_out.
  [[nodiscard]] Task<Result<TcpStream>> accept();

  [[nodiscard]] Result<Endpoint> local_endpoint() const noexcept;
  bool is_open() const noexcept { return descriptor_ != nullptr; }
  void close() noexcept;
  // Gives the socket up. Precondition: no accept is in flight.
  [[nodiscard]] UniqueFd release() noexcept;

 private:
  TcpListener(Poller& poller, Descriptor& descriptor) noexcept
      : poller_(&poller), descriptor_(&descriptor) {}

  Poller* poller_ = nullptr;
  Descriptor* descriptor_ = nullptr;
};

}  // namespace gyre
