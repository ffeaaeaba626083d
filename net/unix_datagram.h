// UnixDatagram: messages between local sockets; reliable, in order, and a sender waits for a slow receiver.
#pragma once

#include <utility>

#include <gyre/net/datagram_socket.h>
#include <gyre/net/endpoint.h>
#include <gyre/net/socket_file.h>
#include <gyre/net/socket_options.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

struct UnixDatagramOptions {
  bool replace_stale = true;    // a socket's file that nobody owns makes way; see SocketFile::bind()
  bool remove_on_close = true;  // the file goes with the socket, if it is still the socket's
};

class UnixDatagram : public DatagramSocket, public SocketAccess<UnixDatagram> {
 public:
  // Not open.
  UnixDatagram() noexcept = default;
  UnixDatagram(UnixDatagram&&) noexcept = default;
  UnixDatagram& operator=(UnixDatagram&& other) noexcept {
    if (this != &other) {
      close_now();
      DatagramSocket::operator=(std::move(other));
      file_ = std::move(other.file_);
    }
    return *this;
  }
  ~UnixDatagram() { close_now(); }

  // Receives what is sent to a path or an abstract name. Errors name it: as UnixListener::bind().
  [[nodiscard]] static Task<Result<UnixDatagram>> bind(Endpoint where, UnixDatagramOptions options = {});
  // A nameless socket that talks to one peer; nobody can answer it. Errors name the peer.
  [[nodiscard]] static Task<Result<UnixDatagram>> connect(Endpoint peer);
  // Two that are connected to each other. Must be called inside a task.
  [[nodiscard]] static Result<std::pair<UnixDatagram, UnixDatagram>> pair();
  // Takes over a socket; its file stays. Must be called inside a task. On failure it is closed.
  [[nodiscard]] static Result<UnixDatagram> adopt(UniqueFd socket);

  // Closes at once, and removes the file. Precondition: nothing is in flight.
  void close_now() noexcept {
    file_.remove();
    DatagramSocket::close_now();
  }
  [[nodiscard]] Task<Result<void>> close();
  // Gives the socket up; its file stays. Preconditions: it is open; nothing is in flight.
  [[nodiscard]] UniqueFd release() noexcept {
    file_.forget();
    return DatagramSocket::release();
  }

 private:
  SocketFile file_;
};

}  // namespace gyre
