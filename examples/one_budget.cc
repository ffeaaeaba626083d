// One budget for everything: resolving, connecting and reading the first line together may take so long and no longer.
//
//   one_budget localhost 22 2000        milliseconds
//   one_budget                          asks a server of its own that greets, and one that never does
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gyre/gyre.h>

gyre::Task<gyre::Result<std::string>> greeting_of(std::string host, std::uint16_t port) {
  gyre::ConnectReport report;
  const gyre::ConnectOptions options{.report = &report};
  gyre::Result<gyre::TcpStream> stream = co_await gyre::connect(host, port, options);
  if (!stream) {
    std::fprintf(stderr, "%s\n", report.to_string().c_str());  // every address that was tried
    co_return stream.error();
  }
  gyre::BufferedReader reader(*stream);
  const gyre::Result<std::string_view> line = co_await reader.read_line();
  if (!line) co_return line.error();
  co_return std::string(*line);
}

gyre::Task<void> greet(gyre::ServerConnection& connection, bool aloud) {
  const std::string_view hello = "hello\n";
  if (aloud) static_cast<void>(co_await connection.write_all(hello));
  static_cast<void>(co_await gyre::sleep_until(gyre::never));  // until the server stops
}

gyre::Task<gyre::Result<void>> ask_itself() {
  for (const bool aloud : {true, false}) {
    gyre::Server server;
    const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(0));
    if (!where) co_return where.error();
    gyre::TaskGroup group;
    group.spawn([](gyre::Server* s, bool b) { return s->run(greet, b); }, &server, aloud);
    const gyre::Result<std::string> line =
        co_await gyre::with_timeout(std::chrono::milliseconds(aloud ? 10'000 : 50), greeting_of("localhost", where->port()));
    server.stop(gyre::Duration::zero());
    static_cast<void>(co_await group.join());
    const bool as_expected = aloud ? line && *line == "hello\n" : !line && line.error().is_timed_out();
    if (!as_expected) co_return gyre::Errc::broken;
  }
  co_return gyre::Result<void>{};
}

gyre::Task<gyre::Result<void>> ask(std::string host, std::uint16_t port, gyre::Duration budget) {
  const gyre::Result<std::string> line = co_await gyre::with_timeout(budget, greeting_of(host, port));
  if (line) std::printf("%s", line->c_str());
  co_return line ? gyre::Result<void>() : line.error();
}

int main(int argc, char** argv) {
  if (argc == 1) return gyre::exit_status(gyre::run(ask_itself()));
  const int budget = argc == 4 ? std::atoi(argv[3]) : 0;
  if (budget <= 0) return std::fputs("usage: one_budget [host port milliseconds]\n", stderr), 2;
  const gyre::Result<std::uint16_t> port = gyre::parse_port(argv[2]);
  return gyre::exit_status(port ? gyre::run(ask(argv[1], *port, std::chrono::milliseconds(budget))) : port.error());
}
