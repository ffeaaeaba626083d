// A small web server of our own for the programs that the book lets ask example.com, and a client that asks it.
#pragma once

#include <charconv>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/server.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/reactor/run.h>
#include <gyre/reactor/runtime.h>
#include <gyre/task/sleep.h>

namespace book {

// Answers one request, and takes its time as a server far away would.
inline gyre::Task<gyre::Result<void>> answer(gyre::ServerConnection& connection, gyre::Duration latency) {
  gyre::BufferedReader reader(connection);
  const gyre::Result<std::string_view> request = co_await reader.read_until("\r\n\r\n");
  if (!request) co_return request.error();
  const gyre::Result<void> slept = co_await gyre::sleep(latency);
  if (!slept) co_return slept;
  const std::string_view page =
      "HTTP/1.1 200 OK\r\nServer: gyre\r\nContent-Type: text/plain\r\n"
      "Content-Length: 7\r\nConnection: close\r\n\r\nHello!\n";
  co_return co_await connection.write_all(page);
}

// The head of what the server answers to GET on this connection, without the empty line.
inline gyre::Task<gyre::Result<std::string>> get_head(gyre::TcpStream& stream) {
  const std::string_view request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const gyre::Result<void> asked = co_await stream.write_all(request);
  if (!asked) co_return asked.error();
  gyre::BufferedReader reader(stream);
  const gyre::Result<std::string_view> head = co_await reader.read_until("\r\n\r\n");
  if (!head) co_return head.error();
  co_return std::string(head->substr(0, head->find("\r\n\r\n")));
}

inline gyre::Task<gyre::Result<int>> get_status(gyre::Endpoint where) {
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(where);
  if (!stream) co_return stream.error();
  const gyre::Result<std::string> head = co_await get_head(*stream);
  if (!head) co_return head.error();
  int status = 0;  // of "HTTP/1.1 200 OK" it is 200
  const std::size_t at = head->find(' ');
  if (at != head->npos) std::from_chars(head->data() + at + 1, head->data() + head->size(), status);
  if (status == 0) co_return gyre::Errc::malformed;
  co_return status;
}

// On a thread of its own, as if far away: it waits for nothing that the program does.
inline gyre::Task<gyre::Result<void>> serve(unsigned, gyre::Duration latency,
                                            std::promise<gyre::Result<gyre::Endpoint>>* bound) {
  gyre::Server server;
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(0));
  bound->set_value(where);
  if (!where) co_return where.error();
  co_return co_await server.run(answer, latency);
}

// Runs visit(where, arguments...) while a server with this latency listens there. Returns what main() does.
template <typename... Arguments>
int run_with_server(gyre::Duration latency, gyre::Task<gyre::Result<void>> (*visit)(gyre::Endpoint, Arguments...),
                    Arguments... arguments) {
  const gyre::Result<std::unique_ptr<gyre::Runtime>> runtime = gyre::Runtime::create({.reactors = 1});
  if (!runtime) return gyre::exit_status(runtime.error());
  std::promise<gyre::Result<gyre::Endpoint>> bound;
  const gyre::Result<void> started = (*runtime)->start(serve, latency, &bound);
  if (!started) return gyre::exit_status(started);
  const gyre::Result<gyre::Endpoint> where = bound.get_future().get();
  if (!where) return gyre::exit_status(where.error());
  const gyre::Result<void> visited = gyre::run(visit(*where, std::move(arguments)...));
  (*runtime)->stop();
  const gyre::Result<void> ended = (*runtime)->join();
  return gyre::exit_status(visited ? ended : visited);
}

}  // namespace book
