// Steal, park, wake and shut down, over and over, while a watchdog looks for work that nobody does. Also for a race detector.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>
#include <gyre/platform/thread.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/steal_deque.h>
#include <gyre/task/task_group.h>
#include <gyre/task/work.h>

#include "support/skips.h"

namespace gyre {
namespace {

using namespace std::chrono_literals;

// Fails, and ends the process, if there is runnable work while everybody is parked, for longer than a wake-up can take.
class Watchdog {
 public:
  explicit Watchdog(CpuPool& pool) : pool_(pool), thread_([this] { watch(); }) {}
  ~Watchdog() {
    stop_ = true;
    thread_.join();
  }

 private:
  void watch() {
    Instant good = steady_clock().now();
    while (!stop_) {
      std::this_thread::yield();
      const Instant now = steady_clock().now();
      if (!pool_.is_stalled()) good = now;
      ASSERT_LT(now - good, Duration(20s)) << "runnable work, and everybody is parked";
    }
  }

  CpuPool& pool_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

Work<void> visit(std::vector<std::atomic<int>>& visits, int begin, int end) {
  if (end - begin == 1) {
    ++visits[static_cast<std::size_t>(begin)];
    co_return;
  }
  const int middle = begin + (end - begin) / 2;
  co_await fork_off(visit(visits, begin, middle));
  co_await visit(visits, middle, end);
  co_await join_forks();
}

TEST(CpuPoolStealTest, EachPieceRunsOnceWhateverIsStolen) {
  CpuPool pool({.threads = 4});
  const Watchdog watchdog(pool);
  for (int round = 0; round < 40; ++round) {
    std::vector<std::atomic<int>> visits(200);
    const Result<void> done = pool.run(visit(visits, 0, 200));
    ASSERT_TRUE(done);
    for (const std::atomic<int>& count : visits) ASSERT_EQ(count.load(), 1);
  }
}

Work<int> small(int value) { co_return value; }

// Between two jobs the threads fall asleep, or are about to.
TEST(CpuPoolStealTest, EachOfManySingleJobsFindsAThread) {
  CpuPool pool({.threads = 3});
  const Watchdog watchdog(pool);
  for (int i = 0; i < 2'000; ++i) {
    const Result<int> result = pool.run(small(i));
    ASSERT_TRUE(result);
    ASSERT_EQ(*result, i);
  }
}

TEST(CpuPoolStealTest, ManySubmittersShareOnePool) {
  CpuPool pool({.threads = 2});
  const Watchdog watchdog(pool);
  std::vector<std::thread> submitters;
  std::atomic<int> sum{0};
  for (int t = 0; t < 3; ++t) {
    submitters.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        const Result<int> result = pool.run(small(1));
        if (result) sum += *result;
      }
    });
  }
  for (std::thread& submitter : submitters) submitter.join();
  EXPECT_EQ(sum.load(), 900);
}

struct Counted : Job {
  Counted() {
    work = [](Job& job) noexcept { ++static_cast<Counted&>(job).worked; };
    end = [](Job& job, bool did) noexcept { ++(did ? static_cast<Counted&>(job).ended : static_cast<Counted&>(job).dropped); };
  }
  int worked = 0;
  int ended = 0;
  int dropped = 0;
};

// The stop comes after k jobs have been submitted, for each k.
TEST(CpuPoolStealTest, StopAtEveryStepGivesBackEachJobOnce) {
  constexpr std::size_t jobs_max = 24;
  for (std::size_t count = 0; count <= jobs_max; ++count) {
    std::vector<std::unique_ptr<Counted>> jobs;
    {
      CpuPool pool({.threads = 2});
      const Watchdog watchdog(pool);
      for (std::size_t i = 0; i < count; ++i) {
        jobs.push_back(std::make_unique<Counted>());
        ASSERT_EQ(pool.submit(*jobs.back()), Submitted::queued);
      }
      pool.stop();
      Counted late;
      EXPECT_EQ(pool.submit(late), Submitted::stopped);
    }
    for (const auto& job : jobs) {
      EXPECT_EQ(job->ended + job->dropped, 1);
      EXPECT_EQ(job->worked, job->ended);
    }
  }
}

// Runs Work that is split, again and again, until the pool takes no more. Returns how often it has worked.
int visit_until_stopped(CpuPool& pool, std::atomic<int>& pieces) {
  constexpr int size = 50;
  for (int rounds = 0;; ++rounds) {
    std::vector<std::atomic<int>> visits(size);
    const Result<void> done = pool.run(visit(visits, 0, size));
    int total = 0;
    for (const std::atomic<int>& count : visits) {
      EXPECT_EQ(count.load(), done ? 1 : 0);
      total += count.load();
    }
    pieces += total;
    if (!done) {
      EXPECT_EQ(done.error(), Errc::stopped);
      return rounds;
    }
  }
}

// Two threads have split Work done, which the pool's steal from each other; the stop comes after more and more of it. What
// has begun is done to its end, and the rest not at all.
TEST(CpuPoolStealTest, StopAtEveryStepOfSplitWorkEndsWhatHasBegun) {
  if (const std::string why = test::reason_to_skip(); !why.empty()) GTEST_SKIP() << why;
  for (int step = 0; step < 40; ++step) {
    CpuPool pool({.threads = 3});
    const Watchdog watchdog(pool);
    std::atomic<int> pieces{0};
    std::atomic<int> rounds{0};
    std::vector<std::thread> callers;
    for (int t = 0; t < 2; ++t) callers.emplace_back([&] { rounds += visit_until_stopped(pool, pieces); });
    while (pieces.load() < step * 25) std::this_thread::yield();
    for (int spin = 0; spin < step * 37 % 500; ++spin) relax_processor();
    pool.stop();
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(pieces.load(), rounds.load() * 50);
    EXPECT_EQ(pool.stats().jobs.finished, static_cast<std::uint64_t>(rounds.load()));
  }
}

// Withdrawals race with threads that begin.
TEST(CpuPoolStealTest, AJobIsWithdrawnOrRunsButNeverBoth) {
  CpuPool pool({.threads = 2});
  const Watchdog watchdog(pool);
  std::vector<std::unique_ptr<Counted>> jobs;
  for (int i = 0; i < 2'000; ++i) {
    jobs.push_back(std::make_unique<Counted>());
    ASSERT_EQ(pool.submit(*jobs.back()), Submitted::queued);
    Counted& earlier = *jobs[jobs.size() / 2];
    if (pool.withdraw(earlier)) ++earlier.dropped;
  }
  pool.stop();
  for (const auto& job : jobs) EXPECT_EQ(job->ended + job->dropped, 1);
}

Task<void> offload_one(CpuPool& pool, int value, std::atomic<int>& came_back) {
  const Result<int> result = co_await offload(pool, small, value);
  if (result || result.error().is_cancelled()) ++came_back;
}

// Cancels race with jobs that wait, run, and come back.
TEST(CpuPoolStealTest, OffloadsThatAreCancelledAtAnyMomentComeBackOnce) {
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
  ASSERT_TRUE(reactor);
  CpuPool pool({.threads = 2});
  const Watchdog watchdog(pool);
  std::atomic<int> came_back{0};
  constexpr int count = 300;
  for (int i = 0; i < count; ++i) {
    auto task = (*reactor)->detach(offload_one, std::ref(pool), i, std::ref(came_back));
    for (int k = 0; k < i % 4; ++k) (*reactor)->run_once(Instant());
    task.cancel();
  }
  while ((*reactor)->scheduler().tasks() != 0) (*reactor)->run_once(Instant());
  EXPECT_EQ(came_back.load(), count);
}

// The owner pushes and pops, others steal: on real processors, and under a race detector.
TEST(StealDequeTest, EachItemIsTakenOnceUnderFire) {
  constexpr std::size_t items = 20'000;
  StealDeque deque(2);
  std::vector<std::atomic<int>> taken(items);
  std::atomic<bool> over{false};
  const auto take = [&](void* item) {
    if (item != nullptr) ++*static_cast<std::atomic<int>*>(item);
  };
  std::vector<std::thread> thieves;
  for (int t = 0; t < 2; ++t) {
    thieves.emplace_back([&] {
      while (!over) take(deque.steal());
    });
  }
  for (std::size_t i = 0; i < items; ++i) {
    ASSERT_TRUE(deque.push(&taken[i]));
    if (i % 3 == 0) take(deque.pop());
    if (i % 7 == 0) take(deque.pop());
  }
  while (!deque.looks_empty()) take(deque.pop());
  over = true;
  for (std::thread& thief : thieves) thief.join();
  for (const std::atomic<int>& count : taken) ASSERT_EQ(count.load(), 1);
}

}  // namespace
}  // namespace gyre
