#include "support/task_fixture.h"

#include <chrono>

#include <gtest/gtest.h>

#include <gyre/platform/result.h>

namespace {

using namespace std::chrono_literals;
using namespace gyre;

class TaskFixtureTest : public gyre::testing::TaskFixture {};

Task<void> sleep_into(Duration delay, Result<void>& slept, int& steps) {
  ++steps;
  slept = co_await sleep(delay);
  ++steps;
}

// The clock stands still while anything is ready, and run() moves it from timer to timer.
TEST_F(TaskFixtureTest, RunMovesTheClockToEachDeadline) {
  Result<void> first = Errc::broken;
  Result<void> second = Errc::broken;
  int steps = 0;
  spawn(sleep_into, 1s, std::ref(first), std::ref(steps));
  spawn(sleep_into, 3s, std::ref(second), std::ref(steps));

  run_until_idle();
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(elapsed(), 0s);

  run_for(2s);
  EXPECT_EQ(steps, 3);
  EXPECT_TRUE(first);
  EXPECT_EQ(elapsed(), 2s);

  run();
  EXPECT_EQ(steps, 4);
  EXPECT_TRUE(second);
  EXPECT_EQ(elapsed(), 3s);
}

// Tasks that still wait when the loop goes are cancelled and joined.
TEST(TestLoopTest, CancelsWhatIsLeft) {
  Result<void> slept;
  int steps = 0;
  {
    gyre::testing::TestLoop loop;
    loop.spawn(sleep_into, 1h, std::ref(slept), std::ref(steps));
    loop.run_until_idle();
    EXPECT_EQ(steps, 1);
  }
  EXPECT_EQ(steps, 2);
  ASSERT_FALSE(slept);
  EXPECT_EQ(slept.error(), std::errc::operation_canceled);
}

Task<Result<void>> fail(Errc code) { co_return code; }

TEST_F(TaskFixtureTest, KeepsTheFailuresOfDetachedTasks) {
  spawn(fail, Errc::broken);
  run();
  const auto failures = loop.take_failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures[0].error, Errc::broken);
}

}  // namespace
