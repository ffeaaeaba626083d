// Conformance (docs/CONFORMANCE.md), timers: exact, once, never in a spin, and gone when cancelled.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/timeout.h>

#include "support/task_fixture.h"
#include "support/virtual_reactor.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::VirtualReactor;

class SleepTest : public gyre::testing::TaskFixture {};

Task<void> sleep_into(Duration delay, Result<void>& out, int& ended) {
  out = co_await sleep(delay);
  ++ended;
}

// C-012
TEST(ReactorTimerTest, CallsOnceAndNotEarly) {
  VirtualReactor reactor;
  std::vector<Instant> called;
  const Instant due = reactor.clock.now() + 100ms;
  reactor->call_at(due, [&] { called.push_back(reactor.clock.now()); });
  reactor->call_soon([] {});
  EXPECT_TRUE(reactor->run_once(reactor.clock.now()));
  reactor.clock.advance_to(due - 1ns);
  static_cast<void>(reactor->run_once(reactor.clock.now()));
  EXPECT_TRUE(called.empty());
  reactor->run();
  reactor.clock.advance(1h);
  static_cast<void>(reactor->run_once(reactor.clock.now()));
  EXPECT_EQ(called, std::vector<Instant>{due});
}

// C-015, C-069: cancelled sleeps are gone at once, before their tasks have run and long before they were due.
TEST_F(SleepTest, CancelledSleepsLeaveNoTimer) {
  constexpr int count = 100'000;
  Result<void> out;
  int ended = 0;
  for (int i = 0; i < count; ++i) spawn(sleep_into, Duration(1h) + Duration(i), std::ref(out), std::ref(ended));
  run_until_idle();
  EXPECT_EQ(scheduler().timers().size(), static_cast<std::size_t>(count));
  scheduler().detached().cancel();
  EXPECT_TRUE(scheduler().timers().empty());
  EXPECT_EQ(ended, 0);
  run_until_idle();
  EXPECT_EQ(ended, count);
  EXPECT_EQ(elapsed(), 0s);
}

Task<void> note_wake(Instant due, std::vector<Duration>& lateness) {
  static_cast<void>(co_await sleep_until(due));
  lateness.push_back(this_reactor().clock().now() - due);
}

// How late each of 1,000 timers fires, ten of them every 10 us; in the order of their deadlines.
std::vector<Duration> lateness_of_thousand(Duration gap, std::uint64_t& turns) {
  ReactorOptions options;
  options.gap_per_timer = gap;
  VirtualReactor reactor(std::move(options));
  std::vector<Duration> lateness;
  const Instant begin = reactor.clock.now();
  for (int i = 0; i < 1000; ++i) reactor->detach(note_wake, begin + (1 + i / 10) * 10us, std::ref(lateness));
  reactor->run();
  turns = reactor->stats().turns;
  return lateness;
}

// A wake costs as much as many timers: those that come thick share some. None is early, or later than a busy turn.
TEST(ReactorTimerTest, ThickTimersFireInBatches) {
  std::uint64_t turns = 0;
  const std::vector<Duration> late = lateness_of_thousand(ReactorOptions{}.gap_per_timer, turns);
  ASSERT_EQ(late.size(), 1000U);
  EXPECT_LE(turns, 20U);
  EXPECT_EQ(late[0], 0ns);
  EXPECT_GE(*std::min_element(late.begin(), late.end()), 0ns);
  EXPECT_LE(*std::max_element(late.begin(), late.end()), ReactorOptions{}.time_per_turn);
}
TEST(ReactorTimerTest, ThickTimersAreExactWithoutGap) {
  std::uint64_t turns = 0;
  const std::vector<Duration> late = lateness_of_thousand(0ns, turns);
  EXPECT_EQ(late, std::vector<Duration>(1000));
  EXPECT_GE(turns, 100U);
}
// Each finds itself alone, and the next one at its time.
TEST(ReactorTimerTest, LoneTimersAreExact) {
  VirtualReactor reactor;
  std::vector<Duration> lateness;
  const Instant begin = reactor.clock.now();
  for (int i = 1; i <= 100; ++i) reactor->detach(note_wake, begin + i * 1us, std::ref(lateness));
  reactor->run();
  EXPECT_EQ(lateness, std::vector<Duration>(100));
}

constexpr Duration tiny_delays[] = {10ms, 100us, 1us, 100ns, 1ns};

Task<bool> sleep_five_times(Clock& clock) {
  bool never_early = true;
  for (const Duration delay : tiny_delays) {
    const Instant due = clock.now() + delay;
    static_cast<void>(co_await sleep(delay));
    never_early = never_early && clock.now() >= due;
  }
  co_return never_early;
}

// C-016: on a clock that stands still between turns.
TEST(ReactorTimerTest, TinyDelaysDoNotSpin) {
  VirtualReactor reactor;
  EXPECT_TRUE(*reactor->run_until(sleep_five_times(reactor.clock)));
  EXPECT_LE(reactor->stats().turns, 20U);
  EXPECT_EQ(reactor.clock.now(), Instant(Duration(1h) + 10ms + 100us + 1us + 100ns + 1ns));
}

// C-016: and with every poller of this system. A slow machine needs fewer turns, not more.
TEST(ReactorTimerTest, TinyDelaysDoNotSpinInAnyPoller) {
  for (const std::string_view* name = poller_names(); !name->empty(); ++name) {
    Result<std::unique_ptr<Poller>> poller = open_poller(*name);
    if (!poller) continue;
    ReactorOptions options;
    options.with_poller = std::move(*poller);
    const std::unique_ptr<Reactor> reactor = std::move(*Reactor::create(std::move(options)));
    EXPECT_TRUE(*reactor->run_until(sleep_five_times(reactor->clock()))) << *name;
    EXPECT_LE(reactor->stats().turns, 20U + reactor->poller().stats().interrupted_waits) << *name;
  }
}

// C-017: there is no overflow into the past; the longest sleep ends by a cancel only.
TEST_F(SleepTest, HugeDelaysAreClamped) {
  Result<void> out;
  int ended = 0;
  for (const Duration delay : {Duration::max(), Duration::max() - 1ns}) {
    auto handle = spawn(sleep_into, Duration(delay), std::ref(out), std::ref(ended));
    run_for(24h * 365 * 100);
    EXPECT_EQ(ended, 0);
    handle.cancel();
    run_until_idle();
    EXPECT_EQ(ended, 1);
    EXPECT_TRUE(out.error().is_cancelled());
    ended = 0;
  }
  spawn(sleep_into, Duration::min(), std::ref(out), std::ref(ended));
  const Duration before = elapsed();
  run_until_idle();
  EXPECT_EQ(ended, 1);
  EXPECT_TRUE(out);
  EXPECT_EQ(elapsed(), before);
}

Task<Result<void>> nap(Duration delay) { co_return co_await sleep(delay); }

Task<void> bound_into(Duration timeout, Result<void>& out) {
  out = co_await with_timeout(timeout, nap(1h));
}
TEST_F(SleepTest, HugeTimeoutsAreClamped) {
  Result<void> out = Errc::broken;
  spawn(bound_into, Duration::max(), std::ref(out));
  run();
  EXPECT_TRUE(out);
  spawn(bound_into, Duration::min(), std::ref(out));
  run();
  ASSERT_FALSE(out);
  EXPECT_TRUE(out.error().is_timed_out());
}

}  // namespace
