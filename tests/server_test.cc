// Server on every backend: limits, failures, want of descriptors, stopping, slow clients.
//
// Where time matters the clock is the test's own: it stands still until a test moves it, so that
// nothing here waits.
#include <gyre/net/server.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/tcp_stream.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/inherited_descriptors.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>

#include "support/net_task_fixture.h"
#include "support/task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;
using gyre::testing::ManualClock;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// None if it went well.
template <typename T>
Error error_of(const Result<T>& result) {
  return result ? Error() : result.error();
}

Task<void> echo(ServerConnection& connection) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await connection.read(buffer);
    if (!count || *count == 0) co_return;
    const Result<void> sent = co_await connection.write_all(std::span(buffer).first(*count));
    if (!sent) co_return;
  }
}

// Serves until the peer has gone, and never answers.
Task<Result<void>> swallow(ServerConnection& connection) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await connection.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Result<void>{};
  }
}

// What a test's server has said of failures.
struct Reports {
  std::vector<ConnectionFailure> all;
  static void note(void* owner, const ConnectionFailure& failure) noexcept {
    static_cast<Reports*>(owner)->all.push_back(failure);
  }
};

// Lets the others run until `done`; false if that does not come.
template <typename Done>
Task<bool> until(Done done) {
  for (int turn = 0; turn < 100'000; ++turn) {
    if (done()) co_return true;
    const Result<void> yielded = co_await yield();
    if (!yielded) co_return false;
  }
  co_return false;
}

// Lets all happen that happens without time.
Task<void> settle() {
  const std::uint64_t end = this_reactor().stats().turns + 10;
  while (this_reactor().stats().turns < end) static_cast<void>(co_await yield());
}

Task<TcpStream> connect_to(Endpoint where) {
  Result<TcpStream> stream = co_await TcpStream::connect(where);
  EXPECT_TRUE(stream) << stream.error();
  if (!stream) co_return TcpStream();
  co_return std::move(*stream);
}

// One round trip. False if the connection does not serve it.
Task<bool> is_served(TcpStream& stream, std::string_view text) {
  const Result<void> sent = co_await stream.write_all(bytes_of(text));
  if (!sent) co_return false;
  std::string back(text.size(), ' ');
  const Result<void> received =
      co_await stream.read_exactly(std::as_writable_bytes(std::span(back)));
  co_return received&& back == text;
}

// What the end of a connection looks like from outside: its error, or none at a proper end.
Task<Error> end_of(TcpStream& stream) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await stream.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Error();
  }
}

class ServerTest : public NetTaskFixture {
 protected:
  void use_manual_clock(const PollerOptions& poller = {}) {
    ReactorOptions options;
    options.poller = poller;
    options.clock = &clock_;
    options.poller.clock = &clock_;
    options.scheduler.slow_step = Duration::zero();  // a step that moves the clock looks slow
    reopen(std::move(options));
  }

  // The fixture's limit, by a clock that a test moves.
  static constexpr Duration far = 1000h;

  ManualClock clock_;
  Reports reports_;
};

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

Task<Endpoint> listen_somewhere(Server& server) {
  const Result<Endpoint> bound = co_await server.listen(Endpoint::loopback_v4(0));
  EXPECT_TRUE(bound) << bound.error();
  co_return bound.value_or(Endpoint());
}

// --- Serving
// ---------------------------------------------------------------------------------------------------------

Task<void> one_client(Endpoint where, int* served) {
  TcpStream stream = co_await connect_to(where);
  const bool first = co_await is_served(stream, "hello");
  const bool second = co_await is_served(stream, "again");
  if (first && second) ++*served;
}

Task<void> serves_many(int clients) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  int served = 0;
  {
    TaskGroup crowd;
    for (int i = 0; i < clients; ++i) crowd.spawn(one_client, where, &served);
    static_cast<void>(co_await crowd.join());
  }
  EXPECT_EQ(served, clients);
  server.stop();
  const Result<void> ended = co_await running;
  EXPECT_TRUE(ended) << ended.error();
  const ServerStats stats = server.stats();
  EXPECT_EQ(stats.accepted, static_cast<std::uint64_t>(clients));
  EXPECT_EQ(stats.connections, 0U);
  EXPECT_EQ(stats.failed, 0U);
  EXPECT_EQ(stats.bytes_received, static_cast<std::uint64_t>(clients) * 10);
  EXPECT_EQ(stats.bytes_sent, static_cast<std::uint64_t>(clients) * 10);
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, ServesEveryConnectionAndCountsItsBytes) { EXPECT_TRUE(run(serves_many(100))); }

Task<void> tells_arguments(ServerConnection& connection, std::string text, int* calls) {
  ++*calls;
  static_cast<void>(co_await connection.write_all(bytes_of(text)));
}

Task<void> passes_arguments() {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  int calls = 0;
  group.spawn(
      [](Server* s, int* c) {
        return s->run(tells_arguments, std::string("a longer text, on the heap"), c);
      },
      &server, &calls);
  for (int i = 0; i < 2; ++i) {
    TcpStream stream = co_await connect_to(where);
    std::array<std::byte, 26> text;
    const Result<void> received = co_await stream.read_exactly(text);
    EXPECT_TRUE(received);
  }
  EXPECT_EQ(calls, 2);
  server.stop();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, GivesEachSessionItsOwnCopyOfTheArguments) {
  EXPECT_TRUE(run(passes_arguments()));
}

// --- Failures
// --------------------------------------------------------------------------------------------------------

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
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(does_as_told); }, &server);
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
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, HandlerThatThrowsOrFailsIsReportedAndEndsNothingElse) {
  EXPECT_TRUE(run(survives_handlers(reports_)));
}

Task<void> fails_once(bool* tried) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(does_as_told); }, &server);
  TcpStream stream = co_await connect_to(where);
  static_cast<void>(co_await stream.write_all(bytes_of("f")));
  const Error ended = co_await end_of(stream);
  *tried = !ended;
  server.stop();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, FailuresGoToTheReactorsSinkByDefault) {
  bool tried = false;
  EXPECT_TRUE(run(fails_once(&tried)));
  EXPECT_TRUE(tried);
  const std::vector<TaskFailure> failures = take_failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures[0].error, Errc::malformed);
}

// --- Limits
// ----------------------------------------------------------------------------------------------------------

Task<void> limits_connections() {
  ServerOptions options;
  options.connections_max = 2;
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
  TcpStream first = co_await connect_to(where);
  TcpStream second = co_await connect_to(where);
  TcpStream third = co_await connect_to(where);  // into the backlog
  static_cast<void>(co_await third.write_all(bytes_of("third")));
  const bool first_served = co_await is_served(first, "first");
  const bool second_served = co_await is_served(second, "second");
  EXPECT_TRUE(first_served);
  EXPECT_TRUE(second_served);
  co_await settle();
  EXPECT_EQ(server.stats().accepted, 2U);

  first = TcpStream();
  std::array<std::byte, 5> back;
  const Result<void> third_served = co_await third.read_exactly(back);
  EXPECT_TRUE(third_served);
  EXPECT_EQ(server.stats().accepted, 3U);
  EXPECT_EQ(server.stats().connections_peak, 2U);
  server.abort();
  static_cast<void>(co_await group.join());
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

// --- Want
// ------------------------------------------------------------------------------------------------------------

Task<void> survives_want(ManualClock& clock) {
  ServerOptions options;
  options.back_off_first = 5ms;
  options.back_off_max = 1s;
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
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
    // Ten seconds: 5, 10, ... 640 ms, then one a second.
    for (int i = 0; i < 10'000; ++i) {
      clock.advance(1ms);
      static_cast<void>(co_await yield());
      static_cast<void>(co_await yield());
    }
    co_await settle();
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
  server.abort();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, BacksOffWithoutDescriptorsAndRecoversFully) {
  use_manual_clock();
  EXPECT_TRUE(run(survives_want(clock_)));
}

Duration thread_cpu_time() {
  timespec time{};
  EXPECT_EQ(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

Task<void> rests_in_want(Duration* cpu, Duration* wall) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
  const UniqueFd client = tcp_socket();
  {
    const NoMoreDescriptors want;
    connect_raw(client, where);
    const auto done = [&] { return server.stats().back_offs > 0; };
    const bool noticed = co_await until(done);
    EXPECT_TRUE(noticed);
    const Instant begin = steady_clock().now();
    const Duration cpu_before = thread_cpu_time();
    static_cast<void>(co_await sleep(150ms));
    *cpu = thread_cpu_time() - cpu_before;
    *wall = steady_clock().now() - begin;
  }
  server.abort();
  static_cast<void>(co_await group.join());
}

// The share of a CPU, not a number of turns: a busy machine makes the wall time longer, not the
// thread's own.
TEST_P(ServerTest, UsesNextToNoProcessorTimeWithoutDescriptors) {
  Duration cpu{};
  Duration wall{};
  EXPECT_TRUE(run(rests_in_want(&cpu, &wall)));
  EXPECT_GE(wall, 150ms);
  EXPECT_LE(cpu.count() * 20, wall.count()) << "more than 5 %";
}

Task<void> accepts_again_when_one_ends() {
  ServerOptions options;
  options.back_off_first = 1h;  // never, by this test's clock
  options.back_off_max = 1h;
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
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
  server.abort();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, TriesAgainAtOnceWhenAConnectionOfItsOwnEnds) {
  use_manual_clock();
  EXPECT_TRUE(run(accepts_again_when_one_ends()));
}

// Each error that accept() may report, once and eighty times in a row: afterwards the server
// serves.
Task<void> survives_accept_errors(ManualClock& clock, int error, std::uint64_t times) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{
      .number = SYS_accept4, .times = times, .fault = {sys::Fault::Kind::fail, error}});
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
  {
    const sys::FaultScope scope(plan);
    const UniqueFd client = tcp_socket();
    connect_raw(client, where);
    for (std::uint64_t i = 0; i < 100 + 2 * times && plan.hits() < times; ++i) {
      clock.advance(1s);
      co_await settle();
    }
    EXPECT_EQ(plan.hits(), times) << error;
  }
  clock.advance(1s);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "still there");
  EXPECT_TRUE(served) << error;
  server.abort();
  static_cast<void>(co_await group.join());
}

// On epoll only: a ring's answer that is replaced hides a descriptor that the kernel has made.
class ServerAcceptErrorTest : public ServerTest {};

INSTANTIATE_TEST_SUITE_P(Poller, ServerAcceptErrorTest, ::testing::Values(backends[0]),
                         backend_label);

TEST_P(ServerAcceptErrorTest, IsSurvived) {
  use_manual_clock();
  for (const int error : {ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, ENETDOWN,
                          ENOPROTOOPT, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT}) {
    for (const std::uint64_t times : {std::uint64_t{1}, std::uint64_t{80}}) {
      EXPECT_TRUE(run(survives_accept_errors(clock_, error, times), far));
    }
  }
}

Task<void> loses_listener(Result<void>* ended) {
  Server server;
  Bound socket = tcp_listener();
  const int listener = raw(socket.fd);
  const Result<Endpoint> bound = server.listen(std::move(socket.fd));
  EXPECT_TRUE(bound);
  TaskGroup group(OnFailure::keep_going);
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  co_await settle();
  EXPECT_EQ(::shutdown(listener, SHUT_RD), 0);
  *ended = co_await running;
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, EndsWithTheErrorThatMakesItsLastListenerUseless) {
  Result<void> ended;
  EXPECT_TRUE(run(loses_listener(&ended)));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), std::errc::invalid_argument);
}

// --- Stopping
// --------------------------------------------------------------------------------------------------------

Task<void> drains(Result<void>* ended) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  TcpStream stream = co_await connect_to(where);
  const bool before = co_await is_served(stream, "before");
  EXPECT_TRUE(before);
  server.stop(1h);
  co_await settle();
  EXPECT_FALSE(running.is_finished());
  EXPECT_TRUE(server.is_stopping());
  const bool meanwhile = co_await is_served(stream, "meanwhile");
  EXPECT_TRUE(meanwhile);
  const Result<TcpStream> late = co_await TcpStream::connect(where);
  EXPECT_EQ(error_of(late), std::errc::connection_refused);
  stream = TcpStream();
  *ended = co_await running;
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, StopRefusesNewConnectionsAndLetsTheOldOnesFinish) {
  use_manual_clock();
  Result<void> ended = Errc::broken;
  EXPECT_TRUE(run(drains(&ended)));
  EXPECT_TRUE(ended) << ended.error();
}

Task<void> drains_late(ManualClock& clock) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "hello");
  EXPECT_TRUE(served);
  server.stop(10s);
  co_await settle();
  clock.advance(10s - 1ns);
  co_await settle();
  EXPECT_FALSE(running.is_finished());
  clock.advance(1ns);
  const Error ended = co_await end_of(stream);
  EXPECT_FALSE(ended) << ended;
  const Result<void> result = co_await running;
  EXPECT_TRUE(result);
  EXPECT_EQ(server.stats().failed, 0U);
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, StopCancelsWhatIsLeftAfterTheGrace) {
  use_manual_clock();
  EXPECT_TRUE(run(drains_late(clock_)));
}

Task<void> shortens_grace(ManualClock& clock) {
  Server server;
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "hello");
  EXPECT_TRUE(served);
  server.stop(1h);
  co_await settle();
  server.stop(1s);
  server.stop(2h);
  clock.advance(1s);
  const Result<void> result = co_await running;
  EXPECT_TRUE(result);
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, LaterStopShortensTheGraceAndNeverLengthensIt) {
  use_manual_clock();
  EXPECT_TRUE(run(shortens_grace(clock_)));
}

Task<void> aborts(Reports& reports) {
  ServerOptions options;
  options.on_failure = Reports::note;
  options.failure_owner = &reports;
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  TcpStream stream = co_await connect_to(where);
  const bool served = co_await is_served(stream, "hello");
  EXPECT_TRUE(served);
  server.abort();
  const Error ended = co_await end_of(stream);
  EXPECT_EQ(ended, std::errc::connection_reset);
  const Result<void> result = co_await running;
  EXPECT_TRUE(result);
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, AbortResetsEveryConnection) {
  EXPECT_TRUE(run(aborts(reports_)));
  EXPECT_TRUE(reports_.all.empty()) << "to be told to end is no failure";
}

Task<void> is_cancelled(ManualClock& clock) {
  ServerOptions options;
  options.drain = 3s;
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group(OnFailure::keep_going);
  auto running = group.spawn([](Server* s) { return s->run(echo); }, &server);
  TcpStream stream = co_await connect_to(where);
  const bool before = co_await is_served(stream, "before");
  EXPECT_TRUE(before);
  running.cancel();
  co_await settle();
  const bool meanwhile = co_await is_served(stream, "in its grace");
  EXPECT_TRUE(meanwhile);
  EXPECT_FALSE(running.is_finished());
  clock.advance(3s);
  const Result<void> ended = co_await running;
  EXPECT_TRUE(error_of(ended).is_cancelled());
  static_cast<void>(co_await group.join());
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

// --- Slow clients
// ----------------------------------------------------------------------------------------------------

Task<void> cuts_idle(ManualClock& clock, Reports& reports) {
  ServerOptions options;
  options.idle_max = 8s;
  options.on_failure = Reports::note;
  options.failure_owner = &reports;
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
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
  server.abort();
  static_cast<void>(co_await group.join());
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
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(swallow); }, &server);
  TcpStream trickle = co_await connect_to(where);
  TcpStream good = co_await connect_to(where);
  TcpStream silent = co_await connect_to(where);
  const std::string much(150, 'x');
  for (int second = 0; second < 30 && server.stats().cut_off_slow == 0; ++second) {
    static_cast<void>(co_await trickle.write_all(bytes_of("x")));
    const Result<void> sent = co_await good.write_all(bytes_of(much));
    EXPECT_TRUE(sent);
    co_await settle();
    clock.advance(1s);
    co_await settle();
  }
  EXPECT_EQ(server.stats().cut_off_slow, 1U);
  EXPECT_EQ(server.stats().connections, 2U);
  const Error ended = co_await end_of(trickle);
  EXPECT_EQ(ended, std::errc::connection_reset);
  server.abort();
  static_cast<void>(co_await group.join());
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
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(pour); }, &server);
  TcpStream stuck = co_await connect_to(where);
  TcpStream good = co_await connect_to(where);
  std::vector<std::byte> buffer(1 << 20);
  for (int second = 0; second < 30 && server.stats().cut_off_slow == 0; ++second) {
    for (int i = 0; i < 8; ++i) {
      const Result<std::size_t> count = co_await good.read(buffer);
      EXPECT_TRUE(count);
    }
    co_await settle();
    clock.advance(1s);
    co_await settle();
  }
  EXPECT_EQ(server.stats().cut_off_slow, 1U);
  EXPECT_EQ(server.stats().connections, 1U);
  server.abort();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, CutsOffAClientThatDoesNotReadItsAnswer) {
  use_manual_clock();
  EXPECT_TRUE(run(cuts_slow_reader(clock_)));
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
  Server server(options);
  const Endpoint where = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(lent_echo); }, &server);
  std::vector<TcpStream> stuck;
  for (int i = 0; i < 4; ++i) stuck.push_back(co_await connect_to(where));
  for (TcpStream& stream : stuck) group.spawn(stuff, std::ref(stream));
  TcpStream good = co_await connect_to(where);
  bool served = false;
  auto asking = group.spawn([](TcpStream* s) { return is_served(*s, "hello"); }, &good);
  for (int second = 0; second < 60 && server.stats().cut_off_slow < 4; ++second) {
    co_await settle();
    clock.advance(1s);
  }
  EXPECT_EQ(server.stats().cut_off_slow, 4U);
  const Result<bool> answered = co_await asking;
  served = answered && *answered;
  EXPECT_TRUE(served);
  server.abort();
  static_cast<void>(co_await group.join());
}

// Clients that do not read hold all of the reactor's buffers; once they are cut off, the others are served.
TEST_P(ServerTest, MinimumRateFreesTheLentBuffersThatStuckClientsHold) {
  use_manual_clock({.lent_buffers = 4});
  EXPECT_TRUE(run(frees_lent_buffers(clock_), far));
}

// --- Listeners from elsewhere
// ----------------------------------------------------------------------------------------

Task<void> listens_inherited() {
  // Two sockets in a row, as a service manager would leave them.
  constexpr int first = 900;
  const Bound one = tcp_listener();
  const Bound two = unix_listener();
  EXPECT_EQ(::dup2(raw(one.fd), first), first);
  EXPECT_EQ(::dup2(raw(two.fd), first + 1), first + 1);
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  Result<std::vector<UniqueFd>> taken = take_inherited_descriptors(first);
  EXPECT_TRUE(taken);
  if (!taken) co_return;
  EXPECT_EQ(taken->size(), 2U);
  EXPECT_EQ(::getenv("LISTEN_FDS"), nullptr);
  Server server;
  for (UniqueFd& socket : *taken) {
    EXPECT_TRUE(is_close_on_exec(raw(socket)));
    const Result<Endpoint> bound = server.listen(std::move(socket));
    EXPECT_TRUE(bound);
  }
  EXPECT_FALSE(is_open(first));
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
  for (const SocketAddress& address : {one.address, two.address}) {
    Result<TcpStream> stream = TcpStream::adopt(test::connect_to(address));
    EXPECT_TRUE(stream);
    const bool served = co_await is_served(*stream, "inherited");
    EXPECT_TRUE(served);
  }
  server.abort();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, ListensOnInheritedSocketsOfAnyFamily) { EXPECT_TRUE(run(listens_inherited())); }

TEST(InheritedDescriptorsTest, AreNoneWhenTheyAreAnotherProcesss) {
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", "1", 1);
  const Result<std::vector<UniqueFd>> taken = take_inherited_descriptors(900);
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->empty());
  ::setenv("LISTEN_FDS", "three", 1);
  const Result<std::vector<UniqueFd>> malformed = take_inherited_descriptors(900);
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_PID");
  ASSERT_FALSE(malformed);
  EXPECT_EQ(malformed.error(), std::errc::invalid_argument);
}

Task<void> listens_at_path(std::string path) {
  const Endpoint where = Endpoint::unix_path(path).value_or(Endpoint());
  {
    Server server;
    const Result<Endpoint> bound = co_await server.listen(where);
    EXPECT_EQ(error_of(bound), Error());
    Server other;
    const Result<Endpoint> again = co_await other.listen(where);
    EXPECT_EQ(error_of(again), std::errc::address_in_use);
    TaskGroup group;
    group.spawn([](Server* s) { return s->run(echo); }, &server);
    Result<TcpStream> stream = TcpStream::adopt(test::connect_to(where.address()));
    EXPECT_TRUE(stream);
    const bool served = co_await is_served(*stream, "by a path");
    EXPECT_TRUE(served);
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
    server.abort();
    static_cast<void>(co_await group.join());
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0) << "the file goes with the server";
}

TEST_P(ServerTest, ListensAtAPathAndRemovesItsFile) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(run(listens_at_path(directory.path("socket"))));
}

Task<void> refuses_what_does_not_listen() {
  Server server;
  const Result<Endpoint> bound = server.listen(tcp_socket());
  EXPECT_EQ(error_of(bound), std::errc::invalid_argument);
  co_return;
}

TEST_P(ServerTest, RefusesASocketThatDoesNotListen) {
  EXPECT_TRUE(run(refuses_what_does_not_listen()));
}

Task<void> takes_listener() {
  Result<TcpListener> listener = co_await TcpListener::bind(Endpoint::loopback_v4(0));
  EXPECT_TRUE(listener);
  Server server;
  const Result<Endpoint> given = server.listen(std::move(*listener));
  EXPECT_TRUE(given);
  const Endpoint second = co_await listen_somewhere(server);
  TaskGroup group;
  group.spawn([](Server* s) { return s->run(echo); }, &server);
  for (const Endpoint& where : {*given, second}) {
    TcpStream stream = co_await connect_to(where);
    const bool served = co_await is_served(stream, "given");
    EXPECT_TRUE(served);
  }
  server.abort();
  static_cast<void>(co_await group.join());
}

TEST_P(ServerTest, ServesSeveralListenersAtOnce) { EXPECT_TRUE(run(takes_listener())); }

}  // namespace
}  // namespace gyre::test
