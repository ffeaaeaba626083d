#include <gyre/task/broadcast.h>

#include <chrono>
#include <functional>
#include <memory>
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

class BroadcastTest : public gyre::testing::TaskFixture {
 protected:
  Broadcast<std::string> news_{3};
  Log log_;
};
using BroadcastDeathTest = BroadcastTest;

Task<void> listen(Broadcast<std::string>& news, Log& log, std::string name) {
  Broadcast<std::string>::Receiver receiver = news.subscribe();
  for (;;) {
    const Result<std::string> item = co_await receiver.receive();
    if (item) {
      log.push_back(name + " " + *item);
    } else if (item.error() == Errc::lagged) {
      log.push_back(name + " missed " + std::to_string(receiver.missed()));
    } else {
      log.push_back(name + (item.error() == Errc::closed ? " closed" : " cancelled"));
      co_return;
    }
  }
}

TEST_F(BroadcastTest, EachReceiverGetsEachMessage) {
  EXPECT_EQ(news_.send("nobody"), 0U);
  spawn(listen, std::ref(news_), std::ref(log_), "a");
  spawn(listen, std::ref(news_), std::ref(log_), "b");
  run();
  EXPECT_EQ(news_.send("one"), 2U);
  run();
  news_.send("two");
  news_.send("three");
  news_.close();
  run();
  EXPECT_EQ(log_, (Log{"a one", "b one", "a two", "a three", "a closed", "b two", "b three", "b closed"}));
}

TEST_F(BroadcastTest, SlowReceiverIsToldHowManyItHasMissed) {
  Broadcast<std::string>::Receiver receiver = news_.subscribe();
  for (const char* item : {"1", "2", "3", "4", "5"}) news_.send(item);
  const Result<std::string> lagged = receiver.try_receive();
  ASSERT_FALSE(lagged);
  EXPECT_EQ(lagged.error(), Errc::lagged);
  EXPECT_EQ(receiver.missed(), 2U);
  for (const char* item : {"3", "4", "5"}) {
    const Result<std::string> next = receiver.try_receive();
    ASSERT_TRUE(next);
    EXPECT_EQ(*next, item);
  }
  const Result<std::string> nothing = receiver.try_receive();
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error(), Errc::would_block);
  news_.close();
  EXPECT_EQ(receiver.try_receive().error(), Errc::closed);
}

// A receiver that was woken but has not run yet can fall behind too; it says so.
TEST_F(BroadcastTest, WokenReceiverThatFallsBehindSaysSo) {
  spawn(listen, std::ref(news_), std::ref(log_), "a");
  run();
  for (const char* item : {"1", "2", "3", "4"}) news_.send(item);
  run();
  EXPECT_EQ(log_, (Log{"a missed 1", "a 2", "a 3", "a 4"}));
}

TEST_F(BroadcastTest, NewReceiverHearsOnlyWhatIsNew) {
  Broadcast<std::string>::Receiver first = news_.subscribe();
  news_.send("old");
  Broadcast<std::string>::Receiver second = news_.subscribe();
  news_.send("new");
  EXPECT_EQ(*second.try_receive(), "new");
  EXPECT_EQ(*first.try_receive(), "old");
  EXPECT_EQ(news_.receivers(), 2U);
  first = std::move(second);
  EXPECT_EQ(news_.receivers(), 1U);
}

TEST_F(BroadcastTest, CancelledReceiverLosesNothing) {
  auto listener = spawn(listen, std::ref(news_), std::ref(log_), "a");
  run();
  listener.cancel();
  EXPECT_EQ(news_.count_waiters(), 0U);
  run();
  EXPECT_EQ(log_, (Log{"a cancelled"}));
  EXPECT_EQ(news_.receivers(), 0U);
}

// S-47
TEST_F(BroadcastTest, CancelAfterTheSendFindsTheMessage) {
  auto listener = spawn(listen, std::ref(news_), std::ref(log_), "a");
  run();
  news_.send("one");
  listener.cancel();
  run();
  EXPECT_EQ(log_, (Log{"a one", "a cancelled"}));
}

TEST_F(BroadcastTest, DestroysItsMessagesOnce) {
  auto value = std::make_shared<int>(1);
  {
    Broadcast<std::shared_ptr<int>> broadcast(3);
    Broadcast<std::shared_ptr<int>>::Receiver receiver = broadcast.subscribe();
    for (int i = 0; i < 10; ++i) broadcast.send(value);
    EXPECT_EQ(value.use_count(), 4);
  }
  EXPECT_EQ(value.use_count(), 1);
}

TEST_F(BroadcastDeathTest, MisuseAborts) {
  EXPECT_DEATH(Broadcast<int>(0), "keeps nothing");
  news_.close();
  EXPECT_DEATH(news_.send("late"), "closed Broadcast");
  EXPECT_DEATH(
      {
        auto* const broadcast = new Broadcast<int>(1);
        static_cast<void>(new Broadcast<int>::Receiver(broadcast->subscribe()));
        delete broadcast;
      },
      "dies before its Receivers");
}

struct Heard {
  std::uint64_t first = 0;  // number of the first message it could hear
  std::uint64_t heard = 0;
  std::uint64_t missed = 0;
  int timeouts = 0;
  bool ordered = true;
};
Task<void> listen_at_random(std::reference_wrapper<Random> random, Broadcast<std::uint64_t>& broadcast, Heard& heard) {
  Broadcast<std::uint64_t>::Receiver receiver = broadcast.subscribe();
  for (;;) {
    const Duration busy = random.get().milliseconds_below(4);
    const Result<void> slept = co_await sleep(busy);
    static_cast<void>(slept);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(4)));
    const Result<std::uint64_t> item = co_await receiver.receive();
    if (item) {
      heard.ordered &= *item == heard.first + heard.heard + heard.missed;
      ++heard.heard;
    } else if (item.error() == Errc::lagged) {
      heard.missed += receiver.missed();
    } else if (item.error() == Errc::closed) {
      co_return;
    } else {
      ++heard.timeouts;
    }
  }
}
Task<void> send_at_random(std::reference_wrapper<Random> random, Broadcast<std::uint64_t>& broadcast,
                          std::uint64_t& sent) {
  for (; sent < 100; ++sent) {
    const Duration pause = random.get().milliseconds_below(5);
    const Result<void> slept = co_await sleep(pause);
    static_cast<void>(slept);
    broadcast.send(sent);
  }
  broadcast.close();
}

// Every message is heard or counted as missed, in order, whatever times out.
TEST(BroadcastRandomTest, EveryMessageIsHeardOrCounted) {
  std::uint64_t missed = 0;
  gyre::testing::for_random_seeds(50, [&missed](Random& random) {
    Broadcast<std::uint64_t> broadcast(1 + random.below(4));
    Heard heard[4];
    std::uint64_t sent = 0;
    gyre::testing::TestLoop loop;
    for (Heard& one : heard) {
      loop.spawn(listen_at_random, std::ref(random), std::ref(broadcast), std::ref(one));
    }
    loop.run_until_idle();
    loop.spawn(send_at_random, std::ref(random), std::ref(broadcast), std::ref(sent));
    loop.run();
    EXPECT_EQ(loop.scheduler.tasks(), 0U);
    for (const Heard& one : heard) {
      EXPECT_TRUE(one.ordered);
      EXPECT_EQ(one.heard + one.missed, 100U);
      missed += one.missed;
    }
  });
  EXPECT_GT(missed, 0U);
}

}  // namespace
