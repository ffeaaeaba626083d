#include <gyre/task/watch.h>

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

class WatchTest : public gyre::testing::TaskFixture {
 protected:
  Watch<int> watch_{0};
  Log log_;
};
using WatchDeathTest = WatchTest;

Task<void> follow(Watch<int>& watch, Log& log, std::string name) {
  Watch<int>::Receiver receiver = watch.subscribe();
  for (;;) {
    const Result<void> changed = co_await receiver.changed();
    if (!changed) {
      log.push_back(name + (changed.error() == Errc::closed ? " closed" : " cancelled"));
      co_return;
    }
    log.push_back(name + " " + std::to_string(receiver.get()));
  }
}

TEST_F(WatchTest, EachReceiverSeesTheLatest) {
  spawn(follow, std::ref(watch_), std::ref(log_), "a");
  spawn(follow, std::ref(watch_), std::ref(log_), "b");
  run();
  EXPECT_TRUE(log_.empty());  // the first value is nothing new
  watch_.set(1);
  run();
  watch_.set(2);
  watch_.update([](int& value) { ++value; });
  run();
  watch_.set(4);
  watch_.close();
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 1", "a 3", "b 3", "a 4", "a closed", "b 4", "b closed"}));
  EXPECT_EQ(watch_.get(), 4);
}

TEST_F(WatchTest, GetCountsAsSeen) {
  Watch<int>::Receiver receiver = watch_.subscribe();
  EXPECT_FALSE(receiver.has_changed());
  watch_.set(1);
  EXPECT_TRUE(receiver.has_changed());
  EXPECT_EQ(receiver.get(), 1);
  EXPECT_FALSE(receiver.has_changed());
}

TEST_F(WatchTest, CloseEndsThoseWhoWait) {
  spawn(follow, std::ref(watch_), std::ref(log_), "a");
  run();
  watch_.close();
  watch_.close();
  run();
  EXPECT_EQ(log_, (Log{"a closed"}));
}

TEST_F(WatchTest, CancelledWaiterLeaves) {
  auto follower = spawn(follow, std::ref(watch_), std::ref(log_), "a");
  run();
  follower.cancel();
  EXPECT_EQ(watch_.count_waiters(), 0U);
  watch_.set(1);
  run();
  EXPECT_EQ(log_, (Log{"a cancelled"}));
}

// S-47
TEST_F(WatchTest, CancelAfterTheChangeFindsIt) {
  auto follower = spawn(follow, std::ref(watch_), std::ref(log_), "a");
  run();
  watch_.set(1);
  follower.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a 1", "a cancelled"}));
}

TEST_F(WatchDeathTest, SettingAClosedWatchAborts) {
  watch_.close();
  EXPECT_DEATH(watch_.set(1), "closed Watch");
}

struct Seen {
  int last = 0;
  bool ordered = true;
  int changes = 0;
  int timeouts = 0;
};
Task<void> follow_at_random(std::reference_wrapper<Random> random, Watch<int>& watch, Seen& seen) {
  Watch<int>::Receiver receiver = watch.subscribe();
  for (;;) {
    const Duration busy = random.get().milliseconds_below(6);
    const Result<void> slept = co_await sleep(busy);
    static_cast<void>(slept);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(6)));
    const Result<void> changed = co_await receiver.changed();
    if (!changed && changed.error() == Errc::closed) co_return;
    if (!changed) {
      ++seen.timeouts;
      continue;
    }
    ++seen.changes;
    seen.ordered &= receiver.get() > seen.last;
    seen.last = receiver.get();
  }
}
Task<void> change_at_random(std::reference_wrapper<Random> random, Watch<int>& watch) {
  for (int i = 1; i <= 50; ++i) {
    const Duration pause = random.get().milliseconds_below(6);
    const Result<void> slept = co_await sleep(pause);
    static_cast<void>(slept);
    watch.set(i);
  }
  watch.close();
}

// However slow they are and whatever times out: values come in order, none twice, and the last one always.
TEST(WatchRandomTest, LastValueIsNeverMissed) {
  gyre::testing::for_random_seeds(50, [](Random& random) {
    Watch<int> watch(0);
    Seen seen[4];
    gyre::testing::TestLoop loop;
    for (Seen& one : seen) loop.spawn(follow_at_random, std::ref(random), std::ref(watch), std::ref(one));
    loop.spawn(change_at_random, std::ref(random), std::ref(watch));
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    for (const Seen& one : seen) {
      EXPECT_EQ(one.last, 50);
      EXPECT_TRUE(one.ordered);
      EXPECT_GT(one.timeouts, 0);
      EXPECT_LE(one.changes, 50);
    }
  });
}

}  // namespace
