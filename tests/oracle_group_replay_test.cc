// Replays of tests/oracle/scenarios_group.py: task groups.
#include <chrono>
#include <string_view>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#include "support/oracle_replay.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

Task<void> spawner(TraceLog& log, TaskGroup& group) {
  log("spawner start");
  (void)co_await sleep(10ms);
  group.spawn(sleeper, log, "grandchild", 20ms);
  log("spawner end");
}

Task<void> group_join(TraceLog& log) {
  TaskGroup group;
  group.spawn(spawner, log, group);
  group.spawn(sleeper, log, "child", 15ms);
  log("body end");
  (void)co_await group.join();
  log("joined");
}

Task<void> group_nothing_to_join(TraceLog& log) {
  {
    TaskGroup group;
    group.spawn(sleeper, log, "a", 5ms);
    (void)co_await sleep(10ms);
    log("body end");
    (void)co_await group.join();
    log("joined");
  }
  TaskGroup group;
  log("empty body");
  (void)co_await group.join();
  log("joined again");
}

// Joins, and says what failed.
Task<void> join_and_log(TraceLog& log, TaskGroup& group) {
  const Result<void> ended = co_await group.join();
  if (!ended) log("group failed: ", names_of(group));
}

Task<void> group_child_fails(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 100ms);
  group.spawn(failer, log, "bad", 10ms);
  group.spawn(sleeper, log, "c", 100ms);
  co_await join_and_log(log, group);
}

Task<void> group_child_fails_body_waits(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 100ms);
  group.spawn(failer, log, "bad", 10ms);
  group.spawn(sleeper, log, "c", 100ms);
  const Result<void> slept = co_await sleep(50ms);
  if (!slept) log("body cancelled");
  co_await join_and_log(log, group);
}

Task<Result<void>> careful(TraceLog& log) {
  log("careful start");
  const Result<void> slept = co_await sleep(100ms);
  log("careful cancelled");
  {
    const CancelScope shield({.shielded = true});
    (void)co_await sleep(20ms);
  }
  log("careful cleaned up");
  co_return slept;
}

Task<void> group_waits_for_cleanup(TraceLog& log) {
  TaskGroup group;
  group.spawn(careful, log);
  group.spawn(failer, log, "bad", 10ms);
  co_await join_and_log(log, group);
}

Task<Result<void>> bad_cleanup(TraceLog& log, std::string_view name, Duration time) {
  (void)co_await sleep(100ms);
  {
    const CancelScope shield({.shielded = true});
    (void)co_await sleep(time);
  }
  log(name, " fails in its clean-up");
  co_return named_error(name);
}

Task<void> group_error_order(TraceLog& log) {
  TaskGroup group;
  group.spawn(bad_cleanup, log, "slow", 20ms);
  group.spawn(bad_cleanup, log, "quick", 10ms);
  group.spawn(failer, log, "bad", 10ms);
  co_await join_and_log(log, group);
}

// A body fails by cancelling its group, and reports its error itself.
Task<Result<void>> fail_body(TraceLog& log, TaskGroup& group) {
  log("body fails");
  group.cancel();
  (void)co_await group.join();
  co_return named_error("body");
}

Task<void> group_body_fails(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 100ms);
  group.spawn(sleeper, log, "b", 100ms);
  (void)co_await sleep(10ms);
  const Result<void> failed = co_await fail_body(log, group);
  log("group failed: ", name_of(failed.error()));
}

Task<void> group_body_fails_before_start(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 100ms);
  const Result<void> failed = co_await fail_body(log, group);
  log("group failed: ", name_of(failed.error()));
}

Task<Result<void>> parent_of_two(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 100ms);
  group.spawn(sleeper, log, "b", 100ms);
  const Result<void> ended = co_await group.join();
  if (!ended) log("parent cancelled");
  co_return ended;
}

// Starts `parent`, cancels it after 10 ms, and joins it.
Task<void> cancel_parent(TraceLog& log, Task<Result<void>> (*parent)(TraceLog& log)) {
  TaskGroup group;
  auto task = group.spawn(parent, log);
  (void)co_await sleep(10ms);
  log("main cancels");
  task.cancel();
  const Result<void> ended = co_await task;
  log("parent ended, cancelled: ", yes(!ended && ended.error().is_cancelled()));
  (void)co_await group.join();
}

Task<void> group_cancelled_from_outside(TraceLog& log) { co_await cancel_parent(log, parent_of_two); }

Task<Result<void>> parent_that_waits(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 100ms);
  const Result<void> slept = co_await sleep(50ms);
  if (!slept) log("body cancelled");
  const Result<void> ended = co_await group.join();
  if (!ended) log("parent cancelled");
  co_return ended;
}

Task<void> group_cancelled_in_body(TraceLog& log) { co_await cancel_parent(log, parent_that_waits); }

Task<Result<void>> fails_in_cleanup(TraceLog& log) {
  (void)co_await sleep(100ms);
  log("child fails in its clean-up");
  co_return named_error("clean-up");
}

Task<void> parent_of_bad_cleanup(TraceLog& log) {
  {
    TaskGroup group;
    group.spawn(fails_in_cleanup, log);
    co_await join_and_log(log, group);
  }
  const Result<void> slept = co_await sleep(5ms);
  log(slept ? "the next wait ran: the cancel is lost" : "the next wait is cancelled");
}

Task<void> group_cancelled_and_error(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(parent_of_bad_cleanup, log);
  (void)co_await sleep(10ms);
  log("main cancels");
  task.cancel();
  (void)co_await group.join();
}

Task<void> group_one_child_cancelled(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 30ms);
  auto b = group.spawn(sleeper, log, "b", 100ms);
  group.spawn(sleeper, log, "c", 20ms);
  (void)co_await sleep(10ms);
  log("body cancels b");
  b.cancel();
  const Result<void> ended = co_await group.join();
  log(ended ? "joined" : "failed");
}

Task<Result<void>> inner_group_of_two(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "inner a", 100ms);
  group.spawn(sleeper, log, "inner b", 100ms);
  const Result<void> ended = co_await group.join();
  log("inner group ended");
  co_return ended;
}

Task<void> group_nested_outer_fails(TraceLog& log) {
  TaskGroup group;
  group.spawn(inner_group_of_two, log);
  group.spawn(failer, log, "bad", 10ms);
  const Result<void> ended = co_await group.join();
  if (!ended) log("outer group failed: ", names_of(group));
}

Task<Result<void>> inner_group_that_fails(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "inner a", 100ms);
  group.spawn(failer, log, "bad", 10ms);
  const Result<void> ended = co_await group.join();
  log("inner group ended");
  co_return ended;
}

Task<void> group_nested_inner_fails(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "outer a", 100ms);
  group.spawn(inner_group_that_fails, log);
  const Result<void> ended = co_await group.join();
  if (!ended) log("outer group failed: ", names_of(group));
}

Task<void> group_leaves_no_cancel(TraceLog& log) {
  for (int attempt = 1; attempt <= 2; ++attempt) {
    {
      TaskGroup group;
      group.spawn(failer, log, "bad", 10ms);
      (void)co_await sleep(50ms);
      const Result<void> ended = co_await group.join();
      if (!ended) log("group ", attempt, " failed: ", names_of(group));
    }
    const Result<void> slept = co_await sleep(5ms);
    log(slept ? "the next wait works" : "the next wait is cancelled");
  }
}

Task<void> group_in_timeout(TraceLog& log) {
  const CancelScope scope(CancelScope::within(10ms));
  TaskGroup group;
  group.spawn(sleeper, log, "a", 5ms);
  group.spawn(sleeper, log, "b", 100ms);
  group.spawn(sleeper, log, "c", 100ms);
  const Result<void> ended = co_await group.join();
  if (!ended && group.failures().empty() && scope.timed_out()) log("timeout");
}

Task<void> group_in_timeout_fails(TraceLog& log) {
  const CancelScope scope(CancelScope::within(10ms));
  TaskGroup group;
  group.spawn(fails_in_cleanup, log);
  const Result<void> ended = co_await group.join();
  if (ended.error() == Errc::broken) {
    log("group failed: ", names_of(group));
  } else if (scope.timed_out()) {
    log("timeout");
  }
}

constexpr Replay replays[] = {
    {"group_join", group_join},
    {"group_nothing_to_join", group_nothing_to_join},
    {"group_child_fails", group_child_fails},
    {"group_child_fails_body_waits", group_child_fails_body_waits},
    {"group_waits_for_cleanup", group_waits_for_cleanup},
    {"group_error_order", group_error_order},
    {"group_body_fails", group_body_fails},
    {"group_body_fails_before_start", group_body_fails_before_start},
    {"group_cancelled_from_outside", group_cancelled_from_outside},
    {"group_cancelled_in_body", group_cancelled_in_body},
    {"group_cancelled_and_error", group_cancelled_and_error},
    {"group_one_child_cancelled", group_one_child_cancelled},
    {"group_nested_outer_fails", group_nested_outer_fails},
    {"group_nested_inner_fails", group_nested_inner_fails},
    {"group_leaves_no_cancel", group_leaves_no_cancel},
    {"group_in_timeout", group_in_timeout},
    {"group_in_timeout_fails", group_in_timeout_fails},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Group, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
