// What the sockets of POSIX systems leave to each of them. (peer_credentials() of socket.h is in the same files.)
//
// Threads: any.
#pragma once

#include <cstdint>

#include <gyre/platform/socket.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::detail {

struct NativeOption {
  int level = -1;
  int name = -1;  // negative: the system has none that means this
};
NativeOption native_option(SocketOption option) noexcept;

// Whether local sockets may have names that begin with NUL.
extern const bool has_abstract_names;

// Sockets of which a transfer that is shorter than asked proves something: there are no more data, or there is no more
// room. `local`: unless descriptors or credentials came along, which end a read early, and MSG_CTRUNC says so.
enum class StreamKind : std::uint8_t { other, tcp, local };
// Adds the system calls that it makes to `system_calls`.
StreamKind stream_kind(NativeDescriptor socket, std::uint64_t& system_calls) noexcept;

}  // namespace gyre::detail
