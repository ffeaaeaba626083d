// The first example of asyncio's books: many slow web requests at once, on one thread.
#include <cstdio>
#include <string>
#include <string_view>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/server.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/this_process.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/interval.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "tour.h"

namespace tour {
namespace {

constexpr int pages = 100;
constexpr gyre::Duration page_time = std::chrono::seconds(1);

// One request, which takes its second. Enough of HTTP for any client: try curl.
gyre::Task<gyre::Result<void>> serve_page(gyre::ServerConnection& connection) {
  gyre::BufferedReader reader(connection);
  const gyre::Result<std::string_view> request = co_await reader.read_until("\r\n\r\n");
  if (!request) co_return request.error();
  const gyre::Result<void> slept = co_await gyre::sleep(page_time);
  if (!slept) co_return slept.error();
  co_return co_await connection.write_all(
      "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, Gyre!\n");
}

gyre::Task<gyre::Result<void>> fetch(gyre::Endpoint server, int page, int* fetched) {
  gyre::Result<gyre::TcpStream> stream = co_await gyre::TcpStream::connect(server);
  if (!stream) co_return stream.error();
  const std::string request = "GET /page/" + std::to_string(page) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const gyre::Result<void> asked = co_await stream->write_all(request);
  if (!asked) co_return asked.error();
  gyre::BufferedReader reader(*stream);
  const gyre::Result<std::string_view> answer = co_await reader.read_to_end();
  if (!answer) co_return answer.error();
  if (!answer->ends_with("Hello, Gyre!\n")) co_return gyre::Errc::end_of_stream;
  ++*fetched;
  co_return gyre::Result<void>{};
}

gyre::Task<void> show_progress(const int* fetched, gyre::Instant begin) {
  gyre::Interval ticks(std::chrono::milliseconds(50));
  for (;;) {
    const gyre::Result<gyre::Instant> tick = co_await ticks.tick();
    if (!tick) co_return;
    const double seconds = static_cast<double>((gyre::steady_clock().now() - begin).count()) / 1e9;
    const double done = static_cast<double>(*fetched) / pages;
    std::printf("\r   [%s] %3d open, %3d done, %.1f s ", bar(done, 40).c_str(), pages - *fetched, *fetched, seconds);
    std::fflush(stdout);
  }
}

// Which poller runs, why, and which others this system would run.
void show_poller(gyre::Reactor& reactor) {
  const std::string_view ours = reactor.poller().name();
  const std::string_view why = reactor.poller_reason();
  std::printf("   poller                %s (%s)", ours.data(), why == "default" ? "the default here" : why.data());
  for (const std::string_view* name = gyre::poller_names(); !name->empty(); ++name) {
    if (*name == ours) continue;
    const bool opens = gyre::open_poller(*name).has_value();
    std::printf("; %s %s", name->data(), opens ? "would run too" : "is not to be had");
  }
  std::printf("\n");
}

}  // namespace

gyre::Task<gyre::Result<void>> fetch_pages() {
  gyre::Reactor& reactor = gyre::this_reactor();
  gyre::Server server;
  const gyre::Result<gyre::Endpoint> where = co_await server.listen(gyre::Endpoint::loopback_v4(0));
  if (!where) co_return where.error();
  gyre::TaskGroup background;
  background.spawn([](gyre::Server* running) -> gyre::Task<gyre::Result<void>> {
    co_return co_await running->run(serve_page);
  }, &server);
  std::printf("1. %d web pages at once. A local server takes one second over each page.\n", pages);

  const gyre::Instant begin = gyre::steady_clock().now();
  int fetched = 0;
  if (is_terminal()) background.spawn(show_progress, &fetched, begin);
  gyre::TaskGroup all;
  for (int page = 0; page < pages; ++page) all.spawn(fetch, *where, page, &fetched);
  const gyre::Result<void> done = co_await all.join();
  const gyre::Duration took = gyre::steady_clock().now() - begin;
  const std::size_t threads = gyre::count_threads();
  background.cancel();
  static_cast<void>(co_await background.join());
  if (!done) co_return done.error();

  if (is_terminal()) std::printf("\r   [%s] %3d open, %3d done        \n", bar(1, 40).c_str(), pages - fetched, fetched);
  std::printf("   one after the other   %6.2f s (%d times 1 s)\n", static_cast<double>(pages), pages);
  std::printf("   at once, with Gyre    %6.2f s, server and clients on %zu thread%s\n",
              static_cast<double>(took.count()) / 1e9, threads, threads == 1 ? "" : "s");
  std::printf("   peak memory           %.0f MiB\n", static_cast<double>(gyre::peak_memory() >> 20));
  show_poller(reactor);
  co_return gyre::Result<void>{};
}

}  // namespace tour
