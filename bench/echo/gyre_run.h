// What Gyre's echo servers share: `PROGRAM epoll` or `PROGRAM io_uring` runs on that poller, `PROGRAM` on the default.
#pragma once

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <gyre/platform/poller.h>
#include <gyre/reactor/run.h>

namespace echo {

inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What main() returns.
inline int run_on_poller(int argc, char** argv, gyre::Task<gyre::Result<void>> server) {
  gyre::RunOptions options;
  if (argc > 1) {
    gyre::Result<std::unique_ptr<gyre::Poller>> poller = gyre::open_poller(argv[1], options.reactor.poller);
    if (!poller) {
      std::fprintf(stderr, "%s\n", poller.error().to_string().c_str());
      std::move(server).forget();
      return 1;
    }
    options.reactor.with_poller = std::move(*poller);
  }
  return gyre::exit_status(gyre::run(std::move(server), std::move(options)));
}

}  // namespace echo
