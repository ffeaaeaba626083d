#include <gyre/net/endpoint.h>

#include <charconv>
#include <optional>

#include <gyre/platform/network_interface.h>

namespace gyre {

namespace {

// The whole of `text` as a decimal number without sign, blanks or leading zeros.
std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t highest) noexcept {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > highest) return std::nullopt;
  return value;
}

bool parse_v4(std::string_view text, std::uint8_t* out) noexcept {
  for (int i = 0; i < 4; ++i) {
    const std::size_t dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return false;
    const std::optional<std::uint32_t> part = parse_decimal(text.substr(0, dot), 255);
    if (!part) return false;
    out[i] = static_cast<std::uint8_t>(*part);
    text.remove_prefix(i < 3 ? dot + 1 : dot);
  }
  return text.empty();
}

// One group of an IPv6 address: one to four hexadecimal digits.
std::optional<std::uint16_t> parse_group(std::string_view text) noexcept {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Groups separated by colons, an IPv4 address in the place of the last two if `may_end_in_v4`. Returns the number of
// bytes written, or nothing.
std::optional<int> parse_groups(std::string_view text, bool may_end_in_v4, std::uint8_t* out) noexcept {
  int size = 0;
  if (text.empty()) return size;
  for (;;) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && may_end_in_v4 && part.find('.') != std::string_view::npos) {
      if (size > 12 || !parse_v4(part, out + size)) return std::nullopt;
      return size + 4;
    }
    const std::optional<std::uint16_t> group = parse_group(part);
    if (!group || size > 14) return std::nullopt;
    out[size++] = static_cast<std::uint8_t>(*group >> 8);
    out[size++] = static_cast<std::uint8_t>(*group & 0xff);
    if (colon == std::string_view::npos) return size;
    text.remove_prefix(colon + 1);
  }
}

bool parse_v6(std::string_view text, std::uint8_t (&out)[16]) noexcept {
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return parse_groups(text, true, out) == 16;
  std::uint8_t tail[16] = {};
  const std::optional<int> front = parse_groups(text.substr(0, gap), false, out);
  const std::optional<int> back = parse_groups(text.substr(gap + 2), true, tail);
  // The gap stands for at least one group.
  if (!front || !back || *front + *back > 14) return false;
  for (int i = *front; i < 16; ++i) out[i] = 0;
  for (int i = 0; i < *back; ++i) out[16 - *back + i] = tail[i];
  return true;
}

// A number, or the name of an interface. Zone 0 is none.
Result<std::uint32_t> parse_zone(std::string_view text) noexcept {
  if (is_interface_name(text)) return interface_number(text);
  const std::optional<std::uint32_t> number = parse_decimal(text, ~std::uint32_t{0});
  if (!number || *number == 0) return Error(Errc::malformed, OperationKind::address);
  return *number;
}

constexpr Error malformed = Error(Errc::malformed, OperationKind::address);
constexpr std::string_view unix_prefix = "unix:";

}  // namespace

Endpoint Endpoint::any_v4(std::uint16_t port) noexcept {
  return Endpoint(make_ipv4_address({0, 0, 0, 0}, port));
}
Endpoint Endpoint::any_v6(std::uint16_t port) noexcept {
  return Endpoint(make_ipv6_address({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, port));
}
Endpoint Endpoint::loopback_v4(std::uint16_t port) noexcept {
  return Endpoint(make_ipv4_address({127, 0, 0, 1}, port));
}
Endpoint Endpoint::loopback_v6(std::uint16_t port) noexcept {
  return Endpoint(make_ipv6_address({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port));
}

Result<Endpoint> Endpoint::unix_path(std::string_view path) noexcept {
  if (!path.empty() && path.front() == '\0') {
    return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::address)
        .at(Place::text(path));
  }
  // A path that begins with '@' would be printed as an abstract name is: the same file in other words.
  char in_this_folder[local_path_max + 3] = {'.', '/'};
  if (!path.empty() && path.front() == '@' && path.size() <= local_path_max) {
    path.copy(in_this_folder + 2, path.size());
    return unix_path({in_this_folder, path.size() + 2});
  }
  const Result<SocketAddress> address = make_local_address(path);
  if (!address) return address.error().at(Place::text(path));
  return Endpoint(*address);
}

Result<Endpoint> Endpoint::unix_abstract(std::string_view name) noexcept {
  char with_nul[local_path_max] = {};
  // Bound to no name at all, the system would choose one.
  const std::errc wrong = name.empty() ? std::errc::invalid_argument : std::errc::filename_too_long;
  if (name.empty() || name.size() >= sizeof(with_nul)) {
    return Error::system(static_cast<int>(wrong), OperationKind::address).at(Place::text(name));
  }
  name.copy(with_nul + 1, name.size());
  const Result<SocketAddress> address = make_local_address({with_nul, name.size() + 1});
  if (!address) return address.error().at(Place::text(name));
  return Endpoint(*address);
}

Result<Endpoint> Endpoint::parse_ip(std::string_view ip, std::uint16_t port) noexcept {
  std::uint8_t v4[4];
  if (parse_v4(ip, v4)) return Endpoint(make_ipv4_address(v4, port));
  const std::string_view text = ip;
  std::uint32_t scope = 0;
  const std::size_t percent = ip.find('%');
  if (percent != std::string_view::npos) ip = ip.substr(0, percent);
  std::uint8_t v6[16];
  if (!parse_v6(ip, v6)) return malformed.at(Place::text(text));
  if (percent != std::string_view::npos) {
    const Result<std::uint32_t> zone = parse_zone(text.substr(percent + 1));
    if (!zone) return zone.error().at(Place::text(text));
    scope = *zone;
  }
  return Endpoint(make_ipv6_address(v6, port, scope));
}

Result<Endpoint> Endpoint::parse(std::string_view text) noexcept {
  if (text.substr(0, unix_prefix.size()) == unix_prefix) {
    const std::string_view path = text.substr(unix_prefix.size());
    if (!path.empty() && path.front() == '@') return unix_abstract(path.substr(1));
    return unix_path(path);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed.at(Place::text(text));
  const Result<std::uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port) return malformed.at(Place::text(text));
  std::string_view ip = text.substr(0, colon);
  const bool bracketed = ip.size() >= 2 && ip.front() == '[' && ip.back() == ']';
  if (bracketed) ip = ip.substr(1, ip.size() - 2);
  // Brackets belong to IPv6, and only to it.
  if (bracketed != (ip.find(':') != std::string_view::npos)) return malformed.at(Place::text(text));
  const Result<Endpoint> endpoint = parse_ip(ip, *port);
  if (!endpoint) return endpoint.error().at(Place::text(text));
  return endpoint;
}

Result<std::uint16_t> parse_port(std::string_view text) noexcept {
  const std::optional<std::uint32_t> port = parse_decimal(text, 65535);
  if (!port) return malformed.at(Place::text(text));
  return static_cast<std::uint16_t>(*port);
}

bool Endpoint::is_ip() const noexcept {
  const AddressFamily f = family();
  return f == AddressFamily::ipv4 || f == AddressFamily::ipv6;
}

Endpoint Endpoint::with_port(std::uint16_t port) const noexcept {
  GYRE_CHECK_HINT(is_ip(), "only an IP endpoint has a port");
  const AddressParts parts = parse_address(address_);
  if (parts.family == AddressFamily::ipv4) {
    return Endpoint(make_ipv4_address({parts.ip[0], parts.ip[1], parts.ip[2], parts.ip[3]}, port));
  }
  return Endpoint(make_ipv6_address(parts.ip, port, parts.scope));
}

std::string Endpoint::to_string() const {
  if (is_ip()) return place().to_string();
  const std::string_view local = path();
  if (local.empty()) return "unix:";
  if (local.front() == '\0') return "unix:@" + std::string(local.substr(1));
  return "unix:" + std::string(local);
}

}  // namespace gyre
