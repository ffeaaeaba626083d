// What `make run` shows: a server that takes a second over each answer, and 400 clients at once, on one thread.
#include <array>
#include <cstdio>

#include <gyre/net/tcp_listener.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/reactor/run.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

constexpr int clients = 400;  // Each has two descriptors here, and many systems allow 1,024.

gyre::Task<void> answer(gyre::TcpStream peer) {
  std::array<std::byte, 64> question;
  const gyre::Result<std::size_t> count = co_await peer.read(question);
  const gyre::Result<void> slept = co_await gyre::sleep(std::chrono::seconds(1));
  if (count && slept) static_cast<void>(co_await peer.write_all(question));
}

gyre::Task<void> serve(gyre::TcpListener* listener) {
  gyre::TaskGroup sessions(gyre::OnFailure::keep_going);
  for (;;) {
    gyre::Result<gyre::TcpStream> peer = co_await listener->accept();
    if (!peer) break;  // cancelled: all clients have their answer
    sessions.spawn(answer, std::move(*peer));
  }
  static_cast<void>(co_await sessions.join());
}

gyre::Task<gyre::Result<void>> ask(gyre::Endpoint server) {
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(server);
  if (!stream) co_return stream.error();
  std::array<std::byte, 64> line{};
  const gyre::Result<void> sent = co_await stream->write_all(line);
  if (!sent) co_return sent.error();
  co_return co_await stream->read_exactly(line);
}

gyre::Task<gyre::Result<void>> tour() {
  gyre::Result<gyre::TcpListener> listener = co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  if (!listener) co_return listener.error();
  gyre::TaskGroup server;
  server.spawn(serve, &*listener);

  const gyre::Instant begin = gyre::steady_clock().now();
  gyre::TaskGroup all;
  for (int i = 0; i < clients; ++i) all.spawn(ask, *listener->local_endpoint());
  const gyre::Result<void> asked = co_await all.join();
  const gyre::Duration took = gyre::steady_clock().now() - begin;
  server.cancel();
  static_cast<void>(co_await server.join());
  if (!asked) co_return asked.error();

  gyre::Reactor& reactor = gyre::this_reactor();
  std::printf("poller: %s (%s)\n", reactor.poller().name().data(), reactor.poller_reason().data());
  std::printf("%d answers that take 1 s each, one after the other: %d s\n", clients, clients);
  std::printf("all at once with Gyre, on one thread: %.2f s\n", static_cast<double>(took.count()) / 1e9);
  co_return gyre::Result<void>{};
}

int main() {
  const gyre::Result<void> shown = gyre::run(tour());
  if (!shown) std::fprintf(stderr, "%s\n", shown.error().to_string().c_str());
  return shown ? 0 : 1;
}
