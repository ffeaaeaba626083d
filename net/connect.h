// connect(host, port): resolves, and connects to the first address that answers (Happy Eyeballs,
// RFC 8305).
//
//   Result<TcpStream> stream = co_await connect("example.org", 443);
//   auto budgeted = co_await with_timeout(2s, connect("example.org", 443));   // resolving and
//   connecting together
//
// The addresses are tried in the resolver's order with the families alternating, each 250 ms after
// the one before, or as soon as that has failed. The first connection wins; the others are
// cancelled and closed before connect() returns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gyre/net/endpoint.h>
#include <gyre/net/resolver.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

// One address that was tried.
struct ConnectAttempt {
  Endpoint peer;
  // None for the one that won; cancelled for those that it was faster than.
  Error error;
};

// What became of a connect(), address by address.
struct ConnectReport {
  std::string host;
  std::uint16_t port = 0;
  Error resolve_error;                   // none if the name was resolved
  std::vector<ConnectAttempt> attempts;  // in the order of their begin

  // "connect example.org:443: [2001:db8::1]:443: network unreachable; 192.0.2.1:443: connection
  // refused"
  std::string to_string() const;
};

struct ConnectOptions {
  AddressFamily family = AddressFamily::none;  // none: both
  Duration attempt_delay = std::chrono::milliseconds(250);
  // Of every attempt. Addresses of another family than `tcp.local` has are passed over: each counts as an attempt that has
  // failed at once, with address_family_not_supported.
  TcpConnectOptions tcp = {};
  Resolver* resolver = nullptr;     // null: the system's
  ConnectReport* report = nullptr;  // filled in, on success too; may be null
};

// Errors: those of resolving, which name the host; when all addresses have failed, that of the
// first whose failure says more than that this machine has no such network, which names the address
// (the report has them all); cancelled, timed_out.
[[nodiscard]] Task<Result<TcpStream>> connect(std::string host, std::uint16_t port,
                                              ConnectOptions options = {});
// The same for endpoints that are known. Precondition: at least one.
[[nodiscard]] Task<Result<TcpStream>> connect(std::vector<Endpoint> peers,
                                              ConnectOptions options = {});

// The order in which they are tried: families in turn, beginning with that of the first; each
// family keeps its order.
std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& endpoints);

}  // namespace gyre
