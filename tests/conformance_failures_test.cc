// Conformance (docs/CONFORMANCE.md), what goes wrong: failure sinks, wrong threads, slow steps, a deaf wake-up.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/fault_plan.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_local.h>

#include "support/virtual_reactor.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::ManualClock;
using gyre::testing::VirtualReactor;

Task<Result<void>> fail_with(Errc code) { co_return code; }

Task<void> throw_error(std::string what) {
  static_cast<void>(co_await yield());
  throw std::runtime_error(what);
}

Task<Result<void>> nap(Duration delay) { co_return co_await sleep(delay); }

class FailureSinkTest : public gyre::testing::TaskFixture {};

// C-026: without a handler failures are printed.
TEST(FailureSinkDefaultTest, PrintsToStandardError) {
  ManualClock clock;
  Scheduler scheduler(clock);
  ::testing::internal::CaptureStderr();
  scheduler.detached().spawn(SpawnOptions{.name = "worker"}, throw_error, "boom");
  scheduler.detached().spawn(fail_with, Errc::broken);
  static_cast<void>(scheduler.run_ready(10));
  const std::string printed = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(printed.find("\"worker\" failed: boom\n"), std::string::npos) << printed;
  EXPECT_NE(printed.find("detached task 2 failed: "), std::string::npos) << printed;
}

// C-027: a handler that could throw does not compile, so none can end the loop.
void quiet_sink(void*, const TaskFailure&) noexcept {}
TEST(FailureSinkDefaultTest, HandlerMustNotThrow) {
  using Sink = decltype(SchedulerOptions::on_task_failure);
  EXPECT_FALSE((std::is_convertible_v<void (*)(void*, const TaskFailure&), Sink>));
  EXPECT_TRUE((std::is_convertible_v<void (*)(void*, const TaskFailure&) noexcept, Sink>));
}

constinit TaskLocal<int> request;

struct Seen {
  std::string name;
  int request = 0;
};

Task<void> spawn_failing(TaskGroup& group) {
  const TaskLocalScope<int> bound(request, 17);
  group.spawn(SpawnOptions{.name = "child"}, throw_error, "boom");
  co_return;
}

// C-028: the failing task is the current one, and its bindings are visible.
TEST(FailureSinkDefaultTest, RunsInTheContextOfTheFailingTask) {
  ManualClock clock;
  Seen seen;
  SchedulerOptions options;
  options.failure_owner = &seen;
  options.on_task_failure = [](void* owner, const TaskFailure&) noexcept {
    auto& out = *static_cast<Seen*>(owner);
    out.name = current_task()->name();
    const int* const bound = request.get();
    out.request = bound != nullptr ? *bound : -1;
  };
  Scheduler scheduler(clock, options);
  scheduler.detached().spawn(spawn_failing, std::ref(scheduler.detached()));
  static_cast<void>(scheduler.run_ready(10));
  EXPECT_EQ(seen.name, "child");
  EXPECT_EQ(seen.request, 17);
}

Task<void> join_into(JoinHandle<Result<void>>& handle, Result<void>& out) { out = co_await handle; }

// C-050: a failure that a joiner is waiting for, or that somebody has promised to take, is his alone.
TEST_F(FailureSinkTest, FailureThatIsTakenIsNotReported) {
  auto joined = spawn(fail_with, Errc::broken);
  Result<void> out;
  spawn(join_into, std::ref(joined), std::ref(out));
  run_until_idle();
  EXPECT_EQ(loop.take_failures().size(), 1U) << "it ended before anybody waited";

  auto wanted = spawn(fail_with, Errc::closed);
  wanted.want_result();
  run_until_idle();
  EXPECT_TRUE(loop.take_failures().empty());
  EXPECT_EQ(wanted.take().error(), Errc::closed);
}

Task<Result<void>> fail_after(Duration delay, Errc code) {
  static_cast<void>(co_await sleep(delay));
  co_return code;
}

TEST_F(FailureSinkTest, FailureWithAWaitingJoinerIsNotReported) {
  auto handle = spawn(fail_after, Duration(1s), Errc::broken);
  Result<void> out;
  spawn(join_into, std::ref(handle), std::ref(out));
  run();
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error(), Errc::broken);
  EXPECT_TRUE(loop.take_failures().empty());
}

// C-050: a task that ends because it was cancelled has not failed.
TEST_F(FailureSinkTest, CancelledTaskIsNotReported) {
  auto handle = spawn(nap, Duration(1h));
  run_until_idle();
  handle.cancel();
  handle = {};
  run_until_idle();
  EXPECT_TRUE(loop.take_failures().empty());
  EXPECT_EQ(scheduler().tasks(), 0U);
}

// --- Threads ---------------------------------------------------------------------------------------------------------

void on_another_thread(void (*act)(VirtualReactor& reactor, JoinHandle<Result<void>>& task),
                       VirtualReactor& reactor, JoinHandle<Result<void>>& task) {
  std::thread other([&] { act(reactor, task); });
  other.join();
}

// C-023
TEST(WrongThreadDeathTest, EveryCallThatIsNotForAnyThreadAborts) {
  if (!debug_checks) GTEST_SKIP() << "only builds with debug checks see it";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  VirtualReactor reactor;
  auto sleeper = reactor->detach(nap, Duration(1h));
  reactor->run_once(reactor.clock.now());  // from now on the reactor belongs to this thread
  using Act = void (*)(VirtualReactor&, JoinHandle<Result<void>>&);
  const Act acts[] = {
      [](VirtualReactor& r, JoinHandle<Result<void>>&) { static_cast<void>(r->call_soon([] {})); },
      [](VirtualReactor& r, JoinHandle<Result<void>>&) { static_cast<void>(r->call_at(never, [] {})); },
      [](VirtualReactor& r, JoinHandle<Result<void>>&) { static_cast<void>(r->detach(nap, Duration(1s))); },
      [](VirtualReactor& r, JoinHandle<Result<void>>&) { r->run_once(r.clock.now()); },
      [](VirtualReactor& r, JoinHandle<Result<void>>&) { r->scheduler().detached().cancel(); },
      [](VirtualReactor&, JoinHandle<Result<void>>& task) { task.cancel(); },
  };
  for (const Act act : acts) {
    EXPECT_DEATH(on_another_thread(act, reactor, sleeper), "owner_ == ") << (&act - acts);
  }
}

// C-023: these two are for any thread.
TEST(WrongThreadTest, PostAndStopAreForAnyThread) {
  VirtualReactor reactor;
  auto sleeper = reactor->detach(nap, Duration(1h));
  reactor->run_once(reactor.clock.now());
  bool called = false;
  std::thread other([&] {
    EXPECT_TRUE(reactor->post([&called] { called = true; }));
    reactor->stop();
  });
  other.join();
  reactor->run();
  EXPECT_TRUE(called);
  EXPECT_FALSE(sleeper.is_finished());
}

// --- Slow steps ------------------------------------------------------------------------------------------------------

struct SlowStepLog {
  std::vector<SlowStep> steps;
  static void add(void* owner, const SlowStep& step) noexcept {
    static_cast<SlowStepLog*>(owner)->steps.push_back(step);
  }
};

Task<void> work_and_sleep(ManualClock& clock) {
  clock.advance(20ms);
  static_cast<void>(co_await sleep(1h));
  clock.advance(300ms);
}

// C-024: a step that takes longer than the threshold is reported, with the task's name and where it waits then.
TEST(SlowStepTest, IsReportedWithNameAndPlace) {
  ManualClock clock;
  SlowStepLog log;
  SchedulerOptions options;
  options.on_task_failure = quiet_sink;
  options.failure_owner = &log;
  options.slow_step = 10ms;
  options.on_slow_step = SlowStepLog::add;
  Scheduler scheduler(clock, options);
  scheduler.detached().spawn(SpawnOptions{.name = "slow"}, work_and_sleep, std::ref(clock));
  static_cast<void>(scheduler.run_ready(1));
  ASSERT_EQ(log.steps.size(), 1U);
  EXPECT_STREQ(log.steps[0].task_name, "slow");
  EXPECT_EQ(log.steps[0].took, 20ms);
  ASSERT_NE(log.steps[0].file, nullptr);
  EXPECT_TRUE(std::string_view(log.steps[0].file).ends_with("conformance_failures_test.cc"));
  EXPECT_GT(log.steps[0].line, 0U);

  clock.advance(1h);
  static_cast<void>(scheduler.update_now());
  static_cast<void>(scheduler.fire_timers());
  static_cast<void>(scheduler.run_ready(1));
  ASSERT_EQ(log.steps.size(), 2U);
  EXPECT_EQ(log.steps[1].took, 300ms);
  EXPECT_EQ(log.steps[1].file, nullptr) << "the step was its last";
}

Task<void> work(ManualClock& clock, Duration time) {
  clock.advance(time);
  co_return;
}

TEST(SlowStepTest, ShortStepIsNotReported) {
  ManualClock clock;
  SlowStepLog log;
  SchedulerOptions options;
  options.on_task_failure = quiet_sink;
  options.failure_owner = &log;
  options.slow_step = 10ms;
  options.on_slow_step = SlowStepLog::add;
  Scheduler scheduler(clock, options);
  for (int i = 0; i < 3; ++i) scheduler.detached().spawn(work, std::ref(clock), Duration(10ms));
  static_cast<void>(scheduler.run_ready(3));
  EXPECT_TRUE(log.steps.empty());
}

TEST(SlowStepTest, WhatIsPrintedSaysOnlyWhatIsKnown) {
  ManualClock clock;
  SchedulerOptions options;
  options.slow_step = 10ms;
  Scheduler scheduler(clock, options);
  scheduler.detached().spawn(work, std::ref(clock), Duration(12ms));
  ::testing::internal::CaptureStderr();
  static_cast<void>(scheduler.run_ready(1));
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(text.starts_with("gyre: task ")) << text;
  EXPECT_TRUE(text.ends_with(" held its thread for 12.0 ms; it has ended\n")) << text;
  EXPECT_EQ(text.find('"'), text.npos) << text;
}

// --- Wake-up ---------------------------------------------------------------------------------------------------------

// C-025: while the bell cannot be rung, posters are not hurt, and what they post arrives when the reactor next wakes.
TEST(DeafWakeUpTest, PostSucceedsAndArrivesWithTheNextTurn) {
  if (!fault_injection) GTEST_SKIP() << "this build injects no failures";
  for (const std::string_view* name = poller_names(); !name->empty(); ++name) {
    Result<std::unique_ptr<Poller>> poller = open_poller(*name);
    if (!poller) continue;
    ReactorOptions options;
    options.with_poller = std::move(*poller);
    const std::unique_ptr<Reactor> reactor = std::move(*Reactor::create(std::move(options)));
    std::atomic<bool> done = false;
    int arrived = 0;
    std::thread loop([&] {
      while (!done) static_cast<void>(reactor->run_once(reactor->clock().now() + 1ms));
      while (reactor->run_once(Instant())) {
      }
    });
    sys::FaultPlan plan;
    plan.add(sys::FaultRule{.times = sys::FaultRule::sticky,
                            .fault = {.kind = sys::Fault::Kind::fail, .value = EAGAIN}});
    int posted = 0;
    {
      const sys::FaultScope faults(plan);
      const Instant give_up = steady_clock().now() + 10s;
      // The first hit is the first post that found the reactor asleep.
      while (plan.hits() == 0 && steady_clock().now() < give_up) {
        EXPECT_TRUE(reactor->post([&arrived] { ++arrived; }));
        ++posted;
        std::this_thread::yield();
      }
    }
    done = true;
    loop.join();
    EXPECT_GT(plan.hits(), 0U) << *name;
    EXPECT_EQ(arrived, posted) << *name;
  }
}

}  // namespace
