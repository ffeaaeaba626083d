// The poller contract: close, detach, and descriptors whose number or slot is used again (C8).

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using std::chrono::milliseconds;

class PollerCloseTest : public PollerFixture {
 protected:
  Descriptor& attached_pair(UniqueFd& far) {
    Pair pair = tcp_pair();
    far = std::move(pair.far);
    return io_->attach(std::move(pair.near));
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerCloseTest);

TEST_P(PollerCloseTest, CloseOfAnIdleDescriptorClosesItAndSendsFin) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  const int fd = static_cast<int>(near.native);

  EXPECT_EQ(io_->finish(io_->close(near)), 0);

  EXPECT_FALSE(is_open(fd));
  EXPECT_EQ(read_to_end(far), "");
}

TEST_P(PollerCloseTest, CloseAtOnceClosesItAndSendsFin) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  const int fd = static_cast<int>(near.native);

  io_->close_now(near);

  EXPECT_FALSE(is_open(fd));
  EXPECT_EQ(read_to_end(far), "");
}

TEST_P(PollerCloseTest, CloseAfterAnOperationSendsFinAtOnce) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  EXPECT_EQ(io_->finish(io_->send(near, "bye")), 3);
  Request& receive = io_->receive(near, 8);
  io_->quiet();
  io_->cancel(receive);
  EXPECT_EQ(io_->finish(receive), -ECANCELED);

  io_->close_now(near);

  EXPECT_EQ(read_to_end(far), "bye");
}

// io_uring's pending receive holds the file: without a cancel no FIN would be sent.
TEST_P(PollerCloseTest, PeerSeesTheEndThoughAReceiveWasPending) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  EXPECT_EQ(io_->quiet(), 0u);

  Request& close = io_->close(near);
  EXPECT_EQ(io_->finish(close), 0);

  EXPECT_EQ(receive.result, -ECANCELED);
  EXPECT_EQ(read_to_end(far), "");
}

TEST_P(PollerCloseTest, CloseResolvesAfterTheOperationsOfItsDescriptor) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  std::string order;
  Request& receive = io_->receive(near, 8);
  receive.then([&](Request&) { order += "r"; });
  Request& send = io_->send(near, "x");
  send.then([&](Request&) { order += "s"; });
  io_->settle();
  Request& close = io_->close(near);
  close.then([&](Request&) { order += "c"; });

  io_->run_until([&] { return order.size() == 3; });

  EXPECT_EQ(order.back(), 'c') << order;
  EXPECT_EQ(receive.result, -ECANCELED);
  EXPECT_EQ(send.result, -ECANCELED);
}

TEST_P(PollerCloseTest, CloseEndsAMultishotAccept) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener, operation_multishot);
  const UniqueFd client = connect_to(bound.address);
  ASSERT_TRUE(io_->run_until([&] { return accept.descriptors.size() == 1; }));

  EXPECT_EQ(io_->finish(io_->close(listener)), 0);

  EXPECT_TRUE(accept.done());
  EXPECT_EQ(accept.result, -ECANCELED);
  // Nobody listens any more.
  Descriptor& socket = io_->attach(tcp_socket());
  EXPECT_EQ(io_->finish(io_->connect(socket, bound.address)), -ECONNREFUSED);
}

TEST_P(PollerCloseTest, CloseEndsAMultishotLentReceive) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive_lent(near, operation_multishot);
  write_all(far, "data");
  ASSERT_TRUE(io_->run_until([&] { return receive.data == "data"; }));

  EXPECT_EQ(io_->finish(io_->close(near)), 0);

  EXPECT_EQ(receive.result, -ECANCELED);
  EXPECT_EQ(read_to_end(far), "");
}

TEST_P(PollerCloseTest, CloseEndsReadableAndWritable) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& readable = io_->plain(OperationKind::readable, near);
  Request& writable = io_->plain(OperationKind::writable, near);
  io_->settle();
  EXPECT_EQ(io_->finish(io_->close(near)), 0);
  EXPECT_EQ(readable.result, -ECANCELED);
  EXPECT_EQ(writable.result, -ECANCELED);
}

TEST_P(PollerCloseTest, CloseOfAFileAndOfAPipe) {
  Descriptor& file = io_->attach(temporary_file("x"), DescriptorKind::file);
  EXPECT_EQ(io_->finish(io_->close(file)), 0);
  Pipe pipe = pipe_pair();
  Descriptor& reader = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  Request& receive = io_->receive(reader, 8);
  io_->settle();
  EXPECT_EQ(io_->finish(io_->close(reader)), 0);
  EXPECT_EQ(receive.result, -ECANCELED);
}

TEST_P(PollerCloseTest, CompletionMayCloseItsOwnDescriptor) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  Request* close = nullptr;
  receive.then([&](Request&) { close = &io_->close(near); });
  io_->settle();
  write_all(far, "last");
  EXPECT_TRUE(io_->run_until([&] { return close != nullptr && close->done(); }));
  EXPECT_EQ(close->result, 0);
}

TEST_P(PollerCloseTest, CompletionMayCloseItsOwnDescriptorAtOnce) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  receive.then([&](Request&) { io_->close_now(near); });
  io_->settle();
  write_all(far, "last");
  EXPECT_EQ(io_->finish(receive), 4);
  io_->quiet();
  drain(far);
  SUCCEED();
}

// Row 61: close in the completion of a receive, while a send waits on the same descriptor.
TEST_P(PollerCloseTest, CompletionOfAReceiveMayCloseWhileASendWaits) {
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& send = io_->send(near, "x");
  Request& receive = io_->receive(near, 8);
  Request* close = nullptr;
  receive.then([&](Request&) { close = &io_->close(near); });
  io_->settle();
  write_all(pair.far, "go");

  EXPECT_TRUE(io_->run_until([&] { return close != nullptr && close->done(); }));

  EXPECT_EQ(send.result, -ECANCELED);
  EXPECT_EQ(close->result, 0);
}

// Row 1: two are ready in one batch; the first callback closes the second, and its number is reused at once. The new
// descriptor must not see the old one's event.
TEST_P(PollerCloseTest, EventOfAClosedDescriptorIsNotDeliveredToTheNextWithItsNumber) {
  for (int round = 0; round < 50; ++round) {
    UniqueFd far[2];
    Descriptor* near[2] = {&attached_pair(far[0]), &attached_pair(far[1])};
    Request* receive[2] = {&io_->receive(*near[0], 8), &io_->receive(*near[1], 8)};
    UniqueFd new_far;
    Request* next = nullptr;
    bool reused = false;
    bool closing = false;
    for (const int i : {0, 1}) {
      receive[i]->then([&, i](Request& self) {
        if (std::exchange(closing, true)) return;
        EXPECT_EQ(self.result, 4);
        const int other = 1 - i;
        const auto number = static_cast<int>(near[other]->native);
        Request& close = io_->close(*near[other]);
        const auto replace = [&, number](Request&) {
          Pair fresh = unix_pair();
          reused = raw(fresh.near) == number || raw(fresh.far) == number;
          new_far = std::move(fresh.far);
          next = &io_->receive(io_->attach(std::move(fresh.near)), 8);
        };
        if (close.was_inline) {
          replace(close);
        } else {
          close.then(replace);
        }
      });
    }
    io_->settle();
    write_all(far[0], "data");
    write_all(far[1], "data");

    ASSERT_TRUE(io_->run_until([&] { return next != nullptr; }));
    ASSERT_TRUE(reused);
    ASSERT_EQ(io_->quiet(milliseconds(1)), 0u);
    ASSERT_FALSE(next->done()) << "an event of the old descriptor reached the new one";
    write_all(new_far, "new");
    ASSERT_EQ(io_->finish(*next), 3);
    io_->close_now(*next->descriptor);
  }
}

// The same with close(), which takes effect at once, inside the batch.
TEST_P(PollerCloseTest, EventOfADescriptorClosedAtOnceIsNotDeliveredToTheNextWithItsNumber) {
  for (int round = 0; round < 50; ++round) {
    const bool late = round % 2 == 0;
    UniqueFd far_first;
    UniqueFd far_second;
    Descriptor& first = attached_pair(far_first);
    Descriptor& second = attached_pair(far_second);
    // Nothing is in flight on `second`, but it has an event in the batch.
    const auto number = static_cast<int>(second.native);
    UniqueFd new_far;
    Request* next = nullptr;
    Request& receive = io_->receive(first, 8);
    receive.then([&](Request&) {
      io_->close_now(second);
      Pair fresh = unix_pair();
      EXPECT_TRUE(raw(fresh.near) == number || raw(fresh.far) == number);
      new_far = std::move(fresh.far);
      next = &io_->receive(io_->attach(std::move(fresh.near)), 8);
    });
    io_->settle();
    if (late) write_all(far_first, "data");
    write_all(far_second, "data");
    if (!late) write_all(far_first, "data");
    ASSERT_TRUE(io_->run_until([&] { return next != nullptr; }));
    ASSERT_EQ(io_->quiet(milliseconds(1)), 0u);
    ASSERT_FALSE(next->done());
    write_all(new_far, "new");
    ASSERT_EQ(io_->finish(*next), 3);
    io_->close_now(*next->descriptor);
    io_->close_now(first);
  }
}

TEST_P(PollerCloseTest, GenerationChangesWhenASlotIsUsedAgain) {
  UniqueFd far;
  Descriptor* old = &attached_pair(far);
  const std::uint32_t slot = old->slot;
  const std::uint32_t generation = old->generation;
  io_->close_now(*old);
  // Some slot comes back before the table has grown by many.
  for (int i = 0; i < 1000; ++i) {
    Descriptor& next = io_->attach(event_fd(), DescriptorKind::stream);
    const bool same = next.slot == slot;
    EXPECT_TRUE(!same || next.generation != generation);
    io_->close_now(next);
    if (same) return;
  }
  FAIL() << "slots are never used again";
}

// Row 2: a random walk over open, close, ready and receive, with the lowest number always reused.
TEST_P(PollerCloseTest, RandomOpenCloseReadyStepsKeepEveryConnectionApart) {
  constexpr unsigned seed = 4711;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  struct Connection {
    UniqueFd far;
    Descriptor* near = nullptr;
    Request* receive = nullptr;
    std::string expected;  // sent and not received yet
  };
  std::vector<Connection> all(16);
  for (int step = 0; step < 10000; ++step) {
    Connection& c = all[random() % all.size()];
    if (c.near == nullptr) {
      Pair pair = unix_pair();
      c.far = std::move(pair.far);
      c.near = &io_->attach(std::move(pair.near));
      continue;
    }
    if (c.receive != nullptr && c.receive->done()) {
      ASSERT_GT(c.receive->result, 0);
      ASSERT_EQ(c.receive->text(), c.expected.substr(0, c.receive->text().size()));
      c.expected.erase(0, c.receive->text().size());
      c.receive = nullptr;
    }
    switch (random() % 8) {
      case 0: {
        Request& close = io_->close(*c.near);
        if (random() % 2 == 0) c.far.reset();
        ASSERT_EQ(io_->finish(close), 0);
        c = Connection();
        break;
      }
      case 1:
      case 2: {
        const std::string text = std::to_string(step) + ";";
        c.expected += text;
        write_all(c.far, text);
        break;
      }
      case 3:
        if (c.receive != nullptr && !c.receive->done()) io_->cancel(*c.receive);
        if (c.receive != nullptr) {
          io_->finish(*c.receive);
          if (c.receive->result == -ECANCELED) c.receive = nullptr;
        }
        break;
      case 4:
        io_->turn();
        break;
      default:
        if (c.receive == nullptr) c.receive = &io_->receive(*c.near, 1 + random() % 16);
    }
  }
}

TEST_P(PollerCloseTest, DetachedDescriptorIsOpenAndWorksElsewhere) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  write_all(far, "first");
  EXPECT_EQ(io_->finish(receive), 5);

  UniqueFd fd = io_->detach(near);

  ASSERT_TRUE(is_open(raw(fd)));
  write_all(far, "second");
  EXPECT_EQ(io_->quiet(), 0u);
  Descriptor& again = io_->attach(std::move(fd));
  EXPECT_EQ(io_->finish(io_->receive(again, 8)), 6);
}

TEST_P(PollerCloseTest, DetachedDescriptorCanMoveToAnotherPoller) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  EXPECT_EQ(io_->finish(io_->send(near, "x")), 1);
  PollerDriver other(open());
  Descriptor& moved = other.attach(io_->detach(near));
  Request& receive = other.receive(moved, 8);
  write_all(far, "moved");
  EXPECT_EQ(other.finish(receive), 5);
}

TEST_P(PollerCloseTest, CloseOfAForeignDescriptorLeavesItOpen) {
  const UniqueFd event = event_fd();
  Descriptor& first = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
  Request& readable = io_->plain(OperationKind::readable, first);
  io_->settle();
  EXPECT_EQ(io_->finish(io_->close(first)), 0);
  EXPECT_EQ(readable.result, -ECANCELED);
  EXPECT_TRUE(is_open(raw(event)));

  Descriptor& second = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
  io_->close_now(second);
  EXPECT_TRUE(is_open(raw(event)));

  Descriptor& third = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
  EXPECT_EQ(io_->detach(third).release(), event.get());
  EXPECT_TRUE(is_open(raw(event)));
}

TEST_P(PollerCloseTest, ManyDescriptorsCloseWithTheirOperationsPending) {
  std::vector<UniqueFd> peers;
  std::vector<Request*> closes;
  for (int i = 0; i < 500; ++i) {
    Pair pair = unix_pair();
    peers.push_back(std::move(pair.far));
    Descriptor& near = io_->attach(std::move(pair.near));
    io_->receive(near, 8);
    if (i % 2 == 0) io_->settle();
    closes.push_back(&io_->close(near));
  }
  EXPECT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 0; }));
  for (const UniqueFd& peer : peers) EXPECT_EQ(read_to_end(peer), "");
}

TEST_P(PollerCloseTest, ConnectionChurnReusesSlots) {
  std::uint32_t slot_max = 0;
  for (int i = 0; i < 2000; ++i) {
    Pair pair = unix_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    slot_max = std::max(slot_max, near.slot);
    Request& receive = io_->receive(near, 8);
    write_all(pair.far, "x");
    ASSERT_EQ(io_->finish(receive), 1);
    if (i % 2 == 0) {
      ASSERT_EQ(io_->finish(io_->close(near)), 0);
    } else {
      io_->close_now(near);
    }
  }
  EXPECT_LT(slot_max, 64u);
}

TEST_P(PollerCloseTest, DescriptorThatCannotBeWatchedIsRefusedAndClosed) {
  UniqueFd file = temporary_file("a regular file is no stream");
  const int fd = raw(file);
  const Result<Descriptor*> result =
      io_->poller().attach(std::move(file), DescriptorKind::stream);
  // io_uring can read it; epoll cannot watch it. Either way somebody owns it.
  if (result) {
    io_->poller().close(**result);
  } else {
    EXPECT_TRUE(result.error() == std::errc::operation_not_permitted) << result.error();
  }
  EXPECT_FALSE(is_open(fd));
}

}  // namespace
}  // namespace gyre::test
