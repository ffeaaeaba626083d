// Listener: accepts connections, whatever they run over; TcpListener and UnixListener are listeners.
//
// One accept at a time. A connection that was accepted is delivered even if the task was cancelled meanwhile.
#pragma once

#include <gyre/net/io_handle.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

namespace detail {

// Where `socket` listens. Errors: invalid_argument, at its own address, if it does not. Precondition: it is open.
Result<SocketAddress> listening_address(const UniqueFd& socket) noexcept;

// Accepts one connection as a `Connection`, a Stream.
template <typename Connection>
class [[nodiscard]] AcceptAwaiter : public TransferAwaiter<OperationKind::accept> {
 public:
  explicit AcceptAwaiter(Operation* operation) noexcept : TransferAwaiter(operation, nullptr, 0) {}

  Result<Connection> await_resume() const noexcept {
    if (result_ < 0) [[unlikely]] return io_error(OperationKind::accept, operation_, result_);
    return Connection::adopt(UniqueFd(static_cast<NativeDescriptor>(result_)));
  }
};

}  // namespace detail

class Listener : public IoHandle {
 public:
  // Not open.
  Listener() noexcept = default;

  // Closes at once; connections that wait to be accepted are reset. Precondition: no accept is in flight.
  void close() noexcept { close_now(); }

 protected:
  // Takes over a socket that listens, and gives it to this thread's reactor. Errors: invalid_argument if it does not listen.
  Result<void> listen_with(UniqueFd socket);
  template <typename Connection>
  [[nodiscard]] detail::AcceptAwaiter<Connection> accept_as() noexcept {
    return detail::AcceptAwaiter<Connection>(input());
  }
};

}  // namespace gyre
