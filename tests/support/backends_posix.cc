#include <gyre/platform/poller_backends.h>

#include "poller_fixture.h"
#include "skips.h"

namespace gyre::test {
namespace {

constexpr Backend all[] = {
    {"epoll", "epoll", PollerOptions::Tier::full},
    {"io_uring_basic", "io_uring", PollerOptions::Tier::basic},
    {"io_uring_net", "io_uring", PollerOptions::Tier::net},
    {"io_uring_full", "io_uring", PollerOptions::Tier::full},
    {"kqueue", "kqueue", PollerOptions::Tier::full},  // on Linux over a double of its kernel
};

bool is_built(std::string_view name) {
  for (const std::string_view* known = poller_names(); !known->empty(); ++known) {
    if (*known == name) return true;
  }
  return false;
}

}  // namespace

// Known before any test is registered.
constinit const std::span<const Backend> backends = all;

Result<std::unique_ptr<Poller>> open_backend(const Backend& backend, PollerOptions options) {
  options.tier = backend.tier;
  if (backend.name == "kqueue" && !is_built("kqueue")) return make_kqueue_poller(options);
  return open_poller(backend.name, options);
}

std::string reason_to_skip() { return {}; }

bool knows_peer_after_reset() { return true; }

}  // namespace gyre::test
