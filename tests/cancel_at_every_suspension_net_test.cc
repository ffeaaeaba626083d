// Cancel at every suspension of what programs do with sockets, on every backend: what cancel_at_every_suspension_test
// says of tasks, and of bytes that none is lost. support/suspension_driver.h says what is injected.
//
// A turn of the reactor runs one task and then polls, and the cancel comes after the k-th turn. How many turns there are
// may differ from run to run; what must hold holds after any number.
//
// Connections end by a reset: hundreds of them in TIME_WAIT would leave other tests without ports.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/tcp_listener.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/reactor/io.h>
#include <gyre/task/timeout.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"
#include "support/suspension_driver.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Disturbance;
using gyre::testing::Inside;
using gyre::testing::Scenario;
using gyre::testing::ScenarioRun;
using gyre::testing::World;

// --- Scenarios ------------------------------------------------------------------------------------------------------

constexpr std::size_t line_size = 100;
constexpr int lines = 3;

Task<Result<void>> echo(World& world, TcpStream& stream) {
  const Inside inside(world);
  std::array<std::byte, 64> buffer;
  for (std::size_t echoed = 0; echoed < lines * line_size;) {
    const Result<std::size_t> count = co_await stream.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Errc::end_of_stream;
    const Result<void> sent = co_await stream.write_all(std::span(buffer).first(*count));
    if (!sent) co_return sent;
    echoed += *count;
  }
  co_return Result<void>{};
}
Task<Result<void>> talk(World& world, TcpStream& stream) {
  const Inside inside(world);
  for (int round = 1; round <= lines; ++round) {
    std::array<std::byte, line_size> said;
    said.fill(static_cast<std::byte>(round));
    const Result<void> sent = co_await stream.write_all(said);
    if (!sent) co_return sent;
    std::array<std::byte, line_size> heard;
    const Result<void> received = co_await stream.read_exactly(heard);
    if (!received) co_return received;
    world.expect(heard == said, "the echo is not what was said");
  }
  co_return Result<void>{};
}
Task<Result<void>> echo_over_pair(World& world) {
  const Inside inside(world);
  Result<std::pair<TcpStream, TcpStream>> pair = TcpStream::pair();
  if (!pair) co_return pair.error();
  TaskGroup group;
  group.spawn(echo, world, pair->first);
  group.spawn(talk, world, pair->second);
  const Result<void> joined = co_await group.join();
  pair->first.abort();
  pair->second.abort();
  co_return joined;
}
Task<Result<void>> echo_with_timeout(World& world) {
  const Inside inside(world);
  co_return co_await with_timeout(1h, echo_over_pair(world));
}

Task<Result<void>> accept_and_echo(World& world, TcpListener& listener, TcpStream& stream) {
  const Inside inside(world);
  Result<TcpStream> accepted = co_await listener.accept();
  if (!accepted) co_return accepted.error();
  stream = std::move(*accepted);
  co_return co_await echo(world, stream);
}
Task<Result<void>> connect_and_talk(World& world, Endpoint peer, TcpStream& stream) {
  const Inside inside(world);
  Result<TcpStream> connected = co_await TcpStream::connect(peer);
  if (!connected) co_return connected.error();
  stream = std::move(*connected);
  co_return co_await talk(world, stream);
}
Task<Result<void>> server_and_client(World& world) {
  const Inside inside(world);
  Result<TcpListener> listener = co_await TcpListener::bind(Endpoint::loopback_v4(0));
  if (!listener) co_return listener.error();
  const Result<Endpoint> where = listener->local_endpoint();
  if (!where) co_return where.error();
  // They outlive both tasks: nobody sees the other's end before his own.
  TcpStream server;
  TcpStream client;
  TaskGroup group;
  group.spawn(accept_and_echo, world, *listener, server);
  group.spawn(connect_and_talk, world, *where, client);
  const Result<void> joined = co_await group.join();
  if (server.is_open()) server.abort();
  if (client.is_open()) client.abort();
  co_return joined;
}

constexpr std::size_t bulk_size = 200'000;
std::byte bulk_byte(std::size_t position) { return static_cast<std::byte>(position * 31 >> 3); }

const std::vector<std::byte>& bulk() {
  static const std::vector<std::byte> bytes = [] {
    std::vector<std::byte> made;
    for (std::size_t i = 0; i < bulk_size; ++i) made.push_back(bulk_byte(i));
    return made;
  }();
  return bytes;
}
Task<Result<void>> send_bulk(World& world, TcpStream& stream, std::size_t& written) {
  const Inside inside(world);
  const Result<void> sent = co_await stream.write_all(bulk(), &written);
  co_return sent;
}
Task<Result<void>> receive_bulk(World& world, TcpStream& stream, std::size_t until, std::size_t& received) {
  const Inside inside(world);
  static std::array<std::byte, 20'000> buffer;
  while (received < until) {
    const Result<std::size_t> count = co_await stream.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Errc::end_of_stream;
    for (std::size_t i = 0; i < *count; ++i) {
      if (buffer[i] == bulk_byte(received + i)) continue;
      world.expect(false, "a byte is lost or doubled");
      break;
    }
    received += *count;
  }
  co_return Result<void>{};
}
// What the reader has and what is still on its way is what the writer says that it has written.
Task<Result<void>> bulk_transfer(World& world) {
  const Inside inside(world);
  Result<std::pair<TcpStream, TcpStream>> pair = TcpStream::pair();
  if (!pair) co_return pair.error();
  // Less than the whole fits.
  static_cast<void>(pair->first.set_option(SocketOption::send_buffer, 16 * 1024));
  std::size_t written = 0;
  std::size_t received = 0;
  TaskGroup group;
  group.spawn(receive_bulk, world, pair->second, std::size_t{bulk_size}, received);
  group.spawn(send_bulk, world, pair->first, written);
  const Result<void> joined = co_await group.join();
  const Result<void> rest = co_await shield(receive_bulk(world, pair->second, std::size_t{written}, received));
  world.expect(rest.has_value() && received == written, "the writer's count is not what arrives");
  pair->first.abort();
  pair->second.abort();
  co_return joined;
}

Task<Result<void>> wait_and_read(World& world, const UniqueFd& fd) {
  const Inside inside(world);
  const Result<void> readable = co_await wait_readable(fd.get());
  if (!readable) co_return readable;
  world.expect(gyre::test::drain(fd) == "x", "readable without a byte");
  co_return Result<void>{};
}
Task<Result<void>> foreign_descriptor(World& world) {
  const Inside inside(world);
  const gyre::test::Pair pair = gyre::test::unix_pair();
  gyre::test::make_non_blocking(pair.near);
  TaskGroup group;
  group.spawn(wait_and_read, world, pair.near);
  Result<void> writable = co_await wait_writable(pair.far.get());
  if (writable) writable = co_await yield();
  if (writable) gyre::test::write_all(pair.far, "x");
  else group.cancel();
  const Result<void> joined = co_await group.join();
  if (!joined) co_return joined;
  co_return writable;
}

// --------------------------------------------------------------------------------------------------------------------

class CancelAtEverySuspensionNetTest : public gyre::test::NetTaskFixture {
 protected:
  void SetUp() override {
    NetTaskFixture::SetUp();
    if (IsSkipped()) return;
    ReactorOptions options;
    options.tasks_per_turn = 1;
    reopen(std::move(options));
  }

  // Returns the number of turns of the undisturbed scenario.
  std::size_t cancel_at_every_suspension(const Scenario& scenario) {
    constexpr std::size_t turns_max = 2000;
    for (const Disturbance how : {Disturbance::cancel, Disturbance::deadline, Disturbance::task}) {
      for (std::size_t turns = 0; turns < turns_max && !HasFailure(); ++turns) {
        std::size_t tasks = 1;
        for (std::size_t number = 0; number < tasks && !HasFailure(); ++number) {
          SCOPED_TRACE(::testing::Message() << scenario.name << ": disturbance " << static_cast<int>(how)
                                            << " after turn " << turns << ", task " << number);
          const std::size_t found = run_disturbed(scenario, how, turns, number);
          if (how == Disturbance::task || found == 0) tasks = found;
        }
        if (tasks != 0) continue;
        if (how != Disturbance::task) break;
        RecordProperty("turns", std::to_string(turns));
        return turns;
      }
    }
    ADD_FAILURE() << scenario.name << " does not end";
    return turns_max;
  }

 private:
  // Returns how many tasks there were after `turns` turns: none if the scenario had ended.
  std::size_t run_disturbed(const Scenario& scenario, Disturbance how, std::size_t turns, std::size_t task_number) {
    const std::int64_t frames = gyre::test::live_frames();
    std::size_t found = 0;
    {
      ScenarioRun run;
      spawn(whole, run, scenario, poller());
      for (std::size_t i = 0; i < turns && !run.result; ++i) turn();
      const std::vector<TaskContext*> tasks = gyre::testing::live_tasks(reactor().scheduler());
      found = tasks.size();
      run.disturb(how, tasks, task_number);
      // A task that waits for one that was cancelled by itself may wait for ever.
      for (int idle = 0; how == Disturbance::task && idle < 4 && !run.result;) {
        idle = reactor().run_once(Instant()) ? 0 : idle + 1;
      }
      if (how == Disturbance::task) run.disturb(Disturbance::cancel, {}, 0);
      for (int i = 0; i < 10'000 && !run.result && !HasFailure(); ++i) turn();
      run_until_idle();
      expect_specified_end(run, scenario, how);
    }
    EXPECT_EQ(reactor().scheduler().tasks(), 0U);
    EXPECT_TRUE(reactor().scheduler().timers().empty());
    EXPECT_EQ(poller().in_flight(), 0U);
    EXPECT_EQ(gyre::test::live_frames(), frames) << "frames leaked";
    return found;
  }
  // The turn in which the scenario ends does not wait for more.
  static Task<void> whole(ScenarioRun& run, const Scenario& scenario, Poller& poller) {
    co_await ScenarioRun::whole(run, scenario);
    poller.wake();
  }
  void turn() {
    const Instant limit = reactor().clock().now() + 10s;
    static_cast<void>(reactor().run_once(limit));
    EXPECT_LT(reactor().clock().now(), limit) << "nothing happens any more";
  }
};

TEST_P(CancelAtEverySuspensionNetTest, EchoOverPairLeavesNothingBehind) {
  EXPECT_GE(cancel_at_every_suspension({"EchoOverPair", echo_over_pair, nullptr, true}), 8U);
}
TEST_P(CancelAtEverySuspensionNetTest, EchoWithTimeoutLeavesNothingBehind) {
  EXPECT_GE(cancel_at_every_suspension({"EchoWithTimeout", echo_with_timeout, nullptr, true}), 8U);
}
TEST_P(CancelAtEverySuspensionNetTest, ServerAndClientLeaveNothingBehind) {
  EXPECT_GE(cancel_at_every_suspension({"ServerAndClient", server_and_client, nullptr, true}), 8U);
}
TEST_P(CancelAtEverySuspensionNetTest, BulkTransferLosesNoByte) {
  EXPECT_GE(cancel_at_every_suspension({"BulkTransfer", bulk_transfer, nullptr, true}), 4U);
}
TEST_P(CancelAtEverySuspensionNetTest, ForeignDescriptorIsLeftAsItWas) {
  EXPECT_GE(cancel_at_every_suspension({"ForeignDescriptor", foreign_descriptor, nullptr, true}), 3U);
}

GYRE_INSTANTIATE_FOR_EVERY_POLLER(CancelAtEverySuspensionNetTest);

}  // namespace
