#include <gyre/task/mutex.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/sleep.h>

#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Random;
using Log = std::vector<std::string>;

class MutexTest : public gyre::testing::TaskFixture {
 protected:
  Mutex mutex_;
  Log log_;
};
using MutexDeathTest = MutexTest;

// Locks, notes it, holds for a while.
Task<void> hold(Mutex& mutex, Log& log, std::string name, Duration for_how_long) {
  Result<MutexLock> lock = co_await mutex.lock();
  log.push_back(name + (lock ? " locks" : lock.error().is_cancelled() ? " is cancelled" : " times out"));
  if (!lock) co_return;
  const Result<void> slept = co_await sleep(for_how_long);
  log.push_back(name + (slept ? " unlocks" : " is cancelled inside"));
}

// C-127
TEST_F(MutexTest, IsGrantedInTheOrderOfAsking) {
  for (const char* name : {"a", "b", "c"}) {
    spawn(hold, std::ref(mutex_), std::ref(log_), std::string(name), 1s);
  }
  run_until_idle();
  EXPECT_EQ(mutex_.count_waiters(), 2U);
  run();
  EXPECT_EQ(log_, (Log{"a locks", "a unlocks", "b locks", "b unlocks", "c locks", "c unlocks"}));
  EXPECT_FALSE(mutex_.is_locked());
  EXPECT_EQ(elapsed(), 3s);
}

// C-127
TEST_F(MutexDeathTest, UnlockingAnUnlockedMutexAborts) {
  EXPECT_DEATH(mutex_.unlock(), "unlock\\(\\) of a Mutex that is not locked");
}

// C-127
TEST_F(MutexTest, CancelledWaiterLeavesTheQueue) {
  spawn(hold, std::ref(mutex_), std::ref(log_), "a", 2s);
  auto waiter = spawn(hold, std::ref(mutex_), std::ref(log_), "b", 1s);
  run_for(1s);
  EXPECT_EQ(mutex_.count_waiters(), 1U);
  waiter.cancel();
  EXPECT_EQ(mutex_.count_waiters(), 0U);
  run();
  EXPECT_EQ(log_, (Log{"a locks", "b is cancelled", "a unlocks"}));
}

// C-128: the waiter is cancelled first, then the lock is released in the same turn.
TEST_F(MutexTest, ReleaseSkipsAWaiterThatWasCancelledBefore) {
  MutexLock held = mutex_.try_lock();
  auto first = spawn(hold, std::ref(mutex_), std::ref(log_), "a", 1s);
  spawn(hold, std::ref(mutex_), std::ref(log_), "b", 1s);
  run_until_idle();
  first.cancel();
  held.unlock();
  run();
  EXPECT_EQ(log_, (Log{"a is cancelled", "b locks", "b unlocks"}));
}

// C-128, S-42, S-47: the lock is handed over first, then its new owner is cancelled before it has run. Completion wins:
// it owns the lock, its next checkpoint reports the cancel, and exactly one other waiter gets the lock after it.
TEST_F(MutexTest, CancelAfterTheHandOverFindsTheOwner) {
  MutexLock held = mutex_.try_lock();
  auto first = spawn(hold, std::ref(mutex_), std::ref(log_), "a", 1s);
  spawn(hold, std::ref(mutex_), std::ref(log_), "b", 1s);
  spawn(hold, std::ref(mutex_), std::ref(log_), "c", 1s);
  run_until_idle();
  held.unlock();
  first.cancel();
  EXPECT_TRUE(mutex_.is_locked());
  run();
  EXPECT_EQ(log_, (Log{"a locks", "a is cancelled inside", "b locks", "b unlocks", "c locks", "c unlocks"}));
}

// S-42: between the release and the run of the new owner nobody can slip in.
TEST_F(MutexTest, NobodyOvertakesAWaiter) {
  MutexLock held = mutex_.try_lock();
  spawn(hold, std::ref(mutex_), std::ref(log_), "a", 1s);
  run_until_idle();
  held.unlock();
  EXPECT_FALSE(mutex_.try_lock());
  spawn(hold, std::ref(mutex_), std::ref(log_), "b", 1s);
  run();
  EXPECT_EQ(log_, (Log{"a locks", "a unlocks", "b locks", "b unlocks"}));
}

Task<void> fail_while_holding(Mutex& mutex) {
  Result<MutexLock> lock = co_await mutex.lock();
  const Result<void> slept = co_await sleep(1s);
  static_cast<void>(slept);
  throw std::runtime_error("gone");
}

// S-48, improved: a lock belongs to its MutexLock, so a task that ends, however it ends, has unlocked. Nobody deadlocks.
TEST_F(MutexTest, TaskThatEndsHandsTheLockOn) {
  spawn(fail_while_holding, std::ref(mutex_));
  spawn(hold, std::ref(mutex_), std::ref(log_), "b", 1s);
  run();
  EXPECT_EQ(log_, (Log{"b locks", "b unlocks"}));
  EXPECT_EQ(loop.take_failures().size(), 1U);
}

Task<void> lock_in_expired_scope(Mutex& mutex, Log& log) {
  CancelScope scope(CancelScope::within(1s));
  Result<MutexLock> lock = co_await mutex.lock();
  log.push_back(lock ? "locks" : lock.error().is_timed_out() ? "times out" : "is cancelled");
  // Level-triggered: also of a mutex that is free.
  Mutex other;
  Result<MutexLock> second = co_await other.lock();
  log.push_back(second ? "locks" : second.error().is_timed_out() ? "times out" : "is cancelled");
}

TEST_F(MutexTest, DeadlineEndsTheWait) {
  MutexLock held = mutex_.try_lock();
  spawn(lock_in_expired_scope, std::ref(mutex_), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"times out", "times out"}));
  EXPECT_EQ(elapsed(), 1s);
  EXPECT_EQ(mutex_.count_waiters(), 0U);
}

Task<void> lock_often(Mutex& mutex, int times, int& done) {
  for (; done < times; ++done) {
    Result<MutexLock> lock = co_await mutex.lock();
    if (!lock) break;
  }
}
Task<void> note_when(const int& done, std::vector<int>& seen) {
  for (int i = 0; i < 3; ++i) {
    seen.push_back(done);
    const Result<void> turn = co_await yield();
    if (!turn) break;
  }
}

// S-08, improved: an uncontended lock does not suspend, but a loop of them lets the others run when the slice is used up.
TEST_F(MutexTest, LoopOfUncontendedLocksLetsOthersRun) {
  int done = 0;
  std::vector<int> seen;
  spawn(lock_often, std::ref(mutex_), 100'000, std::ref(done));
  spawn(note_when, std::cref(done), std::ref(seen));
  run();
  EXPECT_EQ(done, 100'000);
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_GT(seen[0], 1);  // the first lock did not suspend
  EXPECT_LT(seen[2], 100'000);
}

// A lock may be released by another task than took it, and by hand.
TEST_F(MutexTest, ReleasedLockIsUnlockedByHand) {
  MutexLock held = mutex_.try_lock();
  Mutex* const mutex = held.release();
  EXPECT_FALSE(held.owns_lock());
  EXPECT_TRUE(mutex_.is_locked());
  spawn(hold, std::ref(mutex_), std::ref(log_), "a", 1s);
  run_until_idle();
  mutex->unlock();
  run();
  EXPECT_EQ(log_, (Log{"a locks", "a unlocks"}));
}

TEST_F(MutexTest, MovedLockUnlocksOnce) {
  MutexLock first = mutex_.try_lock();
  MutexLock second = std::move(first);
  EXPECT_TRUE(second.owns_lock());
  first.unlock();
  EXPECT_TRUE(mutex_.is_locked());
  second = MutexLock();
  EXPECT_FALSE(mutex_.is_locked());
}

TEST_F(MutexDeathTest, DyingWhileATaskWaitsAborts) {
  EXPECT_DEATH(
      {
        auto mutex = std::make_unique<Mutex>();
        mutex->try_lock().release();
        spawn(hold, std::ref(*mutex), std::ref(log_), "a", 1s);
        run_until_idle();
        mutex.reset();
      },
      "a locked Mutex dies");
}

// C-137
TEST_F(MutexDeathTest, UseByASecondSchedulerAborts) {
  if (!debug_checks) GTEST_SKIP() << "only builds with debug checks see it";
  spawn(hold, std::ref(mutex_), std::ref(log_), "a", 1s);
  run();
  EXPECT_DEATH(
      {
        gyre::testing::TestLoop other;
        other.spawn(hold, std::ref(mutex_), std::ref(log_), "b", 1s);
        other.run();
      },
      "used by tasks of two schedulers");
}

struct Shared {
  Mutex mutex;
  int inside = 0;
  int inside_max = 0;
  int locked = 0;
  std::vector<int> asked;    // in the order of asking ...
  std::vector<int> granted;  // ... and of being granted
};

Task<void> lock_at_random(std::reference_wrapper<Random> random, Shared& shared, int name) {
  for (int i = 0; i < 20; ++i) {
    const Duration pause = random.get().milliseconds_below(4);
    const Result<void> paused = co_await sleep(pause);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(6)));
    const int ticket = name * 1000 + i;
    if (!scope.is_effective()) shared.asked.push_back(ticket);
    Result<MutexLock> lock = co_await shared.mutex.lock();
    if (!lock) {
      std::erase(shared.asked, ticket);
      if (!paused) break;
      continue;
    }
    shared.granted.push_back(ticket);
    ++shared.locked;
    shared.inside_max = std::max(shared.inside_max, ++shared.inside);
    const Duration stay = random.get().milliseconds_below(3);
    const Result<void> slept = co_await sleep(stay);
    static_cast<void>(slept);
    --shared.inside;
  }
}

// C-128: whoever is cancelled when, there is at most one owner, the order is that of asking, and nobody is left.
TEST(MutexRandomTest, HoldsUnderRandomCancels) {
  gyre::testing::for_random_seeds(30, [](Random& random) {
    Shared shared;
    gyre::testing::TestLoop loop;
    std::vector<JoinHandle<void>> tasks;
    for (int name = 0; name < 8; ++name) {
      tasks.push_back(loop.spawn(lock_at_random, std::ref(random), std::ref(shared), name));
    }
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 8U);
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_EQ(shared.inside_max, 1);
    EXPECT_EQ(shared.granted, shared.asked);
    EXPECT_GT(shared.locked, 10);
    EXPECT_FALSE(shared.mutex.is_locked());
    EXPECT_EQ(shared.mutex.count_waiters(), 0U);
  });
}

}  // namespace
