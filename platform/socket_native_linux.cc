#include <gyre/platform/socket_native_posix.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <gyre/platform/syscalls_linux.h>

namespace gyre {

detail::NativeOption detail::native_option(SocketOption option) noexcept {
  switch (option) {
    case SocketOption::no_delay: return {IPPROTO_TCP, TCP_NODELAY};
    case SocketOption::quick_ack: return {IPPROTO_TCP, TCP_QUICKACK};
    case SocketOption::cork: return {IPPROTO_TCP, TCP_CORK};
    case SocketOption::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE};
    case SocketOption::keep_alive_idle: return {IPPROTO_TCP, TCP_KEEPIDLE};
    case SocketOption::keep_alive_interval: return {IPPROTO_TCP, TCP_KEEPINTVL};
    case SocketOption::keep_alive_count: return {IPPROTO_TCP, TCP_KEEPCNT};
    case SocketOption::user_timeout: return {IPPROTO_TCP, TCP_USER_TIMEOUT};
    case SocketOption::fast_open: return {IPPROTO_TCP, TCP_FASTOPEN};
    case SocketOption::fast_open_connect: return {IPPROTO_TCP, TCP_FASTOPEN_CONNECT};
    case SocketOption::defer_accept: return {IPPROTO_TCP, TCP_DEFER_ACCEPT};
    case SocketOption::reuse_address: return {SOL_SOCKET, SO_REUSEADDR};
    case SocketOption::reuse_port: return {SOL_SOCKET, SO_REUSEPORT};
    case SocketOption::send_buffer: return {SOL_SOCKET, SO_SNDBUF};
    case SocketOption::receive_buffer: return {SOL_SOCKET, SO_RCVBUF};
    case SocketOption::only_v6: return {IPPROTO_IPV6, IPV6_V6ONLY};
    case SocketOption::free_bind: return {IPPROTO_IP, IP_FREEBIND};
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
    case SocketOption::packet_info_v4: return {IPPROTO_IP, IP_PKTINFO};
    case SocketOption::packet_info_v6: return {IPPROTO_IPV6, IPV6_RECVPKTINFO};
    case SocketOption::receive_credentials: return {SOL_SOCKET, SO_PASSCRED};
    case SocketOption::receive_segments: return {IPPROTO_UDP, 104};  // UDP_GRO, newer than some headers
    case SocketOption::type: return {SOL_SOCKET, SO_TYPE};
    case SocketOption::listening: return {SOL_SOCKET, SO_ACCEPTCONN};
    case SocketOption::unread_bytes: break;  // not an option of the system
  }
  return {-1, -1};
}

const bool detail::has_abstract_names = true;

detail::StreamKind detail::stream_kind(NativeDescriptor socket, std::uint64_t& system_calls) noexcept {
  int value = -1;
  std::uint32_t size = sizeof(value);
  ++system_calls;
  Result<void> asked = sys::getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &value, &size);
  if (!asked) return StreamKind::other;
  if (value == IPPROTO_TCP) return StreamKind::tcp;
  if (value != 0) return StreamKind::other;
  ++system_calls;
  asked = sys::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &value, &size);
  if (!asked || value != AF_UNIX) return StreamKind::other;
  ++system_calls;
  asked = sys::getsockopt(socket, SOL_SOCKET, SO_TYPE, &value, &size);
  return asked && value == SOCK_STREAM ? StreamKind::local : StreamKind::other;
}

Result<PeerCredentials> peer_credentials(NativeDescriptor socket) noexcept {
  struct ::ucred native {};
  std::uint32_t size = sizeof(native);
  const Result<void> asked = sys::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &native, &size);
  if (!asked) return asked.error();
  // A socket without a peer answers process 0 and user -1.
  if (native.pid == 0 && native.uid == static_cast<uid_t>(-1)) {
    return Error::system(ENOTCONN, OperationKind::get_option);
  }
  return PeerCredentials{.process = native.pid, .user = native.uid, .group = native.gid};
}

}  // namespace gyre
