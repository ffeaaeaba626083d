// TCP proxy: passes bytes both ways; when one side has finished, the other may still speak (half-close).
//
//   proxy 7002 example.org 80        then: curl -H 'Host: example.org' localhost:7002
//   proxy                            passes a line to an echo server of its own, and ends
#include <cstdio>
#include <string>

#include <gyre/gyre.h>

gyre::Task<gyre::Result<void>> session(gyre::ServerConnection& client, std::string host, std::uint16_t port) {
  gyre::Result<gyre::TcpStream> target = co_await gyre::with_timeout(std::chrono::seconds(5), gyre::connect(host, port));
  if (!target) co_return target.error();
  const gyre::Result<gyre::CopyCounts> copied = co_await gyre::copy_bidirectional(client, *target);
  if (!copied) co_return copied.error();
  co_return gyre::Result<void>{};
}

gyre::Task<void> echo(gyre::ServerConnection& connection) {
  static_cast<void>(co_await gyre::copy(connection, connection));
}

gyre::Task<gyre::Result<void>> ask(gyre::Endpoint where, gyre::Server* proxy, gyre::Server* target) {
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(where);
  if (!stream) co_return stream.error();
  std::string text = "there and back";
  const gyre::Result<void> sent = co_await stream->write_all(text);
  const gyre::Result<void> finished = stream->shutdown();  // and yet the answer comes
  const gyre::Result<void> back = co_await stream->read_exactly(std::as_writable_bytes(std::span(text)));
  proxy->stop();
  target->stop();
  co_return sent && finished ? back : gyre::Result<void>(gyre::Errc::broken);
}

gyre::Task<gyre::Result<void>> serve(std::uint16_t port, std::string host, std::uint16_t target_port) {
  gyre::Server proxy;
  gyre::Server target;
  const gyre::Result<gyre::Endpoint> where = co_await proxy.listen(gyre::Endpoint::loopback_v4(port));
  if (!where) co_return where.error();
  std::fprintf(stderr, "listening on %s\n", where->to_string().c_str());
  gyre::TaskGroup group;
  if (host.empty()) {
    const gyre::Result<gyre::Endpoint> own = co_await target.listen(gyre::Endpoint::loopback_v4(0));
    if (!own) co_return own.error();
    host = "127.0.0.1";
    target_port = own->port();
    group.spawn([](gyre::Server* server) { return server->run(echo); }, &target);
    group.spawn(ask, *where, &proxy, &target);
  }
  group.spawn([](gyre::Server* s, std::string h, std::uint16_t p) { return s->run(session, h, p); }, &proxy, host, target_port);
  co_return co_await group.join();
}

int main(int argc, char** argv) {
  if (argc != 1 && argc != 4) return std::fputs("usage: proxy [port target_host target_port]\n", stderr), 2;
  const gyre::Result<std::uint16_t> port = gyre::parse_port(argc > 1 ? argv[1] : "0");
  const gyre::Result<std::uint16_t> target = gyre::parse_port(argc > 1 ? argv[3] : "0");
  if (!port || !target) return gyre::exit_status(port ? target.error() : port.error());
  return gyre::exit_status(gyre::run(serve(*port, argc > 1 ? argv[2] : "", *target)));
}
