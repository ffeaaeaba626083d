// Line chat: what one says, all others hear, until Ctrl-C.
//   chat 7001        then, more than once: nc localhost 7001
//   chat             talks to itself once, and ends
#include <cstdio>
#include <string>

#include <gyre/gyre.h>

using Line = std::pair<const gyre::ServerConnection*, std::string>;  // who says it, and what
using Room = gyre::Broadcast<Line>;

gyre::Task<void> hear(gyre::ServerConnection* listener, Room::Receiver room) {
  for (;;) {
    const gyre::Result<Line> line = co_await room.receive();
    if (!line && line.error() != gyre::Errc::lagged) co_return;  // a slow one misses some
    if (!line || line->first == listener) continue;
    static_cast<void>(co_await listener->write_all(line->second));
  }
}

gyre::Task<void> session(gyre::ServerConnection& connection, Room* room) {
  gyre::TaskGroup hearing;
  hearing.spawn(hear, &connection, room->subscribe());
  gyre::BufferedReader reader(connection, {.limit = 1000});
  for (;;) {
    const gyre::Result<std::string_view> line = co_await reader.read_line();
    if (!line || line->empty()) break;
    room->send(Line{&connection, std::string(*line)});
  }
  static_cast<void>(co_await hearing.drain(gyre::Duration::zero()));
}

gyre::Task<gyre::Result<void>> talk(gyre::Endpoint where, gyre::Server* server) {
  gyre::Result<gyre::TcpStream> one = co_await gyre::TcpStream::connect(where);
  gyre::Result<gyre::TcpStream> two = co_await gyre::TcpStream::connect(where);
  if (!one || !two) co_return one ? two.error() : one.error();
  while (server->stats().connections < 2) static_cast<void>(co_await gyre::yield());
  std::string text = "hello, all\n";
  static_cast<void>(co_await one->write_all(text));
  const gyre::Result<void> heard = co_await two->read_exactly(std::as_writable_bytes(std::span(text)));
  server->stop();
  co_return heard;
}

gyre::Task<gyre::Result<void>> chat(std::uint16_t port, bool with_itself) {
  Room room(100);
  gyre::Server server({.drain = gyre::Duration::zero()});
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(port));
  if (!where) co_return where.error();
  std::fprintf(stderr, "listening on %s\n", where->to_string().c_str());
  gyre::TaskGroup group;
  group.spawn([](gyre::Server* s, Room* r) { return s->run(session, r); }, &server, &room);
  if (with_itself) group.spawn(talk, *where, &server);
  co_return co_await group.join();
}

int main(int argc, char** argv) {
  const gyre::Result<std::uint16_t> port = gyre::parse_port(argc > 1 ? argv[1] : "0");
  return gyre::exit_status(port ? gyre::run(chat(*port, argc < 2)) : port.error());
}
