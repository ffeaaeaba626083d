// The poller contract: what is special of pipes. Their bytes are the stream's that other tests have; here it is who has
// them after a cancel, and ends that other programs have made.

#include <cerrno>
#include <string>

#include <gyre/platform/process.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

class PollerPipeTest : public PollerFixture {
 protected:
  Descriptor& attach(UniqueFd end) { return io_->attach(std::move(end), DescriptorKind::stream); }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerPipeTest);

// C3: what the reader has got is in a result, however the cancel comes.
TEST_P(PollerPipeTest, CancelledSendHasSentWhatItSaysAndNoMore) {
  constexpr std::size_t all = 0;
  for (const std::size_t taken : {std::size_t{1}, std::size_t{40'000}, all}) {
    Pipe pipe = pipe_pair();
    Descriptor& writer = attach(std::move(pipe.write_end));
    const std::string text(300'000, 's');
    std::size_t sent = 0;
    std::size_t received = 0;
    bool ended = false;
    while (!ended) {
      Request& send = io_->send(writer, std::string_view(text).substr(sent));
      io_->settle();
      if (!send.done()) {
        received += taken == all ? drain(pipe.read_end).size() : read_exactly(pipe.read_end, taken).size();
        io_->cancel(send);
        ended = true;
      }
      const std::int64_t result = io_->finish(send);
      if (result > 0) sent += static_cast<std::size_t>(result);
      ASSERT_TRUE(result > 0 || result == -ECANCELED) << result;
    }
    io_->close_now(writer);
    received += read_to_end(pipe.read_end).size();
    EXPECT_EQ(received, sent) << taken;
  }
}

TEST_P(PollerPipeTest, EmptyWriteOfThePeerIsNotTheEnd) {
  Pipe pipe = pipe_pair();
  Descriptor& reader = attach(std::move(pipe.read_end));
  Request& receive = io_->receive(reader, 8);
  io_->settle();
  write_nothing(pipe.write_end);
  EXPECT_EQ(io_->quiet(), 0u);
  write_all(pipe.write_end, "x");
  EXPECT_EQ(io_->finish(receive), 1);
  write_nothing(pipe.write_end);
  write_all(pipe.write_end, "yz");
  EXPECT_EQ(io_->finish(io_->receive(reader, 8)), 2);
  write_nothing(pipe.write_end);
  pipe.write_end.reset();
  EXPECT_EQ(io_->finish(io_->receive(reader, 8)), 0);
}

TEST_P(PollerPipeTest, BlockingPipeCarriesBytesAndEnds) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Descriptor& reader = attach(std::move(pipe->first));
  Descriptor& writer = attach(std::move(pipe->second));
  Request& receive = io_->receive(reader, 8);
  io_->settle();
  EXPECT_EQ(io_->finish(io_->send(writer, "abc")), 3);
  EXPECT_EQ(io_->finish(receive), 3);
  EXPECT_EQ(receive.text(), "abc");
  io_->close_now(writer);
  EXPECT_EQ(io_->finish(io_->receive(reader, 8)), 0);
}

TEST_P(PollerPipeTest, WaitingReceiveOfABlockingPipeEndsWithCancelled) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Descriptor& reader = attach(std::move(pipe->first));
  for (const bool at_once : {true, false}) {
    Request& receive = io_->receive(reader, 8);
    if (!at_once) io_->quiet();
    io_->cancel(receive);
    EXPECT_EQ(io_->finish(receive), -ECANCELED);
  }
  // The pipe is as good as before.
  Request& receive = io_->receive(reader, 8);
  write_all(pipe->second, "after");
  EXPECT_EQ(io_->finish(receive), 5);
}

TEST_P(PollerPipeTest, CloseEndsAReceiveOfABlockingPipe) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Descriptor& reader = attach(std::move(pipe->first));
  Request& receive = io_->receive(reader, 8);
  io_->quiet();
  EXPECT_EQ(io_->finish(io_->close(reader)), 0);
  EXPECT_EQ(receive.result, -ECANCELED);
}

TEST_P(PollerPipeTest, DetachedPipeCanMoveToAnotherPoller) {
  Pipe pipe = pipe_pair();
  Descriptor& reader = attach(std::move(pipe.read_end));
  Descriptor& writer = attach(std::move(pipe.write_end));
  EXPECT_EQ(io_->finish(io_->send(writer, "x")), 1);
  EXPECT_EQ(io_->finish(io_->receive(reader, 8)), 1);
  PollerDriver other(open());
  Descriptor& moved = other.attach(io_->detach(reader), DescriptorKind::stream);
  Descriptor& moved_writer = other.attach(io_->detach(writer), DescriptorKind::stream);

  Request& cancelled = other.receive(moved, 8);
  other.quiet();
  other.cancel(cancelled);
  EXPECT_EQ(other.finish(cancelled), -ECANCELED);

  Request& receive = other.receive(moved, 8);
  other.quiet();
  EXPECT_EQ(other.finish(other.send(moved_writer, "moved")), 5);
  EXPECT_EQ(other.finish(receive), 5);
  EXPECT_EQ(receive.text(), "moved");
}

}  // namespace
}  // namespace gyre::test
