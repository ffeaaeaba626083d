#include <gyre/task/once.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/sleep.h>

#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Random;
using Log = std::vector<std::string>;

class OnceCellTest : public gyre::testing::TaskFixture {
 protected:
  OnceCell<int> cell_;
  Log log_;
  int made_ = 0;
};

Task<Result<int>> make_after(Duration delay, int value, int& made) {
  ++made;
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return value;
}
Task<Result<int>> fail_after(Duration delay, int& made) {
  ++made;
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return Errc::malformed;
}
Task<int> throw_after(Duration delay, int& made) {
  ++made;
  const Result<void> slept = co_await sleep(delay);
  static_cast<void>(slept);
  throw std::runtime_error("no value");
}

template <typename Callable, typename... Arguments>
Task<void> get(OnceCell<int>& cell, Log& log, std::string name, Callable callable, Arguments... arguments) {
  const Result<int*> value = co_await cell.get_or_init(callable, arguments...);
  if (value) {
    log.push_back(name + " " + std::to_string(**value));
  } else {
    log.push_back(name + (value.error().is_cancelled() ? " cancelled" : " failed"));
  }
}
using Getter = Task<void>(OnceCell<int>&, Log&, std::string, Task<Result<int>> (*)(Duration, int, int&), Duration, int,
                          std::reference_wrapper<int>);
using Failer = Task<void>(OnceCell<int>&, Log&, std::string, Task<Result<int>> (*)(Duration, int&), Duration,
                          std::reference_wrapper<int>);
using Thrower = Task<void>(OnceCell<int>&, Log&, std::string, Task<int> (*)(Duration, int&), Duration,
                           std::reference_wrapper<int>);

TEST_F(OnceCellTest, IsMadeOnceForAll) {
  Getter* const getter = get;
  EXPECT_EQ(cell_.get(), nullptr);
  spawn(getter, std::ref(cell_), std::ref(log_), "a", make_after, 1s, 1, std::ref(made_));
  spawn(getter, std::ref(cell_), std::ref(log_), "b", make_after, 1s, 2, std::ref(made_));
  run_until_idle();
  EXPECT_EQ(cell_.count_waiters(), 1U);
  run();
  spawn(getter, std::ref(cell_), std::ref(log_), "c", make_after, 1s, 3, std::ref(made_));
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 1", "c 1"}));
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(elapsed(), 1s);
  ASSERT_NE(cell_.get(), nullptr);
  EXPECT_EQ(*cell_.get(), 1);
}

TEST_F(OnceCellTest, NextWaiterTriesIfTheInitialiserFails) {
  Failer* const failer = get;
  Getter* const getter = get;
  spawn(failer, std::ref(cell_), std::ref(log_), "a", fail_after, 1s, std::ref(made_));
  spawn(failer, std::ref(cell_), std::ref(log_), "b", fail_after, 1s, std::ref(made_));
  spawn(getter, std::ref(cell_), std::ref(log_), "c", make_after, 1s, 3, std::ref(made_));
  spawn(getter, std::ref(cell_), std::ref(log_), "d", make_after, 1s, 4, std::ref(made_));
  run();
  EXPECT_EQ(log_, (Log{"a failed", "b failed", "c 3", "d 3"}));
  EXPECT_EQ(made_, 3);
}

TEST_F(OnceCellTest, NextWaiterTriesIfTheInitialiserIsCancelled) {
  Getter* const getter = get;
  auto first = spawn(getter, std::ref(cell_), std::ref(log_), "a", make_after, 1s, 1, std::ref(made_));
  auto second = spawn(getter, std::ref(cell_), std::ref(log_), "b", make_after, 1s, 2, std::ref(made_));
  spawn(getter, std::ref(cell_), std::ref(log_), "c", make_after, 1s, 3, std::ref(made_));
  run_until_idle();
  second.cancel();  // while it waits
  first.cancel();   // while it makes
  run();
  EXPECT_EQ(log_, (Log{"b cancelled", "a cancelled", "c 3"}));
  EXPECT_EQ(made_, 2);
}

// S-47: told to make the value, and then cancelled before it has run: it begins, its first checkpoint reports the cancel,
// and the next one is told.
TEST_F(OnceCellTest, WaiterThatIsCancelledAfterItWasChosenPassesItOn) {
  Getter* const getter = get;
  Failer* const failer = get;
  spawn(failer, std::ref(cell_), std::ref(log_), "a", fail_after, 0s, std::ref(made_));
  auto second = spawn(getter, std::ref(cell_), std::ref(log_), "b", make_after, 1s, 2, std::ref(made_));
  spawn(getter, std::ref(cell_), std::ref(log_), "c", make_after, 1s, 3, std::ref(made_));
  (void)scheduler().run_ready(4);  // a has begun and failed; b is chosen and has not run
  ASSERT_EQ(log_, (Log{"a failed"}));
  second.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a failed", "b cancelled", "c 3"}));
}

TEST_F(OnceCellTest, ExceptionGoesToWhoMadeIt) {
  Thrower* const thrower = get;
  Getter* const getter = get;
  spawn(thrower, std::ref(cell_), std::ref(log_), "a", throw_after, 1s, std::ref(made_));
  spawn(getter, std::ref(cell_), std::ref(log_), "b", make_after, 1s, 2, std::ref(made_));
  run();
  EXPECT_EQ(log_, (Log{"b 2"}));
  const auto failures = loop.take_failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_NE(failures[0].exception, nullptr);
}

struct Shared {
  OnceCell<int> cell;
  int making = 0;
  int making_max = 0;
  int made = 0;
  int got = 0;
};
Task<Result<int>> make_at_random(std::reference_wrapper<Random> random, std::reference_wrapper<Shared> shared) {
  shared.get().making_max = std::max(shared.get().making_max, ++shared.get().making);
  const Duration work = random.get().milliseconds_below(5);
  const Result<void> slept = co_await sleep(work);
  --shared.get().making;
  if (!slept) co_return slept.error();
  if (random.get().one_in(2)) co_return Errc::broken;
  ++shared.get().made;
  co_return 7;
}
Task<void> get_at_random(std::reference_wrapper<Random> random, std::reference_wrapper<Shared> shared) {
  const Duration pause = random.get().milliseconds_below(10);
  const Result<void> paused = co_await sleep(pause);
  if (!paused) co_return;
  CancelScope scope(CancelScope::within(random.get().milliseconds_below(20)));
  const Result<int*> value = co_await shared.get().cell.get_or_init(make_at_random, random, shared);
  if (value && **value == 7) ++shared.get().got;
}

TEST(OnceCellRandomTest, NeverMoreThanOneAtItUnderRandomCancels) {
  int successes = 0;
  gyre::testing::for_random_seeds(100, [&successes](Random& random) {
    Shared shared;
    gyre::testing::TestLoop loop;
    std::vector<JoinHandle<void>> tasks;
    for (int i = 0; i < 10; ++i) {
      tasks.push_back(loop.spawn(get_at_random, std::ref(random), std::ref(shared)));
    }
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 4U);
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_LE(shared.making_max, 1);
    EXPECT_EQ(shared.making, 0);
    EXPECT_LE(shared.made, 1);
    EXPECT_EQ(shared.cell.get() != nullptr, shared.made == 1);
    EXPECT_EQ(shared.cell.count_waiters(), 0U);
    successes += shared.made;
  });
  EXPECT_GT(successes, 0);
}

}  // namespace
