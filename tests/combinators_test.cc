// when_all, gather, when_any, AsCompleted, with_timeout and shield: claims about order, errors and cancellation.
#include <chrono>
#include <stdexcept>
#include <string>
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

class CombinatorsTest : public gyre::testing::TaskFixture {};

using Log = std::vector<std::string>;

// Returns `value` after `delay`, or why it could not.
Task<Result<int>> value_after(Duration delay, int value) {
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return value;
}

Task<Result<int>> error_after(Duration delay, Error error) {
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return error;
}

Task<int> throw_after(Duration delay) {
  static_cast<void>(co_await sleep(delay));
  throw std::runtime_error("thrown");
}

// Ignores cancellation and returns `value` after three turns.
Task<int> stubborn(int value) {
  for (int i = 0; i < 3; ++i) static_cast<void>(co_await yield());
  co_return value;
}

// Ignores cancellation while it sleeps, and returns `value`.
Task<int> sleeps_on(Duration delay, int value) {
  static_cast<void>(co_await sleep(delay));
  co_return value;
}

// Sleeps and writes down how that ended.
Task<void> sleep_and_log(Duration delay, std::string name, Log& log) {
  const Result<void> slept = co_await sleep(delay);
  log.push_back(name + (slept ? " slept" : slept.error().is_timed_out() ? " timed out" : " cancelled"));
}

constexpr Error refused = Error(Errc::broken);

// C-085: results stand in the order of the arguments, not of completion.
Task<void> all_in_order(std::tuple<int, int, int>& out) {
  auto all = co_await when_all(value_after(3s, 1), value_after(1s, 2), stubborn(3));
  out = *all;
}
TEST_F(CombinatorsTest, WhenAllKeepsTheOrderOfItsArguments) {
  std::tuple<int, int, int> out;
  spawn(all_in_order, std::ref(out));
  run();
  EXPECT_EQ(out, std::make_tuple(1, 2, 3));
  EXPECT_EQ(elapsed(), 3s);
}

// C-088: the first failure cancels the siblings, and is told after they have ended.
Task<void> all_with_failure(Result<void>& out, Log& log) {
  auto all = co_await when_all(sleep_and_log(1h, "a", log), error_after(1s, refused),
                               sleep_and_log(2h, "b", log));
  log.push_back("joined");
  if (!all) out = all.error();
}
TEST_F(CombinatorsTest, WhenAllCancelsAndJoinsTheSiblingsOfAFailure) {
  Result<void> out;
  Log log;
  spawn(all_with_failure, std::ref(out), std::ref(log));
  run();
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error(), Errc::broken);
  EXPECT_EQ(log, (Log{"a cancelled", "b cancelled", "joined"}));
  EXPECT_EQ(elapsed(), 1s);
}

Task<void> all_with_throw(bool& caught, Log& log) {
  try {
    static_cast<void>(co_await when_all(sleep_and_log(1h, "a", log), throw_after(1s)));
  } catch (const std::runtime_error&) {
    caught = true;
  }
}
TEST_F(CombinatorsTest, WhenAllRethrowsAnExceptionAfterTheJoin) {
  bool caught = false;
  Log log;
  spawn(all_with_throw, std::ref(caught), std::ref(log));
  run();
  EXPECT_TRUE(caught);
  EXPECT_EQ(log, Log{"a cancelled"});
}

Task<void> gather_into(Duration step, int count, Result<std::vector<int>>& out) {
  std::vector<Task<Result<int>>> tasks;
  for (int i = 0; i < count; ++i) tasks.push_back(value_after(step * (count - i), i));
  out = co_await gather(std::move(tasks));
}
TEST_F(CombinatorsTest, GatherReturnsTheValuesInOrder) {
  Result<std::vector<int>> out;
  spawn(gather_into, Duration(1s), 4, std::ref(out));
  run();
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, (std::vector<int>{0, 1, 2, 3}));
}
TEST_F(CombinatorsTest, GatherOfNothingIsEmpty) {
  Result<std::vector<int>> out = Errc::broken;
  spawn(gather_into, Duration(1s), 0, std::ref(out));
  run();
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->empty());
}

// C-087: cancelling the gather cancels all; the result is `cancelled` even if the children swallow it.
Task<void> gather_stubborn(Result<std::vector<int>>& out) {
  std::vector<Task<int>> tasks;
  tasks.push_back(sleeps_on(1h, 1));
  tasks.push_back(sleeps_on(2h, 2));
  out = co_await gather(std::move(tasks));
}
TEST_F(CombinatorsTest, CancelledGatherIsCancelledEvenIfChildrenSwallowIt) {
  Result<std::vector<int>> out;
  auto handle = spawn(gather_stubborn, std::ref(out));
  run_turn();
  handle.cancel();
  run();
  ASSERT_FALSE(out);
  EXPECT_TRUE(out.error().is_cancelled());
}

// C-086: every result on its own.
Task<void> gather_all_results(std::vector<Result<int>>& out) {
  std::vector<Task<Result<int>>> tasks;
  tasks.push_back(value_after(2s, 1));
  tasks.push_back(error_after(1s, refused));
  tasks.push_back(value_after(3s, 3));
  out = co_await gather_results(std::move(tasks));
}
TEST_F(CombinatorsTest, GatherResultsLetsTheOthersGoOn) {
  std::vector<Result<int>> out;
  spawn(gather_all_results, std::ref(out));
  run();
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(*out[0], 1);
  EXPECT_EQ(out[1].error(), Errc::broken);
  EXPECT_EQ(*out[2], 3);
}

// The losers are cancelled and awaited, and what they say is not lost.
Task<void> race(std::size_t& winner, std::vector<Result<int>>& results) {
  auto outcome = co_await when_any(value_after(2s, 1), value_after(1s, 2), stubborn(3));
  winner = outcome.index;
  results = {std::get<0>(outcome.results), std::get<1>(outcome.results), std::get<2>(outcome.results)};
}
TEST_F(CombinatorsTest, WhenAnyReturnsTheWinnerAndWhatTheLosersSay) {
  std::size_t winner = 99;
  std::vector<Result<int>> results;
  spawn(race, std::ref(winner), std::ref(results));
  run();
  EXPECT_EQ(winner, 2U);
  ASSERT_EQ(results.size(), 3U);
  EXPECT_TRUE(results[0].error().is_cancelled());
  EXPECT_TRUE(results[1].error().is_cancelled());
  EXPECT_EQ(*results[2], 3);
  EXPECT_EQ(elapsed(), 0s);
}

Task<void> race_range(std::size_t& winner) {
  std::vector<Task<Result<int>>> tasks;
  for (int i = 0; i < 10; ++i) tasks.push_back(value_after(Duration(10s) - i * Duration(1s), i));
  auto outcome = co_await when_any(std::move(tasks));
  winner = outcome.index;
}
TEST_F(CombinatorsTest, WhenAnyOfARangeNamesTheFirst) {
  std::size_t winner = 99;
  spawn(race_range, std::ref(winner));
  run();
  EXPECT_EQ(winner, 9U);
  EXPECT_EQ(elapsed(), 1s);
}

// C-092: completion order, and the original index.
Task<void> collect(std::vector<std::size_t>& order, std::size_t at_most) {
  std::vector<Task<Result<int>>> tasks;
  tasks.push_back(value_after(3s, 0));
  tasks.push_back(value_after(1s, 1));
  tasks.push_back(error_after(2s, refused));
  AsCompleted<Result<int>> completed(std::move(tasks));
  while (!completed.done() && order.size() < at_most) {
    const auto item = co_await completed.next();
    if (!item) break;
    order.push_back(item->index);
  }
  static_cast<void>(co_await completed.join());
}
TEST_F(CombinatorsTest, AsCompletedYieldsInTheOrderOfCompletion) {
  std::vector<std::size_t> order;
  spawn(collect, std::ref(order), 3U);
  run();
  EXPECT_EQ(order, (std::vector<std::size_t>{1, 2, 0}));
  EXPECT_EQ(elapsed(), 3s);
}
TEST_F(CombinatorsTest, JoiningAsCompletedEarlyCancelsTheRest) {
  std::vector<std::size_t> order;
  spawn(collect, std::ref(order), 1U);
  run();
  EXPECT_EQ(order, std::vector<std::size_t>{1});
  EXPECT_EQ(elapsed(), 1s);
}

Task<void> timed(Duration timeout, Task<Result<int>> task, Result<int>& out) {
  out = co_await with_timeout(timeout, std::move(task));
}
// C-096.
TEST_F(CombinatorsTest, WithTimeoutReturnsWhatMakesIt) {
  Result<int> out;
  spawn(timed, Duration(2s), value_after(1s, 7), std::ref(out));
  run();
  EXPECT_EQ(*out, 7);
  EXPECT_EQ(elapsed(), 1s);
}
TEST_F(CombinatorsTest, WithTimeoutReportsTimedOutWhenTimeIsUp) {
  Result<int> out;
  spawn(timed, Duration(1s), value_after(2s, 7), std::ref(out));
  run();
  ASSERT_FALSE(out);
  EXPECT_TRUE(out.error().is_timed_out());
  EXPECT_EQ(elapsed(), 1s);
}
// C-109: value and deadline in the same tick: the value wins.
TEST_F(CombinatorsTest, ValueInTheTickOfTheDeadlineWins) {
  Result<int> out;
  spawn(timed, Duration(1s), value_after(1s, 7), std::ref(out));
  run();
  ASSERT_TRUE(out) << out.error();
  EXPECT_EQ(*out, 7);
}
// C-097, C-105: zero and negative timeouts fire at the first checkpoint.
TEST_F(CombinatorsTest, ZeroTimeoutFiresAtTheFirstCheckpoint) {
  for (const Duration timeout : {Duration(0), Duration(-1h), Duration::min()}) {
    Result<int> out;
    spawn(timed, timeout, value_after(1s, 7), std::ref(out));
    run();
    ASSERT_FALSE(out);
    EXPECT_TRUE(out.error().is_timed_out());
  }
  EXPECT_EQ(elapsed(), 0s);
}
// C-107: what the task returns all the same is returned.
Task<void> timed_stubborn(Result<int>& out) { out = co_await with_timeout(0s, stubborn(5)); }
TEST_F(CombinatorsTest, TaskThatIgnoresTheTimeoutKeepsItsValue) {
  Result<int> out;
  spawn(timed_stubborn, std::ref(out));
  run();
  EXPECT_EQ(*out, 5);
}
// C-098: of nested equal deadlines only the outermost reports timed_out.
Task<Result<int>> inner_timed(Duration timeout, Result<int>& inner) {
  inner = co_await with_timeout(timeout, value_after(1h, 1));
  co_return inner;
}
TEST_F(CombinatorsTest, OfNestedEqualDeadlinesTheOutermostReports) {
  Result<int> inner;
  Result<int> outer;
  spawn(timed, Duration(0s), inner_timed(0s, inner), std::ref(outer));
  run();
  EXPECT_TRUE(inner.error().is_cancelled());
  EXPECT_TRUE(outer.error().is_timed_out());
}
// C-103: a foreign cancel is never converted.
TEST_F(CombinatorsTest, CancelFromOutsideIsNotATimeout) {
  Result<int> out;
  auto handle = spawn(timed, Duration(1s), value_after(1h, 7), std::ref(out));
  run_turn();
  handle.cancel();
  run();
  ASSERT_FALSE(out);
  EXPECT_TRUE(out.error().is_cancelled());
}

// The shielded part runs on; the caller sees the cancel afterwards.
Task<void> shielded(Log& log) {
  co_await shield(sleep_and_log(2s, "inside", log));
  co_await sleep_and_log(2s, "outside", log);
}
TEST_F(CombinatorsTest, ShieldKeepsCancellationOutUntilItEnds) {
  Log log;
  auto handle = spawn(shielded, std::ref(log));
  run_turn();
  handle.cancel();
  run();
  EXPECT_EQ(log, (Log{"inside slept", "outside cancelled"}));
  EXPECT_EQ(elapsed(), 2s);
}

}  // namespace
