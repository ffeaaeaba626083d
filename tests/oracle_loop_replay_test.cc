// Replays of tests/oracle/scenarios_loop.py: the order in which tasks run, and timers.
#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/context.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>
#include <gyre/task/task_local.h>
#include <gyre/task/task_tree.h>

#include "support/oracle_replay.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

// A timer that logs its name.
struct LogTimer : Timer {
  LogTimer(TraceLog& log_, std::string name_)
      : Timer([](Timer& timer) noexcept {
          auto& self = static_cast<LogTimer&>(timer);
          self.log(self.name);
        }),
        log(log_),
        name(std::move(name_)) {}

  TraceLog& log;
  std::string name;
};

Task<void> timer_equal_deadlines(TraceLog& log) {
  Scheduler& scheduler = current_task()->scheduler();
  std::vector<std::unique_ptr<LogTimer>> timers;
  for (int i = 0; i < 8; ++i) {
    timers.push_back(std::make_unique<LogTimer>(log, "timer " + std::to_string(i)));
    scheduler.timers().arm(*timers.back(), scheduler.now() + 10ms);
  }
  (void)co_await sleep(20ms);
}

Task<void> yields_do_not_starve_timers(TraceLog& log) {
  struct Flag : Timer {
    Flag() : Timer([](Timer& timer) noexcept { static_cast<Flag&>(timer).is_set = true; }) {}
    bool is_set = false;
  } fired;
  Scheduler& scheduler = current_task()->scheduler();
  scheduler.timers().arm(fired, scheduler.now());
  log("start");
  for (int i = 0; i < 1000; ++i) {
    (void)co_await yield();
    if (fired.is_set) break;
  }
  log("timer fired: ", yes(fired.is_set));
}

Task<void> spawn_order(TraceLog& log) {
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) {
    group.spawn(sleeper, log, name, 10ms);
    log("spawned ", name);
  }
  log("body end");
  (void)co_await group.join();
  log("joined");
}

Task<void> parent(TraceLog& log, TaskGroup& group, std::string_view name,
                  std::vector<const char*> children) {
  log(name, " start");
  for (const char* child : children) {
    group.spawn(parent, log, group, child, std::vector<const char*>());
  }
  log(name, " end");
  co_return;
}

Task<void> spawn_from_child(TraceLog& log) {
  TaskGroup group;
  group.spawn(parent, log, group, "a", std::vector<const char*>{"a1", "a2"});
  group.spawn(parent, log, group, "b", std::vector<const char*>{"b1"});
  group.spawn(parent, log, group, "c", std::vector<const char*>());
  (void)co_await group.join();
  log("joined");
}

Task<void> yielding_worker(TraceLog& log, std::string_view name, int count) {
  for (int step = 0; step < count; ++step) {
    log(name, " ", step);
    (void)co_await yield();
  }
  log(name, " end");
}

Task<void> yield_round_robin(TraceLog& log) {
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) group.spawn(yielding_worker, log, name, 3);
  (void)co_await group.join();
  log("joined");
}

Task<void> yield_uneven(TraceLog& log) {
  TaskGroup group;
  group.spawn(yielding_worker, log, "a", 1);
  group.spawn(yielding_worker, log, "b", 3);
  group.spawn(yielding_worker, log, "c", 0);
  group.spawn(yielding_worker, log, "d", 2);
  (void)co_await group.join();
  log("joined");
}

Task<void> sleep_order(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleeper, log, "a", 30ms);
  group.spawn(sleeper, log, "b", 10ms);
  group.spawn(sleeper, log, "c", 20ms);
  group.spawn(sleeper, log, "d", 25ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> before_and_after(TraceLog& log, std::string_view name, Duration time) {
  log(name, " before");
  (void)co_await sleep(time);
  log(name, " after");
}

Task<void> sleep_zero_negative(TraceLog& log) {
  TaskGroup group;
  group.spawn(before_and_after, log, "positive", 1ms);
  group.spawn(before_and_after, log, "zero", 0ms);
  group.spawn(before_and_after, log, "negative", -5ms);
  group.spawn(before_and_after, log, "zero again", 0ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> sleep_yield_sleep(TraceLog& log, std::string_view name, Duration first, Duration second) {
  (void)co_await sleep(first);
  log(name, " awake");
  (void)co_await yield();
  log(name, " yielded");
  (void)co_await sleep(second);
  log(name, " end");
}

Task<void> sleepers_interleave(TraceLog& log) {
  TaskGroup group;
  group.spawn(sleep_yield_sleep, log, "a", 5ms, 10ms);
  group.spawn(sleep_yield_sleep, log, "b", 10ms, 10ms);
  group.spawn(sleep_yield_sleep, log, "c", 10ms, 5ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> sleep_equal_deadlines(TraceLog& log) {
  TaskGroup group;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    group.spawn(sleeper, log, name, 10ms);
  }
  (void)co_await group.join();
  log("joined");
}

// A local whose destructor logs: what `finally` is in Python.
struct Finally {
  ~Finally() { log(event); }
  TraceLog& log;
  const char* event;
};

Task<void> throwing_leaf(TraceLog& log) {
  log("leaf");
  throw std::runtime_error("leaf");
  co_return;  // makes it a coroutine
}

Task<void> throwing_middle(TraceLog& log) {
  log("middle begin");
  const Finally finally{log, "middle finally"};
  co_await throwing_leaf(log);
}

Task<void> await_chain(TraceLog& log) {
  // Another turn would run this task first.
  TaskGroup group;
  bool other_ran = false;
  group.spawn([](bool& ran) -> Task<void> { ran = true; co_return; }, other_ran);
  try {
    co_await throwing_middle(log);
  } catch (const std::runtime_error& error) {
    log("main caught ", error.what(), ", ", other_ran ? "some" : "0", " turns later");
  }
  (void)co_await group.join();
}

constinit TaskLocal<std::string_view> variable;

std::string_view variable_value() {
  const std::string_view* const value = variable.get();
  return value != nullptr ? *value : "none";
}

Task<void> context_child(TraceLog& log, std::string_view name) {
  log(name, " sees ", variable_value());
  const TaskLocalScope<std::string_view> own(variable, name);
  (void)co_await yield();
  log(name, " has ", variable_value());
}

Task<void> context_copied_at_spawn(TraceLog& log) {
  TaskGroup group;
  group.spawn(context_child, log, "a");
  const TaskLocalScope<std::string_view> first(variable, "from main");
  group.spawn(context_child, log, "b");
  const TaskLocalScope<std::string_view> second(variable, "later");
  log("main has ", variable_value());
  (void)co_await group.join();
  log("main still has ", variable_value());
}

void log_current_task(TraceLog& log, std::string_view name) {
  log("in ", name, ": ", current_task()->name());
}

Task<void> nested_current_task(TraceLog& log, std::string_view name) {
  (void)co_await yield();
  log_current_task(log, name);
}

Task<void> current_task_worker(TraceLog& log, std::string_view name) {
  log_current_task(log, name);
  co_await nested_current_task(log, name);
  (void)co_await sleep(5ms);
  log_current_task(log, name);
}

Task<void> current_task_scenario(TraceLog& log) {
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) {
    group.spawn(SpawnOptions{.name = name}, current_task_worker, log, name);
  }
  (void)co_await group.join();
}

std::string names_of_all_tasks() {
  std::vector<std::string> names;
  visit_tasks(
      current_task()->scheduler().detached(),
      [](void* to, TaskContext& task) { static_cast<std::vector<std::string>*>(to)->emplace_back(task.name()); },
      &names);
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += ' ' + name;
  return text;
}

Task<void> nap(Duration time) { (void)co_await sleep(time); }

Task<void> all_tasks(TraceLog& log) {
  TaskGroup group;
  group.spawn(SpawnOptions{.name = "a"}, nap, 10ms);
  group.spawn(SpawnOptions{.name = "b"}, nap, 30ms);
  group.spawn(SpawnOptions{.name = "c"}, nap, 20ms);
  log("spawned:", names_of_all_tasks());
  (void)co_await sleep(15ms);
  log("a has ended:", names_of_all_tasks());
  (void)co_await group.join();
  log("joined:", names_of_all_tasks());
}

Task<void> detached_failure(TraceLog& log) {
  TaskGroup& detached = current_task()->scheduler().detached();
  detached.spawn(failer, log, "a", 10ms);
  detached.spawn(sleeper, log, "b", 20ms);
  (void)co_await sleep(30ms);
  log("main end");
}

Task<void> detached_failure_held(TraceLog& log) {
  TaskGroup& detached = current_task()->scheduler().detached();
  auto handle = detached.spawn(failer, log, "a", 10ms);
  (void)co_await sleep(20ms);
  log("main lets go");
  handle = {};
  log("main end");
}

constexpr Replay replays[] = {
    {"timer_equal_deadlines", timer_equal_deadlines},
    {"yields_do_not_starve_timers", yields_do_not_starve_timers},
    {"spawn_order", spawn_order},
    {"spawn_from_child", spawn_from_child},
    {"yield_round_robin", yield_round_robin},
    {"yield_uneven", yield_uneven},
    {"sleep_order", sleep_order},
    {"sleep_zero_negative", sleep_zero_negative},
    {"sleepers_interleave", sleepers_interleave},
    {"sleep_equal_deadlines", sleep_equal_deadlines},
    {"await_chain", await_chain},
    {"context_copied_at_spawn", context_copied_at_spawn},
    {"current_task", current_task_scenario},
    {"all_tasks", all_tasks},
    {"detached_failure", detached_failure},
    {"detached_failure_held", detached_failure_held},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Loop, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
