// What tests of the task layer stand on: a scheduler on a clock that moves when told.
//
//   class SleepTest : public gyre::testing::TaskFixture {};
//   TEST_F(SleepTest, WaitsForItsDeadline) {
//     Result<void> slept = Errc::broken;
//     spawn(sleep_into, Duration(1s), std::ref(slept));   // a free coroutine; arguments move into its frame
//     run();
//     EXPECT_TRUE(slept);
//     EXPECT_EQ(elapsed(), Duration(1s));
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre::testing {

// Time that stands still until it is told to move. Begins at one hour, so that "earlier" can be said.
class ManualClock final : public Clock {
 public:
  Instant now() noexcept override { return now_; }
  void advance(Duration by) noexcept { now_ = now_ + by; }
  // Never moves back.
  void advance_to(Instant then) noexcept {
    if (then > now_) now_ = then;
  }

 private:
  Instant now_ = Instant(std::chrono::hours(1));
};

// A scheduler without a reactor. All running is bounded: a test that would run for ever fails instead.
class TestLoop {
 public:
  explicit TestLoop(const SchedulerOptions& options = {})
      : start_(clock.now()), scheduler(clock, with_sink(options, this)) {}
  TestLoop(const TestLoop&) = delete;
  TestLoop& operator=(const TestLoop&) = delete;
  ~TestLoop() {
    cancel_all();
    EXPECT_EQ(scheduler.tasks(), 0U) << "tasks that cancellation does not end";
    EXPECT_TRUE(failures_.empty()) << "detached tasks have failed; take_failures() takes note of them";
  }

  // A detached task; it is cancelled when the loop goes.
  template <typename... Arguments>
  auto spawn(Arguments&&... arguments) {
    return scheduler.detached().spawn(std::forward<Arguments>(arguments)...);
  }

  // One turn as a reactor makes it, without moving the clock: what is ready now, then the timers that are due.
  void run_turn() {
    scheduler.update_now();
    (void)scheduler.run_ready(scheduler.count_ready());
    scheduler.update_now();
    (void)scheduler.fire_timers();
  }
  // Turns until nothing is ready and no timer is due; the clock stands still.
  void run_until_idle() {
    for (std::size_t turn = 0; turn < turns_max; ++turn) {
      run_turn();
      if (!scheduler.has_ready()) return;
    }
    ADD_FAILURE() << "still busy after " << turns_max << " turns";
  }
  // Moves the clock to the next timer. False if there is none.
  bool advance_to_next_deadline() {
    if (scheduler.timers().empty()) return false;
    clock.advance_to(scheduler.timers().next_deadline());
    return true;
  }
  // Until nothing can happen any more. What still waits then waits for the test to act.
  void run() {
    for (std::size_t step = 0; step < turns_max; ++step) {
      run_until_idle();
      if (!advance_to_next_deadline()) return;
    }
    ADD_FAILURE() << "timers without end";
  }
  // As run(), but no further than `by` from now, which is the time when it returns.
  void run_for(Duration by) {
    const Instant end = clock.now() + by;
    for (std::size_t step = 0; step < turns_max; ++step) {
      run_until_idle();
      if (scheduler.timers().empty() || scheduler.timers().next_deadline() > end) {
        clock.advance_to(end);
        return;
      }
      (void)advance_to_next_deadline();
    }
    ADD_FAILURE() << "timers without end";
  }
  // Cancels every task and runs until they have ended.
  void cancel_all() {
    scheduler.detached().cancel();
    run();
  }

  Duration elapsed() { return clock.now() - start_; }

  // Detached tasks that have failed since the last call. A test that leaves some has failed.
  std::vector<TaskFailure> take_failures() { return std::exchange(failures_, {}); }

  ManualClock clock;

 private:
  static constexpr std::size_t turns_max = 1'000'000;

  static SchedulerOptions with_sink(SchedulerOptions options, TestLoop* loop) noexcept {
    if (options.on_task_failure == nullptr) {
      options.on_task_failure = [](void* owner, const TaskFailure& failure) noexcept {
        static_cast<TestLoop*>(owner)->failures_.push_back(failure);
      };
      options.failure_owner = loop;
    }
    return options;
  }

  Instant start_;
  std::vector<TaskFailure> failures_;

 public:
  Scheduler scheduler;
};

// A test with one loop of its own. What a derived class holds may be waited for: the tasks end before it goes.
class TaskFixture : public ::testing::Test {
 protected:
  void TearDown() override { loop.cancel_all(); }

  template <typename... Arguments>
  auto spawn(Arguments&&... arguments) {
    return loop.spawn(std::forward<Arguments>(arguments)...);
  }
  void run_turn() { loop.run_turn(); }
  void run_until_idle() { loop.run_until_idle(); }
  void run() { loop.run(); }
  void run_for(Duration by) { loop.run_for(by); }
  Duration elapsed() { return loop.elapsed(); }
  Scheduler& scheduler() { return loop.scheduler; }
  ManualClock& clock() { return loop.clock; }

  TestLoop loop;
};

}  // namespace gyre::testing
