// Server on every backend: serving, failing handlers, limits, listeners from elsewhere.
#include <gyre/net/server.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/tcp_listener.h>
#include <gyre/platform/file_system.h>

#include "support/server_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

// --- Serving ---------------------------------------------------------------------------------------------------------

Task<void> one_client(Endpoint where, int* served) {
  TcpStream stream = co_await connect_to(where);
  const bool first = co_await is_served(stream, "hello");
  const bool second = co_await is_served(stream, "again");
  if (first && second) ++*served;
}

Task<void> serves_many(int clients) {
  RunningServer server;
  const Endpoint where = co_await server.begin(echo);
  int served = 0;
  {
    TaskGroup crowd;
    for (int i = 0; i < clients; ++i) crowd.spawn(one_client, where, &served);
    static_cast<void>(co_await crowd.join());
  }
  EXPECT_EQ(served, clients);
  server.stop();
  const Result<void> ended = co_await server.running();
  EXPECT_TRUE(ended) << ended.error();
  const ServerStats stats = server.stats();
  EXPECT_EQ(stats.accepted, static_cast<std::uint64_t>(clients));
  EXPECT_EQ(stats.connections, 0U);
  EXPECT_EQ(stats.failed, 0U);
  EXPECT_EQ(stats.bytes_received, static_cast<std::uint64_t>(clients) * 10);
  EXPECT_EQ(stats.bytes_sent, static_cast<std::uint64_t>(clients) * 10);
  co_await server.join();
}

TEST_P(ServerTest, ServesEveryConnectionAndCountsItsBytes) { EXPECT_TRUE(run(serves_many(100))); }

Task<void> tells_arguments(ServerConnection& connection, std::string text, int* calls) {
  ++*calls;
  EXPECT_TRUE(connection.set_option(SocketOptions::no_delay, false).has_value());
  EXPECT_EQ(connection.peer_endpoint()->place(), connection.peer());
  static_cast<void>(co_await connection.write_all(bytes_of(text)));
}

Task<void> passes_arguments() {
  RunningServer server;
  int calls = 0;
  const std::string greeting = "a longer text, on the heap";
  Task<Endpoint> beginning = server.begin(tells_arguments, greeting, &calls);
  const Endpoint where = co_await std::move(beginning);
  for (int i = 0; i < 2; ++i) {
    TcpStream stream = co_await connect_to(where);
    std::array<std::byte, 26> text;
    const Result<void> received = co_await stream.read_exactly(text);
    EXPECT_TRUE(received);
  }
  EXPECT_EQ(calls, 2);
  server.stop();
  co_await server.join();
}

TEST_P(ServerTest, GivesEachSessionItsOwnCopyOfTheArguments) {
  EXPECT_TRUE(run(passes_arguments()));
}

// --- Failures --------------------------------------------------------------------------------------------------------

Task<Result<void>> does_as_told(ServerConnection& connection) {
  std::array<std::byte, 1> order{};
  const Result<std::size_t> count = co_await connection.read(order);
  if (!count) co_return count.error();
  if (order[0] == std::byte{'t'}) throw std::runtime_error("told to");
  if (order[0] == std::byte{'f'}) co_return Errc::malformed;
  const Result<void> sent = co_await connection.write_all(order);
  co_return sent;
}

Task<void> survives_handlers(Reports& reports) {
  ServerOptions options;
  options.on_failure = Reports::note;
  options.failure_owner = &reports;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(does_as_told);
  for (const char* order : {"t", "f"}) {
    TcpStream stream = co_await connect_to(where);
    static_cast<void>(co_await stream.write_all(bytes_of(order)));
    const Error ended = co_await end_of(stream);
    EXPECT_FALSE(ended) << ended;
  }
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "x");
  EXPECT_TRUE(served);
  EXPECT_EQ(server.stats().failed, 2U);
  EXPECT_EQ(reports.all.size(), 2U);
  if (reports.all.size() == 2) {
    EXPECT_NE(reports.all[0].exception, nullptr);
    EXPECT_EQ(reports.all[1].error, Errc::malformed);
    EXPECT_EQ(reports.all[1].error.place(), reports.all[1].peer);
    EXPECT_EQ(reports.all[1].peer.kind(), Place::Kind::ipv4);
  }
  server.stop();
  co_await server.join();
}

TEST_P(ServerTest, HandlerThatThrowsOrFailsIsReportedAndEndsNothingElse) {
  EXPECT_TRUE(run(survives_handlers(reports_)));
}

Task<void> fails_once(bool* tried) {
  RunningServer server;
  const Endpoint where = co_await server.begin(does_as_told);
  TcpStream stream = co_await connect_to(where);
  static_cast<void>(co_await stream.write_all(bytes_of("f")));
  const Error ended = co_await end_of(stream);
  *tried = !ended;
  server.stop();
  co_await server.join();
}

TEST_P(ServerTest, FailuresGoToTheReactorsSinkByDefault) {
  bool tried = false;
  EXPECT_TRUE(run(fails_once(&tried)));
  EXPECT_TRUE(tried);
  const std::vector<TaskFailure> failures = take_failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures[0].error, Errc::malformed);
}

// --- Limits ----------------------------------------------------------------------------------------------------------

Task<void> limits_connections() {
  ServerOptions options;
  options.connections_max = 2;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  TcpStream first = co_await connect_to(where);
  const bool first_served = co_await is_served(first, "first");
  TcpStream second = co_await connect_to(where);
  const bool second_served = co_await is_served(second, "second");
  EXPECT_TRUE(first_served);
  EXPECT_TRUE(second_served);
  TcpStream third = co_await connect_to(where);  // into the backlog
  static_cast<void>(co_await third.write_all(bytes_of("third")));
  co_await settle();
  EXPECT_EQ(server.stats().accepted, 2U);

  first = TcpStream();
  std::array<std::byte, 5> back;
  const Result<void> third_served = co_await third.read_exactly(back);
  EXPECT_TRUE(third_served);
  EXPECT_EQ(server.stats().accepted, 3U);
  EXPECT_EQ(server.stats().connections_peak, 2U);
  co_await server.end();
}

TEST_P(ServerTest, AcceptsNoMoreThanItsLimitUntilOneEnds) {
  EXPECT_TRUE(run(limits_connections()));
}

Task<void> uses_used_port() {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  Server other;
  const Result<Endpoint> again = co_await other.listen(where);
  EXPECT_EQ(error_of(again), std::errc::address_in_use);
  EXPECT_EQ(error_of(again).place(), where.place());
}

TEST_P(ServerTest, UsedPortIsAnErrorThatNamesIt) { EXPECT_TRUE(run(uses_used_port())); }

// --- Listeners from elsewhere ----------------------------------------------------------------------------------------

Task<void> listens_at_path(std::string path) {
  const Endpoint where = Endpoint::unix_path(path).value_or(Endpoint());
  {
    RunningServer server;
    const Result<Endpoint> bound = co_await server.listen(where);
    EXPECT_EQ(error_of(bound), Error());
    Server other;
    const Result<Endpoint> again = co_await other.listen(where);
    EXPECT_EQ(error_of(again), std::errc::address_in_use);
    server.run_beside(echo);
    Result<TcpStream> stream = TcpStream::adopt(test::connect_to(where.address()));
    EXPECT_TRUE(stream);
    const bool served = co_await is_served(*stream, "by a path");
    EXPECT_TRUE(served);
    EXPECT_TRUE(file_status(path.c_str()));
    co_await server.end();
  }
  EXPECT_FALSE(file_status(path.c_str())) << "the file goes with the server";
}

TEST_P(ServerTest, ListensAtAPathAndRemovesItsFile) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(run(listens_at_path(directory.path("socket"))));
}

Task<void> refuses_what_does_not_listen() {
  Server server;
  Bound silent = refusing_tcp();
  const Result<Endpoint> bound = server.listen(std::move(silent.fd));
  EXPECT_EQ(error_of(bound), std::errc::invalid_argument);
  EXPECT_EQ(error_of(bound).place(), place_of(silent.address));
  co_return;
}

TEST_P(ServerTest, RefusesASocketThatDoesNotListen) {
  EXPECT_TRUE(run(refuses_what_does_not_listen()));
}

Task<void> takes_listener() {
  Result<TcpListener> listener = co_await TcpListener::bind(Endpoint::loopback_v4(0));
  EXPECT_TRUE(listener);
  RunningServer server;
  const Result<Endpoint> given = server.listen(std::move(*listener));
  EXPECT_TRUE(given);
  const Endpoint second = co_await listen_somewhere(server);
  server.run_beside(echo);
  for (const Endpoint& where : {*given, second}) {
    TcpStream stream = co_await connect_to(where);
    const bool served = co_await is_served(stream, "given");
    EXPECT_TRUE(served);
  }
  co_await server.end();
}

TEST_P(ServerTest, ServesSeveralListenersAtOnce) { EXPECT_TRUE(run(takes_listener())); }

}  // namespace
}  // namespace gyre::test
