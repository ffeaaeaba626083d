// connect(host, port): which addresses are tried, when, and what becomes of the losers. Real
// sockets of this machine, names by a scripted resolver, and a clock that moves when told.
#include <gyre/net/connect.h>

#include <cerrno>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/tcp_listener.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_task_fixture.h"
#include "support/net_tasks.h"
#include "support/task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;
using gyre::testing::ManualClock;

// Answers what it was told, after a while.
class ScriptedResolver final : public Resolver {
 public:
  explicit ScriptedResolver(std::vector<Endpoint> answer, Duration delay = Duration::zero())
      : answer_(std::move(answer)), delay_(delay) {}

  Task<Result<std::vector<Endpoint>>> resolve(NameQuery query) override {
    asked = query;
    if (delay_ > Duration::zero()) {
      const Result<void> slept = co_await sleep(delay_);
      if (!slept) co_return slept.error().with(OperationKind::resolve).at(Place::text(query.host));
    }
    if (error) co_return error.with(OperationKind::resolve).at(Place::text(query.host));
    co_return answer_;
  }

  NameQuery asked;
  Error error;

 private:
  std::vector<Endpoint> answer_;
  Duration delay_;
};

template <typename T>
Error error_of(const Result<T>& result) {
  return result ? Error() : result.error();
}

// An address that never answers: a listener whose backlog is full drops what further knocks.
struct BlackHole {
  BlackHole() : listener(tcp_listener(0)) {
    // One that is in the backlog for certain before anybody else knocks; then more than it has room for. The last is
    // never answered, and need not be.
    knocks.push_back(connect_to(listener.address));
    EXPECT_TRUE(becomes_readable(raw(listener.fd)));
    for (int i = 0; i < 2; ++i) {
      UniqueFd knock = tcp_socket();
      begin_to_connect(knock, listener.address);
      knocks.push_back(std::move(knock));
    }
  }
  Endpoint endpoint() const { return Endpoint(listener.address); }

  Bound listener;
  std::vector<UniqueFd> knocks;
};

class ConnectTest : public NetTaskFixture {
 protected:
  void SetUp() override {
    NetTaskFixture::SetUp();
    if (IsSkipped()) return;
    ReactorOptions options;
    options.clock = &clock_;
    options.poller.clock = &clock_;
    options.scheduler.slow_step = Duration::zero();  // a step that moves the clock looks slow
    reopen(std::move(options));
  }

  ManualClock clock_;
};

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ConnectTest);

TEST(InterleaveFamiliesTest, AlternatesAndKeepsTheOrderOfEach) {
  const auto v4 = [](std::uint16_t port) { return Endpoint::loopback_v4(port); };
  const auto v6 = [](std::uint16_t port) { return Endpoint::loopback_v6(port); };
  EXPECT_EQ(interleave_families({v6(1), v6(2), v6(3), v4(1), v4(2)}),
            (std::vector<Endpoint>{v6(1), v4(1), v6(2), v4(2), v6(3)}));
  EXPECT_EQ(interleave_families({v4(1), v6(1), v6(2)}),
            (std::vector<Endpoint>{v4(1), v6(1), v6(2)}));
  EXPECT_EQ(interleave_families({v4(1)}), (std::vector<Endpoint>{v4(1)}));
  EXPECT_TRUE(interleave_families({}).empty());
}

Task<void> connects_to_first(Instant begin) {
  const Bound listener = tcp_listener();
  ScriptedResolver resolver({Endpoint(listener.address)});
  ConnectReport report;
  const ConnectOptions options{.resolver = &resolver, .report = &report};
  const Result<TcpStream> stream = co_await connect("example.test", 7, options);
  EXPECT_FALSE(error_of(stream));
  EXPECT_EQ(resolver.asked.host, "example.test");
  EXPECT_EQ(resolver.asked.port, 7);
  EXPECT_EQ(report.attempts.size(), 1U);
  EXPECT_EQ(this_reactor().clock().now(), begin);
}

TEST_P(ConnectTest, ConnectsToWhatTheResolverSays) {
  EXPECT_TRUE(run(connects_to_first(clock_.now())));
}

Task<void> falls_back_at_once(Instant begin) {
  const Bound refusing = refusing_tcp();
  const Bound listener = tcp_listener();
  ScriptedResolver resolver({Endpoint(refusing.address), Endpoint(listener.address)});
  ConnectReport report;
  const ConnectOptions options{.resolver = &resolver, .report = &report};
  const Result<TcpStream> stream = co_await connect("example.test", 7, options);
  EXPECT_FALSE(error_of(stream));
  EXPECT_EQ(report.attempts.size(), 2U);
  if (report.attempts.size() == 2) {
    EXPECT_EQ(report.attempts[0].error, std::errc::connection_refused);
    EXPECT_FALSE(report.attempts[1].error);
  }
  EXPECT_EQ(this_reactor().clock().now(), begin) << "no delay after a failure";
}

TEST_P(ConnectTest, TriesTheNextAtOnceWhenOneFails) {
  EXPECT_TRUE(run(falls_back_at_once(clock_.now())));
}

// C-163: from an address of its own; the other family's are passed over, and if there are no others, that is the error.
Task<void> connects_from(Instant begin) {
  const Bound listener = tcp_listener();
  const Bound other_family = tcp6_listener();
  const Endpoint there(listener.address);
  ScriptedResolver resolver({Endpoint(other_family.address), there});
  ConnectReport report;
  ConnectOptions options{.resolver = &resolver, .report = &report};
  options.tcp.local = *Endpoint::parse("127.0.0.2:0");
  options.tcp.no_delay = false;
  Result<TcpStream> stream = co_await connect("example.test", 7, options);
  EXPECT_FALSE(error_of(stream));
  if (!stream) co_return;
  const Result<Endpoint> own = stream->local_endpoint();
  EXPECT_TRUE(own && own->with_port(0) == options.tcp.local);
  const Result<Endpoint> peer = stream->peer_endpoint();
  EXPECT_TRUE(peer && *peer == there);
  EXPECT_FALSE(stream->option(SocketOptions::no_delay).value_or(true));
  EXPECT_EQ(report.attempts.size(), 2U);
  EXPECT_TRUE(report.attempts[0].error == std::errc::address_family_not_supported) << report.to_string();

  ScriptedResolver none({Endpoint(other_family.address)});
  options.resolver = &none;
  const Result<TcpStream> no_way = co_await connect("example.test", 7, options);
  EXPECT_EQ(error_of(no_way), std::errc::address_family_not_supported);
  options.resolver = &resolver;
  options.tcp.local = there;
  const Result<TcpStream> in_use = co_await connect("example.test", 7, options);
  EXPECT_EQ(error_of(in_use), std::errc::address_in_use);
  EXPECT_EQ(error_of(in_use).place(), there.place());
  EXPECT_EQ(this_reactor().clock().now(), begin) << "no delay after a failure";
}

TEST_P(ConnectTest, ConnectsFromAnAddressOfItsOwn) {
  EXPECT_TRUE(run(connects_from(clock_.now())));
}

Task<void> waits_before_next(ManualClock& clock) {
  const BlackHole silent;
  const Bound listener = tcp_listener();
  ScriptedResolver resolver({silent.endpoint(), Endpoint(listener.address)});
  ConnectReport report;
  TaskGroup group;
  const ConnectOptions options{.resolver = &resolver, .report = &report};
  auto connecting = group.spawn(
      [](ConnectOptions o) { return connect(std::string("example.test"), 7, o); }, options);
  co_await settle();
  EXPECT_EQ(report.attempts.size(), 1U);
  clock.advance(250ms - 1ns);
  co_await settle();
  EXPECT_EQ(report.attempts.size(), 1U) << "too early";
  EXPECT_FALSE(connecting.is_finished());
  clock.advance(1ns);
  Result<TcpStream> stream = co_await connecting;
  EXPECT_FALSE(error_of(stream));
  if (stream) {
    const Result<Endpoint> peer = stream->peer_endpoint();
    EXPECT_TRUE(peer && *peer == Endpoint(listener.address));
  }
  EXPECT_EQ(report.attempts.size(), 2U);
  EXPECT_TRUE(report.attempts.size() == 2 && report.attempts[0].error.is_cancelled());
  // That the loser's descriptor is closed is what the fixture looks at.
  static_cast<void>(co_await group.join());
}

TEST_P(ConnectTest, TriesTheNextAfter250MillisecondsAndCancelsTheLoser) {
  EXPECT_TRUE(run(waits_before_next(clock_)));
}

Task<void> is_cancelled(ManualClock& clock) {
  const BlackHole first;
  const BlackHole second;
  ConnectReport report;
  TaskGroup group;
  const ConnectOptions options{.report = &report};
  auto connecting = group.spawn(
      [](std::vector<Endpoint> peers, ConnectOptions o) { return connect(std::move(peers), o); },
      std::vector<Endpoint>{first.endpoint(), second.endpoint()}, options);
  co_await settle();
  clock.advance(250ms);
  co_await settle();
  EXPECT_EQ(report.attempts.size(), 2U);
  EXPECT_FALSE(connecting.is_finished());
  connecting.cancel();
  const Result<TcpStream> stream = co_await connecting;
  EXPECT_TRUE(error_of(stream).is_cancelled());
  static_cast<void>(co_await group.join());
}

TEST_P(ConnectTest, CancelledConnectClosesEveryAttempt) { EXPECT_TRUE(run(is_cancelled(clock_))); }

Task<void> all_fail() {
  const Bound one = refusing_tcp();
  const Bound two = refusing_tcp();
  ScriptedResolver resolver({Endpoint(one.address), Endpoint(two.address)});
  ConnectReport report;
  const ConnectOptions options{.resolver = &resolver, .report = &report};
  const Result<TcpStream> stream = co_await connect("example.test", 7, options);
  EXPECT_EQ(error_of(stream), std::errc::connection_refused);
  EXPECT_EQ(error_of(stream).operation(), OperationKind::connect);
  EXPECT_EQ(error_of(stream).place(), Endpoint(one.address).place());
  const std::string text = report.to_string();
  EXPECT_EQ(text, "connect example.test:7: " + Endpoint(one.address).to_string() +
                      ": connection refused; " + Endpoint(two.address).to_string() +
                      ": connection refused");
}

TEST_P(ConnectTest, ReportNamesHostAndEveryAddressThatWasTried) { EXPECT_TRUE(run(all_fail())); }

Task<void> prefers_telling_error() {
  const Bound refusing = refusing_tcp();
  // No stream goes to a group of hosts: "network unreachable", whatever networks this machine has.
  const std::vector<Endpoint> peers{*Endpoint::parse_ip("224.0.0.1", 7),
                                    Endpoint(refusing.address)};
  ConnectReport report;
  const ConnectOptions options{.report = &report};
  const Result<TcpStream> stream = co_await connect(peers, options);
  EXPECT_EQ(error_of(stream), std::errc::connection_refused);
  EXPECT_TRUE(report.attempts.size() == 2 &&
              report.attempts[0].error == std::errc::network_unreachable);
}

TEST_P(ConnectTest, MissingNetworkHidesNoBetterReason) {
  EXPECT_TRUE(run(prefers_telling_error()));
}

Task<void> resolving_fails() {
  ScriptedResolver resolver({});
  resolver.error = Error(Domain::resolver, -2);
  ConnectReport report;
  const ConnectOptions options{.resolver = &resolver, .report = &report};
  const Result<TcpStream> stream = co_await connect("nobody.test", 7, options);
  EXPECT_EQ(error_of(stream).domain(), Domain::resolver);
  EXPECT_EQ(error_of(stream).place(), Place::text("nobody.test"));
  EXPECT_EQ(error_of(stream).operation(), OperationKind::resolve);
  EXPECT_EQ(report.to_string(), "connect nobody.test:7: " + resolver.error.message());

  ScriptedResolver empty({});
  const ConnectOptions of_empty{.resolver = &empty};
  const Result<TcpStream> nothing = co_await connect("nobody.test", 7, of_empty);
  EXPECT_EQ(error_of(nothing), std::errc::address_not_available);
}

TEST_P(ConnectTest, FailedNameIsTheErrorAndNamesTheHost) { EXPECT_TRUE(run(resolving_fails())); }

Task<void> has_one_budget(ManualClock& clock) {
  const BlackHole silent;
  ScriptedResolver resolver({silent.endpoint()}, 600ms);
  TaskGroup group;
  const ConnectOptions options{.resolver = &resolver};
  auto connecting = group.spawn(
      [](ConnectOptions o) { return with_timeout(1s, connect(std::string("example.test"), 7, o)); },
      options);
  co_await settle();
  clock.advance(600ms);
  co_await settle();
  clock.advance(400ms - 1ns);
  co_await settle();
  EXPECT_FALSE(connecting.is_finished());
  clock.advance(1ns);
  const Result<TcpStream> stream = co_await connecting;
  EXPECT_TRUE(error_of(stream).is_timed_out());
  group.cancel();
  static_cast<void>(co_await group.join());
}

TEST_P(ConnectTest, OneBudgetCoversResolvingAndConnecting) {
  EXPECT_TRUE(run(has_one_budget(clock_)));
}

}  // namespace
}  // namespace gyre::test
