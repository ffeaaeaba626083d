// asyncio's runner and executor, claim by claim: C-178 to C-180. (C-181, the signals of the runner, is in signal_stream_test.)
#include <gyre/reactor/run.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/offload.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_local.h>
#include <gyre/task/when_all.h>

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
