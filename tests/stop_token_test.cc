// std::stop_token and the cancellation of tasks: each can end the other.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/reactor/reactor.h>
#include <gyre/reactor/stop_token.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

namespace {

using namespace std::chrono_literals;
using namespace gyre;

class StopTokenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
    ASSERT_TRUE(reactor) << reactor.error().to_string();
    reactor_ = std::move(*reactor);
  }

  std::unique_ptr<Reactor> reactor_;
};

// Long enough to be seen in the test's time if it is not cancelled.
Task<Result<void>> long_sleep() {
  const Result<void> slept = co_await sleep(20s);
  co_return slept;
}

Task<Result<void>> sleep_until_stop(std::stop_token token) {
  CancelScope scope;
  const CancelOnStop on_stop(token, scope);
  co_return co_await long_sleep();
}

TEST_F(StopTokenTest, StopOnAnotherThreadCancelsTheScope) {
  std::stop_source source;
  std::jthread stopper([&source] { source.request_stop(); });
  const Result<void> slept = reactor_->run_until(sleep_until_stop(source.get_token()));
  ASSERT_FALSE(slept);
  EXPECT_TRUE(slept.error().is_cancelled());
}

// The reactor is asleep when the stop comes.
TEST_F(StopTokenTest, StopWakesASleepingReactor) {
  ReactorOptions options;
  std::stop_source source;
  options.before_wait = [](void* source_of_test) noexcept {
    static_cast<std::stop_source*>(source_of_test)->request_stop();
  };
  options.hook_owner = &source;
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(options));
  ASSERT_TRUE(reactor);
  const Result<void> slept = (*reactor)->run_until(sleep_until_stop(source.get_token()));
  ASSERT_FALSE(slept);
  EXPECT_TRUE(slept.error().is_cancelled());
}

TEST_F(StopTokenTest, StopThatCameBeforeCancelsAtOnce) {
  std::stop_source source;
  source.request_stop();
  const Result<void> slept = reactor_->run_until(sleep_until_stop(source.get_token()));
  ASSERT_FALSE(slept);
  EXPECT_TRUE(slept.error().is_cancelled());
}

TEST_F(StopTokenTest, TokenWithoutSourceNeverStops) {
  const Result<void> slept =
      reactor_->run_until(with_stop_token(std::stop_token(), with_timeout(1ms, long_sleep())));
  ASSERT_FALSE(slept);
  EXPECT_TRUE(slept.error().is_timed_out());
}

// What lies outside the scope goes on, also if the stop is on its way when the scope ends.
Task<Result<void>> stop_and_leave(std::stop_source& source) {
  {
    CancelScope scope;
    const CancelOnStop on_stop(source.get_token(), scope);
    source.request_stop();
  }
  co_return co_await sleep(1ms);
}
TEST_F(StopTokenTest, StopThatComesTooLateHasNoEffect) {
  std::stop_source source;
  EXPECT_TRUE(reactor_->run_until(stop_and_leave(source)));
}

// Whoever is first, the task ends once.
Task<Result<void>> sleep_shortly() {
  const Result<void> slept = co_await yield();
  co_return slept;
}
TEST_F(StopTokenTest, StopRacesWithTheEnd) {
  for (int round = 0; round < 300; ++round) {
    std::stop_source source;
    std::jthread stopper([&source] { source.request_stop(); });
    const Result<void> ended = reactor_->run_until(with_stop_token(source.get_token(), sleep_shortly()));
    EXPECT_TRUE(ended || ended.error().is_cancelled());
  }
}

Task<int> value_in_spite_of_stop() {
  static_cast<void>(co_await sleep(20s));
  co_return 5;
}
TEST_F(StopTokenTest, ValueOfAStoppedTaskIsKept) {
  std::stop_source source;
  source.request_stop();
  const Result<int> value = reactor_->run_until(with_stop_token(source.get_token(), value_in_spite_of_stop()));
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 5);
}
Task<void> nothing_in_spite_of_stop() { static_cast<void>(co_await sleep(20s)); }
TEST_F(StopTokenTest, TaskWithoutResultSaysThatItWasStopped) {
  std::stop_source source;
  source.request_stop();
  const Result<void> ended = reactor_->run_until(with_stop_token(source.get_token(), nothing_in_spite_of_stop()));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is_cancelled());
}

// --- The other way --------------------------------------------------------------------------------------------------

struct Followed {
  std::stop_token token;
  int callbacks = 0;
  bool stopped_early = false;
};
Task<Result<void>> hold_a_source(Followed& followed) {
  const ScopedStopSource stop;
  followed.token = stop.token();
  const std::stop_callback callback(stop.token(), [&followed] { ++followed.callbacks; });
  const Result<void> turn = co_await yield();
  static_cast<void>(turn);
  followed.stopped_early = followed.token.stop_requested();
  co_return co_await long_sleep();
}
Task<Result<void>> cancel_the_holder(Followed& followed) {
  TaskGroup group;
  group.spawn(hold_a_source, followed);
  for (int i = 0; i < 3; ++i) static_cast<void>(co_await yield());
  group.cancel();
  EXPECT_TRUE(followed.token.stop_requested()) << "at once";
  co_return co_await group.join();
}
TEST_F(StopTokenTest, SourceStopsWithTheScopeAroundIt) {
  Followed followed;
  EXPECT_TRUE(reactor_->run_until(cancel_the_holder(followed)));
  EXPECT_FALSE(followed.stopped_early);
  EXPECT_EQ(followed.callbacks, 1);
}

Task<void> hold_a_source_and_end(Followed& followed) {
  {
    const ScopedStopSource stop;
    followed.token = stop.token();
  }
  current_task()->cancel();
  static_cast<void>(co_await yield());
}
TEST_F(StopTokenTest, SourceThatHasEndedDoesNotStop) {
  Followed followed;
  static_cast<void>(reactor_->run_until(hold_a_source_and_end(followed)));
  EXPECT_FALSE(followed.token.stop_requested());
  EXPECT_FALSE(followed.token.stop_possible());
}

Task<void> hold_a_source_too_late(Followed& followed) {
  current_task()->cancel();
  const ScopedStopSource stop;
  followed.token = stop.token();
  followed.stopped_early = followed.token.stop_requested();
  co_return;
}
TEST_F(StopTokenTest, SourceInACancelledTaskIsStoppedFromTheBeginning) {
  Followed followed;
  static_cast<void>(reactor_->run_until(hold_a_source_too_late(followed)));
  EXPECT_TRUE(followed.stopped_early);
}

// From a scope to a token to a scope of another reactor.
Task<Result<void>> sleep_with_a_source(std::stop_token* token, std::jthread* other, std::optional<Result<void>>* seen) {
  const ScopedStopSource stop;
  *token = stop.token();
  *other = std::jthread([token, seen] {
    Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
    if (reactor) *seen = (*reactor)->run_until(sleep_until_stop(*token));
  });
  co_return co_await long_sleep();
}
TEST_F(StopTokenTest, CancelCrossesThreads) {
  std::stop_token token;
  std::optional<Result<void>> seen;
  {
    std::jthread other;
    const Result<void> slept = reactor_->run_until(with_timeout(5ms, sleep_with_a_source(&token, &other, &seen)));
    ASSERT_FALSE(slept);
    EXPECT_TRUE(slept.error().is_timed_out());
  }
  ASSERT_TRUE(seen.has_value());
  ASSERT_FALSE(*seen);
  EXPECT_TRUE(seen->error().is_cancelled());
}

}  // namespace
