#include <gyre/task/generator.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/channel.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Random;
using Log = std::vector<std::string>;

class AsyncGeneratorTest : public gyre::testing::TaskFixture {
 protected:
  Log log_;
};
using AsyncGeneratorDeathTest = AsyncGeneratorTest;

// Notes when it dies.
struct Guard {
  Guard(Log& log_, std::string text_) : log(log_), text(std::move(text_)) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { log.push_back(text); }
  Log& log;
  std::string text;
};

AsyncGenerator<int> count_to(int last) {
  for (int i = 1; i <= last; ++i) {
    const Result<void> wanted = co_yield i;
    if (!wanted) co_return;
  }
}

Task<void> sum_up(AsyncGenerator<int> numbers, int& sum) {
  for (;;) {
    const std::optional<int> number = co_await numbers.next();
    if (!number) break;
    sum += *number;
  }
  // The end lasts.
  const std::optional<int> again = co_await numbers.next();
  if (again) sum = -1;
  EXPECT_TRUE(numbers.has_ended());
}

TEST_F(AsyncGeneratorTest, GivesOutItsValuesAndEnds) {
  int sum = 0;
  spawn(sum_up, count_to(10), std::ref(sum));
  run();
  EXPECT_EQ(sum, 55);
}

TEST_F(AsyncGeneratorTest, MayYieldNothing) {
  int sum = 0;
  spawn(sum_up, count_to(0), std::ref(sum));
  run();
  EXPECT_EQ(sum, 0);
}

// More values than the stack could nest, whatever the compiler makes of symmetric transfer.
TEST_F(AsyncGeneratorTest, ManyValuesNeedNoStack) {
  int sum = 0;
  spawn(sum_up, count_to(60'000), std::ref(sum));
  run();
  EXPECT_EQ(sum, 60'000 / 2 * 60'001);
}

AsyncGenerator<int> count_slowly(Log& log) {
  const Guard guard(log, "generator gone");
  for (int i = 1;; ++i) {
    const Result<void> slept = co_await sleep(1s);
    if (!slept) {
      log.push_back(slept.error().is_timed_out() ? "generator timed out" : "generator cancelled");
      co_return;
    }
    const Result<void> wanted = co_yield i;
    if (!wanted) {
      log.push_back(wanted.error() == Errc::closed ? "generator closed" : "?");
      const Result<void> cleaned = co_await sleep(1s);
      log.push_back(cleaned ? "generator cleaned up" : "generator clean-up cancelled");
      co_return;
    }
  }
}
Task<void> take_three(Log& log) {
  AsyncGenerator<int> numbers = count_slowly(log);
  for (int i = 0; i < 3; ++i) {
    const std::optional<int> number = co_await numbers.next();
    log.push_back(number ? std::to_string(*number) : "end");
  }
  co_await numbers.close();
  log.push_back("closed");
  const std::optional<int> after = co_await numbers.next();
  log.push_back(after ? "value after close" : "end");
  co_await numbers.close();
}

// It may await anything; close() lets it clean up, with awaits, and waits for that.
TEST_F(AsyncGeneratorTest, AwaitsInsideAndCleansUpInClose) {
  spawn(take_three, std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"1", "2", "3", "generator closed", "generator cleaned up", "generator gone", "closed", "end"}));
  EXPECT_EQ(elapsed(), 4s);
}

Task<void> take_within(Log& log, Duration limit) {
  AsyncGenerator<int> numbers = count_slowly(log);
  {
    CancelScope scope(CancelScope::within(limit));
    for (;;) {
      const std::optional<int> number = co_await numbers.next();
      if (!number) break;
      log.push_back(std::to_string(*number));
    }
  }
  co_await numbers.close();
}

// The generator's awaits are its caller's: they see the caller's deadline.
TEST_F(AsyncGeneratorTest, SeesItsCallersDeadline) {
  spawn(take_within, std::ref(log_), 2500ms);
  run();
  EXPECT_EQ(log_, (Log{"1", "2", "generator timed out", "generator gone"}));
}

TEST_F(AsyncGeneratorTest, SeesItsCallersCancel) {
  auto task = spawn(take_three, std::ref(log_));
  run_for(1500ms);
  task.cancel();
  run();
  EXPECT_EQ(log_, (Log{"1", "generator cancelled", "generator gone", "end", "end", "closed", "end"}));
}

Task<void> take_one(std::shared_ptr<AsyncGenerator<int>> numbers, Log& log, std::string name, bool is_last) {
  const std::optional<int> number = co_await numbers->next();
  log.push_back(name + " " + (number ? std::to_string(*number) : "end"));
  if (is_last) co_await numbers->close();
}
// It belongs to no task: whoever calls next() lends it a task.
TEST_F(AsyncGeneratorTest, MayBeUsedByOneTaskAfterTheOther) {
  auto numbers = std::make_shared<AsyncGenerator<int>>(count_slowly(log_));
  spawn(take_one, numbers, std::ref(log_), "a", false);
  run();
  spawn(take_one, numbers, std::ref(log_), "b", true);
  numbers.reset();
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 2", "generator closed", "generator cleaned up", "generator gone"}));
}

AsyncGenerator<int> ignore_close(Log& log) {
  const Guard guard(log, "gone");
  for (int i = 1;; ++i) {
    const Result<void> wanted = co_yield i;
    log.push_back(wanted ? "wanted" : "not wanted");
  }
}
Task<void> take_and_close(Log& log) {
  AsyncGenerator<int> numbers = ignore_close(log);
  const std::optional<int> first = co_await numbers.next();
  const std::optional<int> second = co_await numbers.next();
  log.push_back(std::to_string(first.value_or(0) + second.value_or(0)));
  co_await numbers.close();
  log.push_back("closed");
}
// One that goes on regardless is stopped at its next co_yield; its locals die there.
TEST_F(AsyncGeneratorTest, YieldingAfterCloseGoesNoFurther) {
  spawn(take_and_close, std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"wanted", "3", "not wanted", "gone", "closed"}));
}

AsyncGenerator<std::unique_ptr<int>> pointers() {
  for (int i = 0;; ++i) {
    auto pointer = std::make_unique<int>(i);
    const Result<void> wanted = co_yield std::move(pointer);
    if (!wanted) co_return;
  }
}
Task<void> take_pointers(int& sum) {
  AsyncGenerator<std::unique_ptr<int>> generator = pointers();
  for (int i = 0; i < 4; ++i) {
    const std::optional<std::unique_ptr<int>> pointer = co_await generator.next();
    if (pointer) sum += **pointer;
  }
  co_await generator.close();
}
TEST_F(AsyncGeneratorTest, MovesItsValuesOut) {
  int sum = 0;
  spawn(take_pointers, std::ref(sum));
  run();
  EXPECT_EQ(sum, 6);
}

AsyncGenerator<int> fail_after_one() {
  const Result<void> wanted = co_yield 1;
  static_cast<void>(wanted);
  throw std::runtime_error("broken");
}
Task<void> take_all(AsyncGenerator<int> numbers, int& count) {
  for (;;) {
    const std::optional<int> number = co_await numbers.next();
    if (!number) co_return;
    ++count;
  }
}
TEST_F(AsyncGeneratorTest, ExceptionLeavesThroughNext) {
  int count = 0;
  spawn(take_all, fail_after_one(), std::ref(count));
  run();
  EXPECT_EQ(count, 1);
  const auto failures = loop.take_failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_NE(failures[0].exception, nullptr);
}
Task<void> take_one_and_close(AsyncGenerator<int> numbers) {
  const std::optional<int> number = co_await numbers.next();
  EXPECT_TRUE(number);
  co_await numbers.close();
}
TEST_F(AsyncGeneratorTest, ExceptionLeavesThroughClose) {
  spawn(take_one_and_close, fail_after_one());
  run();
  EXPECT_EQ(loop.take_failures().size(), 1U);
}

TEST_F(AsyncGeneratorTest, OneThatNeverBeganMayBeDropped) {
  { const AsyncGenerator<int> unused = count_to(3); }
  AsyncGenerator<int> moved = count_to(3);
  moved = AsyncGenerator<int>();
  EXPECT_TRUE(moved.has_ended());
}

AsyncGenerator<int> doubled(AsyncGenerator<int> numbers) {
  for (;;) {
    const std::optional<int> number = co_await numbers.next();
    if (!number) break;
    const Result<void> wanted = co_yield 2 * *number;
    if (!wanted) break;
  }
  co_await numbers.close();
}
TEST_F(AsyncGeneratorTest, GeneratorsNest) {
  int sum = 0;
  spawn(sum_up, doubled(doubled(count_to(100))), std::ref(sum));
  run();
  EXPECT_EQ(sum, 4 * 5050);
}

Task<void> forget_to_close() {
  AsyncGenerator<int> numbers = count_to(3);
  const std::optional<int> number = co_await numbers.next();
  static_cast<void>(number);
}
// P-33
TEST_F(AsyncGeneratorDeathTest, ForgettingToCloseAborts) {
  if (!debug_checks) GTEST_SKIP() << "only builds with debug checks see it";
  EXPECT_DEATH(
      {
        spawn(forget_to_close);
        run();
      },
      "co_await close\\(\\) of an AsyncGenerator");
}

AsyncGenerator<int> yield_in_scope() {
  CancelScope scope;
  const Result<void> wanted = co_yield 1;
  static_cast<void>(wanted);
}
// P-33: a scope of the generator would cover its caller.
TEST_F(AsyncGeneratorDeathTest, YieldingInsideAScopeAborts) {
  EXPECT_DEATH(
      {
        int sum = 0;
        spawn(sum_up, yield_in_scope(), std::ref(sum));
        run();
      },
      "co_yield while a CancelScope");
}

AsyncGenerator<int> receive_all(Channel<int>& channel) {
  for (;;) {
    const Result<int> value = co_await channel.receive();
    if (!value) co_return;
    const Result<void> wanted = co_yield *value;
    if (!wanted) co_return;
  }
}
Task<void> send_at_random(std::reference_wrapper<Random> random, Channel<int>& channel, int& sent) {
  for (;;) {
    const Duration pause = random.get().milliseconds_below(3);
    const Result<void> slept = co_await sleep(pause);
    if (!slept) co_return;
    const Result<void> done = co_await channel.send(sent);
    if (!done) co_return;
    ++sent;
  }
}
Task<void> take_at_random(std::reference_wrapper<Random> random, Channel<int>& channel, int& taken, bool& ordered) {
  for (int round = 0; round < 5; ++round) {
    AsyncGenerator<int> values = receive_all(channel);
    const std::uint32_t wanted = random.get().below(8);
    for (std::uint32_t i = 0; i < wanted; ++i) {
      CancelScope scope(CancelScope::within(random.get().milliseconds_below(5)));
      const std::optional<int> value = co_await values.next();
      if (!value) break;
      ordered &= *value == taken;
      ++taken;
    }
    co_await values.close();
  }
  channel.close();
}

// Whatever deadlines fall into next(), a generator over a channel loses nothing.
TEST(AsyncGeneratorRandomTest, LosesNothingUnderRandomDeadlines) {
  int all = 0;
  gyre::testing::for_random_seeds(100, [&all](Random& random) {
    Channel<int> channel(2);
    int sent = 0;
    int taken = 0;
    bool ordered = true;
    gyre::testing::TestLoop loop;
    loop.spawn(send_at_random, std::ref(random), std::ref(channel), std::ref(sent));
    loop.spawn(take_at_random, std::ref(random), std::ref(channel), std::ref(taken), std::ref(ordered));
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_TRUE(ordered);
    EXPECT_EQ(sent, taken + static_cast<int>(channel.size()));
    all += taken;
  });
  EXPECT_GT(all, 0);
}

}  // namespace
