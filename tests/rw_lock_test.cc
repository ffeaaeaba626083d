#include <gyre/task/rw_lock.h>

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

class RwLockTest : public gyre::testing::TaskFixture {
 protected:
  RwLock lock_;
  Log log_;
};
using RwLockDeathTest = RwLockTest;

Task<void> read(RwLock& rw_lock, Log& log, std::string name, Duration how_long) {
  Result<ReadLock> lock = co_await rw_lock.read();
  log.push_back(name + (lock ? " reads" : " is cancelled"));
  if (!lock) co_return;
  const Result<void> slept = co_await sleep(how_long);
  log.push_back(name + (slept ? " ends" : " is cancelled inside"));
}
Task<void> write(RwLock& rw_lock, Log& log, std::string name, Duration how_long) {
  Result<WriteLock> lock = co_await rw_lock.write();
  log.push_back(name + (lock ? " writes" : " is cancelled"));
  if (!lock) co_return;
  const Result<void> slept = co_await sleep(how_long);
  log.push_back(name + (slept ? " ends" : " is cancelled inside"));
}

TEST_F(RwLockTest, ReadersShareAndWritersDoNot) {
  spawn(read, std::ref(lock_), std::ref(log_), "r1", 1s);
  spawn(read, std::ref(lock_), std::ref(log_), "r2", 1s);
  spawn(write, std::ref(lock_), std::ref(log_), "w1", 1s);
  spawn(write, std::ref(lock_), std::ref(log_), "w2", 1s);
  run();
  EXPECT_EQ(log_, (Log{"r1 reads", "r2 reads", "r1 ends", "r2 ends", "w1 writes", "w1 ends", "w2 writes", "w2 ends"}));
  EXPECT_EQ(elapsed(), 3s);
  EXPECT_EQ(lock_.readers(), 0U);
  EXPECT_FALSE(lock_.has_writer());
}

// Fair: a reader does not overtake a waiting writer; readers that come after it share again.
TEST_F(RwLockTest, WaitingWriterKeepsNewReadersOut) {
  spawn(read, std::ref(lock_), std::ref(log_), "r1", 2s);
  spawn(write, std::ref(lock_), std::ref(log_), "w", 1s);
  spawn(read, std::ref(lock_), std::ref(log_), "r2", 1s);
  spawn(read, std::ref(lock_), std::ref(log_), "r3", 1s);
  run_for(1s);
  EXPECT_FALSE(lock_.try_read());
  EXPECT_EQ(lock_.count_waiters(), 3U);
  run();
  EXPECT_EQ(log_, (Log{"r1 reads", "r1 ends", "w writes", "w ends", "r2 reads", "r3 reads", "r2 ends", "r3 ends"}));
  EXPECT_EQ(elapsed(), 4s);
}

// A writer that goes away lets in the readers that it kept out.
TEST_F(RwLockTest, CancelledWriterLetsTheReadersBehindItIn) {
  spawn(read, std::ref(lock_), std::ref(log_), "r1", 2s);
  auto writer = spawn(write, std::ref(lock_), std::ref(log_), "w1", 1s);
  spawn(read, std::ref(lock_), std::ref(log_), "r2", 2s);
  spawn(write, std::ref(lock_), std::ref(log_), "w2", 1s);
  spawn(read, std::ref(lock_), std::ref(log_), "r3", 1s);
  run_for(1s);
  writer.cancel();
  EXPECT_EQ(lock_.readers(), 2U);
  run();
  EXPECT_EQ(log_, (Log{"r1 reads", "w1 is cancelled", "r2 reads", "r1 ends", "r2 ends", "w2 writes", "w2 ends",
                       "r3 reads", "r3 ends"}));
}

// S-47
TEST_F(RwLockTest, CancelAfterTheHandOverFindsTheOwner) {
  WriteLock held = lock_.try_write();
  auto writer = spawn(write, std::ref(lock_), std::ref(log_), "w", 1s);
  auto reader = spawn(read, std::ref(lock_), std::ref(log_), "r", 1s);
  run();
  held.unlock();
  EXPECT_TRUE(lock_.has_writer());
  writer.cancel();
  run();
  EXPECT_EQ(log_, (Log{"w writes", "w is cancelled inside", "r reads", "r ends"}));
}

TEST_F(RwLockTest, DowngradeLetsReadersInAndKeepsWritersOut) {
  WriteLock held = lock_.try_write();
  EXPECT_FALSE(lock_.try_read());
  EXPECT_FALSE(lock_.try_write());
  spawn(read, std::ref(lock_), std::ref(log_), "r1", 1s);
  spawn(write, std::ref(lock_), std::ref(log_), "w", 1s);
  spawn(read, std::ref(lock_), std::ref(log_), "r2", 1s);
  run();
  ReadLock reader = std::move(held).downgrade();
  EXPECT_FALSE(held);
  EXPECT_EQ(lock_.readers(), 2U);
  run();
  EXPECT_EQ(log_, (Log{"r1 reads", "r1 ends"}));
  reader.unlock();
  run();
  EXPECT_EQ(log_, (Log{"r1 reads", "r1 ends", "w writes", "w ends", "r2 reads", "r2 ends"}));
}

TEST_F(RwLockTest, TryTakesOnlyWhatIsFree) {
  ReadLock first = lock_.try_read();
  ReadLock second = lock_.try_read();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(lock_.try_write());
  first.unlock();
  second = ReadLock();
  EXPECT_TRUE(lock_.try_write());
}

TEST_F(RwLockDeathTest, DowngradeOfNothingAborts) {
  EXPECT_DEATH((void)WriteLock().downgrade(), "owns nothing");
}

struct Shared {
  RwLock lock;
  int readers = 0;
  int readers_max = 0;
  int writers = 0;
  bool violated = false;
  int steps = 0;             // changes whenever a task runs
  std::vector<int> asked;    // those who waited, in the order of asking ...
  std::vector<int> granted;  // ... and of being served
};
Task<void> use_at_random(std::reference_wrapper<Random> random, Shared& shared, int name) {
  for (int i = 0; i < 20; ++i) {
    const Duration pause = random.get().milliseconds_below(6);
    const Result<void> paused = co_await sleep(pause);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(10)));
    const int ticket = name * 1000 + i;
    const Duration stay = random.get().milliseconds_below(3);
    if (!scope.is_effective()) shared.asked.push_back(ticket);
    if (random.get().one_in(3)) {
      const int step = ++shared.steps;
      Result<WriteLock> lock = co_await shared.lock.write();
      const bool waited = shared.steps != step;
      ++shared.steps;
      if (!lock || !waited) std::erase(shared.asked, ticket);
      if (!lock) {
        if (!paused) break;
        continue;
      }
      if (waited) shared.granted.push_back(ticket);
      shared.violated |= shared.readers != 0 || shared.writers != 0;
      ++shared.writers;
      const Result<void> slept = co_await sleep(stay);
      static_cast<void>(slept);
      --shared.writers;
      if (random.get().one_in(2)) {
        ReadLock reader = std::move(*lock).downgrade();
        ++shared.readers;
        const Result<void> again = co_await sleep(stay);
        static_cast<void>(again);
        --shared.readers;
      }
    } else {
      const int step = ++shared.steps;
      Result<ReadLock> lock = co_await shared.lock.read();
      const bool waited = shared.steps != step;
      ++shared.steps;
      if (!lock || !waited) std::erase(shared.asked, ticket);
      if (!lock) {
        if (!paused) break;
        continue;
      }
      if (waited) shared.granted.push_back(ticket);
      shared.violated |= shared.writers != 0;
      shared.readers_max = std::max(shared.readers_max, ++shared.readers);
      const Result<void> slept = co_await sleep(stay);
      static_cast<void>(slept);
      --shared.readers;
    }
  }
}

TEST(RwLockRandomTest, HoldsUnderRandomCancels) {
  gyre::testing::for_random_seeds(30, [](Random& random) {
    Shared shared;
    gyre::testing::TestLoop loop;
    std::vector<JoinHandle<void>> tasks;
    for (int name = 0; name < 8; ++name) {
      tasks.push_back(loop.spawn(use_at_random, std::ref(random), std::ref(shared), name));
    }
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 12U);
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_FALSE(shared.violated);
    EXPECT_GT(shared.readers_max, 1);
    EXPECT_EQ(shared.granted, shared.asked);
    EXPECT_EQ(shared.lock.count_waiters(), 0U);
    EXPECT_TRUE(shared.lock.try_write());
  });
}

}  // namespace
