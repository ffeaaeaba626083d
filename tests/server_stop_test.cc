// Server on every backend: stopping, draining, aborting, being cancelled.
#include <gyre/net/server.h>

#include <string>

#include <gtest/gtest.h>

#include "support/server_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;
using gyre::testing::ManualClock;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

Task<void> drains(Result<void>* ended) {
  RunningServer server;
  const Endpoint where = co_await server.begin(echo);
  TcpStream stream = co_await connect_to(where);
  const bool before = co_await is_served(stream, "before");
  EXPECT_TRUE(before);
  server.stop(1h);
  co_await settle();
  EXPECT_FALSE(server.running().is_finished());
  EXPECT_TRUE(server.is_stopping());
  const bool meanwhile = co_await is_served(stream, "meanwhile");
  EXPECT_TRUE(meanwhile);
  const Result<TcpStream> late = co_await TcpStream::connect(where);
  EXPECT_EQ(error_of(late), std::errc::connection_refused);
  stream = TcpStream();
  *ended = co_await server.running();
  co_await server.join();
}

TEST_P(ServerTest, StopRefusesNewConnectionsAndLetsTheOldOnesFinish) {
  use_manual_clock();
  Result<void> ended = Errc::broken;
  EXPECT_TRUE(run(drains(&ended)));
  EXPECT_TRUE(ended) << ended.error();
}

Task<void> drains_late(ManualClock& clock) {
  RunningServer server;
  const Endpoint where = co_await server.begin(echo);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "hello");
  EXPECT_TRUE(served);
  server.stop(10s);
  co_await settle();
  clock.advance(10s - 1ns);
  co_await settle();
  EXPECT_FALSE(server.running().is_finished());
  clock.advance(1ns);
  const Error ended = co_await end_of(stream);
  EXPECT_FALSE(ended) << ended;
  const Result<void> result = co_await server.running();
  EXPECT_TRUE(result);
  EXPECT_EQ(server.stats().failed, 0U);
  co_await server.join();
}

TEST_P(ServerTest, StopCancelsWhatIsLeftAfterTheGrace) {
  use_manual_clock();
  EXPECT_TRUE(run(drains_late(clock_)));
}

Task<void> shortens_grace(ManualClock& clock) {
  RunningServer server;
  const Endpoint where = co_await server.begin(echo);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "hello");
  EXPECT_TRUE(served);
  server.stop(1h);
  co_await settle();
  server.stop(1s);
  server.stop(2h);
  clock.advance(1s);
  const Result<void> result = co_await server.running();
  EXPECT_TRUE(result);
  co_await server.join();
}

TEST_P(ServerTest, LaterStopShortensTheGraceAndNeverLengthensIt) {
  use_manual_clock();
  EXPECT_TRUE(run(shortens_grace(clock_)));
}

Task<void> aborts(Reports& reports) {
  ServerOptions options;
  options.on_failure = Reports::note;
  options.failure_owner = &reports;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "hello");
  EXPECT_TRUE(served);
  server.abort();
  const Error ended = co_await end_of(stream);
  EXPECT_EQ(ended, std::errc::connection_reset);
  const Result<void> result = co_await server.running();
  EXPECT_TRUE(result);
  co_await server.join();
}

TEST_P(ServerTest, AbortResetsEveryConnection) {
  EXPECT_TRUE(run(aborts(reports_)));
  EXPECT_TRUE(reports_.all.empty()) << "to be told to end is no failure";
}

Task<void> is_cancelled(ManualClock& clock) {
  ServerOptions options;
  options.drain = 3s;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  TcpStream stream = co_await connect_to(where);
  const bool before = co_await is_served(stream, "before");
  EXPECT_TRUE(before);
  server.running().cancel();
  co_await settle();
  const bool meanwhile = co_await is_served(stream, "in its grace");
  EXPECT_TRUE(meanwhile);
  EXPECT_FALSE(server.running().is_finished());
  clock.advance(3s);
  const Result<void> ended = co_await server.running();
  EXPECT_TRUE(error_of(ended).is_cancelled());
  co_await server.join();
}

TEST_P(ServerTest, CancelledRunDrainsAndThenReportsCancelled) {
  use_manual_clock();
  EXPECT_TRUE(run(is_cancelled(clock_)));
}

Task<Result<void>> runs_stopped() {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  server.stop();
  const Result<void> ended = co_await server.run(echo);
  const Result<TcpStream> late = co_await TcpStream::connect(where);
  EXPECT_FALSE(late);
  co_return ended;
}

TEST_P(ServerTest, RunAfterStopReturnsAtOnce) { EXPECT_TRUE(run(runs_stopped())); }

}  // namespace
}  // namespace gyre::test
