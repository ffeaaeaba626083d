// Conformance (docs/CONFORMANCE.md), combinators: what ends at once, waits that give up, and shields among them.
#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/as_completed.h>
#include <gyre/task/sleep.h>
#include <gyre/task/timeout.h>
#include <gyre/task/when_all.h>
#include <gyre/task/when_any.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

using Log = std::vector<std::string>;

class WaitTest : public gyre::testing::TaskFixture {};
using WaitDeathTest = WaitTest;

Task<Result<int>> value_after(Duration delay, int value) {
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return value;
}
Task<Result<int>> at_once(int value) { co_return value; }
Task<Result<int>> value_and_log(Duration delay, int value, Log& log) {
  const Result<void> slept = co_await sleep(delay);
  log.push_back(slept ? std::to_string(value) : std::to_string(value) + " cancelled");
  if (!slept) co_return slept.error();
  co_return value;
}
Task<Result<int>> cancels_itself() {
  CancelScope scope;
  scope.cancel();
  const Result<void> next = co_await yield();
  co_return next.error();
}

Task<void> race_ready(std::size_t& winner, Log& log) {
  auto race = co_await when_any(value_and_log(1h, 1, log), at_once(2), at_once(3));
  winner = race.index;
  if (*std::get<1>(race.results) == 2) log.push_back("2");
  if (*std::get<2>(race.results) == 3) log.push_back("3");
}

// C-081: tasks that need not wait: the first of them wins, the other's value is there too.
TEST_F(WaitTest, FirstOfTasksThatNeedNotWait) {
  std::size_t winner = 99;
  Log log;
  spawn(race_ready, std::ref(winner), std::ref(log));
  run();
  EXPECT_EQ(winner, 1U);
  EXPECT_EQ(log, (Log{"1 cancelled", "2", "3"}));
  EXPECT_EQ(elapsed(), 0s);
}

Task<void> race_cancelled(std::size_t& winner, bool& cancelled) {
  auto race = co_await when_any(value_after(1h, 1), cancels_itself());
  winner = race.index;
  cancelled = std::get<1>(race.results).error().is_cancelled();
}
Task<void> all_with_cancelled(Result<int>& out) {
  auto all = co_await when_all(value_after(1h, 1), cancels_itself());
  out = all ? Result<int>(0) : Result<int>(all.error());
}

// C-081: a task that was cancelled by itself has ended: it wins a race, and it fails a wait for all.
TEST_F(WaitTest, TaskCancelledByItselfCountsAsEnded) {
  std::size_t winner = 99;
  bool cancelled = false;
  spawn(race_cancelled, std::ref(winner), std::ref(cancelled));
  run();
  EXPECT_EQ(winner, 1U);
  EXPECT_TRUE(cancelled);
  Result<int> out = 1;
  spawn(all_with_cancelled, std::ref(out));
  run();
  ASSERT_FALSE(out);
  EXPECT_TRUE(out.error().is_cancelled());
  EXPECT_EQ(elapsed(), 0s);
}

Task<void> join_within(Duration timeout, JoinHandle<Result<int>>& task, std::size_t& timers, Log& log) {
  for (int i = 0; i < 2; ++i) {
    {
      const CancelScope limit(CancelScope::within(timeout));
      const Result<int> value = co_await task;
      log.push_back(value ? std::to_string(*value) : value.error().is_timed_out() ? "timed out" : "failed");
      if (value) break;
    }
    timers = current_task()->scheduler().timers().size();
  }
}

// C-082: the wait's own timer is gone with the wait, used or not.
TEST_F(WaitTest, TimedWaitLeavesNoTimer) {
  auto task = spawn(value_after, Duration(5s), 7);
  std::size_t timers = 99;
  Log log;
  spawn(join_within, Duration(3s), std::ref(task), std::ref(timers), std::ref(log));
  run_for(4s);
  EXPECT_EQ(timers, 1U) << "that of the task";
  run();
  EXPECT_EQ(log, (Log{"timed out", "7"}));
  EXPECT_TRUE(scheduler().timers().empty());
  EXPECT_EQ(elapsed(), 5s);
}

Task<void> race_of_none() {
  const WhenAnyOf<Result<int>> race = co_await when_any(std::vector<Task<Result<int>>>{});
  static_cast<void>(race);
}
Task<void> all_of_none(bool& done) {
  const Result<std::tuple<>> all = co_await when_all();
  done = all.has_value();
}

// C-083: waiting for the first of none would never end, and aborts; all of none is done. A task that was moved into a
// wait is gone, so nothing is waited for twice.
TEST_F(WaitDeathTest, OfNothing) {
  EXPECT_DEATH(
      {
        spawn(race_of_none);
        run();
      },
      "when_any\\(\\) of nothing would never end");
  bool done = false;
  spawn(all_of_none, std::ref(done));
  run();
  EXPECT_TRUE(done);
}

Task<void> gather_twice_the_same(Task<Result<int>> task) {
  std::vector<Task<Result<int>>> tasks;
  tasks.push_back(std::move(task));
  tasks.push_back(std::move(task));
  const Result<std::vector<int>> values = co_await gather(std::move(tasks));
  static_cast<void>(values);
}
TEST_F(WaitDeathTest, ForATaskThatIsGoneAborts) {
  EXPECT_DEATH(
      {
        spawn(gather_twice_the_same, at_once(1));
        run();
      },
      "empty Task");
}

// --- as_completed ----------------------------------------------------------------------------------------------------

using Completed = AsCompleted<Result<int>>;

Task<void> complete_impatiently(std::size_t& timers, Log& log) {
  std::vector<Task<Result<int>>> tasks;
  for (const int seconds : {4, 2, 6}) tasks.push_back(value_and_log(std::chrono::seconds(seconds), seconds, log));
  Completed completed(std::move(tasks));
  while (!completed.done()) {
    const Result<Completed::Item> item = co_await with_timeout(Duration(1500ms), completed.next());
    if (item) {
      log.push_back("got " + std::to_string(*item->result) + " of " + std::to_string(item->index));
    } else {
      log.push_back(item.error().is_timed_out() ? "impatient" : "cancelled");
    }
    timers = current_task()->scheduler().timers().size();
  }
  const Result<void> joined = co_await completed.join();
  log.push_back(joined ? "joined" : "failed");
}

// C-084, C-093: giving up a wait leaves the tasks alone; the next wait finds what ended meanwhile. No timer is left.
TEST_F(WaitTest, GivingUpOneResultLeavesTheRestToCome) {
  std::size_t timers = 99;
  Log log;
  spawn(complete_impatiently, std::ref(timers), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"impatient", "2", "got 2 of 1", "impatient", "4", "got 4 of 0", "impatient", "6", "got 6 of 2",
                      "joined"}));
  EXPECT_EQ(timers, 0U);
  EXPECT_EQ(elapsed(), 6s);
}

Task<void> complete_within(Duration timeout, Log& log) {
  std::vector<Task<Result<int>>> tasks;
  for (const int seconds : {1, 5}) tasks.push_back(value_and_log(std::chrono::seconds(seconds), seconds, log));
  const CancelScope limit(CancelScope::within(timeout));
  Completed completed(std::move(tasks));
  while (!completed.done()) {
    const Result<Completed::Item> item = co_await completed.next();
    if (!item) {
      log.push_back("given up");
      break;
    }
    log.push_back(item->result ? "got " + std::to_string(*item->result) : "got a cancelled one");
  }
  static_cast<void>(co_await completed.join());
}

// C-093: a deadline around the whole iteration ends the tasks with it.
TEST_F(WaitTest, DeadlineAroundTheIterationEndsTheTasks) {
  Log log;
  spawn(complete_within, Duration(3s), std::ref(log));
  run();
  ASSERT_GE(log.size(), 3U);
  EXPECT_EQ(log[0], "1");
  EXPECT_EQ(log[1], "got 1");
  EXPECT_EQ(std::count(log.begin(), log.end(), "5 cancelled"), 1);
  EXPECT_EQ(elapsed(), 3s);
}

// --- shield ----------------------------------------------------------------------------------------------------------

Task<void> gather_of_shields(Log& log) {
  std::vector<Task<Result<int>>> tasks;
  for (const int seconds : {1, 2}) {
    tasks.push_back(shield(value_and_log(std::chrono::seconds(seconds), seconds, log)));
  }
  const Result<std::vector<int>> values = co_await gather(std::move(tasks));
  log.push_back(values ? "values" : values.error().is_cancelled() ? "cancelled" : "failed");
}
Task<void> shield_of_gather(Log& log) {
  std::vector<Task<Result<int>>> tasks;
  for (const int seconds : {1, 2}) tasks.push_back(value_and_log(std::chrono::seconds(seconds), seconds, log));
  const Result<std::vector<int>> values = co_await shield(gather(std::move(tasks)));
  log.push_back(values ? "values" : values.error().is_cancelled() ? "cancelled" : "failed");
  const Result<void> next = co_await yield();
  log.push_back(next ? "not cancelled" : "then cancelled");
}

// C-091: what is shielded ends as if nothing had happened, in both; the gather outside the shields is cancelled, the one
// inside has its values.
TEST_F(WaitTest, GatherOfShieldsAndShieldOfGather) {
  Log log;
  auto outside = spawn(gather_of_shields, std::ref(log));
  run_until_idle();
  outside.cancel();
  run();
  EXPECT_EQ(log, (Log{"1", "2", "cancelled"}));

  log.clear();
  auto inside = spawn(shield_of_gather, std::ref(log));
  run_until_idle();
  inside.cancel();
  run();
  EXPECT_EQ(log, (Log{"1", "2", "values", "then cancelled"}));
  EXPECT_EQ(elapsed(), 4s);
}

}  // namespace
