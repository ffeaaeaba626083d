// UnixDatagram: messages between local sockets, which can carry descriptors; reliable, in order, and a sender waits for a
// slow receiver.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
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

// What came by one receive that takes descriptors.
struct DatagramAndDescriptors : Datagram {
  std::size_t descriptors = 0;  // how many were put in place
  bool lost_some = false;       // there were more than there was room for; they are closed
  std::optional<PeerCredentials> sender;  // with SocketOptions::receive_credentials, where the system has that
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

  // As send_to() or, without `to`, send(), and passes descriptors on; they stay the caller's, and open until this is done.
  // 1 to 253 descriptors; the datagram may be empty.
  [[nodiscard]] Task<Result<void>> send_with(std::span<const std::byte> bytes,
                                             std::span<const NativeDescriptor> descriptors, Endpoint to = {});
  // As receive(), and takes the descriptors that come along, close-on-exec; at most 253. A receive() without room for
  // them closes them.
  [[nodiscard]] Task<Result<DatagramAndDescriptors>> receive_with(std::span<std::byte> buffer,
                                                                  std::span<UniqueFd> descriptors);

  // Who has made the pair. Errors: not_connected for any other socket, whose datagrams say by themselves who has sent
  // them (see DatagramAndDescriptors); Errc::closed.
  [[nodiscard]] Result<PeerCredentials> credentials() const noexcept;

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
