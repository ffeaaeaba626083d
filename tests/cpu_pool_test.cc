// CpuPool and Work<T>: fork and join, exceptions, jobs, what happens at the limits, and at the end.
#include <atomic>
#include <cstdint>
#include <memory>
#include <numeric>
#include <semaphore>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/offload.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/work.h>

namespace gyre {
namespace {

Work<long> fib(int n) {
  if (n < 2) co_return n;
  long a = 0;
  co_await fork_into(a, fib(n - 1));
  const long b = co_await fib(n - 2);
  co_await join_forks();
  co_return a + b;
}

TEST(CpuPoolTest, StartsNoThreadBeforeTheFirstJob) {
  CpuPool pool({.threads = 3});
  EXPECT_EQ(pool.stats().jobs.threads, 0U);
  const Result<long> result = pool.run(fib(5));
  ASSERT_TRUE(result);
  EXPECT_EQ(pool.stats().jobs.threads, 3U);
}

TEST(CpuPoolTest, ForksAndJoinsGiveTheSameResultOnAnyNumberOfThreads) {
  for (unsigned threads = 1; threads <= 4; ++threads) {
    CpuPool pool({.threads = threads});
    for (int n = 0; n < 18; ++n) {
      const Result<long> result = pool.run(fib(n));
      ASSERT_TRUE(result);
      long a = 0;
      long b = 1;
      for (int i = 0; i < n; ++i) a = std::exchange(b, a + b);
      EXPECT_EQ(*result, a) << n;
    }
  }
}

Work<int> deep(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await deep(depth - 1);
  co_return below + 1;
}
Work<int> deep_forks(int depth) {
  if (depth == 0) co_return 0;
  int below = 0;
  co_await fork_into(below, deep_forks(depth - 1));
  co_await join_forks();
  co_return below + 1;
}

// At levels and under sanitizers where a transfer is no tail call, too. The deque grows on the way.
TEST(CpuPoolTest, DepthIsBoundedByMemoryNotByTheStack) {
  CpuPool pool({.threads = 2});
  const Result<int> calls = pool.run(deep(50'000));
  ASSERT_TRUE(calls);
  EXPECT_EQ(*calls, 50'000);
  const Result<int> forks = pool.run(deep_forks(50'000));
  ASSERT_TRUE(forks);
  EXPECT_EQ(*forks, 50'000);
}

Work<std::unique_ptr<std::string>> text() { co_return std::make_unique<std::string>("moved"); }
Work<int> with_owner() {
  std::unique_ptr<std::string> forked;
  co_await fork_into(forked, text());
  const std::unique_ptr<std::string> called = co_await text();
  co_await join_forks();
  co_return static_cast<int>(forked->size() + called->size());
}

TEST(CpuPoolTest, ResultsMayBeMoveOnly) {
  CpuPool pool({.threads = 2});
  const Result<int> size = pool.run(with_owner());
  ASSERT_TRUE(size);
  EXPECT_EQ(*size, 10);
}

Work<int> fail_at_zero(int n) {
  if (n == 0) throw std::runtime_error("zero");
  int a = 0;
  co_await fork_into(a, fail_at_zero(n - 1));
  const long work = co_await fib(5);
  co_await join_forks();
  co_return a + static_cast<int>(work);
}

TEST(CpuPoolTest, AChildsExceptionComesOutOfTheJoin) {
  CpuPool pool({.threads = 3});
  for (int i = 0; i < 50; ++i) EXPECT_THROW((void)pool.run(fail_at_zero(i % 5)), std::runtime_error);
}

Work<int> fail_in_call(std::atomic<int>& alive) {
  struct Count {
    explicit Count(std::atomic<int>& count) : count_(count) { ++count_; }
    ~Count() { --count_; }
    std::atomic<int>& count_;
  } const count(alive);
  long a = 0;
  co_await fork_into(a, fib(10));
  const int b = co_await fail_at_zero(0);
  co_await join_forks();
  co_return static_cast<int>(a) + b;
}

// What was forked writes into the caller's variables: they must outlive it.
TEST(CpuPoolTest, ACalledChildsExceptionWaitsForWhatWasForked) {
  CpuPool pool({.threads = 3});
  std::atomic<int> alive{0};
  for (int i = 0; i < 200; ++i) EXPECT_THROW((void)pool.run(fail_in_call(alive)), std::runtime_error);
  EXPECT_EQ(alive.load(), 0);
}

Work<void> leaves_unjoined() {
  long a = 0;
  co_await fork_into(a, fib(3));
}

TEST(CpuPoolDeathTest, LeavingWithoutAJoinAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        CpuPool pool({.threads = 1});
        (void)pool.run(leaves_unjoined());
      },
      "join_forks");
}

TEST(ParallelForTest, VisitsEachIndexOnce) {
  CpuPool pool({.threads = 3});
  for (const int size : {0, 1, 7, 1000}) {
    std::vector<std::atomic<int>> visits(static_cast<std::size_t>(size));
    const auto visit = [&visits](int i) { ++visits[static_cast<std::size_t>(i)]; };
    const Result<void> done = pool.run(parallel_for(0, size, 16, visit));
    ASSERT_TRUE(done);
    for (const std::atomic<int>& count : visits) EXPECT_EQ(count.load(), 1);
  }
}

TEST(ParallelForTest, RethrowsAnExceptionOfTheBody) {
  CpuPool pool({.threads = 3});
  const auto body = [](int i) {
    if (i % 100 == 99) throw std::out_of_range("body");
  };
  EXPECT_THROW((void)pool.run(parallel_for(0, 1000, 10, body)), std::out_of_range);
}

// --- From a reactor -------------------------------------------------------------------------------------------------

class CpuOffloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Reactor>> made = Reactor::create();
    ASSERT_TRUE(made);
    reactor = std::move(*made);
  }
  std::unique_ptr<Reactor> reactor;
};

TEST_F(CpuOffloadTest, AWorkGoesToTheCpuPoolAndItsValueComesBack) {
  const Result<long> result = reactor->run_until(offload(fib, 15));
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 610);
  EXPECT_EQ(reactor->pools().cpu().stats().jobs.finished, 1U);
  EXPECT_EQ(reactor->pools().blocking().stats().submitted, 0U);
}

TEST_F(CpuOffloadTest, AWorksExceptionIsRethrownAtTheAwait) {
  EXPECT_THROW((void)reactor->run_until(offload(fail_at_zero, 3)), std::runtime_error);
}

TEST_F(CpuOffloadTest, APlainFunctionRunsOnTheCpuPoolToo) {
  CpuPool pool({.threads = 2});
  const auto add = [](int a, int b) { return a + b; };
  const Result<int> sum = reactor->run_until(offload(pool, add, 2, 3));
  ASSERT_TRUE(sum);
  EXPECT_EQ(*sum, 5);
}

Work<std::unique_ptr<int>> boxed(int value) { co_return std::make_unique<int>(value); }

TEST_F(CpuOffloadTest, AMoveOnlyValueOfAWorkComesBack) {
  const Result<std::unique_ptr<int>> result = reactor->run_until(offload(boxed, 4));
  ASSERT_TRUE(result);
  EXPECT_EQ(**result, 4);
}

struct Gate {
  std::binary_semaphore begun{0};
  std::binary_semaphore go{0};
};
Work<int> hold(Gate* gate) {
  gate->begun.release();
  gate->go.acquire();
  co_return 1;
}

Task<void> offload_fib(CpuPool& pool, int n, Result<long>& into) { into = co_await offload(pool, fib, n); }
Task<void> offload_hold(CpuPool& pool, Gate* gate, Result<int>& into) {
  into = co_await offload(pool, hold, gate);
}

TEST_F(CpuOffloadTest, ACancelledWorkThatHasNotBegunNeverBegins) {
  CpuPool pool({.threads = 1});
  Gate gate;
  Result<int> held = Errc::broken;
  Result<long> waiting = Errc::broken;
  auto first = reactor->detach(offload_hold, std::ref(pool), &gate, std::ref(held));
  auto second = reactor->detach(offload_fib, std::ref(pool), 10, std::ref(waiting));
  reactor->run_once(Instant());
  gate.begun.acquire();
  second.cancel();
  while (!second.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(waiting.error(), std::errc::operation_canceled);
  gate.go.release();
  while (!first.is_finished()) reactor->run_once(Instant());
  EXPECT_TRUE(held);
  EXPECT_EQ(pool.stats().jobs.withdrawn, 1U);
  EXPECT_EQ(pool.stats().jobs.finished, 1U);
}

TEST_F(CpuOffloadTest, AFullPoolRefusesWithAnError) {
  CpuPool pool({.threads = 1, .waiting_max = 1});
  Gate gate;
  Result<int> held = Errc::broken;
  Result<long> waiting = Errc::broken;
  Result<long> refused = Errc::broken;
  auto first = reactor->detach(offload_hold, std::ref(pool), &gate, std::ref(held));
  reactor->run_once(Instant());
  gate.begun.acquire();
  auto second = reactor->detach(offload_fib, std::ref(pool), 10, std::ref(waiting));
  auto third = reactor->detach(offload_fib, std::ref(pool), 10, std::ref(refused));
  while (!third.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(refused.error(), Errc::limit_exceeded);
  gate.go.release();
  while (!first.is_finished() || !second.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(*waiting, 55);
}

TEST_F(CpuOffloadTest, StopWhile10000JobsWaitGivesThemBackAndWaitsForWhatRuns) {
  constexpr std::size_t jobs = 10'000;
  CpuPool pool({.threads = 1});
  Gate gate;
  Result<int> held = Errc::broken;
  std::vector<Result<long>> waiting(jobs, Errc::broken);
  auto first = reactor->detach(offload_hold, std::ref(pool), &gate, std::ref(held));
  reactor->run_once(Instant());
  gate.begun.acquire();
  for (auto& result : waiting) reactor->detach(offload_fib, std::ref(pool), 5, std::ref(result));
  while (pool.stats().jobs.submitted < jobs + 1) reactor->run_once(Instant());
  EXPECT_EQ(pool.stats().jobs.waiting, jobs);
  gate.go.release();
  pool.stop();
  while (reactor->scheduler().tasks() != 0) reactor->run_once(Instant());
  EXPECT_TRUE(held);
  std::size_t stopped = 0;
  for (const auto& result : waiting) stopped += !result && result.error() == Errc::stopped;
  EXPECT_EQ(stopped + pool.stats().jobs.finished, jobs + 1);

  Result<long> late = pool.run(fib(3));
  EXPECT_EQ(late.error(), Errc::stopped);
}

}  // namespace
}  // namespace gyre
