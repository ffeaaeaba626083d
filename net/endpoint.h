// Endpoint: where a socket is or goes to: an IPv4 or IPv6 address and port, a path, or an abstract name.
//
// Text forms, read and printed alike: "192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80" (the zone is an interface's
// name; its number is read, too, and printed of an interface that is not there), "unix:/run/app.sock", "unix:@name" (abstract).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <gyre/platform/result.h>
#include <gyre/platform/socket.h>

namespace gyre {

class Endpoint {
 public:
  // Nowhere: the address of an unnamed socket.
  Endpoint() noexcept = default;
  explicit Endpoint(const SocketAddress& address) noexcept : address_(address) {}

  static Endpoint any_v4(std::uint16_t port) noexcept;
  static Endpoint any_v6(std::uint16_t port) noexcept;
  static Endpoint loopback_v4(std::uint16_t port) noexcept;
  static Endpoint loopback_v6(std::uint16_t port) noexcept;
  // Errors: filename_too_long; invalid_argument for an empty path or name, or a path with a NUL.
  static Result<Endpoint> unix_path(std::string_view path) noexcept;
  static Result<Endpoint> unix_abstract(std::string_view name) noexcept;

  // Strict: no blanks, no leading zeros, no missing parts. Errors: Errc::malformed; those of unix_path(); no_such_device
  // for a zone whose name no interface here has. (To read a name or print it asks the system, without waiting.)
  static Result<Endpoint> parse(std::string_view text) noexcept;
  // An IP address without brackets, and the port. Errors: Errc::malformed; no_such_device.
  static Result<Endpoint> parse_ip(std::string_view ip, std::uint16_t port) noexcept;

  AddressFamily family() const noexcept { return parse_address(address_).family; }
  bool is_ip() const noexcept;
  // 0 for a local endpoint.
  std::uint16_t port() const noexcept { return parse_address(address_).port; }
  // The same address with another port. Precondition: is_ip().
  Endpoint with_port(std::uint16_t port) const noexcept;
  // The path, or the abstract name with a NUL in front; empty for IP. Points into this object.
  std::string_view path() const noexcept { return parse_address(address_).path; }

  std::string to_string() const;
  Place place() const noexcept { return place_of(address_); }
  const SocketAddress& address() const noexcept { return address_; }
  SocketAddress& address() noexcept { return address_; }

  friend bool operator==(const Endpoint& a, const Endpoint& b) noexcept {
    return a.address_ == b.address_;
  }

 private:
  SocketAddress address_;
};

// A port's number as text: "0" to "65535", as strict as Endpoint::parse(). Errors: Errc::malformed, which names the text.
Result<std::uint16_t> parse_port(std::string_view text) noexcept;

}  // namespace gyre
