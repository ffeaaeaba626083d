// Replays of tests/oracle/scenarios_combine.py: combinators, shields, joining.
#include <chrono>
#include <string>
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

Task<void> wait_timeout_cancels_nothing(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(value_after, log, "a", 30ms);
  {
    const CancelScope scope(CancelScope::within(10ms));
    const Result<std::string> ended = co_await task;
    if (!ended) log("pending: ", static_cast<int>(group.size()));
  }
  (void)co_await task;
  log("joined");
  (void)co_await group.join();
}

Task<void> shield_passes_result(TraceLog& log) {
  const CancelScope shield({.shielded = true});
  const Result<std::string> value = co_await value_after(log, "a", 10ms);
  if (value) log("result ", *value);
}

Task<void> shielded_wait(TraceLog& log) {
  {
    const CancelScope shield({.shielded = true});
    const Result<std::string> value = co_await value_after(log, "inner", 30ms);
    if (value) log("outer got ", *value);
  }
  const Result<void> slept = co_await sleep(1ms);
  if (!slept) log("outer cancelled");
}

Task<void> shield_outer_cancelled(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(shielded_wait, log);
  (void)co_await sleep(10ms);
  log("main cancels");
  task.cancel();
  (void)co_await task;
  log("outer joined");
  (void)co_await group.join();
  log("end");
}

Task<void> join_in_other_order(TraceLog& log) {
  TaskGroup group;
  auto a = group.spawn(value_after, log, "a", 30ms);
  auto b = group.spawn(value_after, log, "b", 10ms);
  auto c = group.spawn(value_after, log, "c", 20ms);
  const Result<std::string> from_c = co_await c;
  if (from_c) log("joined ", *from_c);
  const Result<std::string> from_b = co_await b;
  if (from_b) log("joined ", *from_b);
  const Result<std::string> from_a = co_await a;
  if (from_a) log("joined ", *from_a);
  (void)co_await group.join();
}

constexpr Replay replays[] = {
    {"wait_timeout_cancels_nothing", wait_timeout_cancels_nothing},
    {"shield_passes_result", shield_passes_result},
    {"shield_outer_cancelled", shield_outer_cancelled},
    {"join_in_other_order", join_in_other_order},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Combine, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
