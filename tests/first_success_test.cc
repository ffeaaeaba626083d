// first_success: claims about who begins when, who wins, and what becomes of the others.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/first_success.h>
#include <gyre/task/sleep.h>
#include <gyre/task/timeout.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

class FirstSuccessTest : public gyre::testing::TaskFixture {};

using Log = std::vector<std::string>;

struct Try {
  Duration takes;
  int value = 0;         // zero: it fails
  Errc error = Errc::broken;
};

// Logs the second at which it begins and ends.
Task<Result<int>> run_try(gyre::testing::ManualClock& clock, Instant start, Try what, std::string name, Log& log) {
  const auto second = [&] { return std::to_string((clock.now() - start) / 1s); };
  log.push_back(second() + " " + name);
  const Result<void> slept = co_await sleep(what.takes);
  if (!slept) {
    log.push_back(second() + " " + name + " cancelled");
    co_return slept.error();
  }
  if (what.value == 0) co_return what.error;
  co_return what.value;
}

struct Outcome {
  bool ended = false;
  FirstSuccess<int> race;
};

Task<void> race_into(gyre::testing::ManualClock& clock, Duration delay, std::vector<Try> tries, Log& log,
                     Outcome& outcome) {
  std::vector<Task<Result<int>>> tasks;
  for (std::size_t i = 0; i < tries.size(); ++i) {
    tasks.push_back(run_try(clock, clock.now(), tries[i], std::string(1, static_cast<char>('a' + i)), log));
  }
  outcome.race = co_await first_success(delay, std::move(tasks));
  outcome.ended = true;
}

// C-094: nothing to try.
TEST_F(FirstSuccessTest, OfNothingSaysSo) {
  Log log;
  Outcome outcome;
  spawn(race_into, std::ref(clock()), Duration(1s), std::vector<Try>{}, std::ref(log), std::ref(outcome));
  run();
  ASSERT_TRUE(outcome.ended);
  ASSERT_FALSE(outcome.race.result);
  EXPECT_EQ(outcome.race.result.error(), std::errc::invalid_argument);
}

// C-094: the first wins before the second has begun.
TEST_F(FirstSuccessTest, QuickFirstTryIsTheOnlyOne) {
  Log log;
  Outcome outcome;
  spawn(race_into, std::ref(clock()), Duration(2s), std::vector<Try>{{1s, 7}, {1s, 8}}, std::ref(log),
        std::ref(outcome));
  run();
  EXPECT_EQ(log, (Log{"0 a"}));
  EXPECT_EQ(*outcome.race.result, 7);
  EXPECT_EQ(outcome.race.index, 0U);
  EXPECT_TRUE(outcome.race.errors.empty());
  EXPECT_EQ(elapsed(), 1s);
}

// C-094: a failure begins the next try at once; without a delay nothing else does.
TEST_F(FirstSuccessTest, FailureBeginsTheNextTryAtOnce) {
  for (const Duration delay : {Duration(10s), Duration::max()}) {
    Log log;
    Outcome outcome;
    spawn(race_into, std::ref(clock()), Duration(delay), std::vector<Try>{{1s}, {1s, 8}}, std::ref(log),
          std::ref(outcome));
    run();
    EXPECT_EQ(log, (Log{"0 a", "1 b"}));
    EXPECT_EQ(*outcome.race.result, 8);
    EXPECT_EQ(outcome.race.index, 1U);
    ASSERT_EQ(outcome.race.errors.size(), 1U);
    EXPECT_EQ(outcome.race.errors[0], Errc::broken);
  }
}

// C-094: a delay begins the next try; the loser is cancelled and awaited.
TEST_F(FirstSuccessTest, DelayBeginsTheNextTry) {
  Log log;
  Outcome outcome;
  spawn(race_into, std::ref(clock()), Duration(2s), std::vector<Try>{{9s, 7}, {9s, 8}, {1s, 9}}, std::ref(log),
        std::ref(outcome));
  run();
  EXPECT_EQ(log, (Log{"0 a", "2 b", "4 c", "5 a cancelled", "5 b cancelled"}));
  EXPECT_EQ(*outcome.race.result, 9);
  EXPECT_EQ(outcome.race.index, 2U);
  EXPECT_TRUE(scheduler().timers().empty());
}

// C-094: an old try still wins while a newer one runs.
TEST_F(FirstSuccessTest, OlderTryMayStillWin) {
  Log log;
  Outcome outcome;
  spawn(race_into, std::ref(clock()), Duration(2s), std::vector<Try>{{5s, 7}, {9s, 8}}, std::ref(log),
        std::ref(outcome));
  run();
  EXPECT_EQ(log, (Log{"0 a", "2 b", "5 b cancelled"}));
  EXPECT_EQ(*outcome.race.result, 7);
}

// C-095: all errors, in the order of failing.
TEST_F(FirstSuccessTest, WhenAllFailAllErrorsAreTold) {
  Log log;
  Outcome outcome;
  spawn(race_into, std::ref(clock()), Duration(1s),
        std::vector<Try>{{5s, 0, Errc::closed}, {1s, 0, Errc::lagged}, {9s, 0, Errc::broken}}, std::ref(log),
        std::ref(outcome));
  run();
  ASSERT_FALSE(outcome.race.result);
  EXPECT_EQ(outcome.race.result.error(), Errc::lagged);
  ASSERT_EQ(outcome.race.errors.size(), 3U);
  EXPECT_EQ(outcome.race.errors[0], Errc::lagged);
  EXPECT_EQ(outcome.race.errors[1], Errc::closed);
  EXPECT_EQ(outcome.race.errors[2], Errc::broken);
}

// C-095: two succeed in the same instant: exactly one has won, and it is the one that was begun first.
TEST_F(FirstSuccessTest, OfSimultaneousWinnersThereIsOne) {
  Log log;
  Outcome outcome;
  spawn(race_into, std::ref(clock()), Duration(1s), std::vector<Try>{{3s, 7}, {2s, 8}, {1s, 9}}, std::ref(log),
        std::ref(outcome));
  run();
  EXPECT_EQ(log, (Log{"0 a", "1 b", "2 c"}));
  EXPECT_EQ(*outcome.race.result, 7);
  EXPECT_EQ(outcome.race.index, 0U);
  EXPECT_TRUE(outcome.race.errors.empty());
}

// C-095: a cancel from outside reaches all, and begins none.
TEST_F(FirstSuccessTest, CancelFromOutsideEndsAll) {
  Log log;
  Outcome outcome;
  auto handle = spawn(race_into, std::ref(clock()), Duration(2s), std::vector<Try>{{9s, 7}, {9s, 8}, {9s, 9}},
                      std::ref(log), std::ref(outcome));
  run_for(3s);
  handle.cancel();
  run();
  EXPECT_EQ(log, (Log{"0 a", "2 b", "3 a cancelled", "3 b cancelled"}));
  ASSERT_TRUE(outcome.ended);
  ASSERT_FALSE(outcome.race.result);
  EXPECT_EQ(outcome.race.result.error(), Error::cancelled());
}

Task<Result<int>> throwing(Duration delay) {
  static_cast<void>(co_await sleep(delay));
  throw std::runtime_error("thrown");
}
Task<Result<int>> counting(int& begun) {
  ++begun;
  co_return 1;
}
Task<void> race_with_exception(int& begun, std::string& caught) {
  std::vector<Task<Result<int>>> tasks;
  tasks.push_back(throwing(1s));
  tasks.push_back(counting(begun));
  try {
    const FirstSuccess<int> race = co_await first_success(10s, std::move(tasks));
    static_cast<void>(race);
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
}

TEST_F(FirstSuccessTest, ExceptionIsAFailureAndRethrownAtTheEnd) {
  int begun = 0;
  std::string caught;
  spawn(race_with_exception, std::ref(begun), std::ref(caught));
  run();
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(caught, "thrown");
}

Task<Result<std::unique_ptr<int>>> make_int(int value) { co_return std::make_unique<int>(value); }
Task<void> race_of_owners(int& value) {
  std::vector<Task<Result<std::unique_ptr<int>>>> tasks;
  tasks.push_back(make_int(5));
  FirstSuccess<std::unique_ptr<int>> race = co_await first_success(1s, std::move(tasks));
  value = **race.result;
}

TEST_F(FirstSuccessTest, ValuesMayBeMoveOnly) {
  int value = 0;
  spawn(race_of_owners, std::ref(value));
  run();
  EXPECT_EQ(value, 5);
}

}  // namespace
