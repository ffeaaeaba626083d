// UnixStream: a connection of local sockets, which can carry descriptors beside the bytes.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include <gyre/net/endpoint.h>
#include <gyre/net/socket_options.h>
#include <gyre/net/stream.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

// What came by one receive that takes descriptors.
struct BytesAndDescriptors {
  std::size_t bytes = 0;        // 0: the end of the stream
  std::size_t descriptors = 0;  // how many were put in place
  bool lost_some = false;       // there were more than there was room for; they are closed
};

class UnixStream : public Stream, public SocketAccess<UnixStream> {
 public:
  UnixStream() noexcept = default;

  // Connects to a path or an abstract name. Errors name it: no_such_file_or_directory; connection_refused (nobody
  // listens, or the listener's queue is full); permission_denied; wrong_protocol_type; invalid_argument for an IP endpoint.
  [[nodiscard]] static Task<Result<UnixStream>> connect(Endpoint peer);
  // Two that are connected to each other. Must be called inside a task.
  [[nodiscard]] static Result<std::pair<UnixStream, UnixStream>> pair();
  // Takes over a connected socket. Must be called inside a task. On failure it is closed.
  [[nodiscard]] static Result<UnixStream> adopt(UniqueFd socket);

  // As write(), and passes descriptors on, which arrive with the first of the bytes; they stay the caller's, and open
  // until this is done. At least one byte; 1 to 253 descriptors.
  [[nodiscard]] Task<Result<std::size_t>> write_with(std::span<const std::byte> bytes,
                                                     std::span<const NativeDescriptor> descriptors);
  // As read(), and takes the descriptors that come along, close-on-exec; at most 253. A read() without room closes them.
  [[nodiscard]] Task<Result<BytesAndDescriptors>> read_with(std::span<std::byte> buffer,
                                                            std::span<UniqueFd> descriptors);

  // Who has connected, or made the pair. Errors: Errc::closed.
  [[nodiscard]] Result<PeerCredentials> credentials() const noexcept;
};

}  // namespace gyre
