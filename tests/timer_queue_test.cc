#include <gyre/task/timer_queue.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/timer_queue_tester.h"

namespace gyre {
namespace {

using namespace std::chrono_literals;
using namespace test;

// A timer that writes its number into a log when it fires.
struct Alarm : Timer {
  Alarm(int n, std::vector<int>& l) noexcept : Timer(&ring), number(n), log(&l) {}
  static void ring(Timer& timer) noexcept {
    Alarm& alarm = static_cast<Alarm&>(timer);
    alarm.log->push_back(alarm.number);
  }
  int number;
  std::vector<int>* log;
};

// A timer that runs anything.
struct Action : Timer {
  template <typename F>
  explicit Action(F f) : Timer(&run), body(std::make_unique<Body<F>>(std::move(f))) {}
  static void run(Timer& timer) noexcept { static_cast<Action&>(timer).body->call(); }
  struct Base {
    virtual ~Base() = default;
    virtual void call() = 0;
  };
  template <typename F>
  struct Body : Base {
    explicit Body(F f) : function(std::move(f)) {}
    void call() override { function(); }
    F function;
  };
  std::unique_ptr<Base> body;
};

class TimerQueueTest : public testing::Test {
 protected:
  Alarm& alarm(int number) { return alarms_.emplace_back(number, log_); }
  Alarm& arm(int number, std::int64_t ns) {
    Alarm& timer = alarm(number);
    queue_.arm(timer, at(ns));
    return timer;
  }
  std::vector<int> fire(std::int64_t ns, std::size_t at_most = unlimited) {
    log_.clear();
    const std::size_t fired = queue_.fire_due(at(ns), at_most);
    EXPECT_GE(fired, log_.size());
    EXPECT_TRUE(TimerQueueTester::check(queue_));
    return log_;
  }
  void TearDown() override {
    for (Alarm& timer : alarms_) queue_.cancel(timer);
  }

  std::vector<int> log_;
  TimerQueue queue_;
  std::deque<Alarm> alarms_;
};

using Numbers = std::vector<int>;

TEST_F(TimerQueueTest, StartsEmpty) {
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.next_deadline(), never);
  EXPECT_EQ(queue_.fire_due(at(highest), unlimited), 0u);
}

TEST_F(TimerQueueTest, FiresExactlyAtTheDeadlineNotANanosecondBefore) {
  for (const std::int64_t deadline : {std::int64_t{1}, std::int64_t{999}, std::int64_t{1023}, std::int64_t{1024},
                                      std::int64_t{65'535}, std::int64_t{65'536}, std::int64_t{999'999},
                                      std::int64_t{1'000'000'007}, std::int64_t{3'600'000'000'001}}) {
    const Alarm& timer = arm(1, deadline);
    EXPECT_TRUE(timer.is_armed());
    EXPECT_EQ(queue_.next_deadline(), at(deadline));
    EXPECT_EQ(fire(deadline - 1), Numbers{}) << deadline;
    EXPECT_EQ(queue_.next_deadline(), at(deadline));
    EXPECT_EQ(fire(deadline), Numbers{1}) << deadline;
    EXPECT_FALSE(timer.is_armed());
    EXPECT_TRUE(queue_.empty());
  }
}

// The list of deadlines at which timer code likes to break, each from several starting points.
TEST_F(TimerQueueTest, FiresAtEveryBoundary) {
  constexpr std::int64_t ms = 1'000'000;
  constexpr std::int64_t two31ms = (std::int64_t{1} << 31) * ms;
  const std::int64_t deadlines[] = {lowest,        lowest + 1,       -two31ms,      -1'000'000'000, -1,
                                    0,             1,                999'999,       ms,             ms + 1,
                                    two31ms - ms,  two31ms,          two31ms + ms,  2 * two31ms,    highest / 2,
                                    highest - 1025, highest - 1024,  highest - 2,   highest - 1};
  for (const std::int64_t start : {lowest, -two31ms - 5, std::int64_t{0}, std::int64_t{12'345}, two31ms}) {
    for (const std::int64_t deadline : deadlines) {
      std::vector<int> log;
      TimerQueue queue(at(start));
      Alarm timer(1, log);
      queue.arm(timer, at(deadline));
      EXPECT_EQ(queue.next_deadline(), at(deadline));
      if (deadline > start) {
        EXPECT_EQ(queue.fire_due(at(deadline - 1), unlimited), 0u) << start << ' ' << deadline;
      }
      EXPECT_EQ(queue.fire_due(at(std::max(start, deadline)), unlimited), 1u) << start << ' ' << deadline;
      EXPECT_EQ(log, Numbers{1});
    }
  }
}

TEST_F(TimerQueueTest, NeverIsArmedButDoesNotFire) {
  Alarm& timer = alarm(1);
  queue_.arm(timer, never);
  EXPECT_TRUE(timer.is_armed());
  EXPECT_FALSE(queue_.empty());
  EXPECT_EQ(queue_.next_deadline(), never);
  EXPECT_EQ(fire(highest - 1), Numbers{});
  EXPECT_EQ(fire(highest), Numbers{});
  EXPECT_EQ(queue_.next_deadline(), never);
  arm(2, highest - 1);
  EXPECT_EQ(fire(highest), Numbers{2});
  EXPECT_TRUE(timer.is_armed());
  EXPECT_TRUE(queue_.cancel(timer));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(TimerQueueTest, FiresInOrderOfDeadlinesWhateverTheOrderOfArming) {
  arm(3, 1'000'003);
  arm(1, 5);
  arm(4, 5'000'000'000);
  arm(2, 1'000'002);
  arm(0, -7);
  EXPECT_EQ(fire(6'000'000'000), (Numbers{0, 1, 2, 3, 4}));
}

TEST_F(TimerQueueTest, DeadlinesInThePastFireNextInOrder) {
  fire(1'000'000'000);
  arm(3, 1'000'000'000);
  arm(1, 5);
  arm(2, 999'999'999);
  arm(0, lowest);
  EXPECT_EQ(queue_.next_deadline(), at(lowest));
  EXPECT_EQ(fire(1'000'000'000), (Numbers{0, 1, 2, 3}));
}

TEST_F(TimerQueueTest, EqualDeadlinesFireInTheOrderOfArming) {
  for (int i = 0; i < 1000; ++i) arm(i, 777'777);
  const Numbers fired = fire(777'777);
  ASSERT_EQ(fired.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

// The same deadline, armed while it is hours, seconds, milliseconds, microseconds away, in its own tick, and at last
// when it has passed: each arming would choose another level of the wheel.
TEST_F(TimerQueueTest, EqualDeadlinesStayInOrderAcrossLevels) {
  constexpr std::int64_t deadline = 10'000'000'000'123;
  const std::int64_t times[] = {0,
                                1,
                                5'000'000'000'000,
                                9'000'000'000'000,
                                9'999'000'000'000,
                                9'999'999'000'000,
                                9'999'999'999'000,
                                10'000'000'000'000,
                                10'000'000'000'122};
  int number = 0;
  for (const std::int64_t time : times) {
    EXPECT_EQ(fire(time), Numbers{});
    for (int i = 0; i < 3; ++i) arm(number++, deadline);
  }
  log_.clear();
  EXPECT_EQ(queue_.fire_due(at(deadline), 10), 10u);  // Interrupted half way.
  for (int i = 0; i < 3; ++i) arm(number++, deadline);
  EXPECT_EQ(queue_.fire_due(at(deadline + 1), unlimited), static_cast<std::size_t>(number) - 10);
  ASSERT_EQ(log_.size(), static_cast<std::size_t>(number));
  EXPECT_TRUE(std::is_sorted(log_.begin(), log_.end()));
}

TEST_F(TimerQueueTest, ArmingAnArmedTimerMovesItBehindItsEquals) {
  Alarm& first = arm(1, 500);
  arm(2, 500);
  queue_.arm(first, at(500));
  EXPECT_EQ(queue_.size(), 2u);
  EXPECT_EQ(fire(500), (Numbers{2, 1}));
  arm(3, 10'000);
  queue_.arm(first, at(50'000'000));
  queue_.arm(first, at(9'000));
  EXPECT_EQ(first.deadline(), at(9'000));
  EXPECT_EQ(fire(1'000'000'000), (Numbers{1, 3}));
}

TEST_F(TimerQueueTest, CancelledTimersDoNotFire) {
  Alarm& a = arm(1, 100);
  Alarm& b = arm(2, 100'000);
  arm(3, 100'000);
  EXPECT_TRUE(queue_.cancel(a));
  EXPECT_TRUE(queue_.cancel(b));
  EXPECT_FALSE(queue_.cancel(b));
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_TRUE(TimerQueueTester::check(queue_));
  EXPECT_EQ(queue_.next_deadline(), at(100'000));
  EXPECT_EQ(fire(200'000), Numbers{3});
  EXPECT_EQ(queue_.next_deadline(), never);
}

TEST_F(TimerQueueTest, FiresAtMostSoManyAndGoesOnWhereItStopped) {
  for (int i = 0; i < 10; ++i) arm(i, 1'000 * (10 - i));
  EXPECT_EQ(fire(1'000'000, 0), Numbers{});
  EXPECT_EQ(fire(1'000'000, 3), (Numbers{9, 8, 7}));
  EXPECT_EQ(queue_.next_deadline(), at(4'000));
  arm(100, 3'500);  // Earlier than what is left.
  arm(101, 4'000);  // Equal to what is left, but armed later.
  EXPECT_EQ(fire(1'000'000, 3), (Numbers{100, 6, 101}));
  EXPECT_EQ(fire(1'000'000), (Numbers{5, 4, 3, 2, 1, 0}));
}

TEST_F(TimerQueueTest, ATimerMayRearmItselfAndWaitsForTheNextCallIfDue) {
  int count = 0;
  Action* self = nullptr;
  Action action([&] {
    ++count;
    queue_.arm(*self, at(5'000'000));
  });
  self = &action;
  queue_.arm(action, at(1'000));
  // The new deadline has passed too, but a timer must not hold the loop.
  EXPECT_EQ(queue_.fire_due(at(1'000'000'000), unlimited), 1u);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(queue_.next_deadline(), at(5'000'000));
  EXPECT_EQ(queue_.fire_due(at(1'000'000'000), unlimited), 1u);
  EXPECT_EQ(count, 2);
  queue_.cancel(action);
}

TEST_F(TimerQueueTest, ATimerMayCancelDueAndFutureTimers) {
  Alarm& due = alarm(1);
  Alarm& same_tick = alarm(2);
  Alarm& future = alarm(3);
  Action killer([&] {
    EXPECT_TRUE(queue_.cancel(due));
    EXPECT_TRUE(queue_.cancel(same_tick));
    EXPECT_TRUE(queue_.cancel(future));
  });
  queue_.arm(killer, at(1'000));
  queue_.arm(same_tick, at(1'001));
  queue_.arm(due, at(2'000'000));
  queue_.arm(future, at(9'000'000'000));
  arm(4, 3'000'000);
  EXPECT_EQ(fire(5'000'000), Numbers{4});
  EXPECT_TRUE(queue_.empty());
}

TEST_F(TimerQueueTest, ATimerMayDestroyItselfAndOthers) {
  auto victim = std::make_unique<Alarm>(1, log_);
  std::unique_ptr<Action> killer;
  killer = std::make_unique<Action>([&] {
    queue_.cancel(*victim);
    victim.reset();
    // The closure dies with the action: nothing of it is used after this line.
    killer.reset();
  });
  queue_.arm(*killer, at(10));
  queue_.arm(*victim, at(10));
  arm(2, 11);
  EXPECT_EQ(fire(11), Numbers{2});
}

// A firing timer arms others at deadlines that are due, in this tick but not due, and later; also when it is
// interrupted. None fires in the same call if due, none is lost, and the order holds.
TEST_F(TimerQueueTest, TimersArmedWhileFiringKeepTheOrder) {
  for (const std::size_t at_most : {std::size_t{1}, std::size_t{2}, unlimited}) {
    Alarm& past = alarm(1);
    Alarm& before_waiting = alarm(2);
    Alarm& equal_to_waiting = alarm(3);
    Alarm& same_tick_later = alarm(4);
    Alarm& far = alarm(5);
    Alarm& waiting = alarm(6);
    TimerQueue queue;
    Action parent([&] {
      queue.arm(far, at(90'000'000));
      queue.arm(same_tick_later, at(5'000'100));
      queue.arm(equal_to_waiting, at(4'000'000));
      queue.arm(before_waiting, at(3'000'000));
      queue.arm(past, at(1));
    });
    queue.arm(parent, at(1'000));
    queue.arm(waiting, at(4'000'000));
    log_.clear();
    queue.fire_due(at(5'000'000), at_most);
    EXPECT_TRUE(TimerQueueTester::check(queue));
    EXPECT_EQ(log_, at_most == 1 ? Numbers{} : Numbers{6});
    log_.clear();
    queue.fire_due(at(5'000'000), unlimited);
    EXPECT_EQ(log_, at_most == 1 ? (Numbers{1, 2, 6, 3}) : (Numbers{1, 2, 3}));
    log_.clear();
    queue.fire_due(at(90'000'000), unlimited);
    EXPECT_EQ(log_, (Numbers{4, 5}));
  }
}

TEST_F(TimerQueueTest, HoursPassWithoutWork) {
  constexpr std::int64_t hour = 3'600'000'000'000;
  arm(1, 1);
  arm(2, 10'000 * hour + 17);
  EXPECT_EQ(fire(5), Numbers{1});
  for (int i = 1; i <= 10'000; ++i) EXPECT_EQ(fire(i * hour), Numbers{});
  EXPECT_EQ(fire(10'000 * hour + 16), Numbers{});
  EXPECT_EQ(fire(10'000 * hour + 17), Numbers{2});
}

TEST_F(TimerQueueTest, TimeThatRunsBackwardsFiresNothingEarly) {
  fire(1'000'000);
  arm(1, 500'000);
  arm(2, 2'000'000);
  EXPECT_EQ(fire(400'000), Numbers{});
  EXPECT_EQ(fire(600'000), Numbers{1});
  EXPECT_EQ(fire(2'000'000), Numbers{2});
}

// A loop that sleeps until next_deadline() and fires wakes without firing at most a few times in between.
TEST_F(TimerQueueTest, NextDeadlineIsNeverLateAndNeverSpins) {
  std::mt19937_64 random(7);
  for (const int count : {1, 5, 8, 9, 100, 3000}) {
    std::int64_t now = 0;
    TimerQueue queue;
    std::deque<Alarm> alarms;
    std::multimap<std::int64_t, int> model;
    std::vector<int> log;
    for (int i = 0; i < count; ++i) {
      const auto deadline = static_cast<std::int64_t>(random() % 40'000'000'000);
      queue.arm(alarms.emplace_back(i, log), at(deadline));
      model.emplace(deadline, i);
    }
    int idle_wakes = 0;
    while (!model.empty()) {
      const std::int64_t next = queue.next_deadline().nanoseconds();
      ASSERT_LE(next, model.begin()->first);
      ASSERT_GE(next, now);
      now = next;
      log.clear();
      if (queue.fire_due(at(now), unlimited) == 0) ++idle_wakes;
      for (const int number : log) {
        ASSERT_EQ(model.begin()->first, now);
        ASSERT_EQ(model.begin()->second, number);
        model.erase(model.begin());
      }
    }
    EXPECT_TRUE(queue.empty());
    if (count <= 8) {
      EXPECT_EQ(idle_wakes, 0);
    }
    EXPECT_LE(idle_wakes, count / 2);
  }
}

// A hundred thousand timers in one tick, in the worst order, and again in the past: sorted, not inserted one by one.
TEST_F(TimerQueueTest, ManyTimersInOneTickAreSortedQuickly) {
  constexpr int count = 100'000;
  for (const std::int64_t base : {std::int64_t{5'000'000'000}, std::int64_t{0}}) {
    fire(base == 0 ? 6'000'000'000 : 0);
    for (int i = 0; i < count; ++i) arm(i, base + 1'000 - i % 1'000);
    const Numbers fired = fire(base == 0 ? 6'000'000'000 : base + 1'000);
    ASSERT_EQ(fired.size(), static_cast<std::size_t>(count));
    EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end(), [](int a, int b) {
      return std::pair(-(a % 1'000), a) < std::pair(-(b % 1'000), b);
    }));
  }
}

using TimerQueueDeathTest = TimerQueueTest;

TEST_F(TimerQueueDeathTest, MisuseAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        TimerQueue queue;
        Alarm timer(1, log_);
        queue.arm(timer, at(5));
      },
      "cancel a timer before");
  EXPECT_DEATH(
      {
        Alarm timer(1, log_);
        TimerQueue queue;
        queue.arm(timer, at(5));
      },
      "still armed");
  EXPECT_DEATH(
      {
        Action action([this] { queue_.fire_due(at(1), 1); });
        queue_.arm(action, at(0));
        queue_.fire_due(at(1), 1);
      },
      "inside a timer");
}

}  // namespace
}  // namespace gyre
