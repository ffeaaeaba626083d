// Replays of tests/oracle/scenarios_cancel.py: cancellation of tasks, and timeouts.
#include <chrono>
#include <string_view>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/oracle_replay.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

// Says how a task ended.
void log_outcome(TraceLog& log, std::string_view name, const Result<int>& result) {
  if (result) {
    log(name, " joined: ", *result);
  } else if (result.error().is_cancelled()) {
    log(name, " joined: cancelled");
  } else {
    log(name, " joined: failed ", name_of(result.error()));
  }
}

Task<Result<int>> sleeper_42(TraceLog& log, std::string_view name, Duration time) {
  const Result<void> slept = co_await sleeper(log, name, time);
  if (!slept) co_return slept.error();
  co_return 42;
}

// The body of most scenarios: starts `worker`, cancels it after 10 ms, and joins it.
Task<void> cancel_after_10ms(TraceLog& log, Task<Result<int>> (*worker)(TraceLog& log), bool says_so) {
  TaskGroup group(OnFailure::keep_going);
  auto task = group.spawn(worker, log);
  (void)co_await sleep(10ms);
  if (says_so) log("main cancels");
  task.cancel();
  const Result<int> ended = co_await task;
  log_outcome(log, "worker", ended);
  (void)co_await group.join();
}

Task<void> cancel_suspended(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(sleeper_42, log, "a", 100ms);
  (void)co_await sleep(10ms);
  log("main cancels");
  task.cancel();
  log("main goes on");
  const Result<int> ended = co_await task;
  log_outcome(log, "a", ended);
  (void)co_await group.join();
}

Task<void> cancel_before_start(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(sleeper_42, log, "a", 100ms);
  task.cancel();
  log("cancelled before start");
  const Result<int> ended = co_await task;
  log_outcome(log, "a", ended);
  (void)co_await group.join();
}

Task<Result<int>> chain_inner(TraceLog& log) {
  const Result<void> slept = co_await sleep(100ms);
  log("inner cleans up");
  if (!slept) co_return slept.error();
  co_return 0;
}

Task<Result<int>> chain_middle(TraceLog& log) {
  const Result<int> ended = co_await chain_inner(log);
  log("middle cleans up");
  co_return ended;
}

Task<Result<int>> chain_outer(TraceLog& log) {
  const Result<int> ended = co_await chain_middle(log);
  log("outer cleans up");
  co_return ended;
}

Task<void> cancel_nested_chain(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(chain_outer, log);
  (void)co_await sleep(10ms);
  task.cancel();
  const Result<int> ended = co_await task;
  log_outcome(log, "outer", ended);
  (void)co_await group.join();
}

Task<Result<int>> worker_cleans_up(TraceLog& log) {
  log("worker start");
  const Result<void> slept = co_await sleep(100ms);
  log("worker cancelled");
  {
    const CancelScope shield({.shielded = true});
    (void)co_await sleep(5ms);
  }
  log("worker cleaned up");
  co_return slept.error();
}

Task<void> cancel_cleanup_awaits(TraceLog& log) {
  co_await cancel_after_10ms(log, worker_cleans_up, true);
}

Task<Result<int>> worker_ignores(TraceLog& log) {
  const Result<void> slept = co_await sleep(100ms);
  if (!slept) log("worker ignores the cancel");
  co_return 42;
}

Task<void> cancel_ignored(TraceLog& log) { co_await cancel_after_10ms(log, worker_ignores, false); }

Task<void> worker_swallows(TraceLog& log) {
  for (int step = 0; step < 4; ++step) {
    const Result<void> slept = co_await sleep(10ms);
    log("step ", step, slept ? " slept" : " cancelled");
  }
}

Task<void> cancel_swallowed_in_loop(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(worker_swallows, log);
  (void)co_await sleep(15ms);
  log("main cancels");
  task.cancel();
  const Result<void> ended = co_await task;
  log("worker joined: ", ended ? "done" : "cancelled");
  (void)co_await group.join();
}

Task<Result<int>> worker_cancels_itself(TraceLog& log) {
  current_task()->cancel();
  log("worker goes on");
  const Result<void> slept = co_await sleep(10ms);
  log(slept ? "not reached" : "worker cancelled");
  if (!slept) co_return slept.error();
  co_return 0;
}

Task<void> cancel_self(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(worker_cancels_itself, log);
  const Result<int> ended = co_await task;
  log_outcome(log, "worker", ended);
  (void)co_await group.join();
}

Task<Result<int>> worker_cancels_itself_and_returns(TraceLog& log) {
  current_task()->cancel();
  log("worker returns 42");
  co_return 42;
}

Task<void> cancel_self_then_return(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(worker_cancels_itself_and_returns, log);
  const Result<int> ended = co_await task;
  log_outcome(log, "worker", ended);
  (void)co_await group.join();
}

Task<void> worker_says_cancelled(TraceLog& log) {
  const Result<void> slept = co_await sleep(100ms);
  if (!slept) log("worker cancelled");
}

Task<void> cancel_twice(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(worker_says_cancelled, log);
  (void)co_await sleep(10ms);
  task.cancel();
  task.cancel();
  const Result<void> ended = co_await task;
  log("worker joined: ", ended ? "done" : "cancelled");
  (void)co_await group.join();
}

Task<Result<int>> worker_returns_42(TraceLog& log) {
  log("worker returns 42");
  co_return 42;
}

Task<void> cancel_finished(TraceLog& log) {
  co_await cancel_after_10ms(log, worker_returns_42, false);
}

Task<void> joiner(TraceLog& log, JoinHandle<Result<void>>& child, std::string_view name) {
  const Result<void> ended = co_await child;
  log(name, ended ? " joined the child" : " cancelled");
}

// A handle has one waiter at a time, so the second joiner begins when the first has gone.
Task<void> cancel_one_of_two_joiners(TraceLog& log) {
  TaskGroup group;
  auto child = group.spawn(sleeper, log, "child", 30ms);
  auto first = group.spawn(joiner, log, child, "first");
  (void)co_await sleep(10ms);
  log("main cancels first");
  first.cancel();
  (void)co_await first;
  auto second = group.spawn(joiner, log, child, "second");
  (void)co_await second;
  log("main end");
  (void)co_await group.join();
}

Task<Result<int>> worker_fails_in_cleanup(TraceLog& log) {
  const Result<void> slept = co_await sleep(100ms);
  if (slept) co_return 0;
  log("worker fails in its clean-up");
  co_return named_error("clean-up");
}

Task<void> cancel_replaced_by_error(TraceLog& log) {
  co_await cancel_after_10ms(log, worker_fails_in_cleanup, false);
}

Task<void> cancel_order(TraceLog& log) {
  TaskGroup group;
  auto a = group.spawn(sleeper, log, "a", 100ms);
  auto b = group.spawn(sleeper, log, "b", 100ms);
  auto c = group.spawn(sleeper, log, "c", 100ms);
  (void)co_await sleep(10ms);
  log("main cancels c");
  c.cancel();
  log("main cancels a");
  a.cancel();
  log("main cancels b");
  b.cancel();
  (void)co_await sleep(10ms);
  log("main end");
  (void)co_await group.join();
}

Task<void> timeout_expires(TraceLog& log) {
  const Result<void> ended = co_await with_timeout(10ms, sleeper(log, "inside", 50ms));
  if (!ended && ended.error().is_timed_out()) log("timeout");
  (void)co_await sleep(5ms);
  log("end");
}

Task<void> timeout_not_reached(TraceLog& log) {
  const Result<void> ended = co_await with_timeout(20ms, sleeper(log, "inside", 10ms));
  log(ended ? "in time" : "timeout");
  (void)co_await sleep(50ms);
  log("end");
}

Task<void> timeout_zero(TraceLog& log) {
  {
    const CancelScope scope(CancelScope::within(0ms));
    log("inside");
    const Result<void> slept = co_await sleep(10ms);
    if (slept) log("not reached");
    if (scope.timed_out()) log("timeout");
  }
  const CancelScope scope(CancelScope::within(-5ms));
  log("inside again");
  const Result<void> slept = co_await sleep(10ms);
  if (slept) log("not reached");
  if (scope.timed_out()) log("timeout again");
}

// False if the outer scope is cancelled.
Task<bool> inner_timeout(TraceLog& log, Duration time) {
  const CancelScope scope(CancelScope::within(time));
  const Result<void> ended = co_await sleeper(log, "inside", 50ms);
  if (ended) co_return true;
  log(scope.timed_out() ? "inner timeout" : "inner cancelled");
  co_return scope.timed_out();
}

Task<void> nested_timeouts(TraceLog& log, Duration outer, Duration inner) {
  {
    const CancelScope scope(CancelScope::within(outer));
    const bool go_on = co_await inner_timeout(log, inner);
    if (go_on) (void)co_await sleeper(log, "between", 50ms);
    if (scope.timed_out()) log("outer timeout");
  }
  log("end");
}

Task<void> timeout_nested_inner_first(TraceLog& log) { co_await nested_timeouts(log, 20ms, 10ms); }
Task<void> timeout_nested_outer_first(TraceLog& log) { co_await nested_timeouts(log, 10ms, 20ms); }
Task<void> timeout_nested_equal(TraceLog& log) { co_await nested_timeouts(log, 10ms, 10ms); }

Task<void> rescheduled(TraceLog& log, std::string_view name, Duration start, Duration then) {
  CancelScope scope(CancelScope::within(start));
  (void)co_await sleep(5ms);
  const Instant now = current_task()->scheduler().clock().now();
  scope.reschedule(then == Duration::max() ? never : now + then);
  log("moved ", name);
  const Result<void> slept = co_await sleep(40ms);
  log(slept ? "slept" : "timeout");
}

Task<void> timeout_reschedule(TraceLog& log) {
  co_await rescheduled(log, "later", 10ms, 30ms);
  co_await rescheduled(log, "earlier", 30ms, 10ms);
  co_await rescheduled(log, "off", 10ms, Duration::max());
}

Task<void> timeout_swallowed(TraceLog& log) {
  const CancelScope scope(CancelScope::within(10ms));
  const Result<void> slept = co_await sleep(50ms);
  if (!slept) log("swallowed");
  log("expired: ", yes(scope.reason() == CancelReason::deadline));
}

Task<Result<int>> worker_with_timeout(TraceLog& log) {
  const CancelScope scope(CancelScope::within(50ms));
  const Result<void> ended = co_await sleeper(log, "inside", 100ms);
  if (scope.timed_out()) log("not reached");
  if (!ended) co_return ended.error();
  co_return 0;
}

Task<void> timeout_foreign_cancel(TraceLog& log) {
  co_await cancel_after_10ms(log, worker_with_timeout, false);
  (void)co_await sleep(100ms);
  log("end");
}

Task<Result<int>> worker_with_timeout_in_cleanup(TraceLog& log) {
  const Result<void> slept = co_await sleep(100ms);
  log("clean-up begins");
  {
    const CancelScope shield({.shielded = true});
    const CancelScope scope(CancelScope::within(5ms));
    (void)co_await sleep(50ms);
    if (scope.timed_out()) log("clean-up timed out");
  }
  if (!slept) co_return slept.error();
  co_return 0;
}

Task<void> timeout_in_cleanup(TraceLog& log) {
  co_await cancel_after_10ms(log, worker_with_timeout_in_cleanup, false);
}

Task<void> timeout_waits_for_cleanup(TraceLog& log) {
  const CancelScope scope(CancelScope::within(10ms));
  (void)co_await sleep(50ms);
  log("clean-up begins");
  {
    const CancelScope shield({.shielded = true});
    (void)co_await sleep(20ms);
  }
  log("clean-up ends");
  if (scope.timed_out()) log("timeout");
}

constexpr Replay replays[] = {
    {"cancel_suspended", cancel_suspended},
    {"cancel_before_start", cancel_before_start},
    {"cancel_nested_chain", cancel_nested_chain},
    {"cancel_cleanup_awaits", cancel_cleanup_awaits},
    {"cancel_ignored", cancel_ignored},
    {"cancel_swallowed_in_loop", cancel_swallowed_in_loop},
    {"cancel_self", cancel_self},
    {"cancel_self_then_return", cancel_self_then_return},
    {"cancel_twice", cancel_twice},
    {"cancel_finished", cancel_finished},
    {"cancel_one_of_two_joiners", cancel_one_of_two_joiners},
    {"cancel_replaced_by_error", cancel_replaced_by_error},
    {"cancel_order", cancel_order},
    {"timeout_expires", timeout_expires},
    {"timeout_not_reached", timeout_not_reached},
    {"timeout_zero", timeout_zero},
    {"timeout_nested_inner_first", timeout_nested_inner_first},
    {"timeout_nested_outer_first", timeout_nested_outer_first},
    {"timeout_nested_equal", timeout_nested_equal},
    {"timeout_reschedule", timeout_reschedule},
    {"timeout_swallowed", timeout_swallowed},
    {"timeout_foreign_cancel", timeout_foreign_cancel},
    {"timeout_in_cleanup", timeout_in_cleanup},
    {"timeout_waits_for_cleanup", timeout_waits_for_cleanup},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Cancel, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
