#include <gyre/platform/socket.h>

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/socket_native_posix.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

static_assert(sizeof(SocketAddress::bytes) >= sizeof(sockaddr_un));
static_assert(sizeof(SocketAddress::bytes) >= sizeof(sockaddr_in6));

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

bool is_read_only(SocketOption option) noexcept {
  return option == SocketOption::type || option == SocketOption::listening ||
         option == SocketOption::unread_bytes;
}

Error invalid(OperationKind operation) noexcept { return Error::system(EINVAL, operation); }

Result<int> unread_bytes(NativeDescriptor socket) noexcept {
  int count = 0;
  const std::int64_t result = sys::ioctl(socket, FIONREAD, &count);
  if (result < 0) {
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::get_option);
  }
  return count;
}

Result<void> change_group(NativeDescriptor socket, const SocketAddress& group,
                          std::uint32_t interface, bool join) noexcept {
  const AddressParts parts = parse_address(group);
  if (parts.family == AddressFamily::ipv4) {
    ip_mreqn request{};
    std::memcpy(&request.imr_multiaddr, parts.ip, sizeof(request.imr_multiaddr));
    request.imr_ifindex = static_cast<int>(interface);
    return sys::setsockopt(socket, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                           &request, sizeof(request));
  }
  if (parts.family == AddressFamily::ipv6) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, parts.ip, sizeof(request.ipv6mr_multiaddr));
    request.ipv6mr_interface = interface;
    return sys::setsockopt(socket, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
                           &request, sizeof(request));
  }
  return invalid(OperationKind::set_option);
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
  if (abstract && !detail::has_abstract_names) return Error::system(EOPNOTSUPP, OperationKind::address);
  sockaddr_un native{};
  if (path.size() > std::min(local_path_max, sizeof(native.sun_path) - 1)) {
    return Error::system(ENAMETOOLONG, OperationKind::address);
  }
  native.sun_family = AF_UNIX;
  std::memcpy(native.sun_path, path.data(), path.size());
  return pack(native, path_offset + path.size() + (abstract ? 0 : 1));
}

AddressParts parse_address(const SocketAddress& address) noexcept {
  AddressParts parts;
  if (address.size < sizeof(sa_family_t) || address.size > sizeof(address.bytes)) return parts;
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
  return sys::bind(socket, address.bytes, address.size);
}

Result<void> listen_on(NativeDescriptor socket, int backlog) noexcept {
  return sys::listen(socket, backlog);
}

Result<UniqueFd> try_accept(NativeDescriptor listener, SocketAddress* peer) noexcept {
  SocketAddress ignored;
  SocketAddress& address = peer == nullptr ? ignored : *peer;
  address.size = sizeof(address.bytes);
  const std::int64_t result = sys::accept4(listener, address.bytes, &address.size);
  if (result < 0) {
    address.size = 0;
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::accept);
  }
  return UniqueFd(static_cast<NativeDescriptor>(result));
}

Result<SocketAddress> local_address(NativeDescriptor socket) noexcept {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  const Result<void> asked = sys::getsockname(socket, address.bytes, &address.size);
  if (!asked) return asked.error();
  return address;
}

Result<SocketAddress> peer_address(NativeDescriptor socket) noexcept {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  const Result<void> asked = sys::getpeername(socket, address.bytes, &address.size);
  if (!asked) return asked.error();
  return address;
}

SocketAddress last_peer_address(NativeDescriptor descriptor) noexcept {
  SocketAddress address;
  address.size = sizeof(address.bytes);
  if (sys::get_peer_name(descriptor, address.bytes, &address.size) < 0) address.size = 0;
  return address;
}

Result<DescriptorPair> open_socket_pair(SocketType type) noexcept {
  UniqueFd ends[2];
  const Result<void> made = sys::socketpair(native_type(type), ends);
  if (!made) return made.error();
  return DescriptorPair{std::move(ends[0]), std::move(ends[1])};
}

Result<DescriptorPair> open_pipe() noexcept {
  UniqueFd ends[2];
  const Result<void> made = sys::pipe2(ends, O_NONBLOCK);
  if (!made) return made.error();
  return DescriptorPair{std::move(ends[0]), std::move(ends[1])};
}

Result<DescriptorPair> open_tcp_pair(AddressFamily family) noexcept {
  constexpr std::uint8_t loopback_v4[4] = {127, 0, 0, 1};
  constexpr std::uint8_t loopback_v6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  GYRE_CHECK(family == AddressFamily::ipv4 || family == AddressFamily::ipv6);

  Result<UniqueFd> listener = open_socket(family, SocketType::stream);
  if (!listener) return listener.error();
  Result<void> done = bind_socket(listener->get(), family == AddressFamily::ipv4
                                                       ? make_ipv4_address(loopback_v4, 0)
                                                       : make_ipv6_address(loopback_v6, 0));
  if (!done) return done.error();
  done = listen_on(listener->get(), 1);
  if (!done) return done.error();
  const Result<SocketAddress> address = local_address(listener->get());
  if (!address) return address.error();

  Result<UniqueFd> client = open_socket(family, SocketType::stream);
  if (!client) return client.error();
  const std::int64_t connected = sys::connect(client->get(), address->bytes, address->size);
  if (connected < 0 && connected != -EINPROGRESS) {
    return Error::system(static_cast<std::int32_t>(-connected), OperationKind::connect);
  }
  // Over loopback the handshake is over when connect returns, or nearly.
  pollfd waiting{};
  waiting.fd = static_cast<int>(listener->get());
  waiting.events = POLLIN;
  sys::poll(&waiting, 1, std::chrono::seconds(5));
  Result<UniqueFd> server = try_accept(listener->get(), nullptr);
  if (!server) return server.error();
  return DescriptorPair{std::move(*client), std::move(*server)};
}

Result<void> shutdown_socket(NativeDescriptor socket, bool read, bool write) noexcept {
  if (!read && !write) return {};
  const int how = read ? (write ? SHUT_RDWR : SHUT_RD) : SHUT_WR;
  const std::int64_t result = sys::shutdown(socket, how);
  if (result < 0) {
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::shutdown);
  }
  return {};
}

Result<void> set_option(NativeDescriptor socket, SocketOption option, int value) noexcept {
  if (is_read_only(option)) return Error::system(ENOPROTOOPT, OperationKind::set_option);
  const detail::NativeOption native = detail::native_option(option);
  if (native.name < 0) return Error::system(ENOPROTOOPT, OperationKind::set_option);
  return sys::setsockopt(socket, native.level, native.name, &value, sizeof(value));
}

Result<int> get_option(NativeDescriptor socket, SocketOption option) noexcept {
  if (option == SocketOption::unread_bytes) return unread_bytes(socket);
  const detail::NativeOption native = detail::native_option(option);
  if (native.name < 0) return Error::system(ENOPROTOOPT, OperationKind::get_option);
  int value = 0;
  std::uint32_t size = sizeof(value);
  const Result<void> asked = sys::getsockopt(socket, native.level, native.name, &value, &size);
  if (!asked) return asked.error();
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
  return sys::setsockopt(socket, SOL_SOCKET, SO_LINGER, &native, sizeof(native));
}

Result<Linger> get_linger(NativeDescriptor socket) noexcept {
  struct ::linger native {};
  std::uint32_t size = sizeof(native);
  const Result<void> asked = sys::getsockopt(socket, SOL_SOCKET, SO_LINGER, &native, &size);
  if (!asked) return asked.error();
  return Linger{.on = native.l_onoff != 0, .seconds = static_cast<std::uint16_t>(native.l_linger)};
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
  ip_mreqn request{};
  request.imr_ifindex = static_cast<int>(interface);
  return sys::setsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request));
}

Result<bool> is_stale_local_socket(const SocketAddress& address) noexcept {
  const Result<UniqueFd> probe = open_socket(AddressFamily::local, SocketType::stream);
  if (!probe) return probe.error();
  const std::int64_t result = sys::connect(probe->get(), address.bytes, address.size);
  if (result == -ECONNREFUSED) return true;
  // A queue that is full, or a socket of another type: somebody lives there.
  if (result >= 0 || result == -EAGAIN || result == -EINPROGRESS || result == -EPROTOTYPE) return false;
  return Error::system(static_cast<std::int32_t>(-result), OperationKind::connect);
}

Result<void> take_socket_error(NativeDescriptor socket) noexcept {
  const std::int64_t error = sys::take_socket_error(socket);
  if (error != 0) return Error::system(static_cast<std::int32_t>(error), OperationKind::socket);
  return {};
}

}  // namespace gyre
