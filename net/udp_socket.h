// UdpSocket: UDP over IPv4 and IPv6, with multicast, broadcast, and segments that the kernel cuts and joins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <gyre/net/datagram_socket.h>
#include <gyre/net/endpoint.h>
#include <gyre/net/socket_options.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

// Options that must be set before a socket is bound. Others: set_option().
struct UdpOptions {
  bool reuse_address = false;  // several sockets may bind the same multicast port
  bool reuse_port = false;     // several sockets share the port; the system spreads the senders
  bool only_v6 = true;         // an IPv6 socket leaves IPv4 alone
};

class UdpSocket : public DatagramSocket, public SocketAccess<UdpSocket> {
 public:
  UdpSocket() noexcept = default;

  // Receives what is sent to `where`; port 0 lets the system choose. Errors name the endpoint: address_in_use,
  // address_not_available, permission_denied.
  [[nodiscard]] static Task<Result<UdpSocket>> bind(Endpoint where, UdpOptions options = {});
  // A socket that talks to one peer only, from any free port. Errors name the peer.
  [[nodiscard]] static Task<Result<UdpSocket>> connect(Endpoint peer);
  // Takes over a socket. Must be called inside a task. On failure it is closed.
  [[nodiscard]] static Result<UdpSocket> adopt(UniqueFd socket);

  // From now on only `peer` is heard, and send() goes to it. Errors name the peer.
  [[nodiscard]] Task<Result<void>> connect_with(Endpoint peer);

  // Sends `bytes` as datagrams of `segment_size` each, the last one shorter perhaps, by one system call; at most 64.
  // Errors: those of send_to(); invalid_argument for too many; no_protocol_option or invalid_argument where the system
  // cannot (before Linux 4.18).
  [[nodiscard]] detail::SendDatagramAwaiter send_segments(std::span<const std::byte> bytes,
                                                          std::uint16_t segment_size, const Endpoint& to) noexcept {
    GYRE_CHECK_HINT(segment_size > 0, "segments have a size");
    return {output(), bytes, to, segment_size};
  }

  // From now on what the network says of a datagram that came to nobody (ICMP) is told, also of a socket that is not
  // connected: once, as the error of a receive or a send, whose place() is that datagram's destination. (A send that
  // tells of another destination than its own has sent nothing.) Nothing of this is fatal to the socket: go on.
  // Errors: function_not_supported (all systems but Linux).
  [[nodiscard]] Result<void> report_errors(bool on = true) noexcept;

  // Joins or leaves a multicast group; `interface` is an interface's number, 0 lets the system choose.
  // Errors: address_in_use (joined already), address_not_available, no_such_device, invalid_argument.
  [[nodiscard]] Result<void> join_group(const Endpoint& group, std::uint32_t interface = 0) noexcept;
  [[nodiscard]] Result<void> leave_group(const Endpoint& group, std::uint32_t interface = 0) noexcept;
  // The interface by which IPv4 multicasts leave. (IPv6: SocketOptions::multicast_interface_v6.)
  [[nodiscard]] Result<void> set_multicast_interface_v4(std::uint32_t interface) noexcept;
};

}  // namespace gyre
