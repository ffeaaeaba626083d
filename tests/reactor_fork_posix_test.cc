// What a forked child may do with the reactors of its parent: nothing, and it is told so.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/net/tcp_stream.h>
#include <gyre/platform/fork_generation.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>

#include "support/net_task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

Task<Result<void>> nap() { co_return co_await sleep(1ms); }

Task<Result<void>> exchange_a_byte(TcpStream& first, TcpStream& second) {
  std::array<std::byte, 1> byte{std::byte{7}};
  const Result<void> sent = co_await first.write_all(byte);
  if (!sent) co_return sent;
  co_return co_await second.read_exactly(byte);
}

// Runs `body` in a forked child; returns whether it said true, and not by an abort.
template <typename Body>
bool in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = -1;
  while (::waitpid(child, &status, 0) == -1 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class ReactorForkTest : public gyre::test::NetTaskFixture {};
using ReactorForkDeathTest = ReactorForkTest;

TEST_P(ReactorForkDeathTest, RunningTheParentsReactorAborts) {
  EXPECT_DEATH(static_cast<void>(reactor().run_once(Instant())), "forked child");
  EXPECT_DEATH(static_cast<void>(reactor().run_until(nap())), "forked child");
}
TEST_P(ReactorForkDeathTest, DestroyingTheParentsReactorWithTasksAborts) {
  std::unique_ptr<Reactor> other = open();
  other->detach(nap);
  EXPECT_DEATH(other.reset(), "forked child");
}

int seven() { return 7; }
Task<Result<int>> offload_once() { co_return co_await offload(seven); }

// Threads are not inherited. (The child starts none: ThreadSanitizer forbids that in a child of several threads.)
TEST_P(ReactorForkTest, ChildDoesNotWaitForThePoolsThreads) {
  std::unique_ptr<Reactor> other = open();
  EXPECT_TRUE(other->run_until(offload_once()));
  EXPECT_TRUE(in_child([&other, this] {
    other.reset();
    const std::unique_ptr<Reactor> own = open();
    return own->run_until(nap()).has_value();
  }));
  EXPECT_TRUE(other->run_until(offload_once()));
}

Task<Result<std::pair<TcpStream, TcpStream>>> make_pair() { co_return TcpStream::pair(); }

// The child drops what it has inherited, and makes a reactor of its own; the parent's connections do not notice.
TEST_P(ReactorForkTest, ChildMakesItsOwnAndTheParentGoesOn) {
  std::unique_ptr<Reactor> other = open();
  Result<std::pair<TcpStream, TcpStream>> pair = run(make_pair());
  ASSERT_TRUE(pair);
  EXPECT_TRUE(run(exchange_a_byte(pair->first, pair->second)));
  EXPECT_TRUE(in_child([&other, this] {
    other.reset();
    const std::unique_ptr<Reactor> own = open();
    return own->run_until(nap()).has_value();
  }));
  EXPECT_TRUE(run(exchange_a_byte(pair->first, pair->second)));
  EXPECT_TRUE(run(exchange_a_byte(pair->second, pair->first)));
  EXPECT_TRUE(other->run_until(nap()));
  pair->first.abort();
  pair->second.abort();
}

Task<Result<LentBytes>> receive_a_byte(TcpStream& from, TcpStream& to) {
  const std::array<std::byte, 1> byte{std::byte{7}};
  const Result<void> sent = co_await from.write_all(byte);
  if (!sent) co_return sent.error();
  co_return co_await to.receive();
}

TEST_P(ReactorForkTest, ChildMayDropInheritedBytes) {
  Result<std::pair<TcpStream, TcpStream>> pair = run(make_pair());
  ASSERT_TRUE(pair);
  Result<LentBytes> received = run(receive_a_byte(pair->first, pair->second));
  ASSERT_TRUE(received);
  EXPECT_TRUE(in_child([&received] {
    *received = LentBytes();
    return true;
  }));
  *received = LentBytes();
  EXPECT_TRUE(run(exchange_a_byte(pair->first, pair->second)));
  pair->first.abort();
  pair->second.abort();
}
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ReactorForkTest);
INSTANTIATE_TEST_SUITE_P(DeathOfPoller, ReactorForkDeathTest, ::testing::ValuesIn(gyre::test::backends),
                         gyre::test::backend_label);

TEST(ForkGenerationTest, IsAnotherOneInAChild) {
  const std::uint32_t before = fork_generation();
  EXPECT_TRUE(in_child([before] { return fork_generation() != before; }));
  EXPECT_EQ(fork_generation(), before);
}

}  // namespace
