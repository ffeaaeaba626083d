// ServerConnection: what a handler and its server may do to one connection, and what is counted of it.
#include <gyre/net/server.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/sleep.h>

#include "support/server_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

// --- Ended by the handler --------------------------------------------------------------------------------------------

// Ends as the client says, and lives on until the server stops.
Task<void> ends_as_told(ServerConnection& connection) {
  std::array<std::byte, 5> word;
  const Result<void> heard = co_await connection.read_exactly(word);
  if (!heard) co_return;
  if (word[0] == std::byte{'a'}) {
    connection.abort();
  } else {
    const Result<void> closed = co_await connection.close();
    EXPECT_TRUE(closed);
  }
  EXPECT_FALSE(connection.is_open());
  static_cast<void>(co_await sleep_until(never));
}

Task<void> counts_what_is_closed() {
  RunningServer server;
  const Endpoint where = co_await server.begin(ends_as_told);
  TcpStream aborted = co_await connect_to(where);
  static_cast<void>(co_await aborted.write_all(bytes_of("abort")));
  const Error reset = co_await end_of(aborted);
  EXPECT_EQ(reset, std::errc::connection_reset);
  TcpStream closed = co_await connect_to(where);
  static_cast<void>(co_await closed.write_all(bytes_of("close")));
  const Error end = co_await end_of(closed);
  EXPECT_FALSE(end) << end;
  // The handlers go on, and what their connections have moved is not forgotten meanwhile.
  EXPECT_EQ(server.stats().connections, 2U);
  EXPECT_EQ(server.stats().bytes_received, 10U);
  co_await server.end();
  EXPECT_EQ(server.stats().connections, 0U);
  EXPECT_EQ(server.stats().bytes_received, 10U);
}

TEST_P(ServerTest, AHandlerMayCloseItsConnectionAndItsBytesStayCounted) {
  EXPECT_TRUE(run(counts_what_is_closed()));
}

// --- Seen and ended by the server ------------------------------------------------------------------------------------

Task<void> cuts_one(Reports& reports) {
  ServerOptions options;
  options.on_failure = Reports::note;
  options.failure_owner = &reports;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  std::vector<TcpStream> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(co_await connect_to(where));
    const bool served = co_await is_served(clients.back(), std::string(10U * static_cast<unsigned>(i + 1), 'x'));
    EXPECT_TRUE(served);
  }
  std::size_t index = 0;
  for (ServerConnection& connection : server.connections()) {
    EXPECT_EQ(connection.peer(), clients[index].local_endpoint()->place());
    EXPECT_EQ(connection.bytes_received(), 10U * (index + 1));
    EXPECT_EQ(connection.bytes_sent(), 10U * (index + 1));
    EXPECT_EQ(&connection.server(), &server);
    EXPECT_EQ(connection.cut_off(), CutOff::none);
    if (index == 1) connection.cut(CutOff::aborted);
    if (index == 2) connection.cut(CutOff::idle);
    ++index;
  }
  EXPECT_EQ(index, 3U);
  EXPECT_EQ(server.stats().bytes_received, 60U);
  for (std::size_t i : {1U, 2U}) {
    const Error reset = co_await end_of(clients[i]);
    EXPECT_EQ(reset, std::errc::connection_reset);
  }
  const bool still_served = co_await is_served(clients[0], "still there");
  EXPECT_TRUE(still_served);
  EXPECT_EQ(server.stats().connections, 1U);
  EXPECT_EQ(server.stats().cut_off_idle, 1U);
  EXPECT_EQ(server.stats().failed, 0U);
  // Who is cut off by the program has not failed.
  EXPECT_EQ(reports.all.size(), 1U);
  if (!reports.all.empty()) {
    EXPECT_EQ(reports.all[0].cut_off, CutOff::idle);
    EXPECT_TRUE(reports.all[0].error.is_timed_out());
    EXPECT_EQ(reports.all[0].peer, clients[2].local_endpoint()->place());
  }
  co_await server.end();
}

TEST_P(ServerTest, ConnectionsAreListedOldestFirstAndCutOffOneByOne) { EXPECT_TRUE(run(cuts_one(reports_))); }

// --- Full and paused ones --------------------------------------------------------------------------------------------

// By the first byte: writes until that fails, to a client that does not read; or reads no more, while the client writes.
Task<void> is_stuck(ServerConnection& connection, int* stuck) {
  std::array<std::byte, 1> kind;
  const Result<void> heard = co_await connection.read_exactly(kind);
  if (!heard) co_return;
  ++*stuck;
  if (kind[0] == std::byte{'p'}) {
    static_cast<void>(co_await sleep_until(never));
    co_return;
  }
  const std::vector<std::byte> much(1 << 20);
  for (;;) {
    const Result<void> sent = co_await connection.write_all(much);
    if (!sent) co_return;
  }
}

Task<void> fill(TcpStream& stream) {
  const std::vector<std::byte> much(1 << 20);
  for (;;) {
    const Result<void> sent = co_await stream.write_all(much);
    if (!sent) co_return;
  }
}

// C-167: closing all (a grace of nothing), and aborting all.
Task<void> ends_stuck_ones(bool by_abort) {
  RunningServer server;
  int stuck = 0;
  const Endpoint where = co_await server.begin(is_stuck, &stuck);
  TcpStream full = co_await connect_to(where);
  static_cast<void>(co_await full.write_all(bytes_of("f")));
  TcpStream paused = co_await connect_to(where);
  static_cast<void>(co_await paused.write_all(bytes_of("p")));
  TaskGroup clients(OnFailure::keep_going);
  clients.spawn(fill, std::ref(paused));
  const auto both = [&] { return stuck == 2; };
  const bool began = co_await until(both);
  EXPECT_TRUE(began);
  co_await settle();
  if (by_abort) {
    server.abort();
  } else {
    server.stop(Duration::zero());
  }
  const Result<void> ended = co_await server.running();
  EXPECT_TRUE(ended) << ended.error();
  EXPECT_EQ(server.stats().connections, 0U);
  // What was not read, or not sent, is lost: who is aborted must hear of it.
  if (by_abort) {
    const Error reset = co_await end_of(full);
    EXPECT_EQ(reset, std::errc::connection_reset);
  }
  const Result<void> joined = co_await clients.join();  // the write of who was paused fails
  EXPECT_TRUE(joined);
  co_await server.join();
}

TEST_P(ServerTest, StopAndAbortEndFullAndPausedConnections) {
  EXPECT_TRUE(run(ends_stuck_ones(false)));
  EXPECT_TRUE(run(ends_stuck_ones(true)));
}

}  // namespace
}  // namespace gyre::test
