// The poller contract: cancel() of every kind of operation, in every order against its completion (C3).

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using std::chrono::milliseconds;

class PollerCancelTest : public PollerFixture {
 protected:
  // `request` waits for something that does not happen: cancelled, it ends with ECANCELED, soon and once.
  void expect_cancellable(Request& request) {
    EXPECT_EQ(io_->quiet(), 0u);
    ASSERT_FALSE(request.done()) << "it was to wait; result " << request.result;
    io_->cancel(request);
    EXPECT_FALSE(request.done());
    io_->cancel(request);
    EXPECT_EQ(io_->finish(request), -ECANCELED);
    io_->cancel(request);
    EXPECT_EQ(io_->quiet(), 0u);
  }

  Descriptor& attached_pair(UniqueFd& far) {
    Pair pair = tcp_pair();
    far = std::move(pair.far);
    return io_->attach(std::move(pair.near));
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerCancelTest);

TEST_P(PollerCancelTest, WaitingReceiveEndsWithCancelled) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  expect_cancellable(io_->receive(near, 8));
  // The descriptor is as good as before.
  write_all(far, "after");
  EXPECT_EQ(io_->finish(io_->receive(near, 8)), 5);
}

TEST_P(PollerCancelTest, WaitingPeekEndsWithCancelled) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  expect_cancellable(io_->receive(near, 8, operation_peek));
}

TEST_P(PollerCancelTest, WaitingSendEndsWithCancelledAndHasSentNothing) {
  Pair pair = unix_pair();
  const std::size_t filled = fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  expect_cancellable(io_->send(near, "not to be seen"));
  EXPECT_EQ(drain(pair.far), std::string(filled, 'f'));
}

TEST_P(PollerCancelTest, WaitingVectoredReceiveEndsWithCancelled) {
  UniqueFd far;
  expect_cancellable(io_->receive_vector(attached_pair(far), {4, 4}));
}

TEST_P(PollerCancelTest, WaitingVectoredSendEndsWithCancelled) {
  Pair pair = unix_pair();
  fill(pair.near);
  expect_cancellable(io_->send_vector(io_->attach(std::move(pair.near)), {"a", "b"}));
}

TEST_P(PollerCancelTest, WaitingReceiveMessageEndsWithCancelled) {
  Descriptor& socket = io_->attach(udp_socket().fd);
  Request& receive = io_->make_receive_messages(socket, 1, 64, 64);
  io_->start(receive);
  expect_cancellable(receive);
}

TEST_P(PollerCancelTest, WaitingSendMessageEndsWithCancelled) {
  Pair pair = unix_pair();
  fill(pair.near);
  Request& send = io_->make_send_messages(io_->attach(std::move(pair.near)), {"message"});
  io_->start(send);
  expect_cancellable(send);
}

TEST_P(PollerCancelTest, WaitingReceiveBatchEndsWithCancelled) {
  Descriptor& socket = io_->attach(udp_socket().fd);
  Request& receive = io_->make_receive_messages(socket, 8, 64);
  io_->start(receive);
  expect_cancellable(receive);
}

TEST_P(PollerCancelTest, WaitingSendBatchEndsWithCancelled) {
  Pair pair = unix_datagram_pair();
  fill(pair.near);
  Request& send = io_->make_send_messages(io_->attach(std::move(pair.near)), {"one", "two"});
  io_->start(send);
  expect_cancellable(send);
}

TEST_P(PollerCancelTest, WaitingReceiveLentEndsWithCancelledAndLendsNothing) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  expect_cancellable(io_->receive_lent(near));
  Request& multishot = io_->receive_lent(near, operation_multishot);
  expect_cancellable(multishot);
  EXPECT_TRUE(multishot.lent.empty());
}

TEST_P(PollerCancelTest, WaitingAcceptEndsWithCancelled) {
  Descriptor& listener = io_->attach(tcp_listener().fd);
  expect_cancellable(io_->accept(listener));
  expect_cancellable(io_->accept(listener, operation_multishot));
}

TEST_P(PollerCancelTest, WaitingReadableAndWritableEndWithCancelled) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& readable = io_->plain(OperationKind::readable, near);
  Request& writable = io_->plain(OperationKind::writable, near);
  expect_cancellable(readable);
  expect_cancellable(writable);
}

TEST_P(PollerCancelTest, WaitingReadableOfAForeignDescriptorEndsWithCancelled) {
  const UniqueFd event = event_fd();
  Descriptor& foreign = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
  expect_cancellable(io_->plain(OperationKind::readable, foreign));
  io_->close_now(foreign);
}

TEST_P(PollerCancelTest, WaitingSpliceFromAnEmptyPipeEndsWithCancelled) {
  Pipe pipe = pipe_pair();
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Descriptor& source = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  expect_cancellable(io_->splice(near, source, 4096));
  // Both are as good as before.
  write_all(pipe.write_end, "after");
  EXPECT_EQ(io_->finish(io_->splice(near, source, 4096)), 5);
  EXPECT_EQ(read_exactly(far, 5), "after");
}

TEST_P(PollerCancelTest, WaitingSendFileEndsWithCancelled) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Descriptor& file = io_->attach(temporary_file("content"), DescriptorKind::file);
  expect_cancellable(io_->send_file(near, file, 0, 7));
}

TEST_P(PollerCancelTest, CancelOfAnIdleOperationHasNoEffect) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->make(OperationKind::receive, &near);
  io_->cancel(receive);
  receive.data.resize(8);
  receive.argument = receive.data.data();
  receive.size = 8;
  io_->start(receive);
  write_all(far, "fine");
  EXPECT_EQ(io_->finish(receive), 4);
}

TEST_P(PollerCancelTest, CancelRightAfterStartBeforeAnyWait) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  io_->cancel(receive);
  EXPECT_EQ(io_->finish(receive), -ECANCELED);
}

// Data that arrived before the cancel is either delivered by the operation, or still there for the next one.
TEST_P(PollerCancelTest, CancelAfterDataArrivedLosesNothing) {
  for (const bool turned : {false, true}) {
    UniqueFd far;
    Descriptor& near = attached_pair(far);
    Request& receive = io_->receive(near, 8);
    if (turned) io_->settle();
    write_all(far, "data");
    io_->cancel(receive);
    const std::int64_t result = io_->finish(receive);
    if (result == -ECANCELED) {
      EXPECT_EQ(io_->finish(io_->receive(near, 8)), 4);
    } else {
      EXPECT_EQ(result, 4);
      EXPECT_EQ(receive.text(), "data");
    }
  }
}

TEST_P(PollerCancelTest, CancelAfterCompletionDoesNotTouchTheNextOperation) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& first = io_->receive(near, 8);
  write_all(far, "one");
  EXPECT_EQ(io_->finish(first), 3);
  Request& second = io_->receive(near, 8);

  io_->cancel(first);

  EXPECT_EQ(io_->quiet(), 0u);
  EXPECT_FALSE(second.done());
  write_all(far, "two!");
  EXPECT_EQ(io_->finish(second), 4);
}

// The cancel of an operation may reach the kernel when its memory has been given to the next operation already.
TEST_P(PollerCancelTest, CancelOfAnEarlierLifeDoesNotTouchTheSameOperationStartedAgain) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8, operation_no_inline);
  for (int i = 0; i < 100; ++i) {
    write_all(far, "x");
    io_->cancel(receive);  // races with the byte
    const std::int64_t result = io_->finish(receive);
    ASSERT_TRUE(result == 1 || result == -ECANCELED) << result;
    if (result == -ECANCELED) {
      io_->start(receive);
      ASSERT_EQ(io_->finish(receive), 1) << "round " << i;
    }
    io_->start(receive);
    ASSERT_EQ(io_->turn(), 0u) << "round " << i;
  }
}

TEST_P(PollerCancelTest, CancelOfOneDirectionLeavesTheOther) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive(near, 8);
  Request& send = io_->send(near, "out");
  io_->quiet();

  io_->cancel(receive);
  EXPECT_EQ(io_->finish(receive), -ECANCELED);
  EXPECT_FALSE(send.done());

  drain(pair.far);
  EXPECT_GE(io_->finish(send), 1);
}

TEST_P(PollerCancelTest, CompletionMayCancelAnotherOperation) {
  UniqueFd far;
  UniqueFd other_far;
  Descriptor& near = attached_pair(far);
  Descriptor& other = attached_pair(other_far);
  Request& victim = io_->receive(other, 8);
  Request& receive = io_->receive(near, 8, operation_no_inline);
  receive.then([&](Request&) { io_->cancel(victim); });
  io_->settle();
  write_all(far, "go");
  EXPECT_EQ(io_->finish(victim), -ECANCELED);
}

// Both are ready in one batch; the first to be completed cancels the second. It is delivered, or cancelled with its
// data kept; never both, never neither.
TEST_P(PollerCancelTest, CompletionMayCancelAnotherThatIsReadyInTheSameBatch) {
  UniqueFd far[2];
  Descriptor* near[2] = {};
  Request* receive[2] = {};
  for (int i = 0; i < 2; ++i) {
    near[i] = &attached_pair(far[i]);
    receive[i] = &io_->receive(*near[i], 8);
    receive[i]->then([&, i](Request&) { io_->cancel(*receive[1 - i]); });
  }
  io_->settle();
  write_all(far[0], "data");
  write_all(far[1], "data");

  for (int i = 0; i < 2; ++i) io_->finish(*receive[i]);

  EXPECT_TRUE(receive[0]->result == 4 || receive[1]->result == 4);
  for (int i = 0; i < 2; ++i) {
    if (receive[i]->result == -ECANCELED) {
      EXPECT_EQ(io_->finish(io_->receive(*near[i], 8)), 4);
    } else {
      EXPECT_EQ(receive[i]->result, 4);
    }
  }
}

TEST_P(PollerCancelTest, CompletionMayCancelTheOtherDirectionOfItsDescriptor) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& send = io_->send(near, "blocked");
  Request& receive = io_->receive(near, 8);
  receive.then([&](Request&) { io_->cancel(send); });
  io_->settle();
  write_all(pair.far, "go");
  EXPECT_EQ(io_->finish(send), -ECANCELED);
  EXPECT_EQ(receive.result, 2);
}

TEST_P(PollerCancelTest, CancelledCompletionMayStartTheSameOperationAgain) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8, operation_no_inline);
  receive.then([&](Request& self) {
    if (self.result == -ECANCELED) io_->start(self);
  });
  for (int i = 0; i < 20; ++i) {
    io_->cancel(receive);
    EXPECT_TRUE(io_->run_until([&] { return receive.starts == i + 2; }));
  }
  write_all(far, "end");
  EXPECT_TRUE(io_->run_until([&] { return receive.done(); }));
  EXPECT_EQ(receive.result, 3);
}

// Thousands of races between a byte and a cancel: the bytes that were sent are the bytes that were received.
TEST_P(PollerCancelTest, BytesAreConservedOverManyRaces) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  std::size_t received = 0;
  const std::string text = pattern(2000);
  std::string arrived;
  for (std::size_t i = 0; i < text.size(); ++i) {
    Request& receive = io_->receive(near, 8);
    if (i % 4 == 0) io_->settle();
    if (i % 3 != 0) write_all(far, text.substr(i, 1));
    if (i % 5 == 0) io_->settle();
    io_->cancel(receive);
    if (i % 3 == 0) write_all(far, text.substr(i, 1));
    const std::int64_t result = io_->finish(receive);
    ASSERT_TRUE(result > 0 || result == -ECANCELED) << result;
    if (result > 0) received += static_cast<std::size_t>(result);
    arrived += receive.text();
  }
  while (received < text.size()) {
    Request& receive = io_->receive(near, 4096);
    ASSERT_GT(io_->finish(receive), 0);
    received += static_cast<std::size_t>(receive.result);
    arrived += receive.text();
  }
  EXPECT_TRUE(arrived == text);
}

// A connection that wins against the cancel is delivered; one that loses is still in the backlog. None is lost or leaked.
TEST_P(PollerCancelTest, AcceptRacesLoseNoConnection) {
  Bound bound = tcp_listener(512);
  const SocketAddress address = bound.address;
  Descriptor& listener = io_->attach(std::move(bound.fd));
  std::vector<UniqueFd> clients;
  std::size_t accepted = 0;
  for (int i = 0; i < 100; ++i) {
    Request& accept = io_->accept(listener, i % 2 == 0 ? operation_multishot : std::uint16_t{0});
    if (i % 3 == 0) io_->settle();
    clients.push_back(connect_to(address));
    if (i % 5 == 0) io_->settle();
    io_->cancel(accept);
    io_->finish(accept);
    ASSERT_TRUE(accept.result >= 0 || accept.result == -ECANCELED) << accept.result;
    accepted += accept.descriptors.size();
    accept.descriptors.clear();
  }
  for (; accepted < clients.size(); ++accepted) {
    ASSERT_GE(io_->finish(io_->accept(listener)), 0);
  }
  Request& none = io_->accept(listener);
  EXPECT_EQ(io_->quiet(), 0u);
  EXPECT_FALSE(none.done());
  io_->cancel(none);
  io_->finish(none);
}

TEST_P(PollerCancelTest, LentReceiveRacesLoseNoBytesAndNoBuffers) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  std::string arrived;
  const std::string text = pattern(1000);
  for (std::size_t i = 0; i < text.size(); ++i) {
    Request& receive = io_->receive_lent(near, i % 2 == 0 ? operation_multishot : std::uint16_t{0});
    if (i % 3 == 0) io_->settle();
    write_all(far, text.substr(i, 1));
    if (i % 5 == 0) io_->settle();
    io_->cancel(receive);
    io_->finish(receive);
    ASSERT_TRUE(receive.result > 0 || receive.result == -ECANCELED) << receive.result;
    arrived += receive.data;
  }
  while (arrived.size() < text.size()) {
    Request& receive = io_->receive_lent(near);
    ASSERT_GT(io_->finish(receive), 0);
    arrived += receive.data;
  }
  EXPECT_TRUE(arrived == text);
}

TEST_P(PollerCancelTest, CancelOfOpenFileLeaksNoDescriptor) {
  const TemporaryDirectory directory;
  for (int i = 0; i < 50; ++i) {
    Request& open = io_->open_file(directory.path("file"), open_write | open_create);
    io_->cancel(open);
    io_->finish(open);
    EXPECT_TRUE(open.result >= 0 || open.result == -ECANCELED) << open.result;
    open.descriptors.clear();
  }
}

TEST_P(PollerCancelTest, CancelOfConnectLeavesNoConnectionBehindItsResult) {
  const Bound bound = tcp_listener();
  for (int i = 0; i < 50; ++i) {
    Descriptor& socket = io_->attach(tcp_socket());
    Request& connect = io_->connect(socket, bound.address);
    io_->cancel(connect);
    const std::int64_t result = io_->finish(connect);
    EXPECT_TRUE(result == 0 || result == -ECANCELED) << result;
    if (result == 0) {
      EXPECT_EQ(io_->finish(io_->send(socket, "x")), 1);
    }
    io_->close_now(socket);
  }
}

TEST_P(PollerCancelTest, CancelOfCloseDoesNotStopIt) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  Request& close = io_->close(near);
  io_->cancel(close);
  EXPECT_EQ(io_->finish(close), 0);
  EXPECT_TRUE(receive.done());
  EXPECT_EQ(read_to_end(far), "");
}

TEST_P(PollerCancelTest, CancelOfShutdownAndFileOperationsGivesAResultOrCancelled) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Descriptor& file = io_->attach(temporary_file("0123456789"), DescriptorKind::file);
  Request& shutdown = io_->shutdown(near, ShutdownSide::write);
  io_->cancel(shutdown);
  Request& read = io_->read_at(file, 4, 2);
  io_->cancel(read);
  Request& write = io_->write_at(file, "ab", 0);
  io_->cancel(write);

  const std::int64_t shut = io_->finish(shutdown);
  EXPECT_TRUE(shut == 0 || shut == -ECANCELED) << shut;
  const std::int64_t bytes = io_->finish(read);
  EXPECT_TRUE(bytes == 4 || bytes == -ECANCELED) << bytes;
  const std::int64_t written = io_->finish(write);
  EXPECT_TRUE(written == 2 || written == -ECANCELED) << written;
}

TEST_P(PollerCancelTest, ThousandOperationsAreCancelledInOneTurnOrFew) {
  constexpr std::size_t count = 1000;
  std::vector<UniqueFd> peers;
  std::vector<Request*> receives;
  for (std::size_t i = 0; i < count; ++i) {
    Pair pair = unix_pair();
    peers.push_back(std::move(pair.far));
    receives.push_back(&io_->receive(io_->attach(std::move(pair.near)), 8));
  }
  io_->settle();
  EXPECT_EQ(io_->poller().in_flight(), count);
  for (Request* receive : receives) io_->cancel(*receive);
  EXPECT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 0; }));
  for (Request* receive : receives) EXPECT_EQ(receive->result, -ECANCELED);
}

// A wait() with a far deadline must not sleep over a cancelled operation.
TEST_P(PollerCancelTest, WaitDoesNotSleepWhenACancelledOperationIsToBeCompleted) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  io_->settle();
  io_->cancel(receive);
  EXPECT_EQ(io_->turn_until(steady_clock().now() + PollerDriver::time_limit), 1u);
  EXPECT_EQ(receive.result, -ECANCELED);
}

}  // namespace
}  // namespace gyre::test
