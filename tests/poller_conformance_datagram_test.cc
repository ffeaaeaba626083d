// The poller contract: messages. UDP one by one and in batches, truncation, and refusals.
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

class PollerDatagramTest : public PollerFixture {
 protected:
  struct Udp {
    Descriptor* descriptor;
    SocketAddress address;
  };
  Udp udp() {
    Bound bound = udp_socket();
    return {&io_->attach(std::move(bound.fd)), bound.address};
  }
  Request& receive(Descriptor& socket, std::size_t count, std::size_t size,
                   std::size_t control = 0) {
    Request& request = io_->make_receive_messages(socket, count, size, control);
    io_->start(request);
    return request;
  }
  Request& send(Descriptor& socket, const std::vector<std::string>& texts,
                const SocketAddress* to) {
    Request& request = io_->make_send_messages(socket, texts, to);
    io_->start(request);
    return request;
  }
  // A batch of at most `room` messages that brings all `expected` that `send_all()` sends. They are there at once, as a
  // rule; when a batch finds only some of them, all are sent again.
  template <typename SendAll>
  Request& receive_together(const Udp& to, std::size_t room, std::size_t size, std::int64_t expected, SendAll send_all) {
    for (int round = 0;; ++round) {
      send_all();
      Request& received = receive(*to.descriptor, room, size);
      std::int64_t count = io_->finish(received);
      if (count <= 0 || count >= expected || round == 200) return received;
      while (count < expected) {
        const std::int64_t late = io_->finish(receive(*to.descriptor, room, size));
        if (late <= 0) return received;
        count += late;
      }
    }
  }
  static std::string text_of(const Request& request, std::size_t index) {
    return request.pieces[index].substr(0, request.messages[index].size);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerDatagramTest);

TEST_P(PollerDatagramTest, MessageTravelsWithItsSendersAddress) {
  const Udp a = udp();
  const Udp b = udp();
  Request& received = receive(*b.descriptor, 1, 64);

  EXPECT_EQ(io_->finish(send(*a.descriptor, {"datagram"}, &b.address)), 8);

  EXPECT_EQ(io_->finish(received), 8);
  EXPECT_EQ(text_of(received, 0), "datagram");
  EXPECT_EQ(received.message().flags, 0u);
  EXPECT_EQ(port_of(received.addresses[0]), port_of(a.address));
  EXPECT_EQ(received.addresses[0].size, a.address.size);
}

TEST_P(PollerDatagramTest, AddressOfTheSenderMayBeLeftOut) {
  const Udp a = udp();
  const Udp b = udp();
  Request& received = io_->make_receive_messages(*b.descriptor, 1, 64);
  received.message().address = nullptr;
  io_->start(received);
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"anonymous"}, &b.address)), 9);
  EXPECT_EQ(io_->finish(received), 9);
}

TEST_P(PollerDatagramTest, EmptyDatagramIsAMessageAndNotTheEnd) {
  const Udp a = udp();
  const Udp b = udp();
  EXPECT_EQ(io_->finish(send(*a.descriptor, {""}, &b.address)), 0);
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"next"}, &b.address)), 4);

  EXPECT_EQ(io_->finish(receive(*b.descriptor, 1, 64)), 0);
  Request& next = receive(*b.descriptor, 1, 64);
  EXPECT_EQ(io_->finish(next), 4);
  EXPECT_EQ(text_of(next, 0), "next");
}

TEST_P(PollerDatagramTest, DatagramThatIsTooLongIsFlagged) {
  const Udp a = udp();
  const Udp b = udp();
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"0123456789"}, &b.address)), 10);
  Request& received = receive(*b.descriptor, 1, 4);
  EXPECT_EQ(io_->finish(received), 4);
  EXPECT_EQ(received.message().flags, message_truncated);
  EXPECT_EQ(text_of(received, 0), "0123");
  // A request that is used again starts with clean flags.
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"abc"}, &b.address)), 3);
  io_->start(received);
  EXPECT_EQ(io_->finish(received), 3);
  EXPECT_EQ(received.message().flags, 0u);
}

TEST_P(PollerDatagramTest, MessageScattersAndGathers) {
  const Udp a = udp();
  const Udp b = udp();
  Request& sending = io_->make_send_messages(*a.descriptor, {"x"}, &b.address);
  std::string parts[3] = {"one", "", "three"};
  IoSlice out[3];
  for (int i = 0; i < 3; ++i) out[i] = {parts[i].data(), parts[i].size()};
  sending.message().slices = out;
  sending.message().slices_count = 3;
  io_->start(sending);
  EXPECT_EQ(io_->finish(sending), 8);

  Request& received = io_->make_receive_messages(*b.descriptor, 1, 1);
  char first[2];
  char second[16];
  IoSlice in[3] = {{first, 2}, {nullptr, 0}, {second, 16}};
  received.message().slices = in;
  received.message().slices_count = 3;
  io_->start(received);
  EXPECT_EQ(io_->finish(received), 8);
  EXPECT_EQ(std::string(first, 2) + std::string(second, 6), "onethree");
}

TEST_P(PollerDatagramTest, BatchReceivesWhatIsThereAndSaysHowMany) {
  const Udp a = udp();
  const Udp b = udp();
  Request& received = receive_together(b, 8, 64, 3, [&] {
    for (const char* text : {"a", "bb", "ccc"}) {
      EXPECT_GE(io_->finish(send(*a.descriptor, {text}, &b.address)), 1);
    }
  });
  EXPECT_EQ(received.result, 3);
  EXPECT_EQ(text_of(received, 0), "a");
  EXPECT_EQ(text_of(received, 1), "bb");
  EXPECT_EQ(text_of(received, 2), "ccc");
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(port_of(received.addresses[i]), port_of(a.address));
    EXPECT_EQ(received.message(i).flags, 0u);
  }
}

TEST_P(PollerDatagramTest, BatchWaitsForTheFirst) {
  const Udp a = udp();
  const Udp b = udp();
  Request& received = receive(*b.descriptor, 8, 64);
  EXPECT_EQ(io_->quiet(), 0u);
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"first"}, &b.address)), 5);
  EXPECT_EQ(io_->finish(received), 1);
  EXPECT_EQ(text_of(received, 0), "first");
}

TEST_P(PollerDatagramTest, BatchOfSixtyFourTravelsWhole) {
  const Udp a = udp();
  const Udp b = udp();
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 64; ++i) texts.push_back(pattern(i, 7));
  std::size_t sent = 0;
  while (sent < 64) {
    const std::vector<std::string> rest(texts.begin() + static_cast<std::ptrdiff_t>(sent),
                                        texts.end());
    const std::int64_t count = io_->finish(send(*a.descriptor, rest, &b.address));
    ASSERT_GE(count, rest.size() == 1 ? 0 : 1);
    // A single message is not a batch: its result is its size.
    sent += rest.size() == 1 ? 1 : static_cast<std::size_t>(count);
  }
  std::size_t got = 0;
  while (got < 64) {
    Request& received = io_->make_receive_messages(*b.descriptor, 64, 64);
    io_->start(received);
    const std::int64_t count = io_->finish(received);
    ASSERT_GE(count, 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      ASSERT_EQ(text_of(received, i), texts[got + i]);
    }
    got += static_cast<std::size_t>(count);
  }
  EXPECT_EQ(got, 64u);
}

TEST_P(PollerDatagramTest, BatchTellsEachSizeAndTruncation) {
  const Udp a = udp();
  const Udp b = udp();
  Request& received = receive_together(b, 6, 4, 4, [&] {
    EXPECT_EQ(io_->finish(send(*a.descriptor, {"ok", "much too long", "", "fine"}, &b.address)), 4);
  });
  EXPECT_EQ(received.result, 4);
  EXPECT_EQ(text_of(received, 0), "ok");
  EXPECT_EQ(text_of(received, 1), "much");
  EXPECT_EQ(received.message(1).flags, message_truncated);
  EXPECT_EQ(received.message(2).size, 0u);
  EXPECT_EQ(received.message(2).flags, 0u);
  EXPECT_EQ(text_of(received, 3), "fine");
}

TEST_P(PollerDatagramTest, SendBatchTellsTheSizeOfEachMessage) {
  const Udp a = udp();
  const Udp b = udp();
  Request& sent = send(*a.descriptor, {"a", "bb", "ccc"}, &b.address);
  EXPECT_EQ(io_->finish(sent), 3);
  EXPECT_EQ(sent.message(0).size, 1u);
  EXPECT_EQ(sent.message(1).size, 2u);
  EXPECT_EQ(sent.message(2).size, 3u);
}

// A batch that breaks in the middle has sent what it has sent; the error comes when the rest is tried.
TEST_P(PollerDatagramTest, SendBatchWithAMessageTooLongReportsWhatWasSent) {
  const Udp a = udp();
  const Udp b = udp();
  Request& sent =
      send(*a.descriptor, {"fits", std::string(100'000, 'x'), "never tried"}, &b.address);
  EXPECT_EQ(io_->finish(sent), 1);
  EXPECT_EQ(io_->finish(send(*a.descriptor, {std::string(100'000, 'x'), "y"}, &b.address)),
            -EMSGSIZE);
}

TEST_P(PollerDatagramTest, MessageThatIsTooLongIsAnError) {
  const Udp a = udp();
  const Udp b = udp();
  EXPECT_EQ(io_->finish(send(*a.descriptor, {std::string(100'000, 'x')}, &b.address)), -EMSGSIZE);
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"ok"}, &b.address)), 2);
}

// ICMP says "port unreachable": the next operation is told, once, and the socket goes on.
TEST_P(PollerDatagramTest, RefusalIsDeliveredOnceAndTheSocketIsUsableAfterwards) {
  const Udp a = udp();
  const Udp b = udp();
  const Udp gone = udp();
  io_->close_now(*gone.descriptor);
  ASSERT_EQ(io_->finish(io_->connect(*a.descriptor, gone.address)), 0);
  Request& received = receive(*a.descriptor, 1, 64);
  io_->settle();
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"anybody?"}, nullptr)), 8);
  EXPECT_EQ(io_->finish(received), -ECONNREFUSED);

  ASSERT_EQ(io_->finish(io_->connect(*a.descriptor, b.address)), 0);
  Request& again = receive(*a.descriptor, 1, 64);
  EXPECT_EQ(io_->finish(send(*b.descriptor, {"here"}, &a.address)), 4);
  EXPECT_EQ(io_->finish(again), 4);
}

TEST_P(PollerDatagramTest, RefusalDoesNotEndABatchReceiverForGood) {
  const Udp a = udp();
  const Udp gone = udp();
  io_->close_now(*gone.descriptor);
  ASSERT_EQ(io_->finish(io_->connect(*a.descriptor, gone.address)), 0);
  for (int i = 0; i < 3; ++i) {
    Request& received = receive(*a.descriptor, 4, 64);
    io_->settle();
    EXPECT_EQ(io_->finish(send(*a.descriptor, {"anybody?"}, nullptr)), 8);
    EXPECT_EQ(io_->finish(received), -ECONNREFUSED);
  }
}

TEST_P(PollerDatagramTest, RefusalWithNobodyReceivingDoesNotSpin) {
  const Udp a = udp();
  const Udp gone = udp();
  io_->close_now(*gone.descriptor);
  ASSERT_EQ(io_->finish(io_->connect(*a.descriptor, gone.address)), 0);
  EXPECT_EQ(io_->finish(send(*a.descriptor, {"anybody?"}, nullptr)), 8);
  io_->settle();
  EXPECT_TRUE(io_->sleeps_through(std::chrono::milliseconds(10)));
}

TEST_P(PollerDatagramTest, ConnectedSocketsUsePlainReceiveAndSend) {
  const Udp a = udp();
  const Udp b = udp();
  ASSERT_EQ(io_->finish(io_->connect(*a.descriptor, b.address)), 0);
  ASSERT_EQ(io_->finish(io_->connect(*b.descriptor, a.address)), 0);
  Request& received = io_->receive(*b.descriptor, 64);
  EXPECT_EQ(io_->finish(io_->send(*a.descriptor, "plain")), 5);
  EXPECT_EQ(io_->finish(received), 5);
}

// A short datagram says nothing about the queue behind it: readiness must not be given up after it.
TEST_P(PollerDatagramTest, ShortDatagramsAreReceivedOneAfterAnotherWithoutNewEvents) {
  const Udp a = udp();
  const Udp b = udp();
  ASSERT_EQ(io_->finish(io_->connect(*b.descriptor, a.address)), 0);
  Request& parked = io_->receive(*b.descriptor, 64);
  io_->settle();
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(io_->finish(send(*a.descriptor, {std::to_string(i)}, &b.address)), 1);
  }
  EXPECT_EQ(io_->finish(parked), 1);
  for (int i = 1; i < 5; ++i) {
    Request& next = io_->receive(*b.descriptor, 64);
    ASSERT_EQ(io_->finish(next), 1);
    EXPECT_EQ(next.text(), std::to_string(i));
  }
}

TEST_P(PollerDatagramTest, BatchesThatDoNotEmptyTheQueueLoseNothing) {
  const Udp a = udp();
  const Udp b = udp();
  Request& parked = receive(*b.descriptor, 2, 64);
  io_->settle();
  for (int i = 0; i < 9; ++i) {
    ASSERT_EQ(io_->finish(send(*a.descriptor, {std::to_string(i)}, &b.address)), 1);
  }
  std::size_t got = static_cast<std::size_t>(io_->finish(parked));
  while (got < 9) {
    Request& next = receive(*b.descriptor, 2, 64);
    const std::int64_t count = io_->finish(next);
    ASSERT_GE(count, 1);
    EXPECT_EQ(text_of(next, 0), std::to_string(got));
    got += static_cast<std::size_t>(count);
  }
  EXPECT_EQ(got, 9u);
}

TEST_P(PollerDatagramTest, UnixDatagramsKeepTheirBoundaries) {
  Pair pair = unix_datagram_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  write_all(pair.far, "one");
  write_all(pair.far, "two and more");
  Request& received = receive(near, 4, 64);
  EXPECT_EQ(io_->finish(received), 2);
  EXPECT_EQ(text_of(received, 0), "one");
  EXPECT_EQ(text_of(received, 1), "two and more");
}

TEST_P(PollerDatagramTest, MessagesOverAStreamEndWithZero) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  EXPECT_EQ(io_->finish(send(near, {"stream"}, nullptr)), 6);
  EXPECT_EQ(read_exactly(pair.far, 6), "stream");
  Request& received = receive(near, 1, 64);
  io_->settle();
  pair.far.reset();
  EXPECT_EQ(io_->finish(received), 0);
}

TEST_P(PollerDatagramTest, ControlDataThatWasNotSentHasSizeZero) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& received = receive(near, 1, 16, 128);
  write_all(pair.far, "plain");
  EXPECT_EQ(io_->finish(received), 5);
  EXPECT_EQ(received.message().control_size, 0u);
}

}  // namespace
}  // namespace gyre::test
