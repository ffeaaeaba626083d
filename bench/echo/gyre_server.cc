// Gyre's Server: `gyre_server epoll` or `gyre_server io_uring`; counts bytes and watches for idle
// clients.
#include <cstdio>

#include <gyre/gyre.h>

#include "server.h"

namespace {

gyre::Task<void> session(gyre::ServerConnection& connection) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await connection.receive();
    if (!received || received->empty()) co_return;
    const gyre::Result<void> sent = co_await connection.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<gyre::Result<void>> serve() {
  gyre::ServerOptions options;
  options.idle_max = std::chrono::seconds(60);
  gyre::Server server(options);
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(0));
  if (!where) co_return where.error();
  echo::announce(where->port());
  const gyre::Result<void> served = co_await server.run(session);
  co_return served;
}

}  // namespace

int main(int argc, char** argv) {
  gyre::RunOptions options;
  if (argc > 1) {
    gyre::Result<std::unique_ptr<gyre::Poller>> poller =
        gyre::open_poller(argv[1], options.reactor.poller);
    if (!poller) {
      std::fprintf(stderr, "%s\n", poller.error().to_string().c_str());
      return 1;
    }
    options.reactor.with_poller = std::move(*poller);
  }
  return gyre::exit_status(gyre::run(serve(), std::move(options)));
}
