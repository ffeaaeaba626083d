// Server on every backend, when the system has no descriptors or memory left, and after other errors of accept().
#include <gyre/net/server.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/syscalls_posix.h>

#include "support/server_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;
using gyre::testing::ManualClock;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

// Into the backlog of a listener, by a call that opens no descriptor.
void connect_raw(const UniqueFd& client, const Endpoint& where) {
  const auto* const address = reinterpret_cast<const sockaddr*>(where.address().bytes);
  // A ring that an earlier test has closed interrupts this thread's calls; an interrupted connect
  // goes on by itself.
  int result = -1;
  do {
    result = ::connect(raw(client), address, where.address().size);
  } while (result < 0 && (errno == EINTR || errno == EALREADY));
  EXPECT_TRUE(result == 0 || errno == EISCONN) << errno;
}

class DescriptorsUsedUp {
 public:
  DescriptorsUsedUp() {
    rlimit limit = {};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    before_ = limit.rlim_cur;
    limit.rlim_cur = 64;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) taken_.emplace_back(fd);
    EXPECT_FALSE(taken_.empty());
  }
  DescriptorsUsedUp(const DescriptorsUsedUp&) = delete;
  DescriptorsUsedUp& operator=(const DescriptorsUsedUp&) = delete;
  ~DescriptorsUsedUp() {
    rlimit limit = {};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = before_;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }

 private:
  std::vector<UniqueFd> taken_;
  rlim_t before_ = 0;
};

Task<void> survives_want(ManualClock& clock) {
  ServerOptions options;
  options.back_off_first = 5ms;
  options.back_off_max = 1s;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  const UniqueFd client = tcp_socket();
  {
    const NoMoreDescriptors want;
    connect_raw(client, where);
    const auto done = [&] { return server.stats().back_offs == 1; };
    const bool noticed = co_await until(done);
    EXPECT_TRUE(noticed);
    // Time stands still, so nothing is tried: no spin.
    co_await settle();
    EXPECT_EQ(server.stats().back_offs, 1U);
    // Ten seconds in steps of 50 ms: 5, 10, ... 640 ms, then one a second. Besides looking whether there is something,
    // which this test makes it do ten times in each step, it calls the system only to try again.
    const PollerStats before = this_reactor().poller().stats();
    for (int ms = 0; ms < 10'000; ms += 50) {
      clock.advance(50ms);
      co_await settle();
    }
    const PollerStats after = this_reactor().poller().stats();
    const std::uint64_t looks = after.waits - before.waits + after.interrupted_waits - before.interrupted_waits;
    EXPECT_LE(after.system_calls - before.system_calls, looks + 4 * server.stats().back_offs);
    EXPECT_LE(after.completions - before.completions, 2 * server.stats().back_offs);
    EXPECT_GE(server.stats().back_offs, 12U);
    EXPECT_LE(server.stats().back_offs, 20U);
    EXPECT_EQ(server.stats().accepted, 0U);
  }
  clock.advance(1s);
  const auto done = [&] { return server.stats().accepted == 1; };
  const bool recovered = co_await until(done);
  EXPECT_TRUE(recovered);
  TcpStream fresh = co_await connect_to(where);
  const bool served = co_await is_served(fresh, "well again");
  EXPECT_TRUE(served);
  co_await server.end();
}

TEST_P(ServerTest, BacksOffWithoutDescriptorsAndRecoversFully) {
  use_manual_clock();
  EXPECT_TRUE(run(survives_want(clock_)));
}

// What the want costs: sleeps, system calls and completions between its beginning and its end.
struct Cost {
  std::uint64_t sleeps = 0;
  std::uint64_t system_calls = 0;
  std::uint64_t completions = 0;
  std::uint64_t back_offs = 0;
};

Task<void> rests_in_want(Cost* cost) {
  RunningServer server;
  const Endpoint where = co_await server.begin(echo);
  const UniqueFd client = tcp_socket();
  {
    const NoMoreDescriptors want;
    connect_raw(client, where);
    const auto done = [&] { return server.stats().back_offs > 0; };
    const bool noticed = co_await until(done);
    EXPECT_TRUE(noticed);
    const PollerStats before = this_reactor().poller().stats();
    while (server.stats().back_offs < 5) static_cast<void>(co_await sleep(50ms));
    const PollerStats after = this_reactor().poller().stats();
    *cost = {.sleeps = after.blocking_waits - before.blocking_waits,
             .system_calls = after.system_calls - before.system_calls -
                             (after.interrupted_waits - before.interrupted_waits),
             .completions = after.completions - before.completions,
             .back_offs = server.stats().back_offs};
  }
  co_await server.end();
}

// Counted, not timed: a spin is thousands of system calls, whatever else the machine does. In 75 ms and more there are
// five pauses or some more (5, 10, 20, 40, 80 ms ...), each with its try, and the ends of the sleeps beside them.
TEST_P(ServerTest, UsesNextToNoProcessorTimeWithoutDescriptors) {
  Cost cost;
  EXPECT_TRUE(run(rests_in_want(&cost)));
  EXPECT_GE(cost.back_offs, 5U);
  EXPECT_LE(cost.back_offs, 20U);
  EXPECT_LE(cost.completions, 2 * cost.back_offs);
  EXPECT_LE(cost.sleeps, 3 * cost.back_offs + 10) << "it wakes for nothing";
  EXPECT_LE(cost.system_calls, 10 * cost.back_offs + 50) << "it spins";
}

Task<void> accepts_again_when_one_ends() {
  ServerOptions options;
  options.back_off_first = 1h;  // never, by this test's clock
  options.back_off_max = 1h;
  RunningServer server(options);
  const Endpoint where = co_await server.begin(echo);
  TcpStream first = co_await connect_to(where);
  const bool served = co_await is_served(first, "first");
  EXPECT_TRUE(served);
  const UniqueFd second = tcp_socket();
  {
    // Every number is taken, and one that is given back can be used again.
    const DescriptorsUsedUp want;
    connect_raw(second, where);
    const auto done = [&] { return server.stats().back_offs > 0; };
    const bool noticed = co_await until(done);
    EXPECT_TRUE(noticed);
    const Result<void> closing = first.shutdown();
    EXPECT_TRUE(closing);
    const auto two = [&] { return server.stats().accepted == 2; };
    const bool accepted = co_await until(two);
    EXPECT_TRUE(accepted);
  }
  co_await server.end();
}

TEST_P(ServerTest, TriesAgainAtOnceWhenAConnectionOfItsOwnEnds) {
  use_manual_clock();
  EXPECT_TRUE(run(accepts_again_when_one_ends()));
}

// Each error that accept() may report, once and eighty times in a row: afterwards the server
// serves.
Task<void> survives_accept_errors(ManualClock& clock, int error, std::uint64_t times) {
  RunningServer server;
  const Endpoint where = co_await listen_somewhere(server);
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{
      .number = sys::number_accept, .times = times, .fault = {sys::Fault::Kind::fail, error}});
  plan.add(sys::CompletionRule{.kind = OperationKind::accept, .times = times, .replace_result = true, .result = -error});
  server.run_beside(echo);
  {
    const sys::FaultScope scope(plan);
    // A ring's accept has been made before it fails: each failure takes a client.
    std::vector<UniqueFd> clients;
    for (std::uint64_t i = 0; i < 10'000 + 2 * times && plan.hits() < times; ++i) {
      if (clients.size() <= plan.hits()) connect_raw(clients.emplace_back(tcp_socket()), where);
      clock.advance(1s);
      co_await settle();
    }
    EXPECT_EQ(plan.hits(), times) << error;
  }
  const bool is_want = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
  EXPECT_EQ(server.stats().accept_errors, is_want ? 0 : times) << error;
  // Of a connection that is gone, every sixteenth in a row makes it pause.
  EXPECT_EQ(server.stats().back_offs, is_want ? times : times / 16) << error;
  clock.advance(1s);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "still there");
  EXPECT_TRUE(served) << error;
  co_await server.end();
}

TEST_P(ServerTest, SurvivesEveryErrorOfAccept) {
  use_manual_clock();
  for (const int error : {ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, ENETDOWN,
                          ENOPROTOOPT, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT}) {
    for (const std::uint64_t times : {std::uint64_t{1}, std::uint64_t{80}}) {
      EXPECT_TRUE(run(survives_accept_errors(clock_, error, times), far));
    }
  }
}

Task<void> loses_listener(Result<void>* ended) {
  RunningServer server;
  Bound socket = tcp_listener();
  const int listener = raw(socket.fd);
  const Result<Endpoint> bound = server.listen(std::move(socket.fd));
  EXPECT_TRUE(bound);
  server.run_beside(echo);
  co_await settle();
  EXPECT_EQ(::shutdown(listener, SHUT_RD), 0);
  *ended = co_await server.running();
  co_await server.join();
}

TEST_P(ServerTest, EndsWithTheErrorThatMakesItsLastListenerUseless) {
  Result<void> ended;
  EXPECT_TRUE(run(loses_listener(&ended)));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), std::errc::invalid_argument);
}

}  // namespace
}  // namespace gyre::test
