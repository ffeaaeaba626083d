#include <gyre/platform/socket_native_posix.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/ucred.h>
#include <sys/un.h>

#include <cerrno>

#include <gyre/platform/syscalls_bsd.h>

namespace gyre {

detail::NativeOption detail::native_option(SocketOption option) noexcept {
  switch (option) {
    case SocketOption::no_delay: return {IPPROTO_TCP, TCP_NODELAY};
    case SocketOption::cork: return {IPPROTO_TCP, TCP_NOPUSH};
    case SocketOption::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE};
    case SocketOption::keep_alive_idle: return {IPPROTO_TCP, TCP_KEEPIDLE};
    case SocketOption::keep_alive_interval: return {IPPROTO_TCP, TCP_KEEPINTVL};
    case SocketOption::keep_alive_count: return {IPPROTO_TCP, TCP_KEEPCNT};
    case SocketOption::fast_open: return {IPPROTO_TCP, TCP_FASTOPEN};
    case SocketOption::reuse_address: return {SOL_SOCKET, SO_REUSEADDR};
    // Those that share a port share its connections, as on Linux.
    case SocketOption::reuse_port: return {SOL_SOCKET, SO_REUSEPORT_LB};
    case SocketOption::send_buffer: return {SOL_SOCKET, SO_SNDBUF};
    case SocketOption::receive_buffer: return {SOL_SOCKET, SO_RCVBUF};
    case SocketOption::only_v6: return {IPPROTO_IPV6, IPV6_V6ONLY};
    case SocketOption::broadcast: return {SOL_SOCKET, SO_BROADCAST};
    case SocketOption::type_of_service: return {IPPROTO_IP, IP_TOS};
    case SocketOption::traffic_class: return {IPPROTO_IPV6, IPV6_TCLASS};
    case SocketOption::time_to_live: return {IPPROTO_IP, IP_TTL};
    case SocketOption::hop_limit: return {IPPROTO_IPV6, IPV6_UNICAST_HOPS};
    case SocketOption::multicast_hops_v4: return {IPPROTO_IP, IP_MULTICAST_TTL};
    case SocketOption::multicast_hops_v6: return {IPPROTO_IPV6, IPV6_MULTICAST_HOPS};
    case SocketOption::multicast_loop_v4: return {IPPROTO_IP, IP_MULTICAST_LOOP};
    case SocketOption::multicast_loop_v6: return {IPPROTO_IPV6, IPV6_MULTICAST_LOOP};
    case SocketOption::multicast_interface_v6: return {IPPROTO_IPV6, IPV6_MULTICAST_IF};
    case SocketOption::packet_info_v6: return {IPPROTO_IPV6, IPV6_RECVPKTINFO};
    case SocketOption::type: return {SOL_SOCKET, SO_TYPE};
    case SocketOption::listening: return {SOL_SOCKET, SO_ACCEPTCONN};
    // Not of this system, or otherwise: IP_RECVDSTADDR has no interface, TCP_MAXUNACKTIME counts seconds.
    case SocketOption::packet_info_v4:
    case SocketOption::quick_ack:
    case SocketOption::user_timeout:
    case SocketOption::fast_open_connect:
    case SocketOption::defer_accept:
    case SocketOption::free_bind:
    case SocketOption::receive_credentials:
    case SocketOption::receive_segments:
    case SocketOption::unread_bytes: break;
  }
  return {-1, -1};
}

const bool detail::has_abstract_names = false;

// Local streams count as others: whether MSG_CTRUNC is set where there was no room for control data at all is not written
// anywhere. They cost one more call when they run dry.
detail::StreamKind detail::stream_kind(NativeDescriptor socket, std::uint64_t& system_calls) noexcept {
  int type = -1;
  std::uint32_t size = sizeof(type);
  ++system_calls;
  const Result<void> asked = sys::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
  if (!asked || type != SOCK_STREAM) return StreamKind::other;
  ++system_calls;
  const Result<SocketAddress> address = local_address(socket);
  if (!address) return StreamKind::other;
  const AddressFamily family = parse_address(*address).family;
  return family == AddressFamily::ipv4 || family == AddressFamily::ipv6 ? StreamKind::tcp : StreamKind::other;
}

Result<PeerCredentials> peer_credentials(NativeDescriptor socket) noexcept {
  // The level of local sockets is that of IP, and other sockets would take the option for one of theirs.
  const Result<SocketAddress> address = local_address(socket);
  if (!address) return address.error().with(OperationKind::get_option);
  if (parse_address(*address).family != AddressFamily::local) return Error::system(ENOPROTOOPT, OperationKind::get_option);
  struct ::xucred native {};
  std::uint32_t size = sizeof(native);
  const Result<void> asked = sys::getsockopt(socket, SOL_LOCAL, LOCAL_PEERCRED, &native, &size);
  if (!asked) return asked.error();
  PeerCredentials credentials{.process = native.cr_pid, .user = native.cr_uid, .group = native.cr_ngroups > 0 ? native.cr_groups[0] : 0};
  return credentials;
}

}  // namespace gyre
