// Names to endpoints, off the loop.
//
//   Result<std::vector<Endpoint>> found = co_await resolve("example.org", 443);
//
// An address ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"), "localhost", and a name in the system's
// hosts file are answered at once. Everything else is asked of getaddrinfo by the reactor's pool
// for names, which nothing else uses: slow name servers keep neither the loop nor files nor other
// blocking work waiting. Cancelling ends the wait at once; a call that has begun ends behind its
// back, and its answer is dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/net/endpoint.h>
#include <gyre/platform/name_lookup.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

// What is asked.
struct NameQuery {
  std::string host;
  std::uint16_t port = 0;                      // of the endpoints that come back
  AddressFamily family = AddressFamily::none;  // none: both
};

// Whoever answers. Implement it to ask a name server by oneself, to cache, or for a test.
class Resolver {
 public:
  virtual ~Resolver() = default;

  // At least one endpoint, in the order in which they should be tried. Errors name the host: those
  // of the resolver's domain ("name or service not known"), Errc::malformed for what can be no
  // name, cancelled, timed_out.
  [[nodiscard]] virtual Task<Result<std::vector<Endpoint>>> resolve(NameQuery query) = 0;
};

// The system's way, as described above.
class SystemResolver final : public Resolver {
 public:
  explicit SystemResolver(std::string hosts_path = hosts_file())
      : hosts_path_(std::move(hosts_path)) {}
  [[nodiscard]] Task<Result<std::vector<Endpoint>>> resolve(NameQuery query) override;

 private:
  std::string hosts_path_;
};

// By `resolver`, or by a SystemResolver.
[[nodiscard]] Task<Result<std::vector<Endpoint>>> resolve(std::string host, std::uint16_t port,
                                                          Resolver* resolver = nullptr);

// Whether `name` may be asked for: labels of 1 to 63 letters, digits, hyphens, underscores or bytes of another alphabet, with
// dots between them; at most 253 bytes, and one dot at the end. What else comes along by mistake (a URL, a line's end) is
// malformed, and no name server hears of it.
bool is_host_name(std::string_view name) noexcept;

// The endpoints that a hosts file (its whole text) has for a name, in its order. Case does not
// matter.
std::vector<Endpoint> find_in_hosts(std::string_view text, const NameQuery& query);

}  // namespace gyre
