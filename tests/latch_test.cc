#include <gyre/task/latch.h>

#include <chrono>
#include <functional>
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

class LatchTest : public gyre::testing::TaskFixture {};
using LatchDeathTest = LatchTest;

Task<void> wait_for(Latch& latch, int& passed, int& cancelled) {
  const Result<void> open = co_await latch.wait();
  ++(open ? passed : cancelled);
}
Task<void> arrive_after(Latch& latch, Duration delay, int& passed) {
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return;
  const Result<void> open = co_await latch.arrive_and_wait();
  if (open) ++passed;
}

TEST_F(LatchTest, OpensForAllWhenItReachesZero) {
  Latch latch(3);
  int passed = 0;
  int cancelled = 0;
  spawn(wait_for, std::ref(latch), std::ref(passed), std::ref(cancelled));
  spawn(arrive_after, std::ref(latch), 1s, std::ref(passed));
  run();
  EXPECT_EQ(latch.count(), 2U);
  EXPECT_EQ(passed, 0);
  latch.count_down(2);
  EXPECT_TRUE(latch.is_open());
  run();
  EXPECT_EQ(passed, 2);
  // For ever.
  spawn(wait_for, std::ref(latch), std::ref(passed), std::ref(cancelled));
  run();
  EXPECT_EQ(passed, 3);
}

TEST_F(LatchTest, LatchOfZeroIsOpen) {
  Latch latch(0);
  int passed = 0;
  int cancelled = 0;
  spawn(wait_for, std::ref(latch), std::ref(passed), std::ref(cancelled));
  run();
  EXPECT_EQ(passed, 1);
}

// The class: atomic. A cancelled waiter leaves; an arrival stays counted.
TEST_F(LatchTest, CancelledArrivalStaysCounted) {
  Latch latch(2);
  int passed = 0;
  int cancelled = 0;
  auto arrives = spawn(arrive_after, std::ref(latch), 1s, std::ref(passed));
  auto waits = spawn(wait_for, std::ref(latch), std::ref(passed), std::ref(cancelled));
  run();
  arrives.cancel();
  waits.cancel();
  run();
  EXPECT_EQ(latch.count_waiters(), 0U);
  EXPECT_EQ(latch.count(), 1U);
  EXPECT_EQ(passed, 0);
  EXPECT_EQ(cancelled, 1);
}

// S-47
TEST_F(LatchTest, CancelAfterOpeningFindsTheWaitDone) {
  Latch latch(1);
  int passed = 0;
  int cancelled = 0;
  auto waits = spawn(wait_for, std::ref(latch), std::ref(passed), std::ref(cancelled));
  run();
  latch.count_down();
  waits.cancel();
  run();
  EXPECT_EQ(passed, 1);
}

TEST_F(LatchDeathTest, CountingBelowZeroAborts) {
  Latch latch(1);
  EXPECT_DEATH(latch.count_down(2), "below zero");
}

Task<void> wait_with_limit(Latch& latch, Duration limit, int& passed, int& late) {
  CancelScope scope(CancelScope::within(limit));
  const Result<void> open = co_await latch.wait();
  ++(open ? passed : late);
}
Task<void> count_down_at_random(std::reference_wrapper<Random> random, Latch& latch, Duration& opened,
                                std::reference_wrapper<gyre::testing::TestLoop> loop) {
  while (!latch.is_open()) {
    const Duration pause = random.get().milliseconds_below(10);
    const Result<void> slept = co_await sleep(pause);
    if (!slept) co_return;
    latch.count_down();
  }
  opened = loop.get().elapsed();
}

// Exactly those whose limit comes before the opening are late.
TEST(LatchRandomTest, WaitersPassExactlyIfTheyAreStillThere) {
  gyre::testing::for_random_seeds(50, [](Random& random) {
    gyre::testing::TestLoop loop;
    Latch latch(1 + random.below(10));
    Duration opened{};
    int passed = 0;
    int late = 0;
    std::vector<Duration> limits;
    for (int i = 0; i < 20; ++i) {
      limits.push_back(random.milliseconds_below(80) + 500us);
      loop.spawn(wait_with_limit, std::ref(latch), limits.back(), std::ref(passed), std::ref(late));
    }
    loop.spawn(count_down_at_random, std::ref(random), std::ref(latch), std::ref(opened), std::ref(loop));
    loop.run();
    int expected = 0;
    for (const Duration limit : limits) expected += limit > opened ? 1 : 0;
    EXPECT_EQ(passed, expected);
    EXPECT_EQ(late, 20 - expected);
    EXPECT_EQ(latch.count_waiters(), 0U);
  });
}

}  // namespace
