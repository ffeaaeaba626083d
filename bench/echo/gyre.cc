// Gyre: `gyre epoll` or `gyre io_uring`. The handler of the front page, and a connection that waits
// owns no buffer.
#include <cstdio>

#include <gyre/gyre.h>

#include "server.h"

namespace {

gyre::Task<void> session(gyre::TcpStream stream) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;
    const gyre::Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<gyre::Result<void>> serve() {
  gyre::Result<gyre::TcpListener> listener =
      co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  if (!listener) co_return listener.error();
  echo::announce(listener->local_endpoint()->port());
  gyre::TaskGroup sessions(gyre::OnFailure::keep_going);
  for (;;) {
    gyre::Result<gyre::TcpStream> peer = co_await listener->accept();
    if (!peer) break;
    sessions.spawn(session, std::move(*peer));
  }
  co_return co_await sessions.join();
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
