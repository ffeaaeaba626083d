// Signals as a stream, with the two that every system has: added, counted, refused, put back. What threads, forked and started
// processes make of them is in signal_stream_posix_test.cc.
#include <gyre/reactor/signal_stream.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

std::atomic<int> seen_before{0};
// Some systems put the default back before they call it.
void note_before(int number) {
  std::signal(number, note_before);
  seen_before.fetch_add(1);
}

class SignalStreamTest : public NetTaskFixture {
 protected:
  void SetUp() override {
    NetTaskFixture::SetUp();
    std::signal(SIGTERM, note_before);
    seen_before = 0;
  }
  void TearDown() override {
    NetTaskFixture::TearDown();
    EXPECT_EQ(std::signal(SIGTERM, SIG_DFL), note_before) << "the previous disposition was not put back";
    EXPECT_EQ(std::signal(SIGINT, SIG_DFL), SIG_DFL);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(SignalStreamTest);

Task<Result<void>> receive_in_turn() {
  Result<SignalStream> stream = signals({SIGINT, SIGTERM});
  if (!stream) co_return stream.error();
  std::raise(SIGTERM);
  const Result<int> second = co_await stream->receive();
  EXPECT_TRUE(second && *second == SIGTERM);
  // Of one kind they are one; of two kinds they are two, the lower number first.
  for (int i = 0; i < 5; ++i) std::raise(SIGTERM);
  std::raise(SIGINT);
  const Result<int> lower = co_await stream->receive();
  const Result<int> higher = co_await stream->receive();
  EXPECT_TRUE(lower && *lower == SIGINT);
  EXPECT_TRUE(higher && *higher == SIGTERM);
  EXPECT_EQ(seen_before.load(), 0);
  co_return Result<void>{};
}

TEST_P(SignalStreamTest, C176_SignalsComeOutOfTheStreamAndOneKindCoalesces) {
  const Result<void> done = run(receive_in_turn());
  EXPECT_TRUE(done.has_value()) << done.error();
  std::raise(SIGTERM);
  EXPECT_EQ(seen_before.load(), 1) << "removed: the previous handler has it again";
}

Task<Result<void>> count_references() {
  Result<SignalStream> first = signals({SIGTERM});
  Result<SignalStream> second = signals({SIGTERM, SIGTERM});
  if (!first || !second) co_return Errc::broken;
  std::raise(SIGTERM);
  const Result<int> one = co_await first->receive();
  const Result<int> two = co_await second->receive();
  EXPECT_TRUE(one && two);
  first = Errc::closed;
  // The second still listens.
  std::raise(SIGTERM);
  const Result<int> again = co_await second->receive();
  EXPECT_TRUE(again && *again == SIGTERM);
  // Replaced by another that listens to other signals.
  second = signals({SIGINT});
  std::raise(SIGTERM);
  EXPECT_EQ(seen_before.load(), 1);
  // One that is dropped while a signal is on its way.
  std::raise(SIGINT);
  co_return Result<void>{};
}

TEST_P(SignalStreamTest, C176_StreamsAreCountedAndAllAreTold) {
  const Result<void> done = run(count_references());
  EXPECT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(seen_before.load(), 1);
}

Task<void> ask_for_wrong_signals() {
  for (const int number : {SIGSEGV, SIGFPE, SIGILL, 9, 0, -1, 65, 1000}) {
    const Result<SignalStream> stream = signals({SIGTERM, number});
    EXPECT_FALSE(stream.has_value()) << number;
    if (!stream) {
      EXPECT_EQ(stream.error(), std::errc::invalid_argument) << number;
      EXPECT_EQ(stream.error().operation(), OperationKind::signal);
    }
  }
  co_return;
}

TEST_P(SignalStreamTest, C176_WhatCannotBeCaughtIsRefusedAndNothingIsLeft) { EXPECT_TRUE(run(ask_for_wrong_signals())); }

// The loop sleeps in its poller; the signal comes from, and is handled on, another thread.
Task<Result<int>> receive_one(std::atomic<bool>& listens) {
  Result<SignalStream> stream = signals({SIGTERM});
  if (!stream) co_return stream.error();
  listens = true;
  co_return co_await stream->receive();
}

TEST_P(SignalStreamTest, C176_ASignalOnAnotherThreadWakesTheLoop) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> listens{false};
    std::thread sender([&] {
      while (!listens) std::this_thread::yield();
      std::raise(SIGTERM);
    });
    const Result<int> signal = run(receive_one(listens));
    sender.join();
    ASSERT_TRUE(signal.has_value()) << signal.error();
    EXPECT_EQ(*signal, SIGTERM);
  }
  EXPECT_EQ(seen_before.load(), 0);
}

}  // namespace
}  // namespace gyre::test
