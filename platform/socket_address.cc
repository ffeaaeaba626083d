// What can be said of a socket address once it is taken apart, on any system.
#include <gyre/platform/socket.h>

#include <cstring>

namespace gyre {

Place place_of(const SocketAddress& address) noexcept {
  const AddressParts parts = parse_address(address);
  switch (parts.family) {
    case AddressFamily::ipv4: {
      const std::uint8_t ip[4] = {parts.ip[0], parts.ip[1], parts.ip[2], parts.ip[3]};
      return Place::ipv4(ip, parts.port);
    }
    case AddressFamily::ipv6: return Place::ipv6(parts.ip, parts.port, parts.scope);
    case AddressFamily::local: return Place::text(parts.path);
    case AddressFamily::none: break;
  }
  return {};
}

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
  const AddressParts first = parse_address(a);
  const AddressParts second = parse_address(b);
  return first.family == second.family && first.port == second.port &&
         first.scope == second.scope && first.path == second.path &&
         std::memcmp(first.ip, second.ip, sizeof(first.ip)) == 0;
}

}  // namespace gyre
