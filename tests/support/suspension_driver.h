// Cancels a scenario at its k-th suspension, for every k until it ends undisturbed, and looks at what is left.
//
// A scenario is a coroutine that spawns what it needs, joins it, and returns the first error that it met. Its end is a
// checkpoint, or it returns what a checkpoint has said: an outside cancel is never swallowed.
//
// A suspension is what the loop sees of one: a task, with all that it awaits inside, has gone back to the loop; or the
// timers that were due have fired, and those who waited for them are ready but have not run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/result.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/task.h>
#include <gyre/task/task_tree.h>

#include "oracles.h"
#include "task_fixture.h"

namespace gyre::testing {

// What the tasks of a scenario note down. It outlives them.
struct World {
  int inside = 0;       // coroutines and critical sections that have been entered and not left
  int values_alive = 0; // see Item
  std::vector<int> sent;
  std::vector<int> received;
  int begun = 0;
  int done = 0;
  std::vector<std::string> violations;

  void expect(bool condition, const char* what) {
    if (!condition) violations.push_back(what);
  }
};

// Stands in every coroutine of a scenario: each must be left, whatever happens in it.
class Inside {
 public:
  explicit Inside(World& world) noexcept : world_(world) { ++world_.inside; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { --world_.inside; }

 private:
  World& world_;
};

struct Scenario {
  const char* name;
  Task<Result<void>> (*run)(World& world);
  // What must hold at the end beside the rest; may be null.
  void (*check)(const World& world, bool undisturbed) = nullptr;
  // Whether a task may fail because another one was cancelled by itself.
  bool peers_may_fail = false;
};
inline std::ostream& operator<<(std::ostream& out, const Scenario& scenario) { return out << scenario.name; }

enum class Disturbance : std::uint8_t {
  none,
  cancel,     // the scope around the scenario
  deadline,   // the same scope, by its deadline
  task,       // one of its tasks, by itself; and the whole when nothing moves any more
};

// A scenario that runs, in a scope of its own.
class ScenarioRun {
 public:
  ScenarioRun() = default;
  ScenarioRun(const ScenarioRun&) = delete;
  ScenarioRun& operator=(const ScenarioRun&) = delete;

  // The task. It notes how the scenario has ended.
  static Task<void> whole(ScenarioRun& run, const Scenario& scenario) {
    CancelScope scope;
    run.scope_ = &scope;
    Result<void> result = co_await scenario.run(run.world);
    run.result = std::move(result);
    run.was_reported = scope.was_reported();
    run.scope_ = nullptr;
  }

  // `tasks`: those that live; `task_number` says which of them.
  void disturb(Disturbance how, const std::vector<TaskContext*>& tasks, std::size_t task_number) {
    if (how == Disturbance::cancel && scope_ != nullptr) scope_->cancel();
    if (how == Disturbance::deadline && scope_ != nullptr) scope_->reschedule(scope_->scheduler().now());
    if (how == Disturbance::task && task_number < tasks.size()) tasks[task_number]->cancel();
  }

  World world;
  std::optional<Result<void>> result;
  // Whether a checkpoint inside has told of the scope's cancellation.
  bool was_reported = false;

 private:
  CancelScope* scope_ = nullptr;
};

inline std::vector<TaskContext*> live_tasks(Scheduler& scheduler) {
  std::vector<TaskContext*> found;
  visit_tasks(scheduler.detached(), [](void* into, TaskContext& task) {
    static_cast<std::vector<TaskContext*>*>(into)->push_back(&task);
  }, &found);
  return found;
}

// To the next suspension. False: nothing can happen any more.
inline bool step(TestLoop& loop) {
  Scheduler& scheduler = loop.scheduler;
  scheduler.update_now();
  if (scheduler.has_ready()) return scheduler.run_ready(1) == 1;
  if (!loop.advance_to_next_deadline()) return false;
  scheduler.update_now();
  return scheduler.fire_timers() > 0;
}
// Returns whether nothing can happen any more.
inline bool run_to_the_end(TestLoop& loop) {
  for (int steps = 0; steps < 10'000; ++steps) {
    if (!step(loop)) return true;
  }
  return false;
}

// Fills the pool, so that no later frame makes it ask the heap.
inline void warm_frame_pool() {
  for (std::size_t granules = 1; granules <= detail::frame_classes; ++granules) {
    const std::size_t size = granules * detail::frame_granule;
    detail::free_frame(detail::allocate_frame(size), size);
  }
}

// What must be true of a scenario that nothing moves any more.
inline void expect_specified_end(const ScenarioRun& run, const Scenario& scenario, Disturbance how) {
  const World& world = run.world;
  ASSERT_TRUE(run.result.has_value()) << "the scenario has not ended";
  EXPECT_EQ(world.inside, 0);
  EXPECT_EQ(world.values_alive, 0);
  for (const std::string& violation : world.violations) ADD_FAILURE() << violation;

  const Result<void>& result = *run.result;
  if (how == Disturbance::none) {
    EXPECT_TRUE(result) << "undisturbed";
  } else if (how != Disturbance::task) {
    // Told of the cancel: then it says so. Not told: then it has completed, and completion wins.
    EXPECT_EQ(run.was_reported, !result);
  }
  if (!result && !(how == Disturbance::task && scenario.peers_may_fail)) {
    const bool timed_out = result.error().is_timed_out();
    EXPECT_TRUE(result.error().is_cancelled() || timed_out) << result.error().to_string();
    EXPECT_FALSE(timed_out && how == Disturbance::cancel) << "nobody was late";
  }
  if (scenario.check != nullptr) scenario.check(world, how == Disturbance::none);
}

// One run that is disturbed after `steps` suspensions, if it has so many. Returns how many it had before, and the number
// of tasks there.
struct Disturbed {
  std::size_t steps = 0;
  std::size_t tasks = 0;
};
inline Disturbed run_disturbed(const Scenario& scenario, Disturbance how, std::size_t steps, std::size_t task_number) {
  const std::int64_t frames = test::live_frames();
  const std::int64_t blocks = test::live_allocations();
  Disturbed seen;
  {
    ScenarioRun run;
    TestLoop loop;
    loop.spawn(ScenarioRun::whole, run, scenario);
    while (seen.steps < steps && step(loop)) ++seen.steps;
    const std::vector<TaskContext*> tasks = live_tasks(loop.scheduler);
    seen.tasks = tasks.size();
    run.disturb(how, tasks, task_number);
    EXPECT_TRUE(run_to_the_end(loop)) << "never idle";
    if (!run.result) {
      EXPECT_EQ(how, Disturbance::task) << "the scenario hangs";
      run.disturb(Disturbance::cancel, {}, 0);
      EXPECT_TRUE(run_to_the_end(loop)) << "never idle after the whole was cancelled";
    }
    expect_specified_end(run, scenario, how);
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_TRUE(loop.scheduler.timers().empty());
  }
  EXPECT_EQ(test::live_frames(), frames) << "frames leaked";
  EXPECT_EQ(test::live_allocations(), blocks) << "heap blocks leaked";
  return seen;
}

// The test. Returns the number of suspensions of the undisturbed scenario.
inline std::size_t cancel_at_every_suspension(const Scenario& scenario) {
  constexpr std::size_t suspensions_max = 1000;
  warm_frame_pool();
  const std::size_t suspensions = run_disturbed(scenario, Disturbance::none, suspensions_max, 0).steps;
  EXPECT_LT(suspensions, suspensions_max) << scenario.name << " does not end";
  for (const Disturbance how : {Disturbance::cancel, Disturbance::deadline, Disturbance::task}) {
    for (std::size_t k = 0; k <= suspensions; ++k) {
      std::size_t tasks = 1;
      for (std::size_t number = 0; number < tasks && !::testing::Test::HasFailure(); ++number) {
        SCOPED_TRACE(::testing::Message() << scenario.name << ": disturbance " << static_cast<int>(how)
                                          << " at suspension " << k << " of " << suspensions << ", task " << number);
        const std::size_t found = run_disturbed(scenario, how, k, number).tasks;
        if (how == Disturbance::task) tasks = found;
      }
    }
  }
  return suspensions;
}

}  // namespace gyre::testing
