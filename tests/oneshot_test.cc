#include <gyre/task/oneshot.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
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

class OneshotTest : public gyre::testing::TaskFixture {
 protected:
  Log log_;
};
using OneshotDeathTest = OneshotTest;

Task<void> receive(Oneshot<int>& oneshot, Log& log) {
  const Result<int> value = co_await oneshot.receive();
  if (value) {
    log.push_back(std::to_string(*value));
  } else {
    log.push_back(value.error() == Errc::broken ? "broken" : value.error().is_cancelled() ? "cancelled" : "failed");
  }
}
Task<void> send_after(Duration delay, Promise<int> given, int value) {
  Promise<int> promise = std::move(given);
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return;
  const Result<void> sent = promise.send(value);
  EXPECT_TRUE(sent);
}

TEST_F(OneshotTest, ValueReachesTheWaitingReceiver) {
  Oneshot<int> oneshot;
  spawn(receive, std::ref(oneshot), std::ref(log_));
  spawn(send_after, 1s, oneshot.promise(), 7);
  run();
  EXPECT_EQ(log_, (Log{"7"}));
}

TEST_F(OneshotTest, ValueWaitsForTheReceiver) {
  Oneshot<int> oneshot;
  Promise<int> promise = oneshot.promise();
  EXPECT_TRUE(promise.is_wanted());
  EXPECT_TRUE(promise.send(7));
  EXPECT_FALSE(promise.is_wanted());
  EXPECT_TRUE(oneshot.is_ready());
  spawn(receive, std::ref(oneshot), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"7"}));
}

TEST_F(OneshotTest, PromiseThatDiesReportsBroken) {
  Oneshot<int> oneshot;
  auto sender = spawn(send_after, 1s, oneshot.promise(), 7);
  spawn(receive, std::ref(oneshot), std::ref(log_));
  run_until_idle();
  sender.cancel();
  run();
  EXPECT_EQ(log_, (Log{"broken"}));
}

TEST_F(OneshotTest, FailReportsTheError) {
  Oneshot<int> oneshot;
  oneshot.promise().fail(Errc::malformed);
  spawn(receive, std::ref(oneshot), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"failed"}));
}

TEST_F(OneshotTest, SendingToNobodyLeavesTheValue) {
  Promise<std::unique_ptr<int>> promise;
  {
    Oneshot<std::unique_ptr<int>> oneshot;
    promise = oneshot.promise();
    EXPECT_TRUE(promise.is_wanted());
  }
  EXPECT_FALSE(promise.is_wanted());
  auto value = std::make_unique<int>(1);
  const Result<void> sent = promise.send(std::move(value));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error(), Errc::broken);
  EXPECT_NE(value, nullptr);
  promise.fail(Errc::malformed);  // no effect
}

TEST_F(OneshotTest, MovedPromiseStillReachesItsOneshot) {
  Oneshot<int> oneshot;
  Promise<int> first = oneshot.promise();
  Promise<int> second = std::move(first);
  EXPECT_FALSE(first.is_wanted());
  EXPECT_TRUE(second.is_wanted());
  first = std::move(second);
  EXPECT_TRUE(first.send(3));
  spawn(receive, std::ref(oneshot), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"3"}));
}

Task<void> receive_nothing(Oneshot<void>& oneshot, bool& received) {
  const Result<void> result = co_await oneshot.receive();
  received = result.has_value();
}
TEST_F(OneshotTest, WorksWithoutAValue) {
  Oneshot<void> oneshot;
  bool received = false;
  spawn(receive_nothing, std::ref(oneshot), std::ref(received));
  run();
  EXPECT_TRUE(oneshot.promise().send());
  run();
  EXPECT_TRUE(received);
}

// Atomic: a cancelled receive() takes nothing, and another one can.
TEST_F(OneshotTest, CancelledReceiveLeavesTheValue) {
  Oneshot<int> oneshot;
  Promise<int> promise = oneshot.promise();
  auto first = spawn(receive, std::ref(oneshot), std::ref(log_));
  run();
  first.cancel();
  EXPECT_TRUE(promise.send(7));
  run();
  spawn(receive, std::ref(oneshot), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"cancelled", "7"}));
}

// S-47
TEST_F(OneshotTest, CancelAfterTheSendFindsTheValue) {
  Oneshot<int> oneshot;
  Promise<int> promise = oneshot.promise();
  auto first = spawn(receive, std::ref(oneshot), std::ref(log_));
  run();
  EXPECT_TRUE(promise.send(7));
  first.cancel();
  run();
  EXPECT_EQ(log_, (Log{"7"}));
}

TEST_F(OneshotDeathTest, SecondPromiseAborts) {
  Oneshot<int> oneshot;
  Promise<int> promise = oneshot.promise();
  EXPECT_DEATH((void)oneshot.promise(), "a second promise");
}

struct Received {
  int value = 0;
  bool is_broken = false;
  int attempts = 0;
};
// Tries again after each timeout, until there is an answer.
Task<void> receive_at_random(std::reference_wrapper<Random> random, Oneshot<int>& oneshot, Received& received) {
  for (;;) {
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(4)));
    const Result<int> value = co_await oneshot.receive();
    ++received.attempts;
    if (value) received.value = *value;
    if (!value && value.error() == Errc::broken) received.is_broken = true;
    if (value || received.is_broken || received.attempts > 100) co_return;
  }
}

TEST(OneshotRandomTest, AnswerArrivesOnceUnderRandomTimeouts) {
  int retries = 0;
  gyre::testing::for_random_seeds(200, [&retries](Random& random) {
    Oneshot<int> oneshot;
    Received received;
    gyre::testing::TestLoop loop;
    auto sender = loop.spawn(send_after, random.milliseconds_below(20), oneshot.promise(), 7);
    loop.spawn(receive_at_random, std::ref(random), std::ref(oneshot), std::ref(received));
    const bool is_cancelled = random.one_in(3);
    loop.run_for(random.milliseconds_below(20));
    if (is_cancelled) sender.cancel();
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    EXPECT_NE(received.value == 7, received.is_broken);
    EXPECT_TRUE(is_cancelled || received.value == 7);
    retries += received.attempts - 1;
  });
  EXPECT_GT(retries, 0);
}

}  // namespace
