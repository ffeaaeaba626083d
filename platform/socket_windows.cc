#include <gyre/platform/socket.h>

#include <gyre/platform/syscalls_windows.h>

#include <afunix.h>

#include <cstring>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/network_interface.h>
#include <gyre/platform/pipe_windows.h>

namespace gyre {
namespace {

static_assert(sizeof(SocketAddress::bytes) >= sizeof(sockaddr_un));
static_assert(sizeof(SocketAddress::bytes) >= sizeof(sockaddr_in6));
static_assert(sizeof(sockaddr_un::sun_path) >= local_path_max + 1);

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

template <typename Native>
SocketAddress pack(const Native& native, std::size_t size = sizeof(Native)) noexcept {
  SocketAddress address;
  std::memcpy(address.bytes, &native, size);
  address.size = static_cast<std::uint32_t>(size);
  return address;
}

template <typename Native>
Native unpack(const SocketAddress& address) noexcept {
  Native native{};
  std::memcpy(&native, address.bytes, sizeof(native));
  return native;
}

std::uint16_t swap_network(std::uint16_t value) noexcept { return htons(value); }

int native_family(AddressFamily family) noexcept {
  switch (family) {
    case AddressFamily::ipv4: return AF_INET;
    case AddressFamily::ipv6: return AF_INET6;
    case AddressFamily::local: return AF_UNIX;
    case AddressFamily::none: break;
  }
  return AF_UNSPEC;
}

int native_type(SocketType type) noexcept {
  switch (type) {
    case SocketType::stream: return SOCK_STREAM;
    case SocketType::datagram: return SOCK_DGRAM;
    case SocketType::sequenced: return SOCK_SEQPACKET;
  }
  return SOCK_STREAM;
}

struct NativeOption {
  int level;
  int name;
};

// Newer than some headers.
constexpr int tcp_keep_alive_idle = 3;
constexpr int tcp_keep_alive_interval = 17;
constexpr int tcp_keep_alive_count = 16;
constexpr int tcp_give_up_ms = 14;  // TCP_MAXRTMS
constexpr int tcp_fast_open = 15;
constexpr int udp_receive_segments = 3;  // UDP_RECV_MAX_COALESCED_SIZE
constexpr int ipv6_traffic_class = 39;
constexpr NativeOption lacking{-1, -1};

NativeOption native_option(SocketOption option) noexcept {
  switch (option) {
    case SocketOption::no_delay: return {IPPROTO_TCP, TCP_NODELAY};
    case SocketOption::keep_alive: return {SOL_SOCKET, SO_KEEPALIVE};
    case SocketOption::keep_alive_idle: return {IPPROTO_TCP, tcp_keep_alive_idle};
    case SocketOption::keep_alive_interval: return {IPPROTO_TCP, tcp_keep_alive_interval};
    case SocketOption::keep_alive_count: return {IPPROTO_TCP, tcp_keep_alive_count};
    case SocketOption::user_timeout: return {IPPROTO_TCP, tcp_give_up_ms};
    case SocketOption::fast_open: return {IPPROTO_TCP, tcp_fast_open};
    case SocketOption::reuse_address: return {SOL_SOCKET, SO_REUSEADDR};
    case SocketOption::send_buffer: return {SOL_SOCKET, SO_SNDBUF};
    case SocketOption::receive_buffer: return {SOL_SOCKET, SO_RCVBUF};
    case SocketOption::only_v6: return {IPPROTO_IPV6, IPV6_V6ONLY};
    case SocketOption::broadcast: return {SOL_SOCKET, SO_BROADCAST};
    case SocketOption::type_of_service: return {IPPROTO_IP, IP_TOS};
    case SocketOption::traffic_class: return {IPPROTO_IPV6, ipv6_traffic_class};
    case SocketOption::time_to_live: return {IPPROTO_IP, IP_TTL};
    case SocketOption::hop_limit: return {IPPROTO_IPV6, IPV6_UNICAST_HOPS};
    case SocketOption::multicast_hops_v4: return {IPPROTO_IP, IP_MULTICAST_TTL};
    case SocketOption::multicast_hops_v6: return {IPPROTO_IPV6, IPV6_MULTICAST_HOPS};
    case SocketOption::multicast_loop_v4: return {IPPROTO_IP, IP_MULTICAST_LOOP};
    case SocketOption::multicast_loop_v6: return {IPPROTO_IPV6, IPV6_MULTICAST_LOOP};
    case SocketOption::multicast_interface_v6: return {IPPROTO_IPV6, IPV6_MULTICAST_IF};
    case SocketOption::packet_info_v4: return {IPPROTO_IP, IP_PKTINFO};
    case SocketOption::packet_info_v6: return {IPPROTO_IPV6, IPV6_PKTINFO};
    case SocketOption::receive_segments: return {IPPROTO_UDP, udp_receive_segments};
    case SocketOption::type: return {SOL_SOCKET, SO_TYPE};
    case SocketOption::listening: return {SOL_SOCKET, SO_ACCEPTCONN};
    case SocketOption::quick_ack:
    case SocketOption::cork:
    case SocketOption::fast_open_connect:
    case SocketOption::defer_accept:
    case SocketOption::reuse_port:
    case SocketOption::free_bind:
    case SocketOption::receive_credentials:
    case SocketOption::unread_bytes: break;  // not options of the system
  }
  return lacking;
}

bool is_read_only(SocketOption option) noexcept {
  return option == SocketOption::type || option == SocketOption::listening ||
         option == SocketOption::unread_bytes;
}

Error invalid(OperationKind operation) noexcept { return Error::system(EINVAL, operation); }

Result<void> as_result(std::int64_t result, OperationKind operation) noexcept {
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), operation);
  return {};
}

Result<void> set_native(NativeDescriptor socket, int level, int name, const void* value, std::size_t size) noexcept {
  return as_result(sys::setsockopt(socket, level, name, value, static_cast<int>(size)), OperationKind::set_option);
}

Result<int> unread_bytes(NativeDescriptor socket) noexcept {
  u_long count = 0;
  const std::int64_t result = sys::ioctl(socket, static_cast<long>(FIONREAD), &count);
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), OperationKind::get_option);
  return static_cast<int>(count);
}

bool is_stream(NativeDescriptor socket) noexcept {
  int type = 0;
  int size = sizeof(type);
  return sys::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) >= 0 && type == SOCK_STREAM;
}

Result<void> change_group(NativeDescriptor socket, const SocketAddress& group,
                          std::uint32_t interface, bool join) noexcept {
  const AddressParts parts = parse_address(group);
  if (parts.family == AddressFamily::ipv4) {
    ip_mreq request{};
    std::memcpy(&request.imr_multiaddr, parts.ip, sizeof(request.imr_multiaddr));
    request.imr_interface.s_addr = htonl(interface);  // 0.x.y.z is the number of an interface
    return set_native(socket, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request, sizeof(request));
  }
  if (parts.family == AddressFamily::ipv6) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, parts.ip, sizeof(request.ipv6mr_multiaddr));
    request.ipv6mr_interface = interface;
    return set_native(socket, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request, sizeof(request));
  }
  return invalid(OperationKind::set_option);
}

// Polls through select(), at most for five seconds.
void wait_until_ready(NativeDescriptor socket, short events) noexcept {
  WSAPOLLFD asked{};
  asked.fd = sys::socket_of(socket);
  asked.events = events;
  ::WSAPoll(&asked, 1, 5000);
}

}  // namespace

SocketAddress make_ipv4_address(const std::uint8_t (&ip)[4], std::uint16_t port) noexcept {
  sockaddr_in native{};
  native.sin_family = AF_INET;
  native.sin_port = swap_network(port);
  std::memcpy(&native.sin_addr, ip, sizeof(ip));
  return pack(native);
}

SocketAddress make_ipv6_address(const std::uint8_t (&ip)[16], std::uint16_t port,
                                std::uint32_t scope) noexcept {
  sockaddr_in6 native{};
  native.sin6_family = AF_INET6;
  native.sin6_port = swap_network(port);
  native.sin6_scope_id = scope;
  std::memcpy(&native.sin6_addr, ip, sizeof(ip));
  return pack(native);
}

Result<SocketAddress> make_local_address(std::string_view path) noexcept {
  if (path.empty()) return invalid(OperationKind::address);
  const bool abstract = path.front() == '\0';
  if (!abstract && path.find('\0') != std::string_view::npos) return invalid(OperationKind::address);
  if (path.size() > local_path_max) return Error::system(ENAMETOOLONG, OperationKind::address);
  sockaddr_un native{};
  native.sun_family = AF_UNIX;
  std::memcpy(native.sun_path, path.data(), path.size());
  return pack(native, path_offset + path.size() + (abstract ? 0 : 1));
}

AddressParts parse_address(const SocketAddress& address) noexcept {
  AddressParts parts;
  if (address.size < sizeof(ADDRESS_FAMILY) || address.size > sizeof(address.bytes)) return parts;
  const int family = unpack<sockaddr>(address).sa_family;
  if (family == AF_INET && address.size >= sizeof(sockaddr_in)) {
    const auto native = unpack<sockaddr_in>(address);
    parts.family = AddressFamily::ipv4;
    std::memcpy(parts.ip, &native.sin_addr, sizeof(native.sin_addr));
    parts.port = swap_network(native.sin_port);
  } else if (family == AF_INET6 && address.size >= sizeof(sockaddr_in6)) {
    const auto native = unpack<sockaddr_in6>(address);
    parts.family = AddressFamily::ipv6;
    std::memcpy(parts.ip, &native.sin6_addr, sizeof(native.sin6_addr));
    parts.port = swap_network(native.sin6_port);
    parts.scope = native.sin6_scope_id;
  } else if (family == AF_UNIX) {
    parts.family = AddressFamily::local;
    if (address.size <= path_offset) return parts;  // unnamed
    const char* const path = reinterpret_cast<const char*>(address.bytes) + path_offset;
    std::size_t size = address.size - path_offset;
    if (path[0] != '\0') size = strnlen(path, size);
    parts.path = std::string_view(path, size);
  }
  return parts;
}

Result<UniqueFd> open_socket(AddressFamily family, SocketType type) noexcept {
  return sys::socket(native_family(family), native_type(type), 0);
}

Result<void> bind_socket(NativeDescriptor socket, const SocketAddress& address) noexcept {
  return as_result(sys::bind(socket, address.bytes, address.size), OperationKind::bind);
}

Result<void> listen_on(NativeDescriptor socket, int backlog) noexcept {
  return as_result(sys::listen(socket, backlog), OperationKind::listen);
}

Result<UniqueFd> try_accept(NativeDescriptor listener, SocketAddress* peer) noexcept {
  SocketAddress ignored;
  SocketAddress& address = peer == nullptr ? ignored : *peer;
  address.size = sizeof(address.bytes);
  const std::int64_t result = sys::accept(listener, address.bytes, &address.size);
  if (result < 0) {
    address.size = 0;
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::accept);
  }
  return UniqueFd(static_cast<NativeDescriptor>(result));
}

Result<SocketAddress> local_address(NativeDescriptor socket) noexcept {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  const Result<void> asked =
      as_result(sys::getsockname(socket, address.bytes, &address.size), OperationKind::address);
  if (!asked) return asked.error();
  return address;
}

Result<SocketAddress> peer_address(NativeDescriptor socket) noexcept {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  const Result<void> asked =
      as_result(sys::getpeername(socket, address.bytes, &address.size), OperationKind::address);
  if (!asked) return asked.error();
  return address;
}

SocketAddress last_peer_address(NativeDescriptor descriptor) noexcept {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  if (sys::getpeername(descriptor, address.bytes, &address.size) < 0) address.size = 0;
  return address;
}

namespace {

constexpr std::uint8_t loopback_v4[4] = {127, 0, 0, 1};
constexpr std::uint8_t loopback_v6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

// A socket that is bound to loopback and a port that the system picks.
Result<UniqueFd> open_bound(AddressFamily family, SocketType type, SocketAddress* address) noexcept {
  Result<UniqueFd> socket = open_socket(family, type);
  if (!socket) return socket.error();
  const bool is_v4 = family == AddressFamily::ipv4;
  const Result<void> bound = bind_socket(
      socket->get(), is_v4 ? make_ipv4_address(loopback_v4, 0) : make_ipv6_address(loopback_v6, 0));
  if (!bound) return bound.error();
  Result<SocketAddress> local = local_address(socket->get());
  if (!local) return local.error();
  *address = *local;
  return std::move(*socket);
}

Result<DescriptorPair> open_datagram_pair() noexcept {
  SocketAddress addresses[2];
  Result<UniqueFd> first = open_bound(AddressFamily::ipv4, SocketType::datagram, &addresses[0]);
  if (!first) return first.error();
  Result<UniqueFd> second = open_bound(AddressFamily::ipv4, SocketType::datagram, &addresses[1]);
  if (!second) return second.error();
  std::int64_t connected = sys::connect(first->get(), addresses[1].bytes, addresses[1].size);
  if (connected >= 0) connected = sys::connect(second->get(), addresses[0].bytes, addresses[0].size);
  if (connected < 0) return Error::system(static_cast<std::int32_t>(-connected), OperationKind::connect);
  return DescriptorPair{std::move(*first), std::move(*second)};
}

}  // namespace

// Windows has no pairs of local sockets: these go over the loopback interface.
Result<DescriptorPair> open_socket_pair(SocketType type) noexcept {
  if (type == SocketType::sequenced) return Error::system(EPROTONOSUPPORT, OperationKind::socket);
  if (type == SocketType::datagram) return open_datagram_pair();
  Result<DescriptorPair> pair = open_tcp_pair();
  if (!pair) return pair;
  for (const NativeDescriptor end : {pair->first.get(), pair->second.get()}) {
    static_cast<void>(set_option(end, SocketOption::no_delay, 1));
  }
  return pair;
}

Result<DescriptorPair> open_pipe() noexcept {
  return sys::open_pipe(sys::PipeMode::overlapped, sys::PipeMode::overlapped);
}

Result<DescriptorPair> open_tcp_pair(AddressFamily family) noexcept {
  GYRE_CHECK(family == AddressFamily::ipv4 || family == AddressFamily::ipv6);
  SocketAddress address;
  const Result<UniqueFd> listener = open_bound(family, SocketType::stream, &address);
  if (!listener) return listener.error();
  const Result<void> listening = listen_on(listener->get(), 1);
  if (!listening) return listening.error();
  Result<UniqueFd> client = open_socket(family, SocketType::stream);
  if (!client) return client.error();
  const std::int64_t connected = sys::connect(client->get(), address.bytes, address.size);
  if (connected < 0 && connected != -EAGAIN) {
    return Error::system(static_cast<std::int32_t>(-connected), OperationKind::connect);
  }
  wait_until_ready(listener->get(), POLLRDNORM);
  SocketAddress peer;
  Result<UniqueFd> server = try_accept(listener->get(), &peer);
  if (!server) return server.error();
  wait_until_ready(client->get(), POLLWRNORM);
  // Somebody else may have connected to the port.
  const Result<SocketAddress> ours = local_address(client->get());
  if (!ours || !(*ours == peer)) return Error::system(ECONNREFUSED, OperationKind::connect);
  return DescriptorPair{std::move(*client), std::move(*server)};
}

Result<void> shutdown_socket(NativeDescriptor socket, bool read, bool write) noexcept {
  if (!read && !write) return {};
  const int how = read ? (write ? SD_BOTH : SD_RECEIVE) : SD_SEND;
  const std::int64_t result = sys::shutdown(socket, how);
  // A receive that waits does not learn of it otherwise; its poller asks once more.
  if (result >= 0 && read) static_cast<void>(sys::cancel(socket, nullptr));
  return as_result(result, OperationKind::shutdown);
}

// On Windows SO_REUSEADDR lets others take a port that is in use, and a port whose connections wait for their end can be
// bound anyhow: so on streams reuse_address is on whatever is asked for, and the option stays off.
Result<void> set_option(NativeDescriptor socket, SocketOption option, int value) noexcept {
  if (is_read_only(option)) return Error::system(ENOPROTOOPT, OperationKind::set_option);
  const NativeOption native = native_option(option);
  if (native.level == lacking.level) return Error::system(ENOPROTOOPT, OperationKind::set_option);
  if (option == SocketOption::reuse_address && is_stream(socket)) return {};
  const DWORD number = static_cast<DWORD>(value);
  if (option == SocketOption::multicast_interface_v6 && number != 0 && interface_name(number).size == 0) {
    return Error::system(ENODEV, OperationKind::set_option);
  }
  return set_native(socket, native.level, native.name, &number, sizeof(number));
}

Result<int> get_option(NativeDescriptor socket, SocketOption option) noexcept {
  if (option == SocketOption::unread_bytes) return unread_bytes(socket);
  const NativeOption native = native_option(option);
  if (native.level == lacking.level) return Error::system(ENOPROTOOPT, OperationKind::get_option);
  if (option == SocketOption::reuse_address && is_stream(socket)) return 1;
  int value = 0;
  int size = sizeof(value);
  const std::int64_t asked = sys::getsockopt(socket, native.level, native.name, &value, &size);
  if (asked < 0) return Error::system(static_cast<std::int32_t>(-asked), OperationKind::get_option);
  if (size == 1) value &= 0xff;  // some switches are a byte
  if (option != SocketOption::type) return value;
  const SocketType type = value == SOCK_DGRAM       ? SocketType::datagram
                          : value == SOCK_SEQPACKET ? SocketType::sequenced
                                                    : SocketType::stream;
  return static_cast<int>(type);
}

Result<void> set_linger(NativeDescriptor socket, Linger linger) noexcept {
  struct ::linger native {};
  native.l_onoff = linger.on ? 1 : 0;
  native.l_linger = linger.seconds;
  return set_native(socket, SOL_SOCKET, SO_LINGER, &native, sizeof(native));
}

Result<Linger> get_linger(NativeDescriptor socket) noexcept {
  struct ::linger native {};
  int size = sizeof(native);
  const std::int64_t asked = sys::getsockopt(socket, SOL_SOCKET, SO_LINGER, &native, &size);
  if (asked < 0) return Error::system(static_cast<std::int32_t>(-asked), OperationKind::get_option);
  return Linger{.on = native.l_onoff != 0, .seconds = native.l_linger};
}

Result<void> join_group(NativeDescriptor socket, const SocketAddress& group,
                        std::uint32_t interface) noexcept {
  return change_group(socket, group, interface, true);
}

Result<void> leave_group(NativeDescriptor socket, const SocketAddress& group,
                         std::uint32_t interface) noexcept {
  return change_group(socket, group, interface, false);
}

Result<void> set_multicast_interface_v4(NativeDescriptor socket, std::uint32_t interface) noexcept {
  const std::uint32_t number = htonl(interface);  // 0.x.y.z is the number of an interface
  return set_native(socket, IPPROTO_IP, IP_MULTICAST_IF, &number, sizeof(number));
}

// The system tells the process at most; users and groups have no numbers.
Result<PeerCredentials> peer_credentials(NativeDescriptor socket) noexcept {
  constexpr DWORD peer_process = IOC_OUT | IOC_VENDOR | 256;  // SIO_AF_UNIX_GETPEERPID
  ULONG process = 0;
  DWORD size = 0;
  const int asked = ::WSAIoctl(sys::socket_of(socket), peer_process, nullptr, 0, &process, sizeof(process), &size,
                               nullptr, nullptr);
  if (asked != 0) return Error::system(ENOPROTOOPT, OperationKind::get_option);
  return PeerCredentials{.process = static_cast<std::int64_t>(process)};
}

Result<bool> is_stale_local_socket(const SocketAddress& address) noexcept {
  const Result<UniqueFd> probe = open_socket(AddressFamily::local, SocketType::stream);
  if (!probe) return probe.error();
  std::int64_t result = sys::connect(probe->get(), address.bytes, address.size);
  if (result == -EAGAIN) {
    wait_until_ready(probe->get(), POLLWRNORM);
    result = -sys::take_socket_error(probe->get());
  }
  if (result == -ECONNREFUSED) return true;
  if (result >= 0) return false;
  return Error::system(static_cast<std::int32_t>(-result), OperationKind::connect);
}

Result<void> take_socket_error(NativeDescriptor socket) noexcept {
  const std::int64_t error = sys::take_socket_error(socket);
  if (error != 0) return Error::system(static_cast<std::int32_t>(error), OperationKind::socket);
  return {};
}

}  // namespace gyre
