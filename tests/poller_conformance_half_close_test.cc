// The poller contract: every state of a connection's halves against everything that one can do then.
#include <cerrno>
#include <chrono>
#include <string>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

enum class Half { open, fin_sent, fin_received, reset };

class PollerHalfCloseTest : public PollerFixture {
 protected:
  // A connection in the given state, its near end attached.
  void enter(Half half) {
    Pair pair = tcp_pair();
    near_ = &io_->attach(std::move(pair.near));
    far_ = std::move(pair.far);
    half_ = half;
    if (half == Half::fin_sent) {
      EXPECT_EQ(io_->finish(io_->shutdown(*near_, ShutdownSide::write)), 0);
      EXPECT_EQ(read_to_end(far_), "");
    } else if (half == Half::fin_received) {
      shut_down_write(far_);
      EXPECT_TRUE(becomes_readable(static_cast<int>(near_->native)));
    } else if (half == Half::reset) {
      reset_connection(std::move(far_));
      EXPECT_TRUE(becomes_reset(static_cast<int>(near_->native)));
    }
  }

  void read_has_the_right_result() {
    if (half_ == Half::open || half_ == Half::fin_sent) write_all(far_, "data");
    const std::int64_t expected = half_ == Half::fin_received ? 0
                                  : half_ == Half::reset      ? -ECONNRESET
                                                              : 4;
    EXPECT_EQ(io_->finish(io_->receive(*near_, 16)), expected);
    if (expected <= 0) {
      EXPECT_EQ(io_->finish(io_->receive(*near_, 16)), 0);
    }
  }

  void write_has_the_right_result() {
    const std::int64_t first = io_->finish(io_->send(*near_, "data"));
    if (half_ == Half::fin_sent) {
      EXPECT_EQ(first, -EPIPE);
    } else if (half_ == Half::reset) {
      EXPECT_TRUE(first == -ECONNRESET || first == -EPIPE) << first;
      EXPECT_EQ(io_->finish(io_->send(*near_, "data")), -EPIPE);
    } else {
      EXPECT_EQ(first, 4);
      EXPECT_EQ(read_exactly(far_, 4), "data");
    }
  }

  // A receive that could complete has its result or ECANCELED; one that could not has ECANCELED.
  void cancel_has_the_right_result() {
    Request& receive = io_->receive(*near_, 16, operation_no_inline);
    io_->cancel(receive);
    const std::int64_t result = io_->finish(receive);
    if (half_ == Half::open || half_ == Half::fin_sent) {
      EXPECT_EQ(result, -ECANCELED);
      write_all(far_, "data");
      EXPECT_EQ(io_->finish(io_->receive(*near_, 16)), 4);
    } else {
      const std::int64_t natural = half_ == Half::reset ? -ECONNRESET : 0;
      EXPECT_TRUE(result == -ECANCELED || result == natural) << result;
      // What was not told yet is told now.
      const bool told = result == natural;
      EXPECT_EQ(io_->finish(io_->receive(*near_, 16)), told ? 0 : natural);
    }
  }

  void close_ends_everything() {
    const int fd = static_cast<int>(near_->native);
    Request& receive = io_->receive(*near_, 16, operation_no_inline);
    Request& close = io_->close(*near_);
    EXPECT_EQ(io_->finish(close), 0);
    EXPECT_TRUE(receive.done()) << "close was done before the operations of its descriptor";
    EXPECT_FALSE(is_open(fd));
    if (half_ != Half::reset) {
      EXPECT_EQ(read_to_end(far_), "");
    }
  }

  Descriptor* near_ = nullptr;
  UniqueFd far_;
  Half half_ = Half::open;
};

// One claim per combination, so that each has a name.
#define GYRE_HALF_CLOSE_CLAIM(Name, half, claim) \
  TEST_P(PollerHalfCloseTest, Name) {            \
    enter(half);                                 \
    claim();                                     \
  }
GYRE_HALF_CLOSE_CLAIM(ReadOfAnOpenConnection, Half::open, read_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(ReadAfterFinSent, Half::fin_sent, read_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(ReadAfterFinReceived, Half::fin_received, read_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(ReadAfterReset, Half::reset, read_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(WriteToAnOpenConnection, Half::open, write_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(WriteAfterFinSent, Half::fin_sent, write_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(WriteAfterFinReceived, Half::fin_received, write_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(WriteAfterReset, Half::reset, write_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(CancelOnAnOpenConnection, Half::open, cancel_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(CancelAfterFinSent, Half::fin_sent, cancel_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(CancelAfterFinReceived, Half::fin_received, cancel_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(CancelAfterReset, Half::reset, cancel_has_the_right_result)
GYRE_HALF_CLOSE_CLAIM(CloseOfAnOpenConnection, Half::open, close_ends_everything)
GYRE_HALF_CLOSE_CLAIM(CloseAfterFinSent, Half::fin_sent, close_ends_everything)
GYRE_HALF_CLOSE_CLAIM(CloseAfterFinReceived, Half::fin_received, close_ends_everything)
GYRE_HALF_CLOSE_CLAIM(CloseAfterReset, Half::reset, close_ends_everything)
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerHalfCloseTest);

// EPOLLERR and EPOLLHUP are reported even to those who asked for nothing: a poller must not turn on them.
TEST_P(PollerHalfCloseTest, ResetWithNobodyReadingDoesNotSpin) {
  enter(Half::reset);
  io_->settle();
  EXPECT_TRUE(io_->sleeps_through(std::chrono::milliseconds(20)));
  EXPECT_EQ(io_->finish(io_->receive(*near_, 16)), -ECONNRESET);
}

TEST_P(PollerHalfCloseTest, FinWithNobodyReadingDoesNotSpin) {
  enter(Half::fin_received);
  io_->settle();
  EXPECT_TRUE(io_->sleeps_through(std::chrono::milliseconds(20)));
  EXPECT_EQ(io_->finish(io_->receive(*near_, 16)), 0);
}

TEST_P(PollerHalfCloseTest, DataThatNobodyReadsDoesNotSpin) {
  enter(Half::open);
  const PollerStats before = io_->poller().stats();
  for (int i = 0; i < 10; ++i) {
    write_all(far_, "unread");
    EXPECT_EQ(io_->quiet(), 0u);
  }
  EXPECT_LE(io_->poller().stats().idle_polls - before.idle_polls, 32u);
  EXPECT_EQ(io_->finish(io_->receive(*near_, 100)), 60);
}

// A reset while one direction waits and nobody reads must end the wait, or leave it, but never turn in circles.
TEST_P(PollerHalfCloseTest, ResetWhileOnlyAWriteWaitsEndsIt) {
  enter(Half::open);
  Request& send = io_->blocked_send(*near_);
  reset_connection(std::move(far_));
  const std::int64_t result = io_->error_of_sends(send);
  EXPECT_TRUE(result == -ECONNRESET || result == -EPIPE) << result;
  io_->quiet(std::chrono::milliseconds(5));
}

}  // namespace
}  // namespace gyre::test
