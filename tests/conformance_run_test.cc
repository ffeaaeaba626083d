// Conformance (docs/CONFORMANCE.md), the loop: what running, stopping and closing a reactor promise.
#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/reactor.h>
#include <gyre/reactor/run.h>
#include <gyre/task/event.h>
#include <gyre/task/oneshot.h>
#include <gyre/task/sleep.h>
#include <gyre/task/timeout.h>

#include "support/virtual_reactor.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::VirtualReactor;

using Log = std::vector<std::string>;

Task<int> value_after(Duration delay, int value) {
  static_cast<void>(co_await sleep(delay));
  co_return value;
}

Task<int> throw_after(Duration delay) {
  static_cast<void>(co_await sleep(delay));
  throw std::runtime_error("thrown");
}

Task<Result<void>> nap(Duration delay) { co_return co_await sleep(delay); }

// C-001
TEST(ReactorRunTest, RunUntilReturnsTheValue) {
  VirtualReactor reactor;
  const Result<int> value = reactor->run_until(value_after(1s, 42));
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 42);
  EXPECT_EQ(*run(value_after(0s, 43)), 43);
}

// An int is the status itself; whatever else is as for a task without a value.
TEST(ExitStatusTest, IsWhatTheTaskSays) {
  EXPECT_EQ(exit_status(Result<int>(3)), 3);
  EXPECT_EQ(exit_status(Result<int>(Error::cancelled())), 0);
  EXPECT_EQ(exit_status(Result<int>(Errc::broken)), 1);
  EXPECT_EQ(exit_status(Errc::broken), 1);
}

// As ReactorOptions has it: on the system's own poller, which then waits for nothing.
struct JumpingReactor {
  JumpingReactor() {
    ReactorOptions options;
    options.clock = &clock;
    options.before_wait = [](void* owner) noexcept {
      auto& self = *static_cast<JumpingReactor*>(owner);
      const Instant next = self.reactor->next_deadline();
      if (next != never) self.clock.advance_to(next);
    };
    options.hook_owner = this;
    reactor = std::move(*Reactor::create(std::move(options)));
  }
  gyre::testing::ManualClock clock;
  std::unique_ptr<Reactor> reactor;
};

TEST(ReactorRunTest, AClockThatMovesToTheNextDeadlineBeforeAWaitMakesTimeVirtual) {
  JumpingReactor jumping;
  const Instant begin = jumping.clock.now();
  const Result<int> value = jumping.reactor->run_until(with_timeout(720h, value_after(700h, 42)));
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 42);
  EXPECT_EQ(jumping.clock.now() - begin, 700h);
  const Result<void> late = jumping.reactor->run_until(with_timeout(24h, nap(25h)));
  EXPECT_EQ(late.error(), std::errc::timed_out);
  EXPECT_EQ(jumping.clock.now() - begin, 724h);
}

// C-001, C-029: an exception comes out of the run, and the reactor can be used again.
TEST(ReactorRunTest, RunUntilRethrowsAndRunsAgain) {
  VirtualReactor reactor;
  EXPECT_THROW(static_cast<void>(reactor->run_until(throw_after(1s))), std::runtime_error);
  EXPECT_FALSE(reactor->is_running());
  EXPECT_EQ(*reactor->run_until(value_after(1s, 1)), 1);
  EXPECT_THROW(static_cast<void>(run(throw_after(0s))), std::runtime_error);
  EXPECT_TRUE(reactor.failures.empty());
}

// C-029: what a detached task or callback throws never leaves run(); the loop goes on with the rest.
TEST(ReactorRunTest, ExceptionsOfDetachedTasksDoNotEndTheRun) {
  VirtualReactor reactor;
  bool called = false;
  reactor->detach(throw_after, 1s);
  reactor->call_soon([] { throw std::runtime_error("in a callback"); });
  reactor->call_at(reactor.clock.now() + 2s, [&called] { called = true; });
  reactor->run();
  EXPECT_TRUE(called);
  EXPECT_EQ(reactor.failures.size(), 2U);
}

Task<bool> run_inside(Reactor& reactor, Log& log) {
  const Result<int> nested = reactor.run_until(value_after(1s, 1));
  log.push_back(nested ? "ran" : nested.error().to_string());
  const Result<void> slept = co_await sleep(1s);
  co_return static_cast<bool>(slept);
}

// C-002: refused, also in another reactor than the one that runs; the outer run goes on.
TEST(ReactorRunTest, RunInsideATaskIsRefused) {
  VirtualReactor outer;
  VirtualReactor other;
  for (Reactor* inner : {outer.reactor.get(), other.reactor.get()}) {
    Log log;
    const Result<bool> done = outer->run_until(run_inside(*inner, log));
    ASSERT_TRUE(done);
    EXPECT_TRUE(*done);
    ASSERT_EQ(log.size(), 1U);
    EXPECT_NE(log[0], "ran");
  }
  EXPECT_EQ(*other->run_until(value_after(1s, 2)), 2);
}

// C-002, C-010: without a result to say no in, it aborts.
TEST(ReactorRunDeathTest, RunningOrClosingInsideATaskAborts) {
  VirtualReactor reactor;
  reactor->call_soon([&reactor] {
    EXPECT_DEATH(reactor->run(), "run\\(\\) inside a task");
    EXPECT_DEATH(static_cast<void>(reactor->run_once()), "run_once\\(\\) inside a task");
    EXPECT_DEATH(reactor->shutdown(), "shutdown\\(\\) inside a task");
  });
  reactor->run();
}

// C-003: the posts of one thread keep their order, and its calls; a post is taken in with the next turn.
TEST(ReactorRunTest, PostsAndCallsKeepTheirOrders) {
  VirtualReactor reactor;
  Log log;
  reactor->call_soon([&] {
    for (const char* number : {"1", "2", "3"}) {
      EXPECT_TRUE(reactor->post([&log, number] { log.push_back(std::string("post ") + number); }));
      reactor->call_soon([&log, number] { log.push_back(std::string("call ") + number); });
    }
  });
  reactor->run();
  static_cast<void>(reactor->run_once(reactor.clock.now()));
  EXPECT_EQ(log, (Log{"call 1", "call 2", "call 3", "post 1", "post 2", "post 3"}));
}

// However much is posted, a turn takes in so much and no more; and all of it arrives, in its order.
TEST(ReactorRunTest, FloodOfPostsIsTakenInByAndBy) {
  ReactorOptions options;
  options.tasks_per_turn = 10;
  VirtualReactor reactor(std::move(options));
  std::vector<int> arrived;
  for (int i = 0; i < 105; ++i) EXPECT_TRUE(reactor->post([&arrived, i] { arrived.push_back(i); }));
  for (std::size_t turn = 1; turn <= 11; ++turn) {
    EXPECT_LE(reactor->next_deadline(), turn == 1 ? never : reactor.clock.now()) << "there is more to do";
    // All turns but the last do not wait.
    static_cast<void>(reactor->run_once(turn < 11 ? never : reactor.clock.now()));
    EXPECT_EQ(arrived.size(), std::min<std::size_t>(10 * turn, 105));
  }
  EXPECT_EQ(reactor->next_deadline(), never);
  EXPECT_TRUE(std::is_sorted(arrived.begin(), arrived.end()));

  // What has not been delivered at the end is freed.
  const auto token = std::make_shared<int>(0);
  for (int i = 0; i < 25; ++i) EXPECT_TRUE(reactor->post([held = token] {}));
  static_cast<void>(reactor->run_once(reactor.clock.now()));
  reactor->shutdown();
  EXPECT_EQ(token.use_count(), 1);
}

// C-021: a call that is running is past cancelling.
TEST(ReactorRunTest, CallThatCancelsItselfRunsOn) {
  VirtualReactor reactor;
  Log log;
  JoinHandle<void> handle;
  handle = reactor->call_soon([&] {
    handle.cancel();
    log.push_back("runs on");
  });
  reactor->run();
  EXPECT_EQ(log, Log{"runs on"});
  EXPECT_TRUE(handle.take());
}

// C-009: the task stays, and goes on in the next run.
TEST(ReactorRunTest, StopEndsRunUntilEarlyAndSaysSo) {
  VirtualReactor reactor;
  reactor->call_at(reactor.clock.now() + 1s, [&reactor] { reactor->stop(); });
  const Result<int> value = reactor->run_until(value_after(5s, 1));
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error(), Errc::stopped);
  EXPECT_EQ(reactor.clock.now(), Instant(1h + 1s));
  EXPECT_EQ(reactor->scheduler().tasks(), 1U);
  reactor->run();
  EXPECT_EQ(reactor->scheduler().tasks(), 0U);
  EXPECT_EQ(reactor.clock.now(), Instant(1h + 5s));
}

// C-010
TEST(ReactorRunTest, ShutdownIsIdempotentAndCancelsWhatIsLeft) {
  VirtualReactor reactor;
  auto left = reactor->detach(nap, 1h);
  reactor->run_once(reactor.clock.now());
  reactor->shutdown();
  reactor->shutdown();
  const Result<void> ended = left.take();
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is_cancelled());
  EXPECT_EQ(reactor.clock.now(), Instant(1h));
}

// C-011: after the end everything is refused, and what was to be run is destroyed uncalled.
TEST(ReactorRunTest, NothingIsAcceptedAfterShutdown) {
  VirtualReactor reactor;
  reactor->shutdown();
  auto token = std::make_shared<int>(0);
  const auto call = [token] { ++*token; };
  EXPECT_FALSE(reactor->post(call));
  EXPECT_TRUE(reactor->call_soon(call).was_refused());
  EXPECT_TRUE(reactor->call_at(reactor.clock.now(), call).was_refused());
  EXPECT_TRUE(reactor->detach(nap, Duration(1s)).was_refused());
  const Result<int> ran = reactor->run_until(value_after(1s, 1));
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error(), std::errc::device_or_resource_busy);
  EXPECT_EQ(*token, 0);
  EXPECT_EQ(token.use_count(), 2);
}

// C-011: handles, tasks and promises may outlive the reactor.
TEST(ReactorRunTest, WhatOutlivesTheReactorDoesNoHarm) {
  Oneshot<int> answer;
  Promise<int> promise = answer.promise();
  Task<int> never_started = value_after(1s, 1);
  JoinHandle<int> finished;
  {
    VirtualReactor reactor;
    finished = reactor->detach(value_after, 1s, 7);
    reactor->run();
  }
  ASSERT_TRUE(finished.is_finished());
  EXPECT_EQ(*finished.take(), 7);
  EXPECT_TRUE(promise.send(1));
  EXPECT_TRUE(answer.is_ready());
}

// C-030: a foreign loop asks when, takes single turns, and closes.
TEST(ReactorRunTest, ForeignLoopTakesSingleTurns) {
  VirtualReactor reactor;
  auto value = reactor->detach(value_after, 5s, 9);
  EXPECT_LE(reactor->next_deadline(), reactor.clock.now()) << "the task is ready";
  int turns = 0;
  while (!value.is_finished() && turns < 10) {
    const Instant next = reactor->next_deadline();
    ASSERT_NE(next, never);
    reactor.clock.advance_to(next);
    EXPECT_TRUE(reactor->run_once(reactor.clock.now()));
    ++turns;
  }
  EXPECT_EQ(*value.take(), 9);
  EXPECT_EQ(turns, 3) << "the first step, the timer, the last step";
  EXPECT_EQ(reactor.clock.now(), Instant(1h + 5s));
  EXPECT_EQ(reactor->next_deadline(), never);
  EXPECT_FALSE(reactor->run_once(reactor.clock.now())) << "nothing is left to do";
  reactor->shutdown();
}

// Ignores every cancel.
Task<void> immortal() {
  for (;;) static_cast<void>(co_await shield(nap(1s)));
}

// C-070: who refuses to end is named, with the place where it waits.
TEST(ReactorRunDeathTest, TaskThatDoesNotEndIsNamedAtShutdown) {
  EXPECT_DEATH(
      {
        ReactorOptions options;
        options.shutdown_grace = 3s;
        VirtualReactor reactor(std::move(options));  // in the child: it may not use the parent's
        reactor->scheduler().detached().spawn(SpawnOptions{.name = "highlander"}, immortal);
        reactor->shutdown();
      },
      "1 tasks did not end within the shutdown grace.*\n.*highlander.*");
}

// C-070: a scheduler without a reactor does not let its tasks be destroyed where they wait either.
TEST(ReactorRunDeathTest, SchedulerWithTasksLeftAborts) {
  EXPECT_DEATH(
      {
        gyre::testing::ManualClock clock;
        auto scheduler = std::make_unique<Scheduler>(clock);
        scheduler->detached().spawn(nap, Duration(1s));
        scheduler.reset();
      },
      "tasks are left");
}

Task<void> throw_when_cancelled(Log& log, std::string name) {
  const Result<void> slept = co_await sleep(1h);
  log.push_back(name);
  if (!slept) throw std::runtime_error(name);
}

// C-071: the others still end, and every exception is reported.
TEST(ReactorRunTest, ExceptionsDuringShutdownAreReportedAndDoNoHarm) {
  VirtualReactor reactor;
  Log log;
  for (const char* name : {"a", "b", "c"}) reactor->detach(throw_when_cancelled, log, std::string(name));
  reactor->run_once(reactor.clock.now());
  reactor->shutdown();
  EXPECT_EQ(log, (Log{"a", "b", "c"}));
  EXPECT_EQ(reactor.failures.size(), 3U);
}

// C-072: no task outside of tasks, whether or not a reactor exists, and none between two runs.
TEST(ReactorRunTest, NoCurrentTaskOutside) {
  EXPECT_EQ(current_task(), nullptr);
  VirtualReactor reactor;
  bool had_task = false;
  reactor->call_soon([&had_task] { had_task = current_task() != nullptr; });
  EXPECT_EQ(current_task(), nullptr);
  reactor->run();
  EXPECT_TRUE(had_task);
  EXPECT_EQ(current_task(), nullptr);
}

Task<Result<void>> wait_for(Event& event) { co_return co_await event.wait(); }

// Neither a task that a hook makes ready nor a timer that it sets waits for what the loop was about to wait for.
TEST(ReactorRunTest, WhatAHookMakesReadyOrDueDoesNotWait) {
  struct Hooked {
    Reactor* reactor = nullptr;
    Duration delay;
    Event event;
    void act() {
      if (reactor == nullptr) return;
      Reactor& once = *std::exchange(reactor, nullptr);
      if (delay == 0s) return event.set();
      once.call_at(once.clock().now() + delay, [this] { event.set(); });
    }
  };
  using Hook = void (*)(void*) noexcept;
  for (Hook ReactorOptions::* const hook : {&ReactorOptions::on_idle, &ReactorOptions::before_wait}) {
    for (const Duration delay : {0s, 5s}) {
      Hooked hooked;
      hooked.delay = delay;
      ReactorOptions options;
      options.hook_owner = &hooked;
      options.*hook = [](void* owner) noexcept { static_cast<Hooked*>(owner)->act(); };
      VirtualReactor reactor(std::move(options));
      hooked.reactor = &*reactor;
      reactor.poller->wake();  // so that the second turn finds nothing to do
      const Instant begin = reactor.clock.now();
      const Result<void> woken = reactor->run_until(with_timeout(1h, wait_for(hooked.event)));
      EXPECT_TRUE(woken);
      EXPECT_EQ(reactor.clock.now() - begin, delay);
    }
  }
}

}  // namespace
