// What a connection costs, in counts that do not depend on the machine's mood: system calls, heap allocations, memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gyre/net/tcp_listener.h>
#include <gyre/net/unix_stream.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/task/task_group.h>

#include "support/net_task_fixture.h"
#include "support/net_tasks.h"

namespace gyre::test {
namespace {

constexpr long number_io_uring_enter = 426;

class NetCountsTest : public NetTaskFixture {
 protected:
  void SetUp() override {
    if (!fault_injection) GTEST_SKIP() << "this build does not count system calls";
    if (GetParam().name == "kqueue") GTEST_SKIP() << "the double of a kernel makes calls of its own";
    NetTaskFixture::SetUp();
  }
  void count_echoes(std::size_t size);  // bytes of each
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(NetCountsTest);

// The session of examples/echo_server.cc.
template <typename Connection>
Task<void> echo(Connection stream) {
  for (;;) {
    const Result<LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;
    const Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}

Task<void> serve(TcpListener& listener) {
  TaskGroup sessions(OnFailure::keep_going);
  for (;;) {
    Result<TcpStream> peer = co_await listener.accept();
    if (!peer) break;
    sessions.spawn(echo<TcpStream>, std::move(*peer));
  }
  const Result<void> joined = co_await sessions.join();
  static_cast<void>(joined);
}
Task<void> adopt_sockets(std::vector<UniqueFd>& sockets) {
  for (UniqueFd& socket : sockets) {
    Result<UnixStream> stream = UnixStream::adopt(std::move(socket));
    EXPECT_TRUE(stream.has_value());
    if (stream) this_reactor().detach(echo<UnixStream>, std::move(*stream));
  }
  sockets.clear();
  co_return;
}
Task<void> listen_into(TcpListener& listener, Endpoint& where) {
  Result<TcpListener> bound = co_await TcpListener::bind(Endpoint::loopback_v4(0));
  GYRE_CHECK(bound.has_value());
  where = *bound->local_endpoint();
  listener = std::move(*bound);
}

// Two calls a round trip beside the waits; one enter a wait; nothing from the heap; one epoll_ctl in the whole life of a
// connection.
// The clients are plain sockets, and each batch is sent before the server looks.
void NetCountsTest::count_echoes(std::size_t size) {
  constexpr std::size_t connections = 32, rounds = 20;
  TcpListener listener;
  Endpoint where;
  run(listen_into(listener, where));
  JoinHandle<void> server = spawn(serve, listener);
  run_until_idle();
  const std::uint64_t watches_before = sys::calls_made(SYS_epoll_ctl);

  std::vector<UniqueFd> clients;
  for (std::size_t i = 0; i < connections; ++i) clients.push_back(connect_to(where.address()));
  const std::string text = pattern(size);
  std::size_t echoes = 0;
  const auto turn_until_readable = [&](const UniqueFd& client) {
    const Instant limit = steady_clock().now() + time_limit;
    while (!is_readable(raw(client)) && steady_clock().now() < limit) reactor().run_once(Instant());
    return is_readable(raw(client));
  };
  const auto exchange = [&] {
    for (const UniqueFd& client : clients) write_all(client, text);
    for (const UniqueFd& client : clients) {
      if (!turn_until_readable(client)) return;
      EXPECT_EQ(read_exactly(client, text.size()), text);
      ++echoes;
    }
  };
  exchange();  // the first time everything is fetched that stays
  exchange();
  echoes = 0;
  const PollerStats before = poller().stats();
  const std::uint64_t enters_before = sys::calls_made(number_io_uring_enter);
  std::uint64_t allocated = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const UniqueFd& client : clients) write_all(client, text);
    const std::uint64_t allocations_before = allocations();
    for (int turn = 0; turn < 20; ++turn) reactor().run_once(Instant());
    allocated += allocations() - allocations_before;
    for (const UniqueFd& client : clients) {
      ASSERT_TRUE(turn_until_readable(client));
      EXPECT_EQ(read_exactly(client, text.size()), text);
      ++echoes;
    }
  }
  const PollerStats after = poller().stats();
  ASSERT_EQ(echoes, connections * rounds);
  EXPECT_EQ(allocated, 0U);
  const std::uint64_t waits = after.waits - before.waits;
  if (is_io_uring()) {
    EXPECT_LE(sys::calls_made(number_io_uring_enter) - enters_before, waits);
    EXPECT_GE(sys::calls_made(number_io_uring_enter) - enters_before, 1U) << "the ring's calls are not counted";
  }
  EXPECT_LE(after.system_calls - before.system_calls, 2 * echoes + waits);
  if (!is_io_uring()) {
    EXPECT_GE(after.system_calls - before.system_calls, 2 * echoes) << "the poller does not count its calls";
  }

  if (!is_io_uring()) {
    EXPECT_EQ(sys::calls_made(SYS_epoll_ctl) - watches_before, connections);
  }
  clients.clear();
  for (int turn = 0; turn < 1000 && reactor().scheduler().tasks() > 1; ++turn) reactor().run_once(Instant());
  if (!is_io_uring()) {
    EXPECT_EQ(sys::calls_made(SYS_epoll_ctl) - watches_before, connections);
  }
  server.cancel();
  run_until_idle();
}

TEST_P(NetCountsTest, AnEchoTakesTwoCallsAndNoAllocation) { count_echoes(64); }
// A lent buffer has room for more: that no more has come is known without a receive in vain.
TEST_P(NetCountsTest, AnEchoOf16KiBTakesNoMore) { count_echoes(16384); }

// Each send takes one byte and leaves room for more, as if the peer read as fast as we send. The loop must have its turns.
Task<void> write_bytewise(std::uint64_t& calls, std::uint64_t& turns) {
  constexpr std::size_t size = 500;
  auto [near, far] = tcp_streams();
  const std::string text(size, 'x');
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = SYS_sendto, .times = sys::FaultRule::sticky, .fault = {sys::Fault::Kind::shorten, 1}});
  const std::uint64_t turns_before = this_reactor().stats().turns;
  {
    const sys::FaultScope scope(plan);
    const Result<void> sent = co_await near.write_all(bytes_of(text));
    EXPECT_TRUE(sent.has_value());
  }
  calls = plan.calls(SYS_sendto);
  turns = this_reactor().stats().turns - turns_before + 1;
  const std::string received = co_await read_text(far, size);
  EXPECT_EQ(received, text);
}
TEST_P(NetCountsTest, AWriteAllThatAlwaysFindsRoomLetsOthersRun) {
  std::uint64_t calls = 0, turns = 0;
  run(write_bytewise(calls, turns));
  EXPECT_GE(calls, 1U);
  EXPECT_LE(calls, 10 * turns) << turns << " turns";
}

// --- Memory ----------------------------------------------------------------------------------------------------------

// Bytes of this process that are in memory and its own.
std::size_t resident() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long size = 0, pages = 0, shared = 0;
  const int read = std::fscanf(file, "%lu %lu %lu", &size, &pages, &shared);
  std::fclose(file);
  return read == 3 ? (pages - shared) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// As many open files as it takes; false if this process may not.
bool allow_descriptors(rlim_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  if (limit.rlim_cur >= count) return true;
  if (limit.rlim_max < count) return false;
  limit.rlim_cur = count;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

constexpr std::size_t few = 1'000, many = 9'000;

// The slope between `few` and `many` connections, the echo handler of each waiting in receive().
double bytes_per_connection(Reactor& reactor) {
  // Theirs is no memory of a connection: it is there, and touched, before the first.
  std::vector<UniqueFd> clients(many), sockets(many);
  clients.clear();
  sockets.clear();
  const auto grow_to = [&](std::size_t count) {
    while (clients.size() < count) {
      Pair pair = unix_pair();
      sockets.push_back(std::move(pair.near));
      clients.push_back(std::move(pair.far));
    }
    const Result<void> adopted = reactor.run_until(adopt_sockets(sockets));
    GYRE_CHECK(adopted.has_value());
    for (int turn = 0; turn < 200; ++turn) reactor.run_once(Instant());
    return static_cast<double>(resident());
  };
  const double first = grow_to(few);
  const double last = grow_to(many);
  GYRE_CHECK(reactor.scheduler().tasks() == many);
  const double slope = (last - first) / static_cast<double>(many - few);
  clients.clear();
  for (int turn = 0; turn < 10'000 && reactor.scheduler().tasks() > 0; ++turn) reactor.run_once(Instant());
  return slope;
}

class NetMemoryDeathTest : public NetCountsTest {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(NetMemoryDeathTest);

// Of which 160 are the descriptor's slot, 289 the handler's task and frame, and on io_uring 32 the record of the receive that
// is in flight. In a child of this process, which begins with little memory of its own whatever ran before.
TEST_P(NetMemoryDeathTest, AnIdleConnectionTakesAtMost512Bytes) {
  if (sanitized) GTEST_SKIP() << "a sanitizer keeps books of its own";
  const bool is_best = GetParam().label == "epoll" || GetParam().label == "io_uring_full";
  if (!is_best) GTEST_SKIP() << "the same memory as io_uring_full";
  if (!allow_descriptors(2 * many + 100)) GTEST_SKIP() << "this process may not open 18,100 files";
  const auto measure = [this] {
    const std::unique_ptr<Reactor> reactor = open();
    const double slope = bytes_per_connection(*reactor);
    std::fprintf(stderr, "%.1f bytes\n", slope);
    // Less than the operations of a connection take would mean that nothing was measured.
    std::_Exit(slope >= 128 && slope <= 512 ? 0 : 1);
  };
  EXPECT_EXIT(measure(), testing::ExitedWithCode(0), " bytes");
}

}  // namespace
}  // namespace gyre::test
