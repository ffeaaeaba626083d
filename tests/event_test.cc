#include <gyre/task/event.h>

#include <chrono>
#include <functional>
#include <memory>
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

class EventTest : public gyre::testing::TaskFixture {
 protected:
  Event event_;
  Log log_;
};
using EventDeathTest = EventTest;

Task<void> wait_for(Event& event, Log& log, std::string name) {
  const Result<void> set = co_await event.wait();
  log.push_back(name + (set ? (event.is_set() ? " sees it set" : " sees it cleared") : " is cancelled"));
}

// C-129
TEST_F(EventTest, SetWakesAllInTheirOrder) {
  for (const char* name : {"a", "b", "c"}) {
    spawn(wait_for, std::ref(event_), std::ref(log_), std::string(name));
  }
  run();
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(event_.count_waiters(), 3U);
  event_.set();
  EXPECT_TRUE(log_.empty());  // nobody runs inside set()
  run();
  EXPECT_EQ(log_, (Log{"a sees it set", "b sees it set", "c sees it set"}));
}

// C-129
TEST_F(EventTest, WaitOnASetEventDoesNotWait) {
  event_.set();
  event_.set();
  spawn(wait_for, std::ref(event_), std::ref(log_), "a");
  run_turn();
  EXPECT_EQ(log_, (Log{"a sees it set"}));
  event_.clear();
  EXPECT_FALSE(event_.is_set());
  spawn(wait_for, std::ref(event_), std::ref(log_), "b");
  run();
  EXPECT_EQ(event_.count_waiters(), 1U);
}

// S-45
TEST_F(EventTest, SetAndClearWakesAllWhoWaited) {
  spawn(wait_for, std::ref(event_), std::ref(log_), "a");
  spawn(wait_for, std::ref(event_), std::ref(log_), "b");
  run();
  event_.set();
  event_.clear();
  run();
  EXPECT_EQ(log_, (Log{"a sees it cleared", "b sees it cleared"}));
}

// C-129
TEST_F(EventTest, CancelledWaiterIsRemoved) {
  auto first = spawn(wait_for, std::ref(event_), std::ref(log_), "a");
  spawn(wait_for, std::ref(event_), std::ref(log_), "b");
  run();
  first.cancel();
  EXPECT_EQ(event_.count_waiters(), 1U);
  event_.set();
  run();
  EXPECT_EQ(log_, (Log{"a is cancelled", "b sees it set"}));
}

// S-47
TEST_F(EventTest, CancelAfterSetFindsTheWaitDone) {
  auto waiter = spawn(wait_for, std::ref(event_), std::ref(log_), "a");
  run();
  event_.set();
  waiter.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a sees it set"}));
}

// S-08, improved: also a wait that need not wait reports the cancel.
Task<void> wait_in_cancelled_scope(Event& event, Log& log) {
  CancelScope scope;
  scope.cancel();
  const Result<void> set = co_await event.wait();
  log.push_back(set ? "set" : set.error().to_string());
}
TEST_F(EventTest, CancelledScopeIsReportedAlsoWhenSet) {
  event_.set();
  spawn(wait_in_cancelled_scope, std::ref(event_), std::ref(log_));
  run();
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_NE(log_[0].find("wait"), std::string::npos) << log_[0];
}

TEST_F(EventDeathTest, DyingWhileATaskWaitsAborts) {
  EXPECT_DEATH(
      {
        auto event = std::make_unique<Event>();
        spawn(wait_for, std::ref(*event), std::ref(log_), "a");
        run();
        event.reset();
      },
      "task .* still waits: event");
}

// C-137: also who wakes must be of the same scheduler.
Task<void> set_event(Event& event) {
  event.set();
  co_return;
}
TEST_F(EventDeathTest, SettingFromASecondSchedulerAborts) {
  if (!debug_checks) GTEST_SKIP() << "only builds with debug checks see it";
  spawn(wait_for, std::ref(event_), std::ref(log_), "a");
  run();
  EXPECT_DEATH(
      {
        gyre::testing::TestLoop other;
        other.spawn(set_event, std::ref(event_));
        other.run();
      },
      "used by tasks of two schedulers");
}

struct Shared {
  Event event;
  int waiting = 0;
  int woken = 0;
  int cancelled = 0;
};
Task<void> wait_at_random(std::reference_wrapper<Random> random, Shared& shared) {
  for (int i = 0; i < 20; ++i) {
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(20)));
    ++shared.waiting;
    const Result<void> set = co_await shared.event.wait();
    --shared.waiting;
    ++(set ? shared.woken : shared.cancelled);
  }
}
Task<void> toggle_at_random(std::reference_wrapper<Random> random, Shared& shared, int& lost) {
  for (int i = 0; i < 100; ++i) {
    const Duration pause = random.get().milliseconds_below(5);
    const Result<void> slept = co_await sleep(pause);
    if (!slept) break;
    shared.event.set();
    // Everybody is off the list at once; whoever is ready has been woken or cancelled.
    lost += static_cast<int>(shared.event.count_waiters());
    shared.event.clear();
  }
}

// C-129, S-45: no waiter is lost and none is woken twice.
TEST(EventRandomTest, HoldsUnderRandomCancels) {
  gyre::testing::for_random_seeds(30, [](Random& random) {
    Shared shared;
    gyre::testing::TestLoop loop;
    int lost = 0;
    std::vector<JoinHandle<void>> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(loop.spawn(wait_at_random, std::ref(random), std::ref(shared)));
    }
    loop.spawn(toggle_at_random, std::ref(random), std::ref(shared), std::ref(lost));
    loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 40U);
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_EQ(lost, 0);
    EXPECT_EQ(shared.waiting, 0);
    EXPECT_EQ(shared.woken + shared.cancelled, 6 * 20);
    EXPECT_GT(shared.woken, 0);
  });
}

}  // namespace
