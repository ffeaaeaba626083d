// Sockets, without an operating system's header: all that net/ sees of the system besides the poller.
//
// Everything here finishes at once. Descriptors come out non-blocking (where the poller needs that) and close-on-exec.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <gyre/platform/clock.h>
#include <gyre/platform/error.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

enum class AddressFamily : std::uint8_t { none, ipv4, ipv6, local };
enum class SocketType : std::uint8_t { stream, datagram, sequenced };

// --- Addresses -------------------------------------------------------------------------------------------------------

// A SocketAddress taken apart.
struct AddressParts {
  AddressFamily family = AddressFamily::none;
  std::uint8_t ip[16] = {};    // in network order; IPv4 uses the first four
  std::uint16_t port = 0;
  std::uint32_t scope = 0;     // IPv6: the zone's interface number
  std::string_view path = {};  // local: into the SocketAddress; empty: unnamed; begins with NUL: abstract
};

// The longest path of a local socket, without the NUL at its end.
inline constexpr std::size_t local_path_max = 107;

SocketAddress make_ipv4_address(const std::uint8_t (&ip)[4], std::uint16_t port) noexcept;
SocketAddress make_ipv6_address(const std::uint8_t (&ip)[16], std::uint16_t port,
                                std::uint32_t scope = 0) noexcept;
// A path, or an abstract name, which begins with NUL. Errors: filename_too_long; invalid_argument: empty, or NUL inside a path.
Result<SocketAddress> make_local_address(std::string_view path) noexcept;

// `family` is none if the address is empty, cut short, or of a family that Gyre does not know.
AddressParts parse_address(const SocketAddress& address) noexcept;
// For error messages.
Place place_of(const SocketAddress& address) noexcept;
bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept;

// --- Sockets ---------------------------------------------------------------------------------------------------------

// Errors: too_many_files_open, address_family_not_supported, not_enough_memory, permission_denied.
Result<UniqueFd> open_socket(AddressFamily family, SocketType type) noexcept;
// Errors: address_in_use, address_not_available, permission_denied.
Result<void> bind_socket(NativeDescriptor socket, const SocketAddress& address) noexcept;
// `backlog`: connections that may wait; the system cuts it. Errors: address_in_use, operation_not_supported.
Result<void> listen_on(NativeDescriptor socket, int backlog) noexcept;
// Without waiting; `peer` may be null. Errors: operation_would_block; connection_aborted; too_many_files_open.
Result<UniqueFd> try_accept(NativeDescriptor listener, SocketAddress* peer) noexcept;

Result<SocketAddress> local_address(NativeDescriptor socket) noexcept;
// Errors: not_connected.
Result<SocketAddress> peer_address(NativeDescriptor socket) noexcept;
// For error messages: the peer's address also when the connection is gone, where the system still knows it. Empty if
// there is none, or for what is not a socket.
SocketAddress last_peer_address(NativeDescriptor descriptor) noexcept;

// Two descriptors that are connected to each other.
struct DescriptorPair {
  UniqueFd first;
  UniqueFd second;
};
// Local sockets.
Result<DescriptorPair> open_socket_pair(SocketType type) noexcept;
// TCP sockets over the loopback interface, `first` being the one that connected.
Result<DescriptorPair> open_tcp_pair(AddressFamily family = AddressFamily::ipv4) noexcept;
// `first` reads, `second` writes.
Result<DescriptorPair> open_pipe() noexcept;

// Ends one or both directions. Errors: not_connected.
Result<void> shutdown_socket(NativeDescriptor socket, bool read, bool write) noexcept;

// --- Options ---------------------------------------------------------------------------------------------------------

// Options whose value is a number; switches are 0 or 1.
enum class SocketOption : std::uint8_t {
  no_delay,             // switch: TCP sends small segments at once
  quick_ack,            // switch, falls back by itself: TCP acknowledges at once
  cork,                 // switch: TCP holds back partial segments
  keep_alive,           // switch
  keep_alive_idle,      // seconds until the first probe
  keep_alive_interval,  // seconds between probes
  keep_alive_count,     // probes without an answer
  user_timeout,         // milliseconds that sent data may stay unacknowledged
  fast_open,            // listener: connections that may wait with data; 0: off
  fast_open_connect,    // switch: connect waits for the first data
  defer_accept,         // seconds: a listener accepts once data have come
  reuse_address,        // switch
  reuse_port,           // switch
  send_buffer,          // bytes; the system may double them
  receive_buffer,       // bytes; the system may double them
  only_v6,              // switch
  free_bind,            // switch: addresses that no interface has yet
  broadcast,            // switch
  type_of_service,      // IPv4: byte
  traffic_class,        // IPv6: byte
  time_to_live,         // IPv4: hops
  hop_limit,            // IPv6: hops
  multicast_hops_v4,    // hops
  multicast_hops_v6,    // hops
  multicast_loop_v4,    // switch
  multicast_loop_v6,    // switch
  multicast_interface_v6,  // interface number
  packet_info_v4,       // switch: received datagrams say where they were sent to
  packet_info_v6,       // switch
  receive_credentials,  // switch: messages of local sockets say who has sent them
  receive_segments,     // switch: datagrams of one sender are received several at once (UDP_GRO)
  type,                 // read only: SocketType
  listening,            // read only: switch
  unread_bytes,         // read only: bytes that a receive would find
};

// Errors: no_protocol_option where the system or the socket lacks it; invalid_argument; operation_not_permitted.
Result<void> set_option(NativeDescriptor socket, SocketOption option, int value) noexcept;
Result<int> get_option(NativeDescriptor socket, SocketOption option) noexcept;

// How close treats data that were not sent yet.
struct Linger {
  bool on = false;          // off: the system sends them on; on with 0 seconds: they are dropped, and the peer is reset
  std::uint16_t seconds = 0;
};
Result<void> set_linger(NativeDescriptor socket, Linger linger) noexcept;
Result<Linger> get_linger(NativeDescriptor socket) noexcept;

// Joins or leaves a multicast group; `interface` is an interface's number, 0 lets the system choose.
Result<void> join_group(NativeDescriptor socket, const SocketAddress& group,
                        std::uint32_t interface) noexcept;
Result<void> leave_group(NativeDescriptor socket, const SocketAddress& group,
                         std::uint32_t interface) noexcept;
// The interface by which IPv4 multicasts leave.
Result<void> set_multicast_interface_v4(NativeDescriptor socket, std::uint32_t interface) noexcept;

// Who is at the other end of a local socket, as the system knew it when the connection was made.
struct PeerCredentials {
  std::int64_t process = 0;  // 0 where the system does not say
  std::uint32_t user = 0;
  std::uint32_t group = 0;
};
// Errors: not_connected; no_protocol_option for sockets that are not local.
Result<PeerCredentials> peer_credentials(NativeDescriptor socket) noexcept;

// Whether nobody owns the local socket at `address` any more, though its file is still there. Finds out by a connection,
// which a living listener sees come and go. Errors: no_such_file_or_directory, permission_denied, too_many_files_open.
Result<bool> is_stale_local_socket(const SocketAddress& address) noexcept;

// Takes the error that is pending on a socket, and clears it.
Result<void> take_socket_error(NativeDescriptor socket) noexcept;

}  // namespace gyre
