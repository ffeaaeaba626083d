// Replays of tests/oracle/scenarios_combine.py: combinators, shields, joining, values that come later.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/as_completed.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/event.h>
#include <gyre/task/generator.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>
#include <gyre/task/when_all.h>
#include <gyre/task/when_any.h>

#include "support/oracle_replay.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

using Values = std::vector<Task<Result<std::string>>>;

// a ends at 30 ms, b at 10 ms, c at 20 ms.
Values three_values(TraceLog& log) {
  Values tasks;
  tasks.push_back(value_after(log, "a", 30ms));
  tasks.push_back(value_after(log, "b", 10ms));
  tasks.push_back(value_after(log, "c", 20ms));
  return tasks;
}

// value_after() that fails, as failer() does.
Task<Result<std::string>> no_value_after(TraceLog& log, std::string_view name, Duration time) {
  const Result<void> ended = co_await failer(log, name, time);
  if (!ended) co_return ended.error();
  co_return std::string(name);
}

Task<void> gather_order(TraceLog& log) {
  auto all = when_all(value_after(log, "a", 30ms), value_after(log, "b", 10ms), value_after(log, "c", 20ms));
  const Result<std::tuple<std::string, std::string, std::string>> values = co_await std::move(all);
  if (values) log("results ", std::get<0>(*values), " ", std::get<1>(*values), " ", std::get<2>(*values));
}

Task<void> gather_errors_as_values(TraceLog& log) {
  Values tasks;
  tasks.push_back(value_after(log, "a", 20ms));
  tasks.push_back(no_value_after(log, "b", 10ms));
  tasks.push_back(value_after(log, "c", 5ms));
  tasks.push_back(no_value_after(log, "d", 15ms));
  const std::vector<Result<std::string>> results = co_await gather_results(std::move(tasks));
  std::string text;
  for (const Result<std::string>& result : results) {
    text += result ? " " + *result : " error:" + name_of(result.error());
  }
  log("results", text);
}

Task<void> gather_fails(TraceLog& log) {
  Values tasks;
  tasks.push_back(value_after(log, "a", 30ms));
  tasks.push_back(no_value_after(log, "b", 10ms));
  tasks.push_back(value_after(log, "c", 20ms));
  const Result<std::vector<std::string>> values = co_await gather(std::move(tasks));
  if (!values) log("gather failed: ", name_of(values.error()));
  log("end");
}

Task<Result<void>> gathering_parent(TraceLog& log) {
  Values tasks;
  for (const char* name : {"a", "b", "c"}) tasks.push_back(value_after(log, name, 100ms));
  const Result<std::vector<std::string>> values = co_await gather(std::move(tasks));
  if (values) co_return Result<void>{};
  log("gather cancelled");
  co_return values.error();
}

Task<void> gather_cancelled(TraceLog& log) {
  TaskGroup group;
  auto task = group.spawn(gathering_parent, log);
  (void)co_await sleep(10ms);
  log("main cancels");
  task.cancel();
  (void)co_await task;
  log("end");
  (void)co_await group.join();
}

Task<void> as_completed_order(TraceLog& log) {
  AsCompleted<Result<std::string>> values(three_values(log));
  while (!values.done()) {
    const auto next = co_await values.next();
    if (!next) break;
    log("completed ", *next->result);
  }
  log("end");
  (void)co_await values.join();
}

Task<void> first_completed(TraceLog& log) {
  const WhenAnyOf<Result<std::string>> race = co_await when_any(three_values(log));
  log("winner ", *race.results[race.index]);
}

Task<void> first_completed_fails(TraceLog& log) {
  auto either = when_any(value_after(log, "a", 30ms), failer(log, "b", 10ms));
  const WhenAny<Result<std::string>, Result<void>> race = co_await std::move(either);
  const Result<void>& second = std::get<1>(race.results);
  if (race.index == 1 && !second) log("first failed: ", name_of(second.error()));
}

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
  const Result<std::string> value = co_await shield(value_after(log, "a", 10ms));
  if (value) log("result ", *value);
}

Task<void> shielded_wait(TraceLog& log) {
  const Result<std::string> value = co_await shield(value_after(log, "inner", 30ms));
  if (value) log("outer got ", *value);
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

// asyncio's future, as far as the scenarios need it: a value that comes once and wakes all who wait.
class Future {
 public:
  void set(int value) noexcept {
    value_ = value;
    is_set_.set();
  }
  Task<Result<int>> get() {
    const Result<void> set = co_await is_set_.wait();
    if (!set) co_return set.error();
    co_return value_;
  }

 private:
  Event is_set_;
  int value_ = 0;
};

Task<void> future_waiter(TraceLog& log, std::string_view name, Future& future) {
  log(name, " waits");
  const Result<int> value = co_await future.get();
  if (value) log(name, " got ", *value);
}

Task<void> future_wakes_in_order(TraceLog& log) {
  Future future;
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) group.spawn(future_waiter, log, name, future);
  (void)co_await sleep(10ms);
  future.set(42);
  log("set");
  (void)co_await group.join();
  log("joined");
}

Task<void> other_runs(TraceLog& log) {
  log("other runs");
  co_return;
}

Task<void> future_ready(TraceLog& log) {
  Future future;
  future.set(42);
  TaskGroup group;
  group.spawn(other_runs, log);
  const Result<int> value = co_await future.get();
  if (value) log("got ", *value);
  log("body end");
  (void)co_await group.join();
  log("joined");
}

Task<Result<void>> future_worker(TraceLog& log, Future& future) {
  const Result<int> value = co_await future.get();
  if (!value) {
    log("worker cancelled");
    co_return value.error();
  }
  log("worker got ", *value);
  const Result<void> slept = co_await sleep(10ms);
  if (!slept) log("worker cancelled at its next wait");
  co_return slept;
}

Task<void> cancel_after_result(TraceLog& log) {
  Future future;
  TaskGroup group;
  auto task = group.spawn(future_worker, log, future);
  (void)co_await sleep(10ms);
  future.set(42);
  task.cancel();
  log("result, then cancel");
  const Result<void> ended = co_await task;
  log("worker joined: ", ended ? "done" : "cancelled");
  (void)co_await group.join();
}

// Sets a future when it is due.
struct SetTimer : Timer {
  explicit SetTimer(Future& future_)
      : Timer([](Timer& timer) noexcept { static_cast<SetTimer&>(timer).future.set(42); }), future(future_) {}
  Future& future;
};

Task<void> timeout_value_in_same_tick(TraceLog& log) {
  Scheduler& scheduler = current_task()->scheduler();
  const Instant deadline = scheduler.now() + 10ms;
  Future future;
  SetTimer timer(future);
  scheduler.timers().arm(timer, deadline);
  const Result<int> value = co_await with_deadline(deadline, future.get());
  if (value) {
    log("got ", *value);
  } else {
    log("timeout");
  }
}

AsyncGenerator<int> counter(TraceLog& log) {
  log("generator begins");
  for (int value = 0; value < 5; ++value) {
    (void)co_await sleep(10ms);
    const Result<void> wanted = co_yield value;
    if (!wanted) break;
  }
  log("generator cleans up");
}

Task<void> generator_close(TraceLog& log) {
  AsyncGenerator<int> generator = counter(log);
  for (;;) {
    const std::optional<int> value = co_await generator.next();
    if (!value) break;
    log("got ", *value);
    if (*value == 2) break;
  }
  log("closing");
  co_await generator.close();
  log("closed");
}

constexpr Replay replays[] = {
    {"gather_order", gather_order},
    {"gather_errors_as_values", gather_errors_as_values},
    {"gather_fails", gather_fails},
    {"gather_cancelled", gather_cancelled},
    {"as_completed_order", as_completed_order},
    {"first_completed", first_completed},
    {"first_completed_fails", first_completed_fails},
    {"wait_timeout_cancels_nothing", wait_timeout_cancels_nothing},
    {"shield_passes_result", shield_passes_result},
    {"shield_outer_cancelled", shield_outer_cancelled},
    {"future_wakes_in_order", future_wakes_in_order},
    {"future_ready", future_ready},
    {"cancel_after_result", cancel_after_result},
    {"timeout_value_in_same_tick", timeout_value_in_same_tick},
    {"generator_close", generator_close},
    {"join_in_other_order", join_in_other_order},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Combine, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
