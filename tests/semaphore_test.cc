#include <gyre/task/semaphore.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <type_traits>
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

class SemaphoreTest : public gyre::testing::TaskFixture {
 protected:
  Log log_;
};
using SemaphoreDeathTest = SemaphoreTest;

Task<void> hold(Semaphore& semaphore, std::uint32_t count, Log& log, std::string name, Duration how_long) {
  Result<Permits> permits = co_await semaphore.acquire(count);
  log.push_back(name + (permits ? " has " + std::to_string(permits->count()) : " is cancelled"));
  if (!permits) co_return;
  const Result<void> slept = co_await sleep(how_long);
  log.push_back(name + (slept ? " ends" : " is cancelled inside"));
}
Task<void> take(Semaphore& semaphore, std::uint32_t count, Log& log, std::string name) {
  Result<Permits> permits = co_await semaphore.acquire(count);
  log.push_back(name + (permits ? " has " + std::to_string(permits->count()) : " is cancelled"));
  if (permits) permits->disown();
}

// C-133: a count is unsigned, so a negative one cannot be said.
static_assert(std::is_unsigned_v<decltype(Semaphore(1).available())>);

// C-133
TEST_F(SemaphoreTest, CountsItsPermits) {
  Semaphore semaphore(3);
  EXPECT_EQ(semaphore.available(), 3U);
  Permits two = semaphore.try_acquire(2);
  EXPECT_EQ(two.count(), 2U);
  EXPECT_EQ(semaphore.available(), 1U);
  EXPECT_FALSE(semaphore.try_acquire(2));
  {
    Permits one = semaphore.try_acquire();
    EXPECT_TRUE(one);
    EXPECT_TRUE(semaphore.is_exhausted());
  }
  EXPECT_EQ(semaphore.available(), 1U);
  Permits half = two.split(1);
  two.release();
  two.release();
  EXPECT_EQ(semaphore.available(), 2U);
  half = Permits();
  EXPECT_EQ(semaphore.available(), 3U);
}

// C-133
TEST_F(SemaphoreDeathTest, GivingBackMoreThanThereIsAborts) {
  Semaphore semaphore(2);
  EXPECT_DEATH(semaphore.release(), "given back more than it gave");
  Semaphore empty(SemaphoreOptions{.permits_max = 2, .available = 0});
  empty.release(2);
  EXPECT_DEATH(empty.release(), "given back more than it gave");
  EXPECT_DEATH(Semaphore(SemaphoreOptions{.permits_max = 1, .available = 2}), "more permits available");
  EXPECT_DEATH((void)semaphore.acquire(3), "more permits than there can ever be");
}

// C-134
TEST_F(SemaphoreTest, IsGrantedInTheOrderOfAsking) {
  Semaphore semaphore(1);
  for (const char* name : {"a", "b", "c"}) {
    spawn(hold, std::ref(semaphore), 1U, std::ref(log_), std::string(name), 1s);
  }
  run();
  EXPECT_EQ(log_, (Log{"a has 1", "a ends", "b has 1", "b ends", "c has 1", "c ends"}));
  EXPECT_EQ(semaphore.available(), 1U);
}

// C-134: a small request does not overtake a large one; and when the large one leaves, the small one is served.
TEST_F(SemaphoreTest, SmallRequestDoesNotOvertakeALargeOne) {
  Semaphore semaphore(3);
  Permits two = semaphore.try_acquire(2);
  auto large = spawn(take, std::ref(semaphore), 2U, std::ref(log_), "large");
  spawn(take, std::ref(semaphore), 1U, std::ref(log_), "small");
  run();
  EXPECT_TRUE(log_.empty());
  EXPECT_FALSE(semaphore.try_acquire());  // one is there, but two tasks wait
  EXPECT_TRUE(semaphore.is_exhausted());
  large.cancel();
  run();
  EXPECT_EQ(log_, (Log{"large is cancelled", "small has 1"}));
}

// S-43: three releases wake three waiters, even before the first of them runs, and nobody overtakes.
TEST_F(SemaphoreTest, ThreeReleasesServeThreeWaitersAtOnce) {
  Semaphore semaphore(SemaphoreOptions{.permits_max = 3, .available = 0});
  for (const char* name : {"a", "b", "c"}) {
    spawn(take, std::ref(semaphore), 1U, std::ref(log_), std::string(name));
  }
  run();
  semaphore.release();
  semaphore.release();
  semaphore.release();
  EXPECT_EQ(semaphore.count_waiters(), 0U);
  EXPECT_EQ(semaphore.available(), 0U);
  EXPECT_FALSE(semaphore.try_acquire());
  run();
  EXPECT_EQ(log_, (Log{"a has 1", "b has 1", "c has 1"}));
}

// S-43: granted and then cancelled: the task has the permit, and gives it back when it ends, to the next.
TEST_F(SemaphoreTest, PermitGrantedBeforeACancelIsNotLost) {
  Semaphore semaphore(1);
  Permits held = semaphore.try_acquire();
  auto first = spawn(hold, std::ref(semaphore), 1U, std::ref(log_), "a", 1s);
  spawn(hold, std::ref(semaphore), 1U, std::ref(log_), "b", 1s);
  run();
  held.release();
  first.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a has 1", "a is cancelled inside", "b has 1", "b ends"}));
  EXPECT_EQ(semaphore.available(), 1U);
}

// C-134: no hang after cancelled acquires, before and after the release.
TEST_F(SemaphoreTest, NobodyHangsAfterCancelledAcquires) {
  Semaphore semaphore(1);
  Permits held = semaphore.try_acquire();
  auto first = spawn(hold, std::ref(semaphore), 1U, std::ref(log_), "a", 1s);
  auto second = spawn(hold, std::ref(semaphore), 1U, std::ref(log_), "b", 1s);
  spawn(hold, std::ref(semaphore), 1U, std::ref(log_), "c", 1s);
  run();
  second.cancel();
  first.cancel();
  held.release();
  run();
  EXPECT_EQ(log_, (Log{"b is cancelled", "a is cancelled", "c has 1", "c ends"}));
  EXPECT_EQ(semaphore.available(), 1U);
}

struct Shared {
  explicit Shared(std::uint32_t permits) : semaphore(permits) {}
  Semaphore semaphore;
  std::uint32_t out = 0;
  std::uint32_t out_max = 0;
  int steps = 0;             // changes whenever a task runs
  std::vector<int> asked;    // those who waited, in the order of asking ...
  std::vector<int> granted;  // ... and of being served
};
Task<void> hold_at_random(std::reference_wrapper<Random> random, Shared& shared, int name) {
  for (int i = 0; i < 20; ++i) {
    const Duration pause = random.get().milliseconds_below(4);
    const Result<void> paused = co_await sleep(pause);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(8)));
    const std::uint32_t count = 1 + random.get().below(shared.semaphore.permits_max());
    const int ticket = name * 1000 + i;
    if (!scope.is_effective()) shared.asked.push_back(ticket);
    const int step = ++shared.steps;
    Result<Permits> permits = co_await shared.semaphore.acquire(count);
    const bool waited = shared.steps != step;
    ++shared.steps;
    if (!permits || !waited) std::erase(shared.asked, ticket);
    if (!permits) {
      if (!paused) break;
      continue;
    }
    if (waited) shared.granted.push_back(ticket);
    shared.out += permits->count();
    shared.out_max = std::max(shared.out_max, shared.out);
    const Duration stay = random.get().milliseconds_below(3);
    const Result<void> slept = co_await sleep(stay);
    static_cast<void>(slept);
    shared.out -= permits->count();
  }
}

// C-134: permits are conserved, never overdrawn, and given in the order of asking.
TEST(SemaphoreRandomTest, PermitsAreConservedUnderRandomCancels) {
  gyre::testing::for_random_seeds(30, [](Random& random) {
    Shared shared(1 + random.below(5));
    gyre::testing::TestLoop loop;
    std::vector<JoinHandle<void>> tasks;
    for (int name = 0; name < 8; ++name) {
      tasks.push_back(loop.spawn(hold_at_random, std::ref(random), std::ref(shared), name));
    }
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 10U);
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_LE(shared.out_max, shared.semaphore.permits_max());
    EXPECT_EQ(shared.semaphore.available(), shared.semaphore.permits_max());
    EXPECT_EQ(shared.semaphore.count_waiters(), 0U);
    EXPECT_EQ(shared.granted, shared.asked);
    EXPECT_GT(shared.granted.size(), 10U);
  });
}

}  // namespace
