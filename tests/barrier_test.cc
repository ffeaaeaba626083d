#include <gyre/task/barrier.h>

#include <algorithm>
#include <chrono>
#include <functional>
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

class BarrierTest : public gyre::testing::TaskFixture {
 protected:
  Log log_;
};
using BarrierDeathTest = BarrierTest;

Task<void> meet(Barrier& barrier, Log& log, std::string name, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const Result<std::uint32_t> place = co_await barrier.wait();
    if (place) {
      log.push_back(name + " " + std::to_string(*place));
    } else {
      log.push_back(name + (place.error() == Errc::broken ? " broken" : " cancelled"));
      if (!(place.error() == Errc::broken)) co_return;
    }
  }
}

// C-135: unique indices, in the order of arrival; the last goes on at once.
TEST_F(BarrierTest, PlacesAreUniqueAndInTheOrderOfArrival) {
  Barrier barrier(3);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);
  run();
  EXPECT_EQ(barrier.arrived(), 2U);
  EXPECT_TRUE(log_.empty());
  spawn(meet, std::ref(barrier), std::ref(log_), "c", 1);
  run();
  EXPECT_EQ(log_, (Log{"c 2", "a 0", "b 1"}));
  EXPECT_EQ(barrier.arrived(), 0U);
}

// C-135: reusable.
TEST_F(BarrierTest, IsReusable) {
  Barrier barrier(2);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 3);
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 3);
  run();
  EXPECT_EQ(log_.size(), 6U);
  std::sort(log_.begin(), log_.end());
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "a 0") + std::count(log_.begin(), log_.end(), "b 0"), 3);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "a 1") + std::count(log_.begin(), log_.end(), "b 1"), 3);
}

// C-135: who comes while the others of a full round have not run yet belongs to the next round.
TEST_F(BarrierTest, NewcomersDuringTheDrainWaitForTheNextRound) {
  Barrier barrier(2);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  run();
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);  // completes the round ...
  spawn(meet, std::ref(barrier), std::ref(log_), "c", 1);  // ... and this one arrives before a has run
  run();
  EXPECT_EQ(log_, (Log{"b 1", "a 0"}));
  EXPECT_EQ(barrier.arrived(), 1U);
  spawn(meet, std::ref(barrier), std::ref(log_), "d", 1);
  run();
  EXPECT_EQ(log_, (Log{"b 1", "a 0", "d 1", "c 0"}));
}

TEST_F(BarrierTest, BarrierOfOneNeverWaits) {
  Barrier barrier(1);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 2);
  run();
  EXPECT_EQ(log_, (Log{"a 0", "a 0"}));
}

// C-136: a cancelled waiter leaves the count, and its place is given to the next.
TEST_F(BarrierTest, CancelledWaiterLeavesTheCount) {
  Barrier barrier(3);
  auto first = spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);
  run();
  first.cancel();
  EXPECT_EQ(barrier.arrived(), 1U);
  spawn(meet, std::ref(barrier), std::ref(log_), "c", 1);
  run();
  EXPECT_EQ(log_, (Log{"a cancelled"}));
  spawn(meet, std::ref(barrier), std::ref(log_), "d", 1);
  run();
  EXPECT_EQ(log_, (Log{"a cancelled", "d 2", "b 0", "c 1"}));
}

// C-136, S-47: once the round is complete a cancel comes too late.
TEST_F(BarrierTest, CancelAfterTheLastArrivalFindsTheRoundComplete) {
  Barrier barrier(2);
  auto first = spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  run();
  auto last = spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);
  (void)scheduler().run_ready(1);
  first.cancel();
  last.cancel();
  run();
  EXPECT_EQ(log_, (Log{"b 1", "a 0"}));
}

// C-136: reset while some wait.
TEST_F(BarrierTest, ResetBreaksThoseWhoWaitAndNobodyElse) {
  Barrier barrier(3);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);
  run();
  barrier.reset();
  EXPECT_EQ(barrier.arrived(), 0U);
  EXPECT_FALSE(barrier.is_broken());
  for (const char* name : {"c", "d", "e"}) {
    spawn(meet, std::ref(barrier), std::ref(log_), std::string(name), 1);
  }
  run();
  EXPECT_EQ(log_, (Log{"a broken", "b broken", "e 2", "c 0", "d 1"}));
}

// C-136: reset of an empty barrier changes nothing.
TEST_F(BarrierTest, ResetWithNobodyWaitingChangesNothing) {
  Barrier barrier(2);
  barrier.reset();
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);
  run();
  EXPECT_EQ(log_, (Log{"b 1", "a 0"}));
}

// C-136: abort while some wait, while nobody does, and reset afterwards.
TEST_F(BarrierTest, AbortBreaksAllUntilReset) {
  Barrier barrier(2);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  run();
  barrier.abort();
  barrier.abort();
  EXPECT_TRUE(barrier.is_broken());
  run();
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 2);
  run();
  EXPECT_EQ(log_, (Log{"a broken", "b broken", "b broken"}));
  log_.clear();
  barrier.reset();
  spawn(meet, std::ref(barrier), std::ref(log_), "c", 1);
  spawn(meet, std::ref(barrier), std::ref(log_), "d", 1);
  run();
  EXPECT_EQ(log_, (Log{"d 1", "c 0"}));
}

// C-136: those of a complete round that have not run yet keep their places through abort and reset.
TEST_F(BarrierTest, AbortDuringTheDrainDoesNotTouchTheCompletedRound) {
  Barrier barrier(2);
  spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  run();
  spawn(meet, std::ref(barrier), std::ref(log_), "b", 1);
  (void)scheduler().run_ready(1);
  barrier.abort();
  run();
  EXPECT_EQ(log_, (Log{"b 1", "a 0"}));
}

// C-136: who was aborted and is cancelled too gets what came first.
TEST_F(BarrierTest, CancelAfterAbortReportsBroken) {
  Barrier barrier(2);
  auto waiter = spawn(meet, std::ref(barrier), std::ref(log_), "a", 1);
  run();
  barrier.abort();
  waiter.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a broken"}));
}

// C-135: parties < 1.
TEST_F(BarrierDeathTest, BarrierForNobodyAborts) {
  EXPECT_DEATH(Barrier(0), "a Barrier for nobody");
}

struct Shared {
  explicit Shared(std::uint32_t parties) : barrier(parties), places(parties) {}
  Barrier barrier;
  std::vector<int> places;  // how often each place was given
  int left = 0;
};
Task<void> meet_at_random(std::reference_wrapper<Random> random, Shared& shared) {
  for (int i = 0; i < 20; ++i) {
    const Duration pause = random.get().milliseconds_below(5);
    const Result<void> slept = co_await sleep(pause);
    if (!slept) break;
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(30)));
    const Result<std::uint32_t> place = co_await shared.barrier.wait();
    if (place) {
      ++shared.places[*place];
    } else {
      ++shared.left;
    }
  }
}

// Rounds are complete or do not happen: every place is given equally often, whoever is cancelled.
TEST(BarrierRandomTest, RoundsAreCompleteUnderRandomCancels) {
  gyre::testing::for_random_seeds(30, [](Random& random) {
    Shared shared(2 + random.below(3));
    gyre::testing::TestLoop loop;
    std::vector<JoinHandle<void>> tasks;
    for (int i = 0; i < 8; ++i) {
      tasks.push_back(loop.spawn(meet_at_random, std::ref(random), std::ref(shared)));
    }
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 20U);
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_EQ(shared.barrier.arrived(), 0U);
    EXPECT_GT(shared.places[0], 3);
    for (const int count : shared.places) EXPECT_EQ(count, shared.places[0]);
  });
}

}  // namespace
