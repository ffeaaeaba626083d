// Server on every backend against clients that are idle, trickle, or do not read.
#include <gyre/net/server.h>

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/server_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;
using gyre::testing::ManualClock;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

// Serves until the peer has gone, and never answers. `*total`: the bytes of all connections.
Task<Result<void>> swallow(ServerConnection& connection, std::size_t* total) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await connection.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Result<void>{};
    *total += *count;
  }
}

Task<void> cuts_idle(ManualClock& clock, Reports& reports) {
  ServerOptions options;
  options.idle_max = 8s;
  options.on_failure = Reports::note;
  options.failure_owner = &reports;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  TcpStream idle = co_await connect_to(where);
  TcpStream busy = co_await connect_to(where);
  bool served = co_await is_served(idle, "once");
  EXPECT_TRUE(served);
  for (int second = 0; second < 12; ++second) {
    served = co_await is_served(busy, "x");
    EXPECT_TRUE(served) << second;
    EXPECT_TRUE(second > 7 || server.stats().cut_off_idle == 0) << "too early";
    clock.advance(1s);
    co_await settle();
  }
  EXPECT_EQ(server.stats().cut_off_idle, 1U);
  const Error ended = co_await end_of(idle);
  EXPECT_EQ(ended, std::errc::connection_reset);
  EXPECT_EQ(reports.all.size(), 1U);
  if (!reports.all.empty()) {
    EXPECT_EQ(reports.all[0].cut_off, CutOff::idle);
    EXPECT_TRUE(reports.all[0].error.is_timed_out());
  }
  co_await server.end();
}

TEST_P(ServerTest, CutsOffAnIdleConnectionAndNoOther) {
  use_manual_clock();
  EXPECT_TRUE(run(cuts_idle(clock_, reports_)));
}

Task<void> cuts_trickle(ManualClock& clock) {
  ServerOptions options;
  options.receive_rate_min = 100;
  options.rate_window = 5s;
  options.on_failure = [](void*, const ConnectionFailure&) noexcept {};
  RunningServer server(options);
  std::size_t received = 0, sent_until_now = 0;
  const Endpoint where = co_await server.begin(swallow, &received);
  TcpStream trickle = co_await connect_to(where);
  TcpStream good = co_await connect_to(where);
  TcpStream silent = co_await connect_to(where);
  const std::string much(150, 'x');
  for (int second = 0; second < 30 && server.stats().cut_off_slow == 0; ++second) {
    static_cast<void>(co_await trickle.write_all(bytes_of("x")));
    const Result<void> sent = co_await good.write_all(bytes_of(much));
    EXPECT_TRUE(sent);
    sent_until_now += 1 + much.size();
    // The system moves bytes in its own time, and our clock stands still until it has.
    const auto are_there = [&] { return received == sent_until_now; };
    const bool arrived = co_await until(are_there);
    EXPECT_TRUE(arrived);
    clock.advance(1s);
    co_await settle();
  }
  EXPECT_EQ(server.stats().cut_off_slow, 1U);
  EXPECT_EQ(server.stats().connections, 2U);
  const Error ended = co_await end_of(trickle);
  EXPECT_EQ(ended, std::errc::connection_reset);
  co_await server.end();
}

TEST_P(ServerTest, CutsOffAClientThatTricklesItsRequest) {
  use_manual_clock();
  EXPECT_TRUE(run(cuts_trickle(clock_)));
}

// Answers without end.
Task<Result<void>> pour(ServerConnection& connection) {
  const std::vector<std::byte> much(1 << 20);
  for (;;) {
    const Result<void> sent = co_await connection.write_all(much);
    if (!sent) co_return sent.error();
  }
}

Task<void> cuts_slow_reader(ManualClock& clock) {
  ServerOptions options;
  options.send_rate_min = 1000;
  options.rate_window = 5s;
  options.on_failure = [](void*, const ConnectionFailure&) noexcept {};
  RunningServer server(options);
  const Endpoint where = co_await server.begin(pour);
  TcpStream stuck = co_await connect_to(where);
  TcpStream good = co_await connect_to(where);
  std::vector<std::byte> buffer(1 << 20);
  // How many seconds of our clock pass until it is stuck is up to the system, which moves the bytes in its own time.
  bool is_fed = true;
  for (int second = 0; second < 10'000 && is_fed && server.stats().cut_off_slow == 0; ++second) {
    // Much at a time: the server's system takes more only once a good part of its buffer is free.
    for (std::size_t taken = 0; taken < buffer.size() && is_fed;) {
      const Result<std::size_t> count = co_await good.read(buffer);
      is_fed = count && *count > 0;
      taken += count.value_or(0U);
    }
    EXPECT_TRUE(is_fed);
    co_await settle();
    clock.advance(1s);
    co_await settle();
  }
  EXPECT_EQ(server.stats().cut_off_slow, 1U);
  EXPECT_EQ(server.stats().connections, 1U);
  co_await server.end();
}

TEST_P(ServerTest, CutsOffAClientThatDoesNotReadItsAnswer) {
  use_manual_clock();
  EXPECT_TRUE(run(cuts_slow_reader(clock_), far));
}

Task<void> lent_echo(ServerConnection& connection) {
  for (;;) {
    const Result<LentBytes> received = co_await connection.receive();
    if (!received || received->empty()) co_return;
    const Result<void> sent = co_await connection.write_all(received->bytes());
    if (!sent) co_return;
  }
}

// Sends until the server takes no more, and never reads.
Task<void> stuff(TcpStream& stream) {
  const std::vector<std::byte> much(1 << 20);
  for (;;) {
    const Result<void> sent = co_await stream.write_all(much);
    if (!sent) co_return;
  }
}

Task<void> frees_lent_buffers(ManualClock& clock) {
  ServerOptions options;
  options.send_rate_min = 1000;
  options.rate_window = 5s;
  options.on_failure = [](void*, const ConnectionFailure&) noexcept {};
  RunningServer server(options);
  const Endpoint where = co_await server.begin(lent_echo);
  TaskGroup clients;
  std::vector<TcpStream> stuck;
  for (int i = 0; i < 4; ++i) stuck.push_back(co_await connect_to(where));
  for (TcpStream& stream : stuck) clients.spawn(stuff, std::ref(stream));
  TcpStream good = co_await connect_to(where);
  bool served = false;
  auto asking = clients.spawn([](TcpStream* s) { return is_served(*s, "hello"); }, &good);
  // How many seconds of our clock pass until all are stuck is up to the system, which moves the bytes in its own time.
  for (int second = 0; second < 100'000 && server.stats().cut_off_slow < 4; ++second) {
    co_await settle();
    clock.advance(1s);
  }
  EXPECT_EQ(server.stats().cut_off_slow, 4U);
  const Result<bool> answered = co_await asking;
  served = answered && *answered;
  EXPECT_TRUE(served);
  server.abort();
  static_cast<void>(co_await clients.join());
  co_await server.join();
}

// Clients that do not read hold all of the reactor's buffers; once they are cut off, the others are served.
TEST_P(ServerTest, MinimumRateFreesTheLentBuffersThatStuckClientsHold) {
  use_manual_clock({.lent_buffers = 4});
  EXPECT_TRUE(run(frees_lent_buffers(clock_), far));
}

}  // namespace
}  // namespace gyre::test
