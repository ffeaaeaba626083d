// A server among slow clients and a storm of resets: what becomes of the good clients, of memory, and of descriptors.
//
// The server has a thread and a reactor of its own; all clients share another. In turns the good clients have the server
// for themselves (undisturbed), and share it with thousands of slow ones and a storm of resets (disturbed).
// GYRE_SOAK_SECONDS: how long, 12 by default, 600 for the long soak. GYRE_SOAK_SLOW: slow clients, 5,000 by default (fewer
// where the limit on descriptors is low). GYRE_POLLER: only on this one.
#include <gyre/net/server.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/tcp_stream.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

int number_from(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : otherwise;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Both ends of all connections are in this process.
std::size_t raise_descriptor_limit() {
  rlimit limit = {};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  return static_cast<std::size_t>(limit.rlim_cur);
}

// --- The server ------------------------------------------------------------------------------------------------------

Task<void> echo(ServerConnection& connection) {
  std::array<std::byte, 1024> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await connection.read(buffer);
    if (!count || *count == 0) co_return;
    const Result<void> sent = co_await connection.write_all(std::span(buffer).first(*count));
    if (!sent) co_return;
  }
}

std::unique_ptr<Reactor> open_reactor(const Backend& backend) {
  ReactorOptions options;
  options.poller.tier = backend.tier;
  Result<std::unique_ptr<Poller>> poller = open_poller(backend.name, options.poller);
  GYRE_CHECK(poller.has_value());
  options.with_poller = std::move(*poller);
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(options));
  GYRE_CHECK(reactor.has_value());
  return std::move(*reactor);
}

class ServerThread {
 public:
  explicit ServerThread(const Backend& backend) {
    std::promise<Endpoint> bound;
    std::future<Endpoint> where = bound.get_future();
    thread_ = std::thread([this, backend, &bound] {
      const std::unique_ptr<Reactor> reactor = open_reactor(backend);
      reactor_ = reactor.get();
      EXPECT_TRUE(reactor->run_until(serve(*this, bound)));
      reactor->shutdown();
    });
    where_ = where.get();
  }
  ServerStats stop() {
    reactor_->post([this] { server_->stop(Duration::zero()); });
    thread_.join();
    return stats_;
  }
  Endpoint where() const { return where_; }

 private:
  static Task<Result<void>> serve(ServerThread& self, std::promise<Endpoint>& bound) {
    Server server;
    self.server_ = &server;
    const Result<Endpoint> where = co_await server.listen(Endpoint::loopback_v4(0));
    bound.set_value(where.value_or(Endpoint()));
    const Result<void> served = co_await server.run(echo);
    self.stats_ = server.stats();
    co_return served;
  }

  std::thread thread_;
  Reactor* reactor_ = nullptr;
  Server* server_ = nullptr;
  ServerStats stats_;
  Endpoint where_;
};

// --- The clients -----------------------------------------------------------------------------------------------------

struct Soak {
  Endpoint where;
  std::vector<Duration>* latencies = nullptr;  // null: not counted
  std::uint64_t good_failures = 0;
  std::uint64_t slow_connections = 0;
  std::uint64_t resets = 0;
};

constexpr int good_count = 500;
constexpr Duration good_interval = 50ms;
constexpr Duration slow_interval = 1s;

// A request at regular times; its latency counts from the time when it was due.
Task<void> good_client(Soak& soak, int number) {
  Result<TcpStream> stream = co_await TcpStream::connect(soak.where);
  if (!stream) {
    ++soak.good_failures;
    co_return;
  }
  Clock& clock = this_reactor().clock();
  Instant due = clock.now() + good_interval * number / good_count;
  std::array<std::byte, 64> request{};
  std::array<std::byte, 64> answer{};
  for (;;) {
    const Result<void> slept = co_await sleep_until(due);
    if (!slept) co_return;
    request.fill(static_cast<std::byte>(due.nanoseconds()));
    Result<void> served = co_await stream->write_all(request);
    if (served) served = co_await stream->read_exactly(answer);
    if (!served && served.error().is_cancelled()) co_return;
    if (!served || answer != request) {
      ++soak.good_failures;
      co_return;
    }
    if (soak.latencies != nullptr) soak.latencies->push_back(clock.now() - due);
    due = due + good_interval;
  }
}

// Every second client trickles a byte a second and never reads; the others have sent more than they ever take back.
Task<void> slow_client(Soak& soak, int number) {
  Result<TcpStream> stream = co_await TcpStream::connect(soak.where);
  if (!stream) co_return;
  ++soak.slow_connections;
  std::vector<std::byte> bytes(number % 2 == 0 ? 1 : 2000);
  Result<void> slept = co_await sleep(slow_interval * (number % 1000) / 1000);
  while (slept) {
    const Result<std::size_t> sent = co_await stream->write(bytes);
    if (!sent) break;
    if (number % 2 != 0) {
      std::array<std::byte, 10> sip;
      const Result<std::size_t> count = co_await stream->read(sip);
      if (!count || *count == 0) break;
    }
    slept = co_await sleep(slow_interval);
  }
}

// Connects, asks, and resets without waiting for the answer.
Task<void> reset_storm(Soak& soak) {
  const std::array<std::byte, 100> request{};
  for (;;) {
    Result<TcpStream> stream = co_await TcpStream::connect(soak.where);
    if (stream) {
      const Result<void> sent = co_await stream->write_all(request);
      stream->abort();
      if (sent) ++soak.resets;
    }
    const Result<void> slept = co_await sleep(4ms);
    if (!slept) co_return;
  }
}

Duration percentile(std::vector<Duration>& latencies, double share) {
  if (latencies.empty()) return Duration::zero();
  std::sort(latencies.begin(), latencies.end());
  return latencies[static_cast<std::size_t>(share * static_cast<double>(latencies.size() - 1))];
}

struct Outcome {
  std::vector<Duration> undisturbed;
  std::vector<Duration> disturbed;
  std::size_t memory_first = 0;  // after the first disturbance, when all that is kept has been made
  std::size_t memory_last = 0;
  std::uint64_t good_failures = 0;
  std::uint64_t slow_connections = 0;
  std::uint64_t resets = 0;
};

Task<void> measure(Soak& soak, std::vector<Duration>& into, Duration how_long) {
  soak.latencies = &into;
  static_cast<void>(co_await sleep(how_long));
  soak.latencies = nullptr;
}

Task<void> disturb(Soak& soak, Outcome& outcome, int slow_count, Duration how_long) {
  TaskGroup bad(OnFailure::keep_going);
  for (int i = 0; i < slow_count; ++i) {
    bad.spawn(slow_client, soak, int{i});
    if (i % 50 == 49) static_cast<void>(co_await sleep(1ms));
  }
  bad.spawn(reset_storm, soak);
  static_cast<void>(co_await sleep(200ms));
  co_await measure(soak, outcome.disturbed, how_long);
  bad.cancel();
  static_cast<void>(co_await bad.join());
}

Task<void> soak_for(Endpoint where, int seconds, int slow_count, Outcome& outcome) {
  Soak soak;
  soak.where = where;
  TaskGroup good(OnFailure::keep_going);
  for (int i = 0; i < good_count; ++i) good.spawn(good_client, soak, int{i});
  static_cast<void>(co_await sleep(500ms));
  const int turns = std::max(2, seconds / 20);
  const Duration turn = Duration(std::chrono::seconds(seconds)) / turns;
  for (int i = 0; i < turns; ++i) {
    co_await measure(soak, outcome.undisturbed, turn * 2 / 5);
    co_await disturb(soak, outcome, slow_count, turn * 2 / 5);
    static_cast<void>(co_await sleep(turn / 5));
    outcome.memory_last = resident_bytes();
    if (i == 0) outcome.memory_first = outcome.memory_last;
  }
  good.cancel();
  static_cast<void>(co_await good.join());
  outcome.good_failures = soak.good_failures;
  outcome.slow_connections = soak.slow_connections;
  outcome.resets = soak.resets;
}

class ServerSoakStressTest : public ::testing::TestWithParam<Backend> {};

// The kernel's own, at their best: a soak of an older tier shows nothing more.
INSTANTIATE_TEST_SUITE_P(Poller, ServerSoakStressTest, ::testing::Values(backends[0], backends[3]), backend_label);

TEST_P(ServerSoakStressTest, SlowClientsAndResetsHardlyTouchTheGoodOnes) {
  std::string why;
  const char* const only = std::getenv("GYRE_POLLER");
  if (only != nullptr && GetParam().name != only) GTEST_SKIP() << "GYRE_POLLER is " << only;
  if (!is_available(GetParam(), &why)) GTEST_SKIP() << why;
  const int seconds = number_from("GYRE_SOAK_SECONDS", 12);
  const auto room = static_cast<int>(std::min<std::size_t>(raise_descriptor_limit(), 1'000'000));
  const int slow_count = std::clamp(number_from("GYRE_SOAK_SLOW", 5000), 0, room / 2 - good_count - 100);
  ASSERT_GE(slow_count, 0) << "the limit on descriptors is too low: " << room;
  const std::vector<std::string> descriptors_before = open_descriptors();

  Outcome outcome;
  // What is kept for more latencies is not the server's.
  const auto latencies_max = static_cast<std::size_t>(seconds + 1) * good_count * (1s / good_interval);
  outcome.undisturbed.reserve(latencies_max);
  outcome.disturbed.reserve(latencies_max);
  outcome.undisturbed.assign(latencies_max, Duration::zero());
  outcome.undisturbed.clear();
  outcome.disturbed.assign(latencies_max, Duration::zero());
  outcome.disturbed.clear();
  ServerStats stats;
  {
    ServerThread server(GetParam());
    const std::unique_ptr<Reactor> reactor = open_reactor(GetParam());
    EXPECT_TRUE(reactor->run_until(soak_for(server.where(), seconds, slow_count, outcome)));
    reactor->shutdown();
    stats = server.stop();
  }
  expect_same_descriptors(descriptors_before);

  const Duration alone = percentile(outcome.undisturbed, 0.99);
  const Duration among = percentile(outcome.disturbed, 0.99);
  const auto us = [](Duration d) { return static_cast<double>(d.count()) / 1000; };
  std::printf("%s: %zu + %zu requests of %d good clients, p50 %.0f and %.0f us, p99 %.0f us undisturbed and %.0f us among "
              "%llu slow connections and %llu resets; memory %.1f then %.1f MiB; %llu accepted\n",
              std::string(GetParam().label).c_str(), outcome.undisturbed.size(), outcome.disturbed.size(), good_count,
              us(percentile(outcome.undisturbed, 0.5)), us(percentile(outcome.disturbed, 0.5)), us(alone), us(among),
              static_cast<unsigned long long>(outcome.slow_connections), static_cast<unsigned long long>(outcome.resets),
              static_cast<double>(outcome.memory_first) / 1048576, static_cast<double>(outcome.memory_last) / 1048576,
              static_cast<unsigned long long>(stats.accepted));
  EXPECT_EQ(outcome.good_failures, 0U);
  EXPECT_GT(outcome.resets, 0U);
  EXPECT_LE(among, 2 * std::max(alone, Duration(100us))) << "99th percentile of the good clients";
  EXPECT_LE(outcome.memory_last, outcome.memory_first + outcome.memory_first / 20 + (2U << 20)) << "memory grows";
  EXPECT_EQ(stats.connections, 0U);
}

}  // namespace
}  // namespace gyre::test
