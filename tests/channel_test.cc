#include <gyre/task/channel.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/sleep.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using Log = std::vector<std::string>;

class ChannelTest : public gyre::testing::TaskFixture {
 protected:
  Log log_;
};
using ChannelDeathTest = ChannelTest;

std::string describe(const Error& error) {
  if (error.is_cancelled()) return "cancelled";
  if (error.is_timed_out()) return "timed out";
  if (error == Errc::closed) return "closed";
  if (error == Errc::would_block) return "would block";
  return error.to_string();
}

Task<void> send_one(Channel<int>& channel, Log& log, int value) {
  const Result<void> sent = co_await channel.send(value);
  log.push_back("send " + std::to_string(value) + (sent ? "" : " " + describe(sent.error())));
}
Task<void> receive_one(Channel<int>& channel, Log& log, std::string name) {
  const Result<int> received = co_await channel.receive();
  log.push_back(name + " " + (received ? std::to_string(*received) : describe(received.error())));
}

// C-138: first in, first out.
TEST_F(ChannelTest, GivesOutInTheOrderOfSending) {
  Channel<int> channel(3);
  EXPECT_EQ(channel.capacity(), 3U);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(channel.try_send(i));
  EXPECT_EQ(channel.size(), 3U);
  for (int i = 1; i <= 3; ++i) {
    const Result<int> received = channel.try_receive();
    ASSERT_TRUE(received);
    EXPECT_EQ(*received, i);
  }
  EXPECT_TRUE(channel.empty());
}

// C-138: the nowait errors.
TEST_F(ChannelTest, TryReportsWhatItWouldWaitFor) {
  Channel<int> channel(1);
  const Result<int> nothing = channel.try_receive();
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error(), Errc::would_block);
  EXPECT_TRUE(channel.try_send(1));
  const Result<void> full = channel.try_send(2);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error(), Errc::would_block);
  channel.close();
  const Result<void> closed = channel.try_send(2);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error(), Errc::closed);
  EXPECT_TRUE(channel.try_receive());
  const Result<int> ended = channel.try_receive();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), Errc::closed);
}

// C-138: a full channel makes senders wait, in their order.
TEST_F(ChannelTest, SendersWaitForRoomInTheirOrder) {
  Channel<int> channel(1);
  for (int i = 1; i <= 3; ++i) spawn(send_one, std::ref(channel), std::ref(log_), i);
  run();
  EXPECT_EQ(log_, (Log{"send 1"}));
  EXPECT_EQ(channel.count_senders(), 2U);
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(*channel.try_receive(), i);
  run();
  EXPECT_EQ(log_, (Log{"send 1", "send 2", "send 3"}));
}

// The value goes to the receiver that has waited longest, at once.
TEST_F(ChannelTest, ReceiversAreServedInTheirOrder) {
  Channel<int> channel(1);
  for (const char* name : {"a", "b", "c"}) {
    spawn(receive_one, std::ref(channel), std::ref(log_), std::string(name));
  }
  run();
  EXPECT_EQ(channel.count_receivers(), 3U);
  EXPECT_TRUE(channel.try_send(1));
  EXPECT_TRUE(channel.try_send(2));
  EXPECT_EQ(channel.size(), 0U);
  EXPECT_EQ(channel.count_receivers(), 1U);
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 2"}));
  EXPECT_TRUE(channel.try_send(3));
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 2", "c 3"}));
}

// S-40, S-47, C-139 (improved): given a value and then cancelled before it has run, the receiver has the value.
TEST_F(ChannelTest, CancelAfterTheHandOverFindsTheValue) {
  Channel<int> channel(4);
  auto first = spawn(receive_one, std::ref(channel), std::ref(log_), "a");
  spawn(receive_one, std::ref(channel), std::ref(log_), "b");
  run();
  EXPECT_TRUE(channel.try_send(1));
  first.cancel();
  EXPECT_TRUE(channel.try_send(2));
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 2"}));
}

// C-139: a receiver that is cancelled while it waits takes nothing, and leaves no stale waiter.
TEST_F(ChannelTest, CancelledReceiverTakesNothing) {
  Channel<int> channel(4);
  auto first = spawn(receive_one, std::ref(channel), std::ref(log_), "a");
  spawn(receive_one, std::ref(channel), std::ref(log_), "b");
  run();
  first.cancel();
  EXPECT_EQ(channel.count_receivers(), 1U);
  EXPECT_TRUE(channel.try_send(1));
  EXPECT_TRUE(channel.try_send(2));
  run();
  EXPECT_EQ(log_, (Log{"a cancelled", "b 1"}));
  EXPECT_EQ(channel.size(), 1U);
}

// S-41, C-139: a sender that is cancelled while it waits sends nothing; the place is the next one's.
TEST_F(ChannelTest, CancelledSenderSendsNothing) {
  Channel<int> channel(1);
  EXPECT_TRUE(channel.try_send(0));
  auto first = spawn(send_one, std::ref(channel), std::ref(log_), 1);
  spawn(send_one, std::ref(channel), std::ref(log_), 2);
  run();
  first.cancel();
  EXPECT_EQ(*channel.try_receive(), 0);
  run();
  EXPECT_EQ(log_, (Log{"send 1 cancelled", "send 2"}));
  EXPECT_EQ(*channel.try_receive(), 2);
  EXPECT_TRUE(channel.empty());
  EXPECT_EQ(channel.count_senders(), 0U);
}

// S-41, S-47: once room was found for it, a cancel comes too late: the value is sent, and send() says so.
TEST_F(ChannelTest, CancelAfterRoomWasFoundFindsTheValueSent) {
  Channel<int> channel(1);
  EXPECT_TRUE(channel.try_send(0));
  auto first = spawn(send_one, std::ref(channel), std::ref(log_), 1);
  run();
  EXPECT_EQ(*channel.try_receive(), 0);
  first.cancel();
  run();
  EXPECT_EQ(log_, (Log{"send 1"}));
  EXPECT_EQ(*channel.try_receive(), 1);
}

// A value that was not sent is still the caller's.
Task<void> send_pointer(Channel<std::unique_ptr<int>>& channel, std::unique_ptr<int>& kept) {
  const Result<void> sent = co_await channel.send(std::move(kept));
  static_cast<void>(sent);
}
TEST_F(ChannelTest, CancelledSendLeavesTheValueWithTheCaller) {
  Channel<std::unique_ptr<int>> channel(1);
  EXPECT_TRUE(channel.try_send(std::make_unique<int>(1)));
  auto kept = std::make_unique<int>(2);
  auto sender = spawn(send_pointer, std::ref(channel), std::ref(kept));
  run();
  sender.cancel();
  run();
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(*kept, 2);
  EXPECT_FALSE(channel.try_send(std::move(kept)));
  ASSERT_NE(kept, nullptr);
  channel.close();
  EXPECT_FALSE(channel.try_send(std::move(kept)));
  EXPECT_NE(kept, nullptr);
  const Result<std::unique_ptr<int>> received = channel.try_receive();
  EXPECT_EQ(**received, 1);
}

// A capacity of 0: each send meets its receive.
TEST_F(ChannelTest, RendezvousMeets) {
  Channel<int> channel(0);
  EXPECT_FALSE(channel.try_send(7));
  spawn(send_one, std::ref(channel), std::ref(log_), 1);
  spawn(send_one, std::ref(channel), std::ref(log_), 2);
  run();
  EXPECT_TRUE(log_.empty());
  spawn(receive_one, std::ref(channel), std::ref(log_), "a");
  run();
  EXPECT_EQ(log_, (Log{"a 1", "send 1"}));
  EXPECT_EQ(*channel.try_receive(), 2);
  EXPECT_FALSE(channel.try_receive());
  spawn(receive_one, std::ref(channel), std::ref(log_), "b");
  run();
  EXPECT_TRUE(channel.try_send(3));
  run();
  EXPECT_EQ(log_, (Log{"a 1", "send 1", "send 2", "b 3"}));
}

// C-142, S-46: close on an empty channel.
TEST_F(ChannelTest, CloseEndsReceiversOfAnEmptyChannel) {
  Channel<int> channel(1);
  spawn(receive_one, std::ref(channel), std::ref(log_), "a");
  run();
  channel.close();
  channel.close();
  EXPECT_TRUE(channel.is_closed());
  run();
  spawn(receive_one, std::ref(channel), std::ref(log_), "b");
  spawn(send_one, std::ref(channel), std::ref(log_), 1);
  run();
  EXPECT_EQ(log_, (Log{"a closed", "b closed", "send 1 closed"}));
}

// C-142: close on a channel with values: senders fail at once, also those that wait; receivers get what is left.
TEST_F(ChannelTest, CloseDrains) {
  Channel<int> channel(2);
  for (int i = 1; i <= 3; ++i) spawn(send_one, std::ref(channel), std::ref(log_), i);
  run();
  channel.close();
  run();
  EXPECT_EQ(log_, (Log{"send 1", "send 2", "send 3 closed"}));
  log_.clear();
  for (const char* name : {"a", "b", "c"}) {
    spawn(receive_one, std::ref(channel), std::ref(log_), std::string(name));
  }
  run();
  EXPECT_EQ(log_, (Log{"a 1", "b 2", "c closed"}));
}

// C-142: immediately: what is left is gone, and no longer unfinished.
TEST_F(ChannelTest, CloseAtOnceDropsWhatIsLeft) {
  Channel<std::shared_ptr<int>> channel(2);
  auto value = std::make_shared<int>(1);
  EXPECT_TRUE(channel.try_send(std::shared_ptr<int>(value)));
  EXPECT_TRUE(channel.try_send(std::shared_ptr<int>(value)));
  EXPECT_EQ(value.use_count(), 3);
  EXPECT_EQ(channel.unfinished(), 2U);
  channel.close();
  channel.close(CloseMode::immediate);
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_EQ(channel.unfinished(), 0U);
  const auto received = channel.try_receive();
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error(), Errc::closed);
}

Task<void> join_channel(Channel<int>& channel, Log& log) {
  const Result<void> joined = co_await channel.join();
  log.push_back(joined ? "joined" : describe(joined.error()));
}

// C-141
TEST_F(ChannelTest, JoinWaitsUntilAllIsDone) {
  Channel<int> channel(4);
  spawn(join_channel, std::ref(channel), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"joined"}));  // nothing was sent yet
  log_.clear();
  EXPECT_TRUE(channel.try_send(1));
  EXPECT_TRUE(channel.try_send(2));
  spawn(join_channel, std::ref(channel), std::ref(log_));
  EXPECT_TRUE(channel.try_receive());
  EXPECT_TRUE(channel.try_receive());
  run();
  channel.task_done();
  run();
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(channel.unfinished(), 1U);
  channel.task_done();
  run();
  EXPECT_EQ(log_, (Log{"joined"}));
}

// C-141
TEST_F(ChannelDeathTest, TaskDoneTooOftenAborts) {
  Channel<int> channel(1);
  EXPECT_TRUE(channel.try_send(1));
  channel.task_done();
  EXPECT_DEATH(channel.task_done(), "more often than values were sent");
}

// C-142, S-46: closing at once does not release join() while a received value is still being dealt with.
TEST_F(ChannelTest, CloseAtOnceLeavesJoinWaitingForWhatIsInFlight) {
  Channel<int> channel(4);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(channel.try_send(i));
  EXPECT_TRUE(channel.try_receive());
  spawn(join_channel, std::ref(channel), std::ref(log_));
  run();
  channel.close(CloseMode::immediate);
  run();
  EXPECT_TRUE(log_.empty());
  EXPECT_EQ(channel.unfinished(), 1U);
  channel.task_done();
  run();
  EXPECT_EQ(log_, (Log{"joined"}));
}

// Values that were handed over to a receiver that has not run yet are in flight too.
TEST_F(ChannelTest, CloseAtOnceLeavesHandedOverValuesToTheirReceivers) {
  Channel<int> channel(4);
  spawn(receive_one, std::ref(channel), std::ref(log_), "a");
  run();
  EXPECT_TRUE(channel.try_send(1));
  channel.close(CloseMode::immediate);
  EXPECT_EQ(channel.unfinished(), 1U);
  run();
  EXPECT_EQ(log_, (Log{"a 1"}));
}

Task<void> reserve_then_send(Channel<int>& channel, Log& log, int value, Duration work) {
  Result<Channel<int>::Permit> permit = co_await channel.reserve();
  log.push_back("reserve " + std::to_string(value) + (permit ? "" : " " + describe(permit.error())));
  if (!permit) co_return;
  const Result<void> slept = co_await sleep(work);
  if (!slept) co_return;
  const Result<void> sent = permit->send(value);
  log.push_back("send " + std::to_string(value) + (sent ? "" : " " + describe(sent.error())));
}

// P-30: room is reserved first, and the value made afterwards.
TEST_F(ChannelTest, PermitKeepsRoom) {
  Channel<int> channel(1);
  spawn(reserve_then_send, std::ref(channel), std::ref(log_), 1, 1s);
  spawn(send_one, std::ref(channel), std::ref(log_), 2);
  spawn(reserve_then_send, std::ref(channel), std::ref(log_), 3, 1s);
  run_until_idle();
  EXPECT_EQ(log_, (Log{"reserve 1"}));
  EXPECT_EQ(channel.size(), 0U);
  EXPECT_FALSE(channel.try_send(9));
  run();
  EXPECT_EQ(*channel.try_receive(), 1);
  run();
  EXPECT_EQ(*channel.try_receive(), 2);
  run();
  EXPECT_EQ(*channel.try_receive(), 3);
  EXPECT_EQ(log_, (Log{"reserve 1", "send 1", "send 2", "reserve 3", "send 3"}));
}

// A permit that is not used gives its room to the next.
TEST_F(ChannelTest, DroppedPermitGivesItsRoomBack) {
  Channel<int> channel(1);
  auto reserver = spawn(reserve_then_send, std::ref(channel), std::ref(log_), 1, 1s);
  spawn(send_one, std::ref(channel), std::ref(log_), 2);
  spawn(receive_one, std::ref(channel), std::ref(log_), "a");
  run_until_idle();
  EXPECT_EQ(channel.count_receivers(), 1U);
  reserver.cancel();
  run();
  EXPECT_EQ(log_, (Log{"reserve 1", "a 2", "send 2"}));
}

// C-142: a channel that was closed to drain still takes what permits were given for, and receivers wait for it.
TEST_F(ChannelTest, PermitOutlivesCloseToDrain) {
  Channel<int> channel(2);
  spawn(reserve_then_send, std::ref(channel), std::ref(log_), 1, 1s);
  auto second = spawn(reserve_then_send, std::ref(channel), std::ref(log_), 2, 2s);
  for (const char* name : {"a", "b"}) {
    spawn(receive_one, std::ref(channel), std::ref(log_), std::string(name));
  }
  run_until_idle();
  log_.clear();
  channel.close();
  run_for(1s);
  run_until_idle();
  EXPECT_EQ(log_, (Log{"send 1", "a 1"}));
  second.cancel();  // the last permit goes: nothing more can come
  run();
  EXPECT_EQ(log_, (Log{"send 1", "a 1", "b closed"}));
}

TEST_F(ChannelTest, PermitOfAChannelClosedAtOnceSendsNothing) {
  Channel<std::unique_ptr<int>> channel(1);
  Channel<std::unique_ptr<int>>::Permit permit;
  struct Reserver {
    static Task<void> run(Channel<std::unique_ptr<int>>& from, Channel<std::unique_ptr<int>>::Permit& into) {
      Result<Channel<std::unique_ptr<int>>::Permit> got = co_await from.reserve();
      if (got) into = std::move(*got);
    }
  };
  spawn(&Reserver::run, std::ref(channel), std::ref(permit));
  run();
  ASSERT_TRUE(permit);
  channel.close(CloseMode::immediate);
  auto value = std::make_unique<int>(1);
  const Result<void> sent = permit.send(std::move(value));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error(), Errc::closed);
  EXPECT_NE(value, nullptr);
}

TEST_F(ChannelDeathTest, RendezvousHasNoRoomToReserve) {
  Channel<int> channel(0);
  EXPECT_DEATH((void)channel.reserve(), "no room to reserve");
}

// C-137
TEST_F(ChannelDeathTest, UseByASecondSchedulerAborts) {
  if (!debug_checks) GTEST_SKIP() << "only builds with debug checks see it";
  Channel<int> channel(1);
  spawn(send_one, std::ref(channel), std::ref(log_), 1);
  run();
  EXPECT_DEATH(
      {
        gyre::testing::TestLoop other;
        other.spawn(receive_one, std::ref(channel), std::ref(log_), "a");
        other.run();
      },
      "used by tasks of two schedulers");
}

Task<void> receive_with_deadline(Channel<int>& channel, Log& log) {
  CancelScope scope(CancelScope::within(1s));
  const Result<int> received = co_await channel.receive();
  log.push_back(received ? "value" : describe(received.error()));
  // Level-triggered: also where a value is to be had, which stays there.
  static_cast<void>(channel.try_send(1));
  const Result<int> again = co_await channel.receive();
  log.push_back(again ? "value" : describe(again.error()));
}
TEST_F(ChannelTest, DeadlineEndsTheWait) {
  Channel<int> channel(1);
  spawn(receive_with_deadline, std::ref(channel), std::ref(log_));
  run();
  EXPECT_EQ(log_, (Log{"timed out", "timed out"}));
  EXPECT_EQ(channel.size(), 1U);
}

// Everything that is in a channel when it dies is destroyed, exactly once.
TEST_F(ChannelTest, DestroysWhatIsLeft) {
  auto value = std::make_shared<int>(1);
  {
    Channel<std::shared_ptr<int>> channel(5);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(channel.try_send(std::shared_ptr<int>(value)));
    EXPECT_TRUE(channel.try_receive());
    EXPECT_TRUE(channel.try_send(std::shared_ptr<int>(value)));
    EXPECT_EQ(value.use_count(), 6);
  }
  EXPECT_EQ(value.use_count(), 1);
}

}  // namespace
