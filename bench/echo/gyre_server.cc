// Gyre's Server: `gyre_server epoll` or `gyre_server io_uring`, and `http` behind it; counts bytes
// and watches for idle clients.
#include <gyre/gyre.h>

#include "gyre_run.h"
#include "server.h"
#include "services.h"

namespace {

gyre::Task<void> session(gyre::ServerConnection& connection) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await connection.receive();
    if (!received || received->empty()) co_return;
    const gyre::Result<void> sent = co_await connection.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<void> http_session(gyre::ServerConnection& connection) {
  echo::Http http;
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await connection.receive();
    if (!received || received->empty()) co_return;
    const echo::Answer answer = http.answer(echo::text_of(received->bytes()));
    const gyre::Result<void> sent = co_await connection.write_all(std::as_bytes(std::span(answer.bytes)));
    if (!sent || !answer.goes_on) co_return;
  }
}

gyre::Task<gyre::Result<void>> serve(gyre::Task<void> (*handler)(gyre::ServerConnection&)) {
  gyre::ServerOptions options;
  options.idle_max = std::chrono::seconds(60);
  gyre::Server server(options);
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(0));
  if (!where) co_return where.error();
  echo::announce(where->port());
  const gyre::Result<void> served = co_await server.run(handler);
  co_return served;
}

}  // namespace

int main(int argc, char** argv) {
  return echo::run_on_poller(argc, argv, serve(echo::is_http(argc, argv) ? http_session : session));
}
