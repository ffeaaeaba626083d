// `make run`: Gyre at work, in a few seconds.
#include <algorithm>
#include <cstdio>

#include <gyre/platform/this_process.h>
#include <gyre/reactor/run.h>

#include "tour.h"

namespace tour {

bool is_terminal() { return gyre::is_terminal_output(); }

std::string bar(double share, int width) {
  const int full = static_cast<int>(std::clamp(share, 0.0, 1.0) * width + 0.5);
  return std::string(static_cast<std::size_t>(full), '#') + std::string(static_cast<std::size_t>(width - full), '.');
}

}  // namespace tour

int main() {
  const gyre::Result<void> fetched = gyre::run(tour::fetch_pages());
  if (!fetched) {
    std::fprintf(stderr, "%s\n", fetched.error().to_string().c_str());
    return 1;
  }
  tour::show_switches();
  std::printf(
      "\n3. Next: GYRE_POLLER=io_uring make run    the same on io_uring\n"
      "         make run RUN=echo_server ARGS=7000   then: nc localhost 7000\n"
      "         make test, make bench, make help\n");
  return 0;
}
