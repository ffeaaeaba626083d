// Conformance (docs/CONFORMANCE.md), cancellation: one report per cancel, scopes in place of a count of cancels.
#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/event.h>
#include <gyre/task/sleep.h>
#include <gyre/task/timeout.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

using Log = std::vector<std::string>;

class CancelScopeTest : public gyre::testing::TaskFixture {};
using CancelScopeDeathTest = CancelScopeTest;

std::string said(const Result<void>& result) {
  if (result) return "done";
  return result.error().is_timed_out() ? "timed out" : result.error().is_cancelled() ? "cancelled" : "failed";
}

Task<void> wait_in_scope(Event& event, CancelScope*& shared, Log& log) {
  CancelScope scope;
  shared = &scope;
  const Result<void> waited = co_await event.wait();
  log.push_back(said(waited));
}

// C-059: the task and what it waits in are cancelled in one tick, in either order: it wakes once, and hears of it once.
TEST_F(CancelScopeTest, TwoCancelsInOneTickAreOneReport) {
  for (const bool task_first : {true, false}) {
    Event event;
    CancelScope* scope = nullptr;
    Log log;
    auto handle = spawn(wait_in_scope, std::ref(event), std::ref(scope), std::ref(log));
    run_until_idle();
    if (task_first) handle.cancel();
    scope->cancel();
    if (!task_first) handle.cancel();
    EXPECT_EQ(scheduler().count_ready(), 1U);
    run_until_idle();
    EXPECT_EQ(log, Log{"cancelled"});
  }
}

Task<Result<void>> nap(Duration delay) { co_return co_await sleep(delay); }

Task<void> join_and_log(JoinHandle<Result<void>>& child, Log& log) {
  const Result<void> joined = co_await child;
  log.push_back("joiner " + said(joined));
}

// C-059: the same for a task that waits for another one.
TEST_F(CancelScopeTest, JoinerAndChildCancelledInOneTickReportOnce) {
  for (const bool child_first : {true, false}) {
    Log log;
    auto child = spawn(nap, Duration(1h));
    auto joiner = spawn(join_and_log, std::ref(child), std::ref(log));
    run_until_idle();
    if (child_first) child.cancel();
    joiner.cancel();
    if (!child_first) child.cancel();
    run_until_idle();
    EXPECT_EQ(log, Log{"joiner cancelled"});
    EXPECT_EQ(scheduler().tasks(), 0U);
  }
}

Task<void> cancel_and_leave(Log& log) {
  {
    CancelScope scope;
    scope.cancel();
    if (current_task()->cancel_requested()) log.push_back("requested");
  }
  const Result<void> after = co_await sleep(1s);
  log.push_back(said(after));
  {
    CancelScope outer;
    {
      CancelScope inner;
      inner.cancel();
      const Result<void> inside = co_await sleep(1s);
      log.push_back("inside " + said(inside));
    }
    const Result<void> between = co_await sleep(1s);
    log.push_back("between " + said(between));
  }
}

// C-066, C-067: a scope that is left takes its cancel along, whether or not anybody has heard of it.
TEST_F(CancelScopeTest, CancelEndsWithItsScope) {
  Log log;
  spawn(cancel_and_leave, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"requested", "done", "inside cancelled", "between done"}));
  EXPECT_EQ(elapsed(), 2s);
}

Task<void> leave_inside_cancelled(CancelScope*& shared, Log& log) {
  CancelScope outer;
  shared = &outer;
  {
    CancelScope inner;
    inner.cancel();
    outer.cancel();
  }
  const Result<void> after = co_await sleep(1s);
  log.push_back(said(after));
}

// C-067: but not the cancel of the scope around it.
TEST_F(CancelScopeTest, LeavingAnInnerScopeKeepsTheOuterCancel) {
  Log log;
  CancelScope* scope = nullptr;
  spawn(leave_inside_cancelled, std::ref(scope), std::ref(log));
  run();
  EXPECT_EQ(log, Log{"cancelled"});
}

Task<void> block_with_deadline(Log& log) {
  {
    const CancelScope scope(CancelScope::within(1s));
    Result<void> slept = co_await sleep(1h);
    log.push_back(said(slept));
    slept = co_await yield();
    log.push_back("still " + said(slept));
    log.push_back(scope.timed_out() ? "expired" : "not expired");
  }
  const Result<void> slept = co_await sleep(1s);
  log.push_back("outside " + said(slept));
  log.push_back(current_task()->cancel_requested() ? "requested" : "nothing is left of it");
}

// C-068
TEST_F(CancelScopeTest, TimeoutEndsItsBlockAndNothingElse) {
  Log log;
  spawn(block_with_deadline, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"timed out", "still timed out", "expired", "outside done", "nothing is left of it"}));
  EXPECT_EQ(elapsed(), 2s);
}

// --- Deadlines -------------------------------------------------------------------------------------------------------

struct Answers {
  bool timed_out = true;
  bool cancelled = true;
  Instant deadline;
};

Task<void> ask_scope(Instant deadline, Answers& before, Answers& after, Result<void>& slept) {
  CancelScope scope(CancelScopeOptions{.deadline = deadline});
  before = {scope.timed_out(), scope.is_cancelled(), scope.deadline()};
  slept = co_await sleep(10s);
  after = {scope.timed_out(), scope.is_cancelled(), scope.deadline()};
}

// C-096: what has expired, and when; `never` disables.
TEST_F(CancelScopeTest, ScopeSaysWhenItEndsAndWhetherItHas) {
  for (const bool has_deadline : {true, false}) {
    const Instant deadline = has_deadline ? clock().now() + 3s : never;
    Answers before;
    Answers after;
    Result<void> slept;
    spawn(ask_scope, deadline, std::ref(before), std::ref(after), std::ref(slept));
    run();
    EXPECT_FALSE(before.timed_out);
    EXPECT_FALSE(before.cancelled);
    EXPECT_EQ(before.deadline, deadline);
    EXPECT_EQ(after.timed_out, has_deadline);
    EXPECT_EQ(after.cancelled, has_deadline);
    EXPECT_EQ(after.deadline, deadline);
    EXPECT_EQ(slept.has_value(), !has_deadline);
    EXPECT_TRUE(scheduler().timers().empty());
  }
}

Task<void> reschedule_late(Clock& clock, Log& log) {
  CancelScope scope(CancelScope::within(1s));
  Result<void> slept = co_await sleep(1h);
  log.push_back(said(slept));
  scope.reschedule(clock.now() + 1h);
  slept = co_await sleep(1s);
  log.push_back("still " + said(slept));
}
Task<void> reschedule_into_the_past(Clock& clock, Log& log) {
  CancelScope scope;
  scope.reschedule(clock.now() - 1s);
  const Result<void> slept = co_await sleep(1h);
  log.push_back(said(slept));
}

// C-100: a deadline that has struck cannot be moved; one that is moved into the past strikes.
TEST_F(CancelScopeTest, ExpiredDeadlineCannotBeMoved) {
  Log log;
  spawn(reschedule_late, std::ref(clock()), std::ref(log));
  run();
  spawn(reschedule_into_the_past, std::ref(clock()), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"timed out", "still timed out", "timed out"}));
  EXPECT_EQ(elapsed(), 1s);
}

// C-101: a scope is its block: it cannot be entered twice, nor moved.
TEST_F(CancelScopeTest, IsBoundToItsBlock) {
  EXPECT_FALSE(std::is_copy_constructible_v<CancelScope>);
  EXPECT_FALSE(std::is_move_constructible_v<CancelScope>);
  EXPECT_FALSE(std::is_move_assignable_v<CancelScope>);
}

// C-101
TEST_F(CancelScopeDeathTest, NeedsATask) {
  EXPECT_DEATH(CancelScope(CancelScopeOptions{}), "made outside a task");
  EXPECT_DEATH(static_cast<void>(CancelScope::within(1s)), "made outside a task");
}

// --- with_timeout ----------------------------------------------------------------------------------------------------

class WithTimeoutTest : public gyre::testing::TaskFixture {};

Task<Result<void>> fail_after(Duration delay) {
  static_cast<void>(co_await sleep(delay));
  co_return Errc::broken;
}
Task<Result<void>> throw_after(Duration delay) {
  static_cast<void>(co_await sleep(delay));
  throw std::string("thrown");
}
Task<void> bound(Duration timeout, Task<Result<void>> task, Log& log) {
  try {
    const Result<void> result = co_await with_timeout(timeout, std::move(task));
    log.push_back(result || result.error() != Errc::broken ? said(result) : "its own error");
  } catch (const std::string& what) {
    log.push_back(what);
  }
  const Result<void> after = co_await yield();
  log.push_back("then " + said(after));
}

// C-102, C-107: what the task fails with passes through, before the deadline and because of it. (In Gyre an error tells
// of one cause: with the deadline's part in it gone, ask the scope.)
TEST_F(WithTimeoutTest, ErrorsOfTheTaskPassThrough) {
  Log log;
  spawn(bound, Duration(2s), fail_after(1s), std::ref(log));
  run();
  spawn(bound, Duration(2s), fail_after(1h), std::ref(log));
  run();
  spawn(bound, Duration(2s), throw_after(1s), std::ref(log));
  run();
  spawn(bound, Duration(2s), throw_after(1h), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"its own error", "then done", "its own error", "then done", "thrown", "then done", "thrown",
                      "then done"}));
  EXPECT_EQ(elapsed(), 6s);
}

Task<Result<void>> without_checkpoint(int& runs) {
  ++runs;
  co_return Result<void>{};
}

// C-105: a task that needs no checkpoint keeps its value though there was no time; `never` is no limit.
TEST_F(WithTimeoutTest, NoTimeAndNoLimit) {
  Log log;
  int runs = 0;
  spawn(bound, Duration(0), without_checkpoint(runs), std::ref(log));
  run();
  EXPECT_EQ(runs, 1);
  spawn(bound, Duration::max(), nap(1000h), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"done", "then done", "done", "then done"}));
  EXPECT_EQ(elapsed(), 1000h);
}

Task<Result<void>> note_and_end(Duration delay, Log& log) {
  const Result<void> slept = co_await sleep(delay);
  log.push_back("inside " + said(slept));
  co_return slept;
}
Task<Result<void>> note_and_swallow(Duration delay, Log& log) {
  const Result<void> slept = co_await sleep(delay);
  log.push_back("inside " + said(slept));
  co_return Result<void>{};
}

// C-108: the cancel goes in, and comes out: as the result, or, if the task returned a value all the same, at the next
// checkpoint. It is neither swallowed nor taken for a timeout.
TEST_F(WithTimeoutTest, CancelOfTheCallerIsNeverSwallowed) {
  Log log;
  auto ends = spawn(bound, Duration(1h), note_and_end(2h, log), std::ref(log));
  run_until_idle();
  ends.cancel();
  run();
  EXPECT_EQ(log, (Log{"inside cancelled", "cancelled", "then cancelled"}));

  log.clear();
  auto swallows = spawn(bound, Duration(1h), note_and_swallow(2h, log), std::ref(log));
  run_until_idle();
  swallows.cancel();
  run();
  EXPECT_EQ(log, (Log{"inside cancelled", "done", "then cancelled"}));
  EXPECT_EQ(elapsed(), 0s);
}

Task<Result<void>> wait_for(Event& event) { co_return co_await event.wait(); }

// C-108: cancelled in the tick in which the task inside was served: it was served, and the cancel shows afterwards.
TEST_F(WithTimeoutTest, CancelInTheTickOfCompletionLosesNeither) {
  Event event;
  Log log;
  auto caller = spawn(bound, Duration(1h), wait_for(event), std::ref(log));
  run_until_idle();
  event.set();
  caller.cancel();
  run();
  EXPECT_EQ(log, (Log{"done", "then cancelled"}));
}

// C-109: a cancel that is pending wins over a deadline that has passed.
TEST_F(WithTimeoutTest, PendingCancelWinsOverNoTime) {
  Log log;
  auto caller = spawn(bound, Duration(0), nap(1h), std::ref(log));
  caller.cancel();
  run();
  EXPECT_EQ(log, (Log{"cancelled", "then cancelled"}));
}

}  // namespace
