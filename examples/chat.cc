// Line chat: what one says, all others hear, until Ctrl-C.
//
//   chat 7001        then, more than once: nc localhost 7001
//   chat             talks to itself once, and ends
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gyre/gyre.h>

using Line = std::pair<const gyre::ServerConnection*, std::string>;  // who says it, and what
using Room = gyre::Broadcast<Line>;

gyre::Task<void> hear(gyre::ServerConnection* listener, Room::Receiver room) {
  for (;;) {
    const gyre::Result<Line> line = co_await room.receive();
    if (!line && line.error() == gyre::Errc::lagged) continue;  // too slow: has missed some
    if (!line) co_return;
    if (line->first == listener) continue;
    const gyre::Result<void> sent = co_await listener->write_all(std::as_bytes(std::span(line->second)));
    if (!sent) co_return;
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
  hearing.cancel();
  static_cast<void>(co_await hearing.join());
}

gyre::Task<gyre::Result<void>> talk_to_itself(gyre::Endpoint where, gyre::Server* server) {
  gyre::Result<gyre::TcpStream> one = co_await gyre::TcpStream::connect(where);
  gyre::Result<gyre::TcpStream> two = co_await gyre::TcpStream::connect(where);
  if (!one || !two) co_return gyre::Errc::closed;
  while (server->stats().connections < 2) static_cast<void>(co_await gyre::yield());
  std::string hello = "hello, all\n";
  static_cast<void>(co_await one->write_all(std::as_bytes(std::span(hello))));
  const gyre::Result<void> heard = co_await two->read_exactly(std::as_writable_bytes(std::span(hello)));
  server->stop(gyre::Duration::zero());
  co_return heard;
}

gyre::Task<gyre::Result<void>> chat(std::uint16_t port, bool once) {
  Room room(100);
  gyre::Server server;
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(port));
  if (!where) co_return where.error();
  std::printf("listening on %s\n", where->to_string().c_str());
  std::fflush(stdout);
  gyre::TaskGroup group;
  if (once) group.spawn(talk_to_itself, *where, &server);
  const gyre::Result<void> served = co_await server.run(session, &room);
  if (!served) co_return served;
  co_return co_await group.join();
}

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  return gyre::exit_status(gyre::run(chat(port, argc < 2)));
}
