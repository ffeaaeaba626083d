// Stopping a pool with a time limit: what waits is cancelled, what works is asked, waited for, and in the end reported.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <semaphore>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/platform/thread.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/pools.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/job_pool.h>
#include <gyre/task/work.h>

namespace gyre {
namespace {

using namespace std::chrono_literals;

// A job that works until it is let go, whoever asks it to stop.
struct Stubborn : Job {
  Stubborn() {
    work = [](Job& job) noexcept {
      auto& self = static_cast<Stubborn&>(job);
      self.begun.release();
      self.go.acquire();
    };
    end = [](Job& job, bool did) noexcept {
      auto& self = static_cast<Stubborn&>(job);
      self.has_worked = did;
      ++self.ends;
      self.ended.release();
    };
    request_stop = [](Job& job) noexcept { ++static_cast<Stubborn&>(job).asked; };
  }
  std::binary_semaphore begun{0};
  std::binary_semaphore go{0};
  std::counting_semaphore<> ended{0};
  std::atomic<int> asked{0};
  std::atomic<int> ends{0};
  std::atomic<bool> has_worked{false};
};

std::unique_ptr<JobPool> make(const JobPool*) {
  return std::make_unique<JobPool>(JobPoolOptions{.name = "one", .threads_max = 1});
}
std::unique_ptr<CpuPool> make(const CpuPool*) { return std::make_unique<CpuPool>(CpuPoolOptions{.threads = 1}); }

template <typename Pool>
class PoolStopTest : public ::testing::Test {
 protected:
  std::unique_ptr<Pool> pool = make(static_cast<Pool*>(nullptr));

  void begin(Stubborn& job) {
    ASSERT_EQ(pool->submit(job), Submitted::queued);
    job.begun.acquire();
  }
};
using PoolTypes = ::testing::Types<JobPool, CpuPool>;
TYPED_TEST_SUITE(PoolStopTest, PoolTypes);

TYPED_TEST(PoolStopTest, WithNothingToDoItIsDoneAtOnce) {
  const StopReport unused = this->pool->stop_until(Instant());
  EXPECT_EQ(unused.cancelled + unused.unfinished, 0U);

  this->pool = make(static_cast<TypeParam*>(nullptr));
  Stubborn job;
  this->begin(job);
  job.go.release();
  job.ended.acquire();
  const StopReport idle = this->pool->stop_until(never);
  EXPECT_EQ(idle.cancelled + idle.unfinished, 0U);
}

TYPED_TEST(PoolStopTest, AJobThatDoesNotEndInTimeIsReportedAndThoseThatWaitAreCancelled) {
  Stubborn job;
  Stubborn waiting[3];
  this->begin(job);
  for (Stubborn& next : waiting) ASSERT_EQ(this->pool->submit(next), Submitted::queued);

  const StopReport report = this->pool->stop_until(steady_clock().now() + 5ms);
  EXPECT_EQ(report.unfinished, 1U);
  EXPECT_EQ(report.cancelled, 3U);
  EXPECT_EQ(job.asked, 1);
  EXPECT_EQ(job.ends, 0);
  for (const Stubborn& next : waiting) {
    EXPECT_EQ(next.ends, 1) << "it was told";
    EXPECT_FALSE(next.has_worked);
  }
  Stubborn late;
  EXPECT_EQ(this->pool->submit(late), Submitted::stopped);
  EXPECT_FALSE(this->pool->withdraw(job));

  // Asked again, it says the same, and asks nobody twice.
  const StopReport again = this->pool->stop_until(Instant());
  EXPECT_EQ(again.unfinished, 1U);
  EXPECT_EQ(again.cancelled, 0U);
  EXPECT_EQ(job.asked, 1);

  job.go.release();
  const StopReport last = this->pool->stop_until(never);
  EXPECT_EQ(last.unfinished, 0U);
  EXPECT_EQ(job.ends, 1);
  EXPECT_TRUE(job.has_worked);
}

// Nothing of the pool but its threads and what they need is left, until they end.
TYPED_TEST(PoolStopTest, APoolThatHasGivenUpIsGoneBeforeItsJob) {
  Stubborn job;
  this->begin(job);
  EXPECT_EQ(this->pool->stop_until(Instant()).unfinished, 1U);
  this->pool.reset();
  EXPECT_EQ(job.ends, 0);
  job.go.release();
  job.ended.acquire();
  EXPECT_TRUE(job.has_worked);
}

TYPED_TEST(PoolStopTest, AJobThatEndsWhileThePoolGivesUpIsTakenCareOfEitherWay) {
  for (int i = 0; i < 200; ++i) {
    this->pool = make(static_cast<TypeParam*>(nullptr));
    Stubborn job;
    this->begin(job);
    job.go.release();
    const StopReport report = this->pool->stop_until(Instant());
    EXPECT_LE(report.unfinished, 1U);
    this->pool.reset();
    job.ended.acquire();
    EXPECT_EQ(job.ends, 1);
  }
}

// --- Work that is split, and is left behind ---------------------------------------------------------------------------

struct Gate {
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> go{0};
};

Work<int> hold(std::shared_ptr<Gate> gate) {
  gate->begun.release();
  gate->go.acquire();
  co_return 1;
}
Work<int> hold_on_two_threads(std::shared_ptr<Gate> gate) {
  int other = 0;
  co_await fork_into(other, hold(gate));
  const int here = co_await hold(gate);
  co_await join_forks();
  co_return here + other;
}

Task<void> offload_split(CpuPool& pool, std::shared_ptr<Gate> gate, Result<int>& into) {
  const OffloadOptions options{.runner = &pool, .on_cancel = OnCancel::abandon};
  into = co_await offload(options, hold_on_two_threads, std::move(gate));
}

// The job, its coroutines and the reactor's mailbox outlive the pool and the reactor, and go with the last thread.
TEST(CpuPoolStopTest, WorkOnTwoThreadsIsLeftBehindAndEndsByItself) {
  Result<int> result = Errc::broken;
  const auto gate = std::make_shared<Gate>();
  {
    auto pool = std::make_unique<CpuPool>(CpuPoolOptions{.threads = 2});
    Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
    ASSERT_TRUE(reactor);
    auto task = (*reactor)->detach(offload_split, std::ref(*pool), gate, std::ref(result));
    (*reactor)->run_once(Instant());
    gate->begun.acquire();
    gate->begun.acquire();  // the other thread has taken its part
    task.cancel();
    while (!task.is_finished()) (*reactor)->run_once(Instant());
    EXPECT_EQ(pool->stop_until(steady_clock().now() + 2ms).unfinished, 1U);
  }
  EXPECT_TRUE(!result && result.error().is_cancelled());
  gate->go.release(2);
  // Both parts give their references back.
  while (gate.use_count() != 1) yield_processor();
}

// --- Pools ------------------------------------------------------------------------------------------------------------

TEST(PoolsStopTest, OneDeadlineIsForAllOfThem) {
  Pools pools;
  Stubborn blocking;
  Stubborn cpu;
  ASSERT_EQ(pools.blocking().submit(blocking), Submitted::queued);
  ASSERT_EQ(pools.cpu().submit(cpu), Submitted::queued);
  blocking.begun.acquire();
  cpu.begun.acquire();
  EXPECT_EQ(pools.stop_until(steady_clock().now() + 2ms).unfinished, 2U);
  EXPECT_EQ(blocking.asked, 1);
  EXPECT_EQ(cpu.asked, 1);
  cpu.go.release();
  blocking.go.release();
  EXPECT_EQ(pools.stop_until(never).unfinished, 0U);
}

// The last owner of the pools goes, and one job still works: it is named, and nobody waits for ever.
TEST(PoolsStopTest, TheEndOfPoolsIsBoundedByTheirGrace) {
  Stubborn job;
  ::testing::internal::CaptureStderr();
  {
    Pools pools({.stop_grace = 2ms});
    ASSERT_EQ(pools.blocking().submit(job), Submitted::queued);
    job.begun.acquire();
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("pool 'blocking': 1 job did not end"), said.npos) << said;
  EXPECT_EQ(job.ends, 0);
  job.go.release();
  job.ended.acquire();
}

TEST(PoolsStopTest, WhoHasSeenTheReportIsNotMadeToWaitAgain) {
  Stubborn job;
  ::testing::internal::CaptureStderr();
  {
    Pools pools;  // minutes of grace
    ASSERT_EQ(pools.blocking().submit(job), Submitted::queued);
    job.begun.acquire();
    EXPECT_EQ(pools.stop_until(Instant()).unfinished, 1U);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  job.go.release();
  job.ended.acquire();
}

}  // namespace
}  // namespace gyre
