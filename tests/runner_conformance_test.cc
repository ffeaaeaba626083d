// asyncio's runner and executor, claim by claim: C-178 to C-180. (C-181, the signals of the runner, is in signal_stream_test.)
#include <gyre/reactor/run.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/offload.h>
#include <gyre/task/generator.h>
#include <gyre/task/job.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_local.h>
#include <gyre/task/when_all.h>

#include "support/task_fixture.h"

namespace gyre {
namespace {

using namespace std::chrono_literals;

// --- C-178: executor --------------------------------------------------------------------------------------------------

constinit TaskLocal<int> request;

int twice(int number) { return 2 * number; }
int refuse(int) { throw std::runtime_error("no"); }

Task<Result<int>> offload_a_value() {
  const Result<int> value = co_await offload(twice, 21);
  co_return value;
}
Task<Result<int>> offload_an_exception() {
  const Result<int> value = co_await offload(refuse, 1);
  co_return value;
}

TEST(RunnerConformanceTest, C178_AnExecutorBringsValuesAndExceptionsBack) {
  const Result<int> value = run(offload_a_value());
  EXPECT_TRUE(value && *value == 42);
  EXPECT_THROW((void)run(offload_an_exception()), std::runtime_error);
}

// asyncio copies the context into the thread; here what the function needs is an argument, and the task has its own
// bindings before and after.
bool has_request() { return request.get() != nullptr; }

Task<Result<void>> offload_with_context() {
  const TaskLocalScope<int> bound(request, 5);
  const Result<bool> elsewhere = co_await offload(has_request);
  EXPECT_TRUE(elsewhere && !*elsewhere);
  EXPECT_TRUE(request.get() != nullptr && *request.get() == 5);
  const Result<int> passed = co_await offload(twice, *request.get());
  EXPECT_TRUE(passed && *passed == 10);
  co_return Result<void>{};
}

TEST(RunnerConformanceTest, C178_TheContextOfATaskStaysWithTheTask) { EXPECT_TRUE(run(offload_with_context())); }

// Each waits until the other runs: only two at once can end.
struct Meeting {
  std::atomic<int> here{0};
};
int meet(Meeting& meeting) {
  meeting.here.fetch_add(1);
  while (meeting.here.load() < 2) {  // bound: the time limit of the test program
  }
  return meeting.here.load();
}
Task<Result<int>> offload_meeting(Meeting& meeting) {
  const Result<int> met = co_await offload(meet, std::ref(meeting));
  co_return met;
}

TEST(RunnerConformanceTest, C178_JobsRunConcurrently) {
  Meeting meeting;
  const auto both = run(when_all(offload_meeting(meeting), offload_meeting(meeting)));
  EXPECT_TRUE(both && std::get<0>(*both) == 2 && std::get<1>(*both) == 2);
}

// A job that no request to stop reaches: who ends the executor is told, and goes on.
struct Hanging {
  std::binary_semaphore begun{0};
  std::binary_semaphore go{0};
  std::binary_semaphore ended{0};
};
int hang(Hanging* hanging) {
  hanging->begun.release();
  hanging->go.acquire();
  hanging->ended.release();
  return 1;
}
Task<Result<int>> offload_and_give_up(std::shared_ptr<Pools> pools, Hanging* hanging, StopReport& report) {
  TaskGroup group;
  auto job = group.spawn(
      [](Hanging* what) { return offload(OffloadOptions{.on_cancel = OnCancel::abandon}, hang, what); }, hanging);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  hanging->begun.acquire();
  report = pools->stop_until(steady_clock().now() + 2ms);
  const Result<int> late = co_await offload(twice, 1);
  group.cancel();
  static_cast<void>(co_await group.join());
  co_return late;
}

TEST(RunnerConformanceTest, C178_TheEndOfTheExecutorHasATimeLimit) {
  Hanging hanging;
  StopReport report;
  {
    RunOptions options;
    options.reactor.pools = std::make_shared<Pools>();
    const auto pools = options.reactor.pools;
    const Result<int> late = run(offload_and_give_up(pools, &hanging, report), std::move(options));
    EXPECT_TRUE(!late && late.error() == Errc::stopped);
  }
  EXPECT_EQ(report.unfinished, 1U);
  hanging.go.release();
  hanging.ended.acquire();
}

// asyncio warns; so does Gyre.
Task<Result<int>> leave_a_job(Hanging* hanging) {
  TaskGroup group;
  auto job = group.spawn(
      [](Hanging* what) { return offload(OffloadOptions{.on_cancel = OnCancel::abandon}, hang, what); }, hanging);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  hanging->begun.acquire();
  job.cancel();
  const Result<int> given_up = co_await job;
  static_cast<void>(co_await group.join());
  co_return given_up;
}

TEST(RunnerConformanceTest, C178_RunEndsThoughAJobDoesNotAndSaysSo) {
  Hanging hanging;
  ::testing::internal::CaptureStderr();
  {
    RunOptions options;
    options.reactor.pools = std::make_shared<Pools>(PoolsOptions{.stop_grace = 1ms});
    const Result<int> given_up = run(leave_a_job(&hanging), std::move(options));
    EXPECT_TRUE(!given_up && given_up.error().is_cancelled());
  }
  const std::string said = ::testing::internal::GetCapturedStderr();
  hanging.go.release();
  hanging.ended.acquire();
  EXPECT_NE(said.find("1 job did not end within the grace"), said.npos) << said;
}

// --- C-179: runner ----------------------------------------------------------------------------------------------------

Task<int> seven() { co_return 7; }
Task<Result<int>> fail() { co_return Error(Errc::lagged); }
Task<int> raise_it() {
  throw std::logic_error("raised");
  co_return 0;
}

TEST(RunnerConformanceTest, C179_RunReturnsTheResultAndRethrows) {
  const Result<int> value = run(seven());
  EXPECT_TRUE(value && *value == 7);
  const Result<int> error = run(fail());
  EXPECT_TRUE(!error && error.error() == Errc::lagged);
  EXPECT_THROW((void)run(raise_it()), std::logic_error);
}

Task<Result<void>> left_over(std::vector<std::string>& log) {
  const Result<void> slept = co_await sleep(1h);
  log.push_back(!slept && slept.error().is_cancelled() ? "cancelled" : "not cancelled");
  // Cleaning up may take its turns.
  CancelScope shielded(CancelScopeOptions{.shielded = true});
  const Result<void> cleaned = co_await sleep(1ms);
  log.push_back(cleaned ? "cleaned up" : "disturbed");
  co_return Error(Errc::broken);
}
Task<int> leave_behind(std::vector<std::string>& log) {
  this_reactor().detach(left_over, log);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  co_return 1;
}

TEST(RunnerConformanceTest, C179_WhatIsLeftIsCancelledAwaitedAndItsFailureReported) {
  std::vector<std::string> log;
  RunOptions options;
  options.reactor.scheduler.failure_owner = &log;
  options.reactor.scheduler.on_task_failure = [](void* owner, const TaskFailure& failure) noexcept {
    static_cast<std::vector<std::string>*>(owner)->push_back("reported: " + failure.error.message());
  };
  const Result<int> result = run(leave_behind(log), std::move(options));
  EXPECT_TRUE(result && *result == 1);
  EXPECT_EQ(log, (std::vector<std::string>{"cancelled", "cleaned up", "reported: broken"}));
}

AsyncGenerator<int> count(std::vector<std::string>& log, std::string name) {
  for (int i = 1;; ++i) {
    const Result<void> wanted = co_yield i;
    if (wanted) continue;
    log.push_back(name + " closed");
    const Result<void> slept = co_await sleep(1ms);
    log.push_back(slept ? name + " cleaned up" : name + " disturbed");
    co_return;
  }
}
AsyncGenerator<int> throw_at_close() {
  const Result<void> wanted = co_yield 1;
  if (!wanted) throw std::runtime_error("thrown at close");
}
// Yields again, and again.
AsyncGenerator<int> ignore_close() {
  for (;;) static_cast<void>(co_yield 1);
}
// Owns another one, and closes it.
AsyncGenerator<int> pass_on(AsyncGenerator<int> inner, std::vector<std::string>& log) {
  for (;;) {
    std::optional<int> number = co_await inner.next();
    if (!number) break;
    const Result<void> wanted = co_yield std::move(*number);
    if (!wanted) break;
  }
  log.push_back("outer closed");
  co_await inner.close();
}

struct Generators {
  explicit Generators(std::vector<std::string>& log)
      : all{count(log, "first"), throw_at_close(), ignore_close(), pass_on(count(log, "inner"), log), count(log, "fresh")} {}
  std::array<AsyncGenerator<int>, 5> all;
};
// Takes one value of each but the last.
Task<int> begin_all(Generators& generators, std::vector<std::string>& log) {
  for (std::size_t i = 0; i + 1 < generators.all.size(); ++i) {
    const std::optional<int> number = co_await generators.all[i].next();
    EXPECT_TRUE(number && *number == 1);
  }
  this_reactor().detach(left_over, log);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  co_return 1;
}

// They belong to nobody who could still close them: run() does, after the last task, and each may clean up.
TEST(RunnerConformanceTest, C179_GeneratorsAreClosedAfterTheTasks) {
  std::vector<std::string> log;
  RunOptions options;
  options.reactor.scheduler.failure_owner = &log;
  options.reactor.scheduler.on_task_failure = [](void* owner, const TaskFailure& failure) noexcept {
    std::string what = failure.error.message();
    try {
      if (failure.exception != nullptr) std::rethrow_exception(failure.exception);
    } catch (const std::exception& exception) {
      what = exception.what();
    }
    static_cast<std::vector<std::string>*>(owner)->push_back("reported: " + what);
  };
  Generators generators(log);
  const Result<int> result = run(begin_all(generators, log), std::move(options));
  EXPECT_TRUE(result && *result == 1);
  EXPECT_EQ(log, (std::vector<std::string>{"cancelled", "cleaned up", "reported: broken", "first closed",
                                           "first cleaned up", "outer closed", "inner closed", "inner cleaned up",
                                           "reported: thrown at close"}));
  for (std::size_t i = 0; i + 1 < generators.all.size(); ++i) EXPECT_TRUE(generators.all[i].has_ended());
  EXPECT_FALSE(generators.all.back().has_ended()) << "one that never began is left alone";
}

// By a clock of its own, which moves whenever it runs: the machine may take the time it wants.
AsyncGenerator<int> clean_up_for_ever(testing::ManualClock& clock, bool& was_cut_off) {
  const Result<void> wanted = co_yield 1;
  if (wanted) co_return;
  for (int turn = 0; turn < 1'000'000 && !was_cut_off; ++turn) {
    clock.advance(1ms);
    const Result<void> yielded = co_await yield();
    was_cut_off = !yielded;
  }
}
Task<int> begin_one(AsyncGenerator<int>& generator) {
  const std::optional<int> number = co_await generator.next();
  co_return number ? *number : 0;
}

TEST(RunnerConformanceTest, C179_AGeneratorThatCleansUpForEverIsCutOff) {
  bool was_cut_off = false;
  testing::ManualClock clock;
  AsyncGenerator<int> generator = clean_up_for_ever(clock, was_cut_off);
  RunOptions options;
  options.reactor.clock = &clock;
  options.reactor.poller.clock = &clock;
  options.reactor.scheduler.slow_step = Duration::zero();  // a step that moves the clock looks slow
  options.reactor.shutdown_grace = 40s;
  const Result<int> result = run(begin_one(generator), std::move(options));
  EXPECT_TRUE(result && *result == 1);
  EXPECT_TRUE(was_cut_off);
}

// --- C-180: reuse -----------------------------------------------------------------------------------------------------

std::unique_ptr<Reactor> make_reactor() {
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
  return reactor ? std::move(*reactor) : nullptr;
}

Task<int> count_up(int& state) { co_return ++state; }
Task<Result<int>> run_again(Reactor& other) {
  const Result<int> inner = other.run_until(seven());
  co_return inner;
}

TEST(RunnerConformanceTest, C180_AReactorRunsMoreThanOnceAndKeepsWhatItHas) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  ASSERT_NE(reactor, nullptr);
  int state = 0;
  for (int round = 1; round <= 3; ++round) {
    const Result<int> counted = reactor->run_until(count_up(state));
    EXPECT_TRUE(counted && *counted == round);
  }
}

TEST(RunnerConformanceTest, C180_ClosingTwiceIsHarmlessAndUseAfterwardsIsRefused) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  ASSERT_NE(reactor, nullptr);
  reactor->shutdown();
  reactor->shutdown();
  int state = 0;
  const Result<int> late = reactor->run_until(count_up(state));
  EXPECT_TRUE(!late && late.error() == std::errc::device_or_resource_busy);
  EXPECT_EQ(state, 0) << "the task was dropped unstarted";
}

TEST(RunnerConformanceTest, C180_RunningInsideARunIsRefused) {
  const std::unique_ptr<Reactor> one = make_reactor();
  const std::unique_ptr<Reactor> two = make_reactor();
  ASSERT_TRUE(one != nullptr && two != nullptr);
  for (Reactor* other : {one.get(), two.get()}) {
    const Result<int> inner = one->run_until(run_again(*other));
    EXPECT_TRUE(!inner && inner.error() == std::errc::device_or_resource_busy);
  }
}

}  // namespace
}  // namespace gyre
