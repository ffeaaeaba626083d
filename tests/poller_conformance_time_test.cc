// The poller contract: deadlines (C9) and wake-ups (C7).

#include <atomic>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class PollerTimeTest : public PollerFixture {
 protected:
  // Nothing happens: wait() returns 0, and not before the deadline.
  void expect_never_early(Duration patience) {
    const Instant deadline = steady_clock().now() + patience;
    EXPECT_EQ(io_->poller().wait(deadline), 0u);
    EXPECT_GE(steady_clock().now(), deadline) << patience.count() << " ns";
  }

  // A timer fires in a few milliseconds; a wait for much longer ends with it, and neither before nor without it.
  void expect_sleeps_until_the_timer(Instant deadline) {
    const Instant start = steady_clock().now();
    UniqueFd timer = timer_fd(milliseconds(3));
    Descriptor& descriptor = io_->attach(std::move(timer), DescriptorKind::stream);
    Request& readable = io_->plain(OperationKind::readable, descriptor);
    EXPECT_EQ(io_->turn_until(deadline), 1u);
    EXPECT_TRUE(readable.done());
    EXPECT_GE(steady_clock().now() - start, milliseconds(2));
    io_->close_now(descriptor);
  }
};
class PollerWakeTest : public PollerFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerTimeTest);
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerWakeTest);

TEST_P(PollerTimeTest, DeadlineInThePastDoesNotSleep) {
  const PollerStats before = io_->poller().stats();
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(io_->poller().wait(Instant()), 0u);
  EXPECT_EQ(io_->poller().stats().blocking_waits, before.blocking_waits);
  EXPECT_EQ(io_->poller().stats().waits - before.waits, 1000u);
}

TEST_P(PollerTimeTest, DeadlineOfNowAndOfTheLowestInstantDoNotSleep) {
  EXPECT_EQ(io_->poller().wait(steady_clock().now()), 0u);
  EXPECT_EQ(io_->poller().wait(Instant(Duration::min())), 0u);
  EXPECT_EQ(io_->poller().wait(Instant(Duration(-1))), 0u);
}

TEST_P(PollerTimeTest, DeadlineInThePastStillDeliversWhatIsReady) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive(near, 8);
  io_->settle();
  write_all(pair.far, "x");
  EXPECT_EQ(io_->turn_until(Instant()), 1u);
  EXPECT_TRUE(receive.done());
}

TEST_P(PollerTimeTest, OneNanosecondIsNeverEarly) {
  for (int i = 0; i < 100; ++i) expect_never_early(nanoseconds(1));
}

TEST_P(PollerTimeTest, JustUnderAMillisecondIsNeverEarly) {
  for (int i = 0; i < 3; ++i) expect_never_early(nanoseconds(999'999));
}

TEST_P(PollerTimeTest, JustOverAMillisecondIsNeverEarly) {
  expect_never_early(nanoseconds(1'000'000));
  expect_never_early(nanoseconds(1'000'001));
  expect_never_early(microseconds(1500));
}

TEST_P(PollerTimeTest, ShortSleepsDoNotTurnInCircles) {
  const std::uint64_t before = io_->undisturbed_calls();
  for (int i = 0; i < 10; ++i) expect_never_early(microseconds(700));
  EXPECT_LE(io_->undisturbed_calls() - before, 40u);
}

TEST_P(PollerTimeTest, DeadlineAroundTwoToThe31MillisecondsDoesNotOverflow) {
  constexpr std::int64_t edge = std::int64_t{1} << 31;
  for (const std::int64_t ms : {edge - 1, edge, edge + 1}) {
    expect_sleeps_until_the_timer(steady_clock().now() + milliseconds(ms));
  }
}

TEST_P(PollerTimeTest, DeadlineAroundTwoToThe32MillisecondsAndSecondsDoesNotOverflow) {
  constexpr std::int64_t edge = std::int64_t{1} << 32;
  expect_sleeps_until_the_timer(steady_clock().now() + milliseconds(edge));
  expect_sleeps_until_the_timer(steady_clock().now() + std::chrono::seconds(edge));
}

TEST_P(PollerTimeTest, DeadlineOfNeverAndJustBeforeItDoNotOverflow) {
  constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
  expect_sleeps_until_the_timer(never);
  expect_sleeps_until_the_timer(Instant(Duration(highest - 1)));
  expect_sleeps_until_the_timer(Instant(Duration(highest / 2)));
}

TEST_P(PollerTimeTest, CompletionEndsTheWaitLongBeforeTheDeadline) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive(near, 8);
  std::thread peer([&] { write_all(pair.far, "x"); });
  EXPECT_EQ(io_->turn_until(steady_clock().now() + PollerDriver::time_limit), 1u);
  peer.join();
  EXPECT_TRUE(receive.done());
}

TEST_P(PollerWakeTest, WakeBeforeWaitIsSticky) {
  io_->wake();
  EXPECT_EQ(io_->turn_until(steady_clock().now() + PollerDriver::time_limit), 0u);
}

TEST_P(PollerWakeTest, WakeCoalesces) {
  for (int i = 0; i < 1000; ++i) io_->wake();
  EXPECT_EQ(io_->turn_until(steady_clock().now() + PollerDriver::time_limit), 0u);
  // All are consumed: the next wait sleeps until its deadline (the driver checks that it is not early).
  EXPECT_EQ(io_->turn(milliseconds(1)), 0u);
  EXPECT_EQ(io_->turn(milliseconds(1)), 0u);
}

TEST_P(PollerWakeTest, WakeOfAnAwakeLoopMakesNoSystemCall) {
  io_->turn();
  const PollerStats before = io_->poller().stats();
  for (int i = 0; i < 1000; ++i) io_->wake();
  EXPECT_EQ(io_->poller().stats().wakes, before.wakes);
  EXPECT_EQ(io_->poller().stats().system_calls, before.system_calls);
  io_->turn();
}

TEST_P(PollerWakeTest, WakeFromAnotherThreadEndsASleep) {
  for (int i = 0; i < 50; ++i) {
    io_->expect_foreign_wakes();
    std::thread other([&] { io_->poller().wake(); });
    const Instant limit = steady_clock().now() + PollerDriver::time_limit;
    io_->turn_until(limit);
    EXPECT_LT(steady_clock().now(), limit);
    other.join();
  }
}

TEST_P(PollerWakeTest, WakeInsideACompletionMakesTheNextWaitReturn) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive(near, 8, operation_no_inline);
  receive.then([&](Request&) { io_->wake(); });
  write_all(pair.far, "x");
  EXPECT_EQ(io_->finish(receive), 1);
  const Instant limit = steady_clock().now() + PollerDriver::time_limit;
  EXPECT_EQ(io_->poller().wait(limit), 0u);
  EXPECT_LT(steady_clock().now(), limit);
}

TEST_P(PollerWakeTest, WakeAndCompletionsComeTogether) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive(near, 8);
  io_->settle();
  write_all(pair.far, "x");
  io_->wake();
  io_->turn(milliseconds(100));
  EXPECT_EQ(io_->finish(receive), 1);
}

// Four threads post items and wake; now and then each waits until its items were taken, so that a lost wake would leave
// the loop asleep over them. Together 1,000,000 wakes over the shards.
class PollerWakeStorm : public PollerWakeTest {
 protected:
  void storm(std::uint64_t wakes_per_thread, std::uint64_t rest_every) {
    constexpr std::uint64_t threads = 4;
    if (sanitized) wakes_per_thread /= 4;  // each costs much more, and races show as soon
    std::atomic<std::uint64_t> posted = 0;
    std::atomic<std::uint64_t> taken = 0;
    std::atomic<bool> failed = false;
    io_->expect_foreign_wakes();
    std::vector<std::thread> all;
    for (std::uint64_t t = 0; t < threads; ++t) {
      all.emplace_back([&] {
        for (std::uint64_t i = 1; i <= wakes_per_thread; ++i) {
          const std::uint64_t mine = posted.fetch_add(1) + 1;
          io_->poller().wake();
          if (i % rest_every != 0) continue;
          while (taken.load() < mine && !failed.load()) std::this_thread::yield();
        }
      });
    }
    std::uint64_t turns = 0;
    while (taken.load() < threads * wakes_per_thread) {
      const Instant limit = steady_clock().now() + std::chrono::seconds(10);
      io_->poller().wait(limit);
      ++turns;
      if (steady_clock().now() >= limit) {
        failed = true;
        ADD_FAILURE() << "a wake was lost after " << taken.load() << " items";
        break;
      }
      taken.store(posted.load());
    }
    for (std::thread& thread : all) thread.join();
    const PollerStats stats = io_->poller().stats();
    EXPECT_LE(stats.wakes, stats.blocking_waits) << "more than one system call per sleep";
    EXPECT_GE(turns, 1u);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerWakeStorm);

TEST_P(PollerWakeStorm, FourThreadsLoseNoWakeWhenTheyRarelyRest) { storm(150'000, 5000); }

TEST_P(PollerWakeStorm, FourThreadsLoseNoWakeWhenTheyOftenRest) { storm(95'000, 50); }

TEST_P(PollerWakeStorm, FourThreadsLoseNoWakeWhenEachWakeIsAwaited) { storm(5'000, 1); }

}  // namespace
}  // namespace gyre::test
