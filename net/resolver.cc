#include <gyre/net/resolver.h>

#include <algorithm>
#include <utility>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/pools.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

namespace {

constexpr std::size_t name_max = 253;               // RFC 1035, without the root's dot
constexpr std::size_t hosts_size_max = 256 * 1024;  // a larger hosts file is left to the system
constexpr std::string_view blanks = " \t\r";

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// The next word of `line`, which then begins behind it; empty at the end.
std::string_view take_word(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

bool is_wanted(const Endpoint& endpoint, AddressFamily family) noexcept {
  return family == AddressFamily::none || endpoint.family() == family;
}

// A dot at the end says that the name is complete, and is no part of it.
std::string_view without_root(std::string_view host) noexcept {
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  return host;
}

// RFC 6761: never asked of anybody.
bool is_localhost(std::string_view host) noexcept {
  constexpr std::string_view name = "localhost";
  constexpr std::string_view suffix = ".localhost";
  return same_name(host, name) || (host.size() > suffix.size() &&
                                   same_name(host.substr(host.size() - suffix.size()), suffix));
}

std::vector<Endpoint> loopback(const NameQuery& query) {
  std::vector<Endpoint> found;
  for (const Endpoint& endpoint :
       {Endpoint::loopback_v6(query.port), Endpoint::loopback_v4(query.port)}) {
    if (is_wanted(endpoint, query.family)) found.push_back(endpoint);
  }
  return found;
}

Result<std::vector<Endpoint>> endpoints_of(const Result<std::vector<SocketAddress>>& addresses,
                                           const NameQuery& query) {
  if (!addresses) return addresses.error().with(OperationKind::resolve).at(Place::text(query.host));
  std::vector<Endpoint> found;
  for (const SocketAddress& address : *addresses) {
    const Endpoint endpoint(address);
    if (endpoint.is_ip()) found.push_back(endpoint.with_port(query.port));
  }
  return found;
}

}  // namespace

bool is_host_name(std::string_view name) noexcept {
  constexpr std::size_t label_max = 63;
  name = without_root(name);
  std::size_t label = 0;  // its size so far
  for (const char c : name) {
    const bool is_letter = lower(c) >= 'a' && lower(c) <= 'z';
    const bool is_digit = c >= '0' && c <= '9';
    const bool is_foreign = static_cast<unsigned char>(c) >= 0x80;
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if (!(is_letter || is_digit || is_foreign || c == '-' || c == '_') || ++label > label_max) {
      return false;
    }
  }
  return label > 0 && name.size() <= name_max;
}

std::vector<Endpoint> find_in_hosts(std::string_view text, const NameQuery& query) {
  std::vector<Endpoint> found;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const std::string_view address = take_word(line);
    for (std::string_view name = take_word(line); !name.empty(); name = take_word(line)) {
      if (!same_name(without_root(name), without_root(query.host))) continue;
      const Result<Endpoint> endpoint = Endpoint::parse_ip(address, query.port);
      const bool is_new =
          endpoint && std::find(found.begin(), found.end(), *endpoint) == found.end();
      if (is_new && is_wanted(*endpoint, query.family)) found.push_back(*endpoint);
      break;
    }
  }
  return found;
}

Task<Result<std::vector<Endpoint>>> SystemResolver::resolve(NameQuery query) {
  const Place place = Place::text(query.host);
  const std::string_view name = without_root(query.host);
  if (name.empty() || name.size() > name_max || query.host.find('\0') != std::string::npos) {
    co_return Error(Errc::malformed, OperationKind::resolve).at(place);
  }
  const Result<Endpoint> literal = Endpoint::parse_ip(query.host, query.port);
  if (literal && is_wanted(*literal, query.family)) co_return std::vector<Endpoint>{*literal};
  if (!literal && literal.error() != Errc::malformed) {
    co_return literal.error().with(OperationKind::resolve).at(place);  // in the zone of an interface that is not there
  }
  if (literal || query.host.find(':') != std::string::npos) {
    // Of the other family, or no address after all: the system knows what to say.
    co_return endpoints_of(look_up_number(query.host, query.family), query);
  }
  const Result<std::string> hosts = read_small_file(hosts_path_.c_str(), hosts_size_max);
  if (hosts) {
    std::vector<Endpoint> found = find_in_hosts(*hosts, query);
    if (!found.empty()) co_return found;
  }
  if (!is_host_name(query.host)) co_return Error(Errc::malformed, OperationKind::resolve).at(place);
  if (is_localhost(name)) co_return loopback(query);

  OffloadOptions options;
  options.runner = &this_reactor().pools().resolver();
  options.on_cancel = OnCancel::abandon;
  const Result<std::vector<SocketAddress>> answer =
      co_await offload(options, look_up_name, query.host, query.family);
  co_return endpoints_of(answer, query);
}

Task<Result<std::vector<Endpoint>>> resolve(std::string host, std::uint16_t port,
                                            Resolver* resolver) {
  SystemResolver system;
  Resolver& asked = resolver != nullptr ? *resolver : system;
  const NameQuery query{.host = std::move(host), .port = port};
  Result<std::vector<Endpoint>> found = co_await asked.resolve(query);
  co_return found;
}

}  // namespace gyre
