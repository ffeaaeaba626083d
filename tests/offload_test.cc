// offload() and the pools for blocking calls: what comes back, what a cancel does, and what happens at the limits.
#include <atomic>
#include <chrono>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/fault_plan.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/job_pool.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

namespace gyre {
namespace {

using namespace std::chrono_literals;

// A job that runs until it is let go, and tells when it has begun.
struct Gate {
  std::binary_semaphore begun{0};
  std::binary_semaphore go{0};

  static int pass(Gate* gate, int value) {
    gate->begun.release();
    gate->go.acquire();
    return value;
  }
};

class OffloadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Reactor>> made = Reactor::create();
    ASSERT_TRUE(made);
    reactor = std::move(*made);
  }

  std::unique_ptr<Reactor> reactor;
};

std::uintptr_t this_thread_address() {
  return reinterpret_cast<std::uintptr_t>(&detail::thread_state);
}

Task<int> thread_and_back(std::uintptr_t* there, std::uintptr_t* here) {
  const Result<std::uintptr_t> where = co_await offload(this_thread_address);
  *there = where ? *where : 0;
  *here = this_thread_address();
  co_return 7;
}

TEST_F(OffloadTest, RunsElsewhereAndComesBackToItsReactor) {
  std::uintptr_t there = 0;
  std::uintptr_t here = 0;
  const Result<int> result = reactor->run_until(thread_and_back(&there, &here));
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 7);
  EXPECT_EQ(here, this_thread_address());
  EXPECT_NE(there, 0U);
  EXPECT_NE(there, here);
}

std::unique_ptr<std::string> join_texts(std::unique_ptr<std::string> a, const std::string& b) {
  return std::make_unique<std::string>(*a + b);
}

TEST_F(OffloadTest, ArgumentsAndValuesMayBeMoveOnly) {
  Result<std::unique_ptr<std::string>> text =
      reactor->run_until(offload(join_texts, std::make_unique<std::string>("off"), std::string("load")));
  ASSERT_TRUE(text);
  EXPECT_EQ(**text, "offload");
}

TEST_F(OffloadTest, AnErrorOfTheJobIsTheResult) {
  const auto fail = [](int code) -> Result<int> { return Error::system(code); };
  const Result<int> result = reactor->run_until(offload(fail, ENOSPC));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), std::errc::no_space_on_device);
}

// Counts those of it that are alive: the job's thread and the reactor's share one exception.
struct Complaint : std::logic_error {
  explicit Complaint(std::atomic<int>& alive) : std::logic_error("the job's own"), alive_(&alive) { ++*alive_; }
  Complaint(const Complaint& other) noexcept : std::logic_error(other), alive_(other.alive_) { ++*alive_; }
  Complaint& operator=(const Complaint&) = delete;
  ~Complaint() override { --*alive_; }
  std::atomic<int>* alive_;
};
void complain(std::atomic<int>* alive) { throw Complaint(*alive); }

TEST_F(OffloadTest, AnExceptionOfTheJobIsRethrownAtTheAwait) {
  JobPool pool({.name = "one", .threads_max = 1});
  std::atomic<int> alive{0};
  try {
    (void)reactor->run_until(offload(pool, complain, &alive));
    ADD_FAILURE() << "it was swallowed";
  } catch (const Complaint& thrown) {
    EXPECT_STREQ(thrown.what(), "the job's own");
    EXPECT_EQ(alive.load(), 1);
  }
  // Its thread serves the next one; by then nobody holds the exception.
  const Result<int> next = reactor->run_until(offload(pool, [] { return 3; }));
  EXPECT_TRUE(next && *next == 3);
  EXPECT_EQ(pool.stats().finished, 2U);
  EXPECT_EQ(alive.load(), 0);
}

Task<void> offload_into(JobRunner& runner, OnCancel on_cancel, Gate* gate, int value, Result<int>& into) {
  into = co_await offload(OffloadOptions{.runner = &runner, .on_cancel = on_cancel}, &Gate::pass, gate, value);
}

TEST_F(OffloadTest, ACancelledJobThatHasNotBegunNeverBegins) {
  JobPool pool({.name = "one", .threads_max = 1});
  Gate first;
  Gate second;
  Result<int> one = Errc::broken;
  Result<int> two = Errc::broken;
  auto running = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &first, 1, std::ref(one));
  auto waiting = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &second, 2, std::ref(two));
  reactor->run_once(Instant());
  first.begun.acquire();

  waiting.cancel();
  while (!waiting.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(two.error(), std::errc::operation_canceled);
  EXPECT_EQ(pool.stats().withdrawn, 1U);

  first.go.release();
  while (!running.is_finished()) reactor->run_once(Instant());
  ASSERT_TRUE(one);
  EXPECT_EQ(*one, 1);
  EXPECT_FALSE(second.begun.try_acquire());
}

TEST_F(OffloadTest, ACancelledTaskDoesNotEvenSubmit) {
  JobPool pool;
  Gate gate;
  Result<int> result = Errc::broken;
  auto task = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &gate, 1, std::ref(result));
  task.cancel();
  while (!task.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(result.error(), std::errc::operation_canceled);
  EXPECT_EQ(pool.stats().submitted, 0U);
  EXPECT_EQ(pool.stats().threads, 0U);
}

TEST_F(OffloadTest, ARunningJobIsWaitedForAndItsResultDelivered) {
  Gate gate;
  Result<int> result = Errc::broken;
  auto task = reactor->detach(offload_into, std::ref(reactor->pools().blocking()), OnCancel::wait, &gate, 5,
                              std::ref(result));
  reactor->run_once(Instant());
  gate.begun.acquire();
  task.cancel();
  for (int turn = 0; turn < 10; ++turn) reactor->run_once(Instant());
  EXPECT_FALSE(task.is_finished());

  gate.go.release();
  while (!task.is_finished()) reactor->run_once(Instant());
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 5);
}

TEST_F(OffloadTest, AnAbandonedJobIsNotWaitedFor) {
  Gate gate;
  Result<int> result = Errc::broken;
  auto task = reactor->detach(offload_into, std::ref(reactor->pools().blocking()), OnCancel::abandon, &gate, 5,
                              std::ref(result));
  reactor->run_once(Instant());
  gate.begun.acquire();
  task.cancel();
  while (!task.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(result.error(), std::errc::operation_canceled);
  gate.go.release();
  reactor.reset();  // joins the pool's threads, which use the gate
}

// The answer comes between the cancel and the task's next step.
TEST_F(OffloadTest, AnAbandonedJobMayEndBeforeItsTaskRunsOn) {
  Gate gate;
  Result<int> result = Errc::broken;
  JobPool pool;
  auto task = reactor->detach(offload_into, std::ref(pool), OnCancel::abandon, &gate, 5, std::ref(result));
  reactor->run_once(Instant());
  gate.begun.acquire();
  task.cancel();
  gate.go.release();
  pool.stop();
  while (!task.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(result.error(), std::errc::operation_canceled);
}

// C-022: executor result arriving after close is ignored.
TEST(OffloadConformanceTest, C022_AResultThatComesAfterTheReactorHasEndedIsDropped) {
  Gate gate;
  Result<int> result = Errc::broken;
  JobPool pool;
  {
    Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
    ASSERT_TRUE(reactor);
    (*reactor)->detach(offload_into, std::ref(pool), OnCancel::abandon, &gate, 5, std::ref(result));
    (*reactor)->run_once(Instant());
    gate.begun.acquire();
  }
  EXPECT_EQ(result.error(), std::errc::operation_canceled);
  gate.go.release();
  pool.stop();
  EXPECT_EQ(pool.stats().finished, 1U);
}

int until_stopped(std::stop_token stop, std::binary_semaphore* begun) {
  begun->release();
  std::binary_semaphore asked{0};
  const std::stop_callback callback(stop, [&asked] { asked.release(); });
  asked.acquire();
  return 3;
}

Task<void> stoppable(JobRunner& runner, std::binary_semaphore* begun, Result<int>& into) {
  into = co_await offload(runner, until_stopped, begun);
}

TEST_F(OffloadTest, TheTokenOfARunningJobIsSetByACancel) {
  std::binary_semaphore begun{0};
  Result<int> result = Errc::broken;
  auto task = reactor->detach(stoppable, std::ref(reactor->pools().blocking()), &begun, std::ref(result));
  reactor->run_once(Instant());
  begun.acquire();
  task.cancel();
  while (!task.is_finished()) reactor->run_once(Instant());
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 3);
}

TEST_F(OffloadTest, StoppingAPoolStopsItsJobsAndGivesBackThoseThatWait) {
  JobPool pool({.name = "one", .threads_max = 1});
  std::binary_semaphore begun{0};
  Gate never_begun;
  Result<int> running = Errc::broken;
  Result<int> waiting = Errc::broken;
  auto first = reactor->detach(stoppable, std::ref(pool), &begun, std::ref(running));
  auto second = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &never_begun, 1, std::ref(waiting));
  reactor->run_once(Instant());
  begun.acquire();
  pool.stop();
  while (!first.is_finished() || !second.is_finished()) reactor->run_once(Instant());
  ASSERT_TRUE(running);
  EXPECT_EQ(*running, 3);
  EXPECT_EQ(waiting.error(), Errc::stopped);

  Result<int> late = Errc::broken;
  auto third = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &never_begun, 1, std::ref(late));
  while (!third.is_finished()) reactor->run_once(Instant());
  EXPECT_EQ(late.error(), Errc::stopped);
}

struct Counted {
  explicit Counted(std::atomic<int>& live) : live_(&live) { ++*live_; }
  Counted(Counted&& other) noexcept : live_(other.live_) { ++*live_; }
  Counted(const Counted&) = delete;
  Counted& operator=(Counted&&) = delete;
  ~Counted() { --*live_; }
  std::atomic<int>* live_;
};

int hold(Counted) { return 1; }

Task<void> count_outcomes(JobRunner& runner, std::atomic<int>& live, int& stopped, int& full) {
  Counted counted(live);
  const Result<int> result = co_await offload(runner, hold, std::move(counted));
  if (!result && result.error() == Errc::stopped) ++stopped;
  if (!result && result.error() == Errc::limit_exceeded) ++full;
}

TEST_F(OffloadTest, StopWhile10000JobsWaitGivesBackEachOnceAndLeaksNothing) {
  constexpr int jobs = 10'000;
  JobPool pool({.name = "one", .threads_max = 1, .waiting_max = jobs});
  Gate gate;
  Result<int> first = Errc::broken;
  auto holder = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &gate, 1, std::ref(first));
  reactor->run_once(Instant());
  gate.begun.acquire();

  std::atomic<int> live{0};
  int stopped = 0;
  int full = 0;
  for (int i = 0; i < jobs + 5; ++i) {
    reactor->detach(count_outcomes, std::ref(pool), std::ref(live), std::ref(stopped), std::ref(full));
  }
  while (pool.stats().submitted + pool.stats().refused < jobs + 6) reactor->run_once(Instant());
  EXPECT_EQ(pool.stats().waiting, static_cast<std::size_t>(jobs));
  EXPECT_EQ(pool.stats().refused, 5U);
  gate.go.release();
  pool.stop();
  while (reactor->scheduler().tasks() != 0) reactor->run_once(Instant());
  EXPECT_TRUE(first);
  EXPECT_EQ(full, 5);
  // The one thread may have begun none after the first: stop() came before, or while it looked.
  EXPECT_EQ(static_cast<std::uint64_t>(stopped) + pool.stats().finished, jobs + 1U);
  EXPECT_EQ(live.load(), 0);
}

TEST_F(OffloadTest, ThreadsThatTheSystemRefusesAreAnError) {
  if (!fault_injection) GTEST_SKIP() << "this build injects no failures";
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = sys::number_start_thread, .fault = {sys::Fault::Kind::fail, EAGAIN}});
  const sys::FaultScope scope(plan);
  const Result<int> result = reactor->run_until(offload([] { return 1; }));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().to_string(), "offload: resource temporarily unavailable");
}

TEST_F(OffloadTest, QueueTimeIsCounted) {
  JobPool pool({.name = "one", .threads_max = 1});
  Gate gate;
  Result<int> first = Errc::broken;
  Result<int> second = Errc::broken;
  auto one = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &gate, 1, std::ref(first));
  auto two = reactor->detach(offload_into, std::ref(pool), OnCancel::wait, &gate, 2, std::ref(second));
  reactor->run_once(Instant());
  gate.begun.acquire();
  gate.go.release();
  gate.begun.acquire();
  gate.go.release();
  while (!one.is_finished() || !two.is_finished()) reactor->run_once(Instant());
  const JobStats stats = pool.stats();
  EXPECT_EQ(stats.submitted, 2U);
  EXPECT_EQ(stats.threads, 1U);
  EXPECT_GT(stats.queue_time_max, Duration::zero());
  EXPECT_GE(stats.queue_time_total, stats.queue_time_max);
}

Task<Result<int>> limited(Gate* gate) {
  co_return co_await with_timeout(1ns, offload(OffloadOptions{.on_cancel = OnCancel::abandon}, &Gate::pass, gate, 1));
}

TEST_F(OffloadTest, ATimeoutAbandonsAJobThatMayBeAbandoned) {
  Gate gate;
  const Result<int> result = reactor->run_until(limited(&gate));
  EXPECT_EQ(result.error(), std::errc::timed_out);
  gate.go.release();
  reactor.reset();
}

}  // namespace
}  // namespace gyre
