#include <gyre/task/condition_variable.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
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

class ConditionVariableTest : public gyre::testing::TaskFixture {
 protected:
  Mutex mutex_;
  ConditionVariable condition_{mutex_};
  Log log_;

  // From outside any task.
  void notify(std::size_t count) {
    MutexLock lock = mutex_.try_lock();
    ASSERT_TRUE(lock);
    condition_.notify(count);
  }
};
using ConditionVariableDeathTest = ConditionVariableTest;

Task<void> wait_once(Mutex& mutex, ConditionVariable& condition, Log& log, std::string name) {
  Result<MutexLock> lock = co_await mutex.lock();
  if (!lock) co_return;
  const Result<void> notified = co_await condition.wait(*lock);
  log.push_back(name + (notified ? " is notified" : notified.error().is_timed_out() ? " times out" : " is cancelled") +
                (mutex.is_locked() ? "" : ", unlocked!"));
}
Task<void> hold(Mutex& mutex, Log& log, Duration how_long) {
  Result<MutexLock> lock = co_await mutex.lock();
  log.push_back("holder locks");
  const Result<void> slept = co_await sleep(how_long);
  log.push_back(slept ? "holder unlocks" : "holder is cancelled");
}

// C-130
TEST_F(ConditionVariableTest, NotifiesInTheOrderOfWaiting) {
  for (const char* name : {"a", "b", "c", "d"}) {
    spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), std::string(name));
  }
  run();
  EXPECT_FALSE(mutex_.is_locked());
  EXPECT_EQ(condition_.count_waiters(), 4U);
  notify(1);
  run();
  EXPECT_EQ(log_, (Log{"a is notified"}));
  notify(2);
  run();
  EXPECT_EQ(log_, (Log{"a is notified", "b is notified", "c is notified"}));
  notify(5);
  run();
  notify(1);  // nobody waits: is not stored
  run();
  EXPECT_EQ(log_.size(), 4U);
  spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "e");
  run();
  EXPECT_EQ(condition_.count_waiters(), 1U);
}

// C-130
TEST_F(ConditionVariableTest, NotifyAllWakesAll) {
  for (const char* name : {"a", "b", "c"}) {
    spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), std::string(name));
  }
  run();
  {
    MutexLock lock = mutex_.try_lock();
    condition_.notify_all();
    run();
    EXPECT_TRUE(log_.empty());  // they wait for the mutex
    EXPECT_EQ(mutex_.count_waiters(), 3U);
  }
  run();
  EXPECT_EQ(log_, (Log{"a is notified", "b is notified", "c is notified"}));
}

// C-130
TEST_F(ConditionVariableDeathTest, WaitAndNotifyNeedTheLock) {
  EXPECT_DEATH(condition_.notify(), "notify\\(\\) without the mutex");
  EXPECT_DEATH((void)condition_.wait(MutexLock()), "wait\\(\\) without a lock");
  Mutex other;
  MutexLock lock = other.try_lock();
  EXPECT_DEATH((void)condition_.wait(lock), "wait\\(\\) without a lock");
}

// C-131
TEST_F(ConditionVariableTest, CancelledWaitReturnsWithTheLockHeld) {
  auto waiter = spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "a");
  run();
  waiter.cancel();
  EXPECT_TRUE(mutex_.is_locked());  // it was free, and is the waiter's again
  run();
  EXPECT_EQ(log_, (Log{"a is cancelled"}));
  EXPECT_FALSE(mutex_.is_locked());
  EXPECT_EQ(condition_.count_waiters(), 0U);
}

// C-131: contested: the cancelled waiter queues for the mutex, and cancelling it again changes nothing.
TEST_F(ConditionVariableTest, CancelledWaitWaitsForAContestedLock) {
  auto waiter = spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "a");
  run();
  spawn(hold, std::ref(mutex_), std::ref(log_), 1s);
  run_until_idle();
  waiter.cancel();
  run_until_idle();
  EXPECT_EQ(mutex_.count_waiters(), 1U);
  loop.scheduler.detached().cancel();
  run_until_idle();
  EXPECT_EQ(log_, (Log{"holder locks", "holder is cancelled", "a is cancelled"}));
  EXPECT_FALSE(mutex_.is_locked());
}

Task<void> wait_with_deadline(Mutex& mutex, ConditionVariable& condition, Log& log) {
  CancelScope scope(CancelScope::within(1s));
  Result<MutexLock> lock = co_await mutex.lock();
  const Result<void> notified = co_await condition.wait(*lock);
  log.push_back(notified ? "is notified" : notified.error().is_timed_out() ? "times out" : "is cancelled");
  // Level-triggered: the lock is not even given up.
  const Result<void> again = co_await condition.wait(*lock);
  log.push_back(again ? "is notified" : again.error().is_timed_out() ? "times out" : "is cancelled");
  log.push_back(mutex.is_locked() ? "locked" : "unlocked");
}

TEST_F(ConditionVariableTest, DeadlineEndsTheWait) {
  spawn(wait_with_deadline, std::ref(mutex_), std::ref(condition_), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"times out", "times out", "locked"}));
  EXPECT_EQ(elapsed(), 1s);
}

// C-131, C-132, S-44 (improved): notified, then cancelled before it runs. The notification is its own: wait() succeeds,
// so nothing is lost; the other waiter is notified by its own notification only.
TEST_F(ConditionVariableTest, CancelAfterTheNotificationFindsItDelivered) {
  auto first = spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "a");
  spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "b");
  run();
  notify(1);
  first.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a is notified"}));
  notify(1);
  run();
  EXPECT_EQ(log_, (Log{"a is notified", "b is notified"}));
}

// C-132, S-44 (improved): the same while it waits for the mutex.
TEST_F(ConditionVariableTest, CancelWhileRelockingDoesNotLoseTheNotification) {
  auto first = spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "a");
  run();
  MutexLock lock = mutex_.try_lock();
  condition_.notify();
  run();
  first.cancel();
  run();
  EXPECT_TRUE(log_.empty());
  lock.unlock();
  run();
  EXPECT_EQ(log_, (Log{"a is notified"}));
}

// C-132, S-44: a waiter that is cancelled before the notification does not take it: the next one gets it.
TEST_F(ConditionVariableTest, CancelBeforeTheNotificationLeavesItToTheNext) {
  auto first = spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "a");
  spawn(wait_once, std::ref(mutex_), std::ref(condition_), std::ref(log_), "b");
  run();
  MutexLock lock = mutex_.try_lock();
  first.cancel();
  condition_.notify();
  lock.unlock();
  run();
  EXPECT_EQ(log_, (Log{"a is cancelled", "b is notified"}));
}

struct Items {
  Mutex mutex;
  ConditionVariable changed{mutex};
  int available = 0;
  int taken = 0;
  int given_up = 0;
};
bool has_items(const Items* items) { return items->available > 0; }

struct HasItems {
  const Items* items;
  bool operator()() const { return items->available > 0; }
};
Task<void> take_one(Items& items) {
  Result<MutexLock> lock = co_await items.mutex.lock();
  if (!lock) co_return;
  const HasItems has_any{&items};
  const Result<void> there = co_await items.changed.wait(*lock, has_any);
  if (!there) {
    ++items.given_up;
    co_return;
  }
  --items.available;
  ++items.taken;
}

TEST_F(ConditionVariableTest, PredicateIsAskedUntilItIsTrue) {
  Items items;
  spawn(take_one, std::ref(items));
  spawn(take_one, std::ref(items));
  run();
  EXPECT_FALSE(has_items(&items));
  {
    MutexLock lock = items.mutex.try_lock();
    items.changed.notify_all();  // in vain
  }
  run();
  EXPECT_EQ(items.taken, 0);
  {
    MutexLock lock = items.mutex.try_lock();
    items.available = 1;
    items.changed.notify_all();
  }
  run();
  EXPECT_EQ(items.taken, 1);
  EXPECT_EQ(items.changed.count_waiters(), 1U);
  loop.cancel_all();
  EXPECT_EQ(items.given_up, 1);
}

Task<void> consume_at_random(std::reference_wrapper<Random> random, Items& items) {
  for (int i = 0; i < 15; ++i) {
    const Duration pause = random.get().milliseconds_below(3);
    const Result<void> paused = co_await sleep(pause);
    if (!paused) co_return;
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(12)));
    Result<MutexLock> lock = co_await items.mutex.lock();
    if (!lock) continue;
    while (items.available == 0) {
      const Result<void> notified = co_await items.changed.wait(*lock);
      if (!notified) break;
    }
    if (items.available == 0) {
      ++items.given_up;
      continue;
    }
    --items.available;
    ++items.taken;
  }
}
Task<void> produce_at_random(std::reference_wrapper<Random> random, Items& items, int& made) {
  for (; made < 60; ++made) {
    const Duration pause = random.get().milliseconds_below(4);
    const Result<void> paused = co_await sleep(pause);
    if (!paused) co_return;
    Result<MutexLock> lock = co_await items.mutex.lock();
    if (!lock) co_return;
    ++items.available;
    items.changed.notify();
    if (random.get().one_in(3)) {
      const Result<void> held = co_await sleep(1ms);
      static_cast<void>(held);
    }
  }
}

// C-132: one notification per item is enough, whoever is cancelled: an item never lies there while a task waits for one.
TEST(ConditionVariableRandomTest, NoNotificationIsLostUnderRandomCancels) {
  gyre::testing::for_random_seeds(30, [](Random& random) {
    Items items;
    int made = 0;
    gyre::testing::TestLoop loop;
    std::vector<JoinHandle<void>> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(loop.spawn(consume_at_random, std::ref(random), std::ref(items)));
    }
    loop.spawn(produce_at_random, std::ref(random), std::ref(items), std::ref(made));
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 30U);
    for (int turn = 0; turn < 100'000; ++turn) {
      loop.run_until_idle();
      if (!items.mutex.is_locked() && items.available > 0) {
        EXPECT_EQ(items.changed.count_waiters(), 0U) << "an item, and somebody who waits for it";
      }
      if (!loop.advance_to_next_deadline()) break;
    }
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_EQ(items.taken + items.available, made);
    EXPECT_EQ(made, 60);
    EXPECT_GT(items.taken, 5);
    EXPECT_GT(items.given_up, 0);
    EXPECT_FALSE(items.mutex.is_locked());
  });
}

}  // namespace
