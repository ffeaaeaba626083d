// File server: HTTP/1.0, GET only, the files of one directory, sent from the kernel's memory by send_file().
//
//   file_server 7003 /usr/share/doc        then: curl http://localhost:7003/README
//   file_server                            serves a file of its own to itself once, and ends
#include <cstdio>
#include <string>

#include <gyre/gyre.h>

gyre::Task<gyre::Result<void>> answer(gyre::ServerConnection& client, std::string path) {
  gyre::Result<gyre::File> file = gyre::Errc::malformed;
  // Nothing outside the directory.
  if (path.find("/..") == std::string::npos) file = co_await gyre::File::open(path);
  const gyre::Result<std::uint64_t> size = file ? file->size() : gyre::Result<std::uint64_t>(std::uint64_t{0});
  std::string head = file && size ? "HTTP/1.0 200 OK\r\n" : "HTTP/1.0 404 Not Found\r\n";
  head += "Content-Length: " + std::to_string(size.value_or(0u)) + "\r\n\r\n";
  const gyre::Result<void> begun = co_await client.write_all(head);
  if (!begun || !file) co_return begun;
  const gyre::Result<std::uint64_t> sent = co_await gyre::send_file(client, *file);
  if (!sent) co_return sent.error();
  co_return client.shutdown();
}

gyre::Task<gyre::Result<void>> session(gyre::ServerConnection& client, std::string directory) {
  gyre::BufferedReader reader(client, {.limit = 8192});
  const gyre::Result<std::string_view> head = co_await reader.read_until("\r\n\r\n");
  if (!head) co_return head.error();  // too long, too slow, or gone
  if (!head->starts_with("GET /")) co_return gyre::Errc::malformed;
  co_return co_await answer(client, directory + std::string(head->substr(4, head->find(' ', 4) - 4)));
}

gyre::Task<gyre::Result<void>> fetch(gyre::Endpoint where, gyre::Server* server) {
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(where);
  if (!stream) co_return stream.error();
  const std::string_view request = "GET /etc/hosts HTTP/1.0\r\n\r\n";
  static_cast<void>(co_await stream->write_all(request));
  gyre::BufferedReader reader(*stream);
  const gyre::Result<std::string_view> page = co_await reader.read_to_end();
  server->stop(gyre::Duration::zero());
  if (!page) co_return page.error();
  co_return page->starts_with("HTTP/1.0 200 OK\r\n") ? gyre::Result<void>() : gyre::Errc::broken;
}

gyre::Task<gyre::Result<void>> serve(std::uint16_t port, std::string directory, bool once) {
  gyre::Server server({.idle_max = std::chrono::seconds(30), .send_rate_min = 100});
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(port));
  if (!where) co_return where.error();
  std::fprintf(stderr, "listening on %s\n", where->to_string().c_str());
  gyre::TaskGroup group;
  group.spawn([](gyre::Server* s, std::string d) { return s->run(session, d); }, &server, directory);
  if (once) group.spawn(fetch, *where, &server);
  co_return co_await group.join();
}

int main(int argc, char** argv) {
  if (argc != 1 && argc != 3) return std::fputs("usage: file_server [port directory]\n", stderr), 2;
  const gyre::Result<std::uint16_t> port = gyre::parse_port(argc > 1 ? argv[1] : "0");
  return gyre::exit_status(port ? gyre::run(serve(*port, argc > 1 ? argv[2] : "", argc == 1)) : port.error());
}
