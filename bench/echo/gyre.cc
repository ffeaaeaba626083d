// Gyre: `gyre epoll` or `gyre io_uring`, and `http` behind it. The echo handler is that of the
// front page, and a connection that waits owns no buffer.
#include <gyre/gyre.h>

#include "gyre_run.h"
#include "server.h"
#include "services.h"

namespace {

gyre::Task<void> session(gyre::TcpStream stream) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;
    const gyre::Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<void> http_session(gyre::TcpStream stream) {
  echo::Http http;
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;
    const echo::Answer answer = http.answer(echo::text_of(received->bytes()));
    const gyre::Result<void> sent = co_await stream.write_all(std::as_bytes(std::span(answer.bytes)));
    if (!sent || !answer.goes_on) co_return;
  }
}

gyre::Task<gyre::Result<void>> serve(gyre::Task<void> (*handler)(gyre::TcpStream)) {
  gyre::Result<gyre::TcpListener> listener =
      co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  if (!listener) co_return listener.error();
  echo::announce(listener->local_endpoint()->port());
  gyre::TaskGroup sessions(gyre::OnFailure::keep_going);
  for (;;) {
    gyre::Result<gyre::TcpStream> peer = co_await listener->accept();
    if (!peer) break;
    sessions.spawn(handler, std::move(*peer));
  }
  co_return co_await sessions.join();
}

}  // namespace

int main(int argc, char** argv) {
  return echo::run_on_poller(argc, argv, serve(echo::is_http(argc, argv) ? http_session : session));
}
