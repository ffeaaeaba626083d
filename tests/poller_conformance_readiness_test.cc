// The poller contract: readable and writable, foreign descriptors, lent buffers, and the native handle.

#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using std::chrono::milliseconds;

class PollerReadinessTest : public PollerFixture {
 protected:
  Request& readable(Descriptor& descriptor) {
    return io_->plain(OperationKind::readable, descriptor);
  }
  Request& writable(Descriptor& descriptor) {
    return io_->plain(OperationKind::writable, descriptor);
  }
  // Somebody else's descriptor; close it with close_now() before its owner does.
  Descriptor& foreign(const UniqueFd& fd) {
    return io_->attach(UniqueFd(fd.get()), DescriptorKind::foreign);
  }
};
class PollerLentTest : public PollerFixture {
 protected:
  void open_with_buffers(std::uint32_t number, std::uint32_t size) {
    PollerOptions options;
    options.lent_buffers = number;
    options.lent_buffer_size = size;
    reopen(options);
  }
};
class PollerHandleTest : public PollerFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerReadinessTest);
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerLentTest);
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerHandleTest);

TEST_P(PollerReadinessTest, ReadableCompletesOnceAReadWouldNotBlock) {
  Pair pair = tcp_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = readable(near);
  EXPECT_EQ(io_->quiet(), 0u);
  write_all(pair.far, "x");
  EXPECT_EQ(io_->finish(request), 0);
  EXPECT_TRUE(is_readable(static_cast<int>(near.native)));
}

TEST_P(PollerReadinessTest, ReadableConsumesNothingAndIsTrueAgain) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  write_all(pair.far, "still here");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(io_->finish(readable(near)), 0);
  EXPECT_EQ(io_->finish(io_->receive(near, 64)), 10);
}

TEST_P(PollerReadinessTest, ReadableWaitsAgainAfterTheDataWereTaken) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  write_all(pair.far, "x");
  EXPECT_EQ(io_->finish(readable(near)), 0);
  EXPECT_EQ(io_->finish(io_->receive(near, 64)), 1);
  Request& again = readable(near);
  EXPECT_EQ(io_->quiet(), 0u);
  EXPECT_FALSE(again.done());
  write_all(pair.far, "y");
  EXPECT_EQ(io_->finish(again), 0);
}

TEST_P(PollerReadinessTest, ReadableCompletesAtTheEndAndOnAReset) {
  Pair ended = tcp_pair();
  Descriptor& first = io_->attach(std::move(ended.near));
  Request& at_end = readable(first);
  io_->settle();
  ended.far.reset();
  EXPECT_EQ(io_->finish(at_end), 0);

  Pair reset = tcp_pair();
  Descriptor& second = io_->attach(std::move(reset.near));
  Request& at_reset = readable(second);
  io_->settle();
  reset_connection(std::move(reset.far));
  EXPECT_EQ(io_->finish(at_reset), 0);
  EXPECT_EQ(io_->finish(io_->receive(second, 8)), -ECONNRESET);
}

TEST_P(PollerReadinessTest, WritableCompletesAtOnceOnAnEmptySocket) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  EXPECT_EQ(io_->finish(writable(near)), 0);
}

TEST_P(PollerReadinessTest, WritableWaitsForRoom) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = writable(near);
  EXPECT_EQ(io_->quiet(), 0u);
  drain(pair.far);
  EXPECT_EQ(io_->finish(request), 0);
}

TEST_P(PollerReadinessTest, BothSidesOfOneDescriptorCompleteAtOnce) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& in = readable(near);
  Request& out = writable(near);
  io_->settle();
  write_all(pair.far, "x");
  EXPECT_EQ(io_->finish(in), 0);
  EXPECT_FALSE(out.done());
  drain(pair.far);
  EXPECT_EQ(io_->finish(out), 0);
}

TEST_P(PollerReadinessTest, ListenerIsReadableWhenAConnectionWaits) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& request = readable(listener);
  EXPECT_EQ(io_->quiet(), 0u);
  const UniqueFd client = connect_to(bound.address);
  EXPECT_EQ(io_->finish(request), 0);
}

TEST_P(PollerReadinessTest, TimersAndEventsAreReadable) {
  UniqueFd timer = timer_fd(std::chrono::milliseconds(1));
  EXPECT_EQ(io_->finish(readable(io_->attach(std::move(timer), DescriptorKind::stream))), 0);
  EXPECT_EQ(io_->finish(readable(io_->attach(event_fd(3), DescriptorKind::stream))), 0);
}

TEST_P(PollerReadinessTest, ForeignDescriptorTellsItsReadiness) {
  const Pair pair = unix_pair();
  Descriptor& descriptor = foreign(pair.near);
  Request& request = readable(descriptor);
  EXPECT_EQ(io_->quiet(), 0u);
  write_all(pair.far, "x");
  EXPECT_EQ(io_->finish(request), 0);
  EXPECT_EQ(io_->finish(readable(descriptor)), 0);  // still
  EXPECT_EQ(io_->finish(writable(descriptor)), 0);
  read_exactly(pair.near, 1);
  Request& again = readable(descriptor);
  EXPECT_EQ(io_->quiet(), 0u) << "its owner has read it empty";
  write_all(pair.far, "y");
  EXPECT_EQ(io_->finish(again), 0);
  io_->close_now(descriptor);
}

// The owner of a foreign descriptor may expect it to block, or not to.
TEST_P(PollerReadinessTest, ForeignDescriptorKeepsItsMode) {
  for (const bool blocking : {true, false}) {
    const Pair pair = unix_pair();
    if (!blocking) make_non_blocking(pair.near);
    Descriptor& descriptor = foreign(pair.near);
    EXPECT_EQ(io_->finish(writable(descriptor)), 0);
    EXPECT_EQ(is_non_blocking(raw(pair.near)), !blocking);
    io_->close_now(descriptor);
    EXPECT_EQ(is_non_blocking(raw(pair.near)), !blocking);
  }
}

TEST_P(PollerReadinessTest, ForeignNumberThatIsUsedAgainIsANewDescriptor) {
  for (int i = 0; i < 20; ++i) {
    Pair pair = unix_pair();
    write_all(pair.far, "x");
    Descriptor& descriptor = foreign(pair.near);
    EXPECT_EQ(io_->finish(readable(descriptor)), 0);
    io_->close_now(descriptor);
    pair.near.reset();  // the number is free for the next round
  }
}

// --- Lent buffers ----------------------------------------------------------------------------------------------------

TEST_P(PollerLentTest, SingleLentReceiveLendsOneBuffer) {
  Pair pair = tcp_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive_lent(near);
  EXPECT_EQ(io_->quiet(), 0u);
  write_all(pair.far, "lent");
  EXPECT_EQ(io_->finish(receive), 4);
  EXPECT_EQ(receive.data, "lent");
}

TEST_P(PollerLentTest, MultishotDeliversAgainAndAgainAndEndsWithZero) {
  Pair pair = tcp_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive_lent(near, operation_multishot);
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    expected += std::to_string(i);
    write_all(pair.far, std::to_string(i));
    ASSERT_TRUE(io_->run_until([&] { return receive.data == expected; }));
    ASSERT_FALSE(receive.done());
  }
  pair.far.reset();
  EXPECT_EQ(io_->finish(receive), 0);
  EXPECT_EQ(receive.data, expected);
}

TEST_P(PollerLentTest, EndOfTheStreamLendsNothing) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  pair.far.reset();
  Request& receive = io_->receive_lent(near);
  EXPECT_EQ(io_->finish(receive), 0);
  EXPECT_TRUE(receive.lent.empty());
}

TEST_P(PollerLentTest, ResetEndsAMultishotWithItsError) {
  Pair pair = tcp_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive_lent(near, operation_multishot);
  write_all(pair.far, "before");
  ASSERT_TRUE(io_->run_until([&] { return receive.data == "before"; }));
  reset_connection(std::move(pair.far));
  EXPECT_EQ(io_->finish(receive), -ECONNRESET);
}

TEST_P(PollerLentTest, BuffersThatAreKeptAreDistinctAndUntouched) {
  open_with_buffers(8, 64);
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->make(OperationKind::receive_lent, &near);
  receive.keep_lent = true;
  receive.flags = operation_multishot;
  io_->start(receive);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 8; ++i) {
    texts.push_back(pattern(40, static_cast<std::uint32_t>(i)));
    write_all(pair.far, texts.back());
    ASSERT_TRUE(io_->run_until([&] { return receive.lent.size() == i + 1; }));
  }
  EXPECT_EQ(std::set<void*>(receive.lent.begin(), receive.lent.end()).size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(std::memcmp(receive.lent[i], texts[i].data(), 40), 0);
  io_->cancel(receive);
  EXPECT_EQ(io_->finish(receive), -ECANCELED);
}

TEST_P(PollerLentTest, NoCompletionIsLargerThanABuffer) {
  open_with_buffers(4, 256);
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive_lent(near, operation_multishot);
  const std::string text = pattern(10'000);
  write_all(pair.far, text);
  ASSERT_TRUE(io_->run_until([&] { return receive.data.size() == text.size(); }));
  EXPECT_TRUE(receive.data == text);
  for (const std::int64_t result : receive.results) EXPECT_LE(result, 256);
  io_->cancel(receive);
  io_->finish(receive);
}

// Back-pressure: without buffers nothing is received, and nothing is lost; give_back() starts it again.
TEST_P(PollerLentTest, MultishotWithoutBuffersRestsUntilOneIsGivenBack) {
  open_with_buffers(4, 256);
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->make(OperationKind::receive_lent, &near);
  receive.keep_lent = true;
  receive.flags = operation_multishot;
  io_->start(receive);
  const std::string text = pattern(256 * 12);
  write_all(pair.far, text);
  ASSERT_TRUE(io_->run_until([&] { return receive.lent.size() == 4; }));
  EXPECT_TRUE(io_->sleeps_through());
  EXPECT_FALSE(receive.done());

  while (receive.data.size() < text.size()) {
    ASSERT_FALSE(receive.lent.empty());
    const std::size_t had = receive.data.size();
    io_->give_back(receive, 1);
    ASSERT_TRUE(io_->run_until([&] { return receive.data.size() > had; }));
  }

  EXPECT_TRUE(receive.data == text);
  io_->cancel(receive);
  EXPECT_EQ(io_->finish(receive), -ECANCELED);
}

TEST_P(PollerLentTest, MultishotWithoutBuffersCanBeCancelledAndClosed) {
  for (const bool close : {false, true}) {
    open_with_buffers(2, 64);
    Pair pair = unix_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    Request& receive = io_->make(OperationKind::receive_lent, &near);
    receive.keep_lent = true;
    receive.flags = operation_multishot;
    io_->start(receive);
    write_all(pair.far, pattern(1000));
    ASSERT_TRUE(io_->run_until([&] { return receive.lent.size() == 2; }));
    io_->settle();
    if (close) {
      EXPECT_EQ(io_->finish(io_->close(near)), 0);
    } else {
      io_->cancel(receive);
    }
    EXPECT_EQ(io_->finish(receive), -ECANCELED);
    EXPECT_EQ(receive.data.size(), 128u);
  }
}

TEST_P(PollerLentTest, SingleReceiveWithoutBuffersWaitsForOne) {
  open_with_buffers(1, 64);
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  write_all(pair.far, pattern(100));
  Request& first = io_->make(OperationKind::receive_lent, &near);
  first.keep_lent = true;
  io_->start(first);
  ASSERT_EQ(io_->finish(first), 64);
  Request& second = io_->receive_lent(near);
  EXPECT_EQ(io_->quiet(), 0u);
  EXPECT_FALSE(second.done());
  io_->give_back(first);
  EXPECT_EQ(io_->finish(second), 36);
}

// Whoever is given the buffer that others wait for, and does not need it: its stream has ended, or it is cancelled.
TEST_P(PollerLentTest, ABufferThatIsNotNeededIsForTheNextWhoWaits) {
  for (const bool cancel : {false, true}) {
    open_with_buffers(1, 64);
    std::vector<Pair> pairs;
    std::vector<Descriptor*> near;
    for (int i = 0; i < 3; ++i) {
      pairs.push_back(tcp_pair());
      near.push_back(&io_->attach(std::move(pairs.back().near)));
    }
    write_all(pairs[0].far, "0");
    Request& holder = io_->make(OperationKind::receive_lent, near[0]);
    holder.keep_lent = true;
    io_->start(holder);
    ASSERT_EQ(io_->finish(holder), 1);

    if (cancel) {
      write_all(pairs[1].far, "1");
    } else {
      pairs[1].far.reset();
    }
    Request& first = io_->receive_lent(*near[1]);
    io_->settle();
    write_all(pairs[2].far, "22");
    Request& second = io_->receive_lent(*near[2]);
    io_->settle();
    EXPECT_FALSE(second.done()) << "there was no buffer";
    io_->give_back(holder);
    if (cancel && !first.done()) io_->cancel(first);
    const std::int64_t result = io_->finish(first);
    EXPECT_TRUE(cancel ? result == -ECANCELED || result == 1 : result == 0) << result;
    EXPECT_EQ(io_->finish(second), 2);
  }
}

TEST_P(PollerLentTest, ManyStreamsShareTheBuffersAndAllAreServed) {
  open_with_buffers(4, 128);
  std::vector<UniqueFd> peers;
  std::vector<Request*> receives;
  const std::string text = pattern(3000);
  for (int i = 0; i < 32; ++i) {
    Pair pair = unix_pair();
    peers.push_back(std::move(pair.far));
    receives.push_back(&io_->receive_lent(io_->attach(std::move(pair.near)), operation_multishot));
  }
  for (const UniqueFd& peer : peers) write_all(peer, text);
  peers.clear();
  ASSERT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 0; }));
  for (const Request* receive : receives) {
    EXPECT_EQ(receive->result, 0);
    EXPECT_TRUE(receive->data == text);
  }
}

TEST_P(PollerLentTest, BufferMayBeGivenBackAfterItsDescriptorWasClosed) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->make(OperationKind::receive_lent, &near);
  receive.keep_lent = true;
  io_->start(receive);
  write_all(pair.far, "kept");
  EXPECT_EQ(io_->finish(receive), 4);
  EXPECT_EQ(io_->finish(io_->close(near)), 0);
  EXPECT_EQ(std::memcmp(receive.lent[0], "kept", 4), 0);
  io_->give_back(receive);
}

TEST_P(PollerLentTest, BufferThatComesBackTwiceAborts) {
  open_with_buffers(1, 64);
  Pair pair = unix_pair();
  Request& receive = io_->make(OperationKind::receive_lent, &io_->attach(std::move(pair.near)));
  receive.keep_lent = true;
  io_->start(receive);
  write_all(pair.far, "once");
  ASSERT_EQ(io_->finish(receive), 4);
  void* const buffer = receive.lent[0];
  io_->give_back(receive);
  EXPECT_DEATH_IF_SUPPORTED(io_->poller().give_back(buffer), "not lent");
}

// --- Inside a foreign loop -------------------------------------------------------------------------------------------

bool polls_readable(Poller& poller, int limit_ms) {
  return becomes_readable(static_cast<int>(poller.native_handle()), limit_ms);
}

TEST_P(PollerHandleTest, NativeHandleIsQuietWhenNothingIsToBeDone) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  io_->receive(near, 8);
  io_->settle();
  EXPECT_FALSE(polls_readable(io_->poller(), 0));
}

TEST_P(PollerHandleTest, NativeHandleIsReadableWhenACompletionWaits) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive(near, 8);
  io_->settle();
  for (int i = 0; i < 5; ++i) {
    write_all(pair.far, "x");
    ASSERT_TRUE(polls_readable(io_->poller(), 5000));
    ASSERT_EQ(io_->turn(), 1u);
    io_->start(receive);
    if (receive.done()) io_->start(receive);
    io_->settle();
    ASSERT_FALSE(polls_readable(io_->poller(), 0));
  }
}

TEST_P(PollerHandleTest, NativeHandleIsReadableAfterAWakeFromAnotherThread) {
  io_->expect_foreign_wakes();
  io_->settle();
  std::thread other([&] { io_->poller().wake(); });
  other.join();
  EXPECT_TRUE(polls_readable(io_->poller(), 5000));
  io_->turn();
  EXPECT_FALSE(polls_readable(io_->poller(), 0));
}

TEST_P(PollerHandleTest, NameSaysWhichBackendItIs) {
  EXPECT_EQ(io_->poller().name(), GetParam().name);
}

}  // namespace
}  // namespace gyre::test
