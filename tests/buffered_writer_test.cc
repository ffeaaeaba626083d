// What BufferedWriter promises: C-144, C-145, C-148, C-154 and C-155 of the conformance list as far as they concern a
// buffered writer.
#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/buffered_writer.h>
#include <gyre/net/duplex.h>
#include <gyre/task/timeout.h>

#include "support/oracles.h"
#include "support/task_fixture.h"

namespace {

using namespace gyre;
using namespace std::chrono_literals;
using std::string_view;

// Counts what reaches the stream.
struct CountedStream {
  DuplexStream& inner;
  std::vector<std::size_t> writes = {};

  Task<Result<std::size_t>> write(std::span<const std::byte> bytes) {
    writes.push_back(bytes.size());
    const Result<std::size_t> count = co_await inner.write(bytes);
    co_return count;
  }
  // As TLS, which has to wait for it.
  Task<Result<void>> shutdown(ShutdownSide side) {
    static_cast<void>(co_await yield());
    co_return inner.shutdown(side);
  }
  Task<Result<void>> close() { return inner.close(); }
};

using Writer = BufferedWriter<CountedStream>;
const Result<void> not_yet = Errc::would_block;

Task<void> drain_into(Writer& writer, Result<void>& result) {
  Result<void> drained = co_await writer.drain();
  result = drained;
}
Task<void> flush_into(Writer& writer, Result<void>& result) {
  Result<void> flushed = co_await writer.flush();
  result = flushed;
}
Task<void> shutdown_into(Writer& writer, Result<void>& result) {
  Result<void> ended = co_await writer.shutdown();
  result = ended;
}
Task<void> close_into(Writer& writer, Result<void>& result) {
  Result<void> closed = co_await writer.close();
  result = closed;
}
Task<void> run_into(Writer& writer, Result<void>& result) {
  Result<void> ended = co_await writer.run();
  result = ended;
}

class BufferedWriterTest : public gyre::testing::TaskFixture {
 protected:
  void TearDown() override {
    loop.cancel_all();
    writer_.reset();
  }
  Writer& make(DuplexOptions pipe, BufferedWriterOptions options = {}) {
    auto [near, far] = make_duplex(pipe);
    near_ = std::move(near);
    far_ = std::move(far);
    writer_ = std::make_unique<Writer>(counted_, options);
    return *writer_;
  }
  // What reaches the peer without anything else having to happen.
  std::string received() {
    std::string all;
    spawn(read_all_into, std::ref(far_), std::ref(all));
    run();
    return all;
  }
  static Task<void> read_all_into(DuplexStream& stream, std::string& all) {
    std::array<std::byte, 256> buffer;
    for (;;) {
      // A writer that waits for room writes in its next turn.
      for (int turn = 0; turn < 3 && stream.readable() == 0; ++turn) static_cast<void>(co_await yield());
      if (stream.readable() == 0) co_return;
      const Result<std::size_t> count = co_await stream.read(buffer);
      all.append(reinterpret_cast<const char*>(buffer.data()), count.value_or(0U));
    }
  }
  std::vector<std::size_t>& writes() { return counted_.writes; }

  DuplexStream near_;
  DuplexStream far_;
  CountedStream counted_{near_};
  std::unique_ptr<Writer> writer_;
};

using Sizes = std::vector<std::size_t>;

// --- C-144: writing ---------------------------------------------------------------------------------------------------

TEST_F(BufferedWriterTest, WritesOfATurnLeaveInOneSend) {
  Writer& writer = make({});
  EXPECT_TRUE(writer.write("GET "));
  EXPECT_TRUE(writer.write("/"));
  EXPECT_TRUE(writer.write(""));
  EXPECT_TRUE(writer.write("\r\n"));
  Result<void> flushed = not_yet;
  spawn(flush_into, std::ref(writer), std::ref(flushed));
  run();
  EXPECT_TRUE(flushed);
  EXPECT_EQ(writes(), Sizes{7});
  EXPECT_EQ(received(), "GET /\r\n");
  EXPECT_EQ(writer.sent(), 7U);
}

// C-144: partial sends, and a peer that is slow.
TEST_F(BufferedWriterTest, PartialSendsKeepTheOrder) {
  Writer& writer = make({.capacity = 8, .transfer_max = 3});
  std::string expected;
  std::string got;
  Result<void> flushed = not_yet;
  for (int i = 0; i < 20; ++i) {
    const std::string piece = std::to_string(i) + ",";
    expected += piece;
    EXPECT_TRUE(writer.write(piece));
    if (i % 3 == 0) spawn(flush_into, std::ref(writer), std::ref(flushed));
    run_until_idle();
    if (i % 5 == 0) got += received();
  }
  spawn(flush_into, std::ref(writer), std::ref(flushed));
  for (int i = 0; i < 20; ++i) got += received();
  EXPECT_TRUE(flushed);
  EXPECT_EQ(got, expected);
}

// C-144: error in the middle of the buffer; C-154: it is for ever.
TEST_F(BufferedWriterTest, ErrorOfTheStreamIsSticky) {
  Writer& writer = make({.capacity = 4});
  EXPECT_TRUE(writer.write("12345678"));
  Result<void> flushed = not_yet;
  Result<void> drained = not_yet;
  spawn(flush_into, std::ref(writer), std::ref(flushed));
  run();
  EXPECT_EQ(flushed.error(), Errc::would_block);
  far_.abort();
  run();
  EXPECT_EQ(flushed.error(), std::errc::connection_reset);
  for (int again = 0; again < 2; ++again) {
    drained = not_yet;
    spawn(drain_into, std::ref(writer), std::ref(drained));
    run();
    EXPECT_EQ(drained.error(), std::errc::connection_reset);
    EXPECT_EQ(writer.write("x").error(), std::errc::connection_reset);
  }
  EXPECT_EQ(writer.sent(), 4U);
  EXPECT_EQ(writer.unsent(), 4U);
}

TEST_F(BufferedWriterTest, WriteBeyondTheLimitIsRefusedAsAWhole) {
  Writer& writer = make({}, {.high = 4, .limit = 10});
  EXPECT_TRUE(writer.write("1234567"));
  EXPECT_EQ(writer.write("abcd").error(), Errc::limit_exceeded);
  EXPECT_TRUE(writer.write("890"));
  EXPECT_EQ(writer.write("x").error(), Errc::limit_exceeded);
  Result<void> flushed = not_yet;
  spawn(flush_into, std::ref(writer), std::ref(flushed));
  run();
  EXPECT_EQ(received(), "1234567890");
  EXPECT_TRUE(writer.write("more")) << "there is room again";
}

// --- C-148: watermarks -----------------------------------------------------------------------------------------------

TEST_F(BufferedWriterTest, DrainWaitsStrictlyAboveHighUntilLow) {
  Writer& writer = make({.capacity = 1}, {.high = 10, .low = 4});
  EXPECT_TRUE(writer.write("0123456789"));
  EXPECT_FALSE(writer.is_above_high());
  Result<void> drained = not_yet;
  spawn(drain_into, std::ref(writer), std::ref(drained));
  run();
  EXPECT_TRUE(drained) << "at the high watermark";
  EXPECT_TRUE(writes().empty());

  EXPECT_TRUE(writer.write("x"));
  drained = not_yet;
  spawn(drain_into, std::ref(writer), std::ref(drained));
  run();
  EXPECT_EQ(drained.error(), Errc::would_block);
  std::string got;
  while (!drained && got.size() < 20) {
    EXPECT_GT(writer.unsent(), 4U);
    std::string one(1, '\0');
    spawn([](DuplexStream& from, std::string& to) -> Task<void> {
      const Result<std::size_t> count = co_await from.read(std::as_writable_bytes(std::span(to)));
      EXPECT_TRUE(count);
    }, std::ref(far_), std::ref(one));
    run();
    got += one;
  }
  EXPECT_TRUE(drained);
  EXPECT_EQ(writer.unsent(), 4U) << "drain() is no flush()";
  EXPECT_EQ(got, "012345");
}

TEST_F(BufferedWriterTest, LimitsAreDerivedAndChecked) {
  using Options = BufferedWriterOptions;
  EXPECT_EQ(detail::checked(Options{.high = 100}).low, 25U);
  EXPECT_EQ(detail::checked(Options{.high = 100}).limit, 1600U);
  EXPECT_EQ(detail::checked(Options{.high = 0}).low, 0U);
  EXPECT_DEATH(static_cast<void>(detail::checked(Options{.high = 4, .low = 5})), "low watermark above");
  EXPECT_DEATH(static_cast<void>(detail::checked(Options{.high = 4, .limit = 3})), "high watermark above");
}

TEST_F(BufferedWriterTest, HighOfZeroDrainsEverything) {
  Writer& writer = make({}, {.high = 0, .low = 0, .limit = 100});
  EXPECT_TRUE(writer.write("abc"));
  Result<void> drained = not_yet;
  spawn(drain_into, std::ref(writer), std::ref(drained));
  run();
  EXPECT_TRUE(drained);
  EXPECT_EQ(writer.unsent(), 0U);
}

// --- C-154: several tasks at once ------------------------------------------------------------------------------------

TEST_F(BufferedWriterTest, ManyWaitForOneSend) {
  Writer& writer = make({.capacity = 2}, {.high = 0, .low = 0, .limit = 100});
  std::array<Result<void>, 5> results{not_yet, not_yet, not_yet, not_yet, not_yet};
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_TRUE(writer.write("ab"));
    if (i % 2 == 0) {
      spawn(drain_into, std::ref(writer), std::ref(results[i]));
    } else {
      spawn(flush_into, std::ref(writer), std::ref(results[i]));
    }
  }
  run();
  for (const Result<void>& result : results) EXPECT_EQ(result.error(), Errc::would_block);
  EXPECT_EQ(received(), "ababababab");
  for (const Result<void>& result : results) EXPECT_TRUE(result);
}

// Each flush() waits for what was written before it, and not for what came later.
TEST_F(BufferedWriterTest, FlushWaitsOnlyForWhatWasThere) {
  Writer& writer = make({.capacity = 4});
  Result<void> first = not_yet;
  Result<void> second = not_yet;
  EXPECT_TRUE(writer.write("abcd"));
  EXPECT_TRUE(writer.write("e"));
  spawn(flush_into, std::ref(writer), std::ref(first));
  run();
  EXPECT_TRUE(writer.write("fghijk"));
  spawn(flush_into, std::ref(writer), std::ref(second));
  run();
  std::string one(4, '\0');
  spawn([](DuplexStream& from, std::string& to) -> Task<void> {
    const Result<std::size_t> count = co_await from.read(std::as_writable_bytes(std::span(to)));
    EXPECT_TRUE(count);
  }, std::ref(far_), std::ref(one));
  run();
  EXPECT_TRUE(first);
  EXPECT_EQ(second.error(), Errc::would_block);
  EXPECT_EQ(received(), "efghijk");
  EXPECT_TRUE(second);
}

// Who sends is cancelled: the next goes on where that one was.
TEST_F(BufferedWriterTest, CancelledSenderIsReplaced) {
  Writer& writer = make({.capacity = 3});
  Result<void> first = not_yet;
  Result<void> second = not_yet;
  EXPECT_TRUE(writer.write("0123456789"));
  auto sender = spawn(flush_into, std::ref(writer), std::ref(first));
  spawn(flush_into, std::ref(writer), std::ref(second));
  run();
  sender.cancel();
  run();
  EXPECT_EQ(first.error(), std::errc::operation_canceled);
  EXPECT_EQ(second.error(), Errc::would_block);
  EXPECT_EQ(received(), "0123456789");
  EXPECT_TRUE(second);
}

Task<void> write_and_drain(Writer& writer, int rounds, Result<void>& result) {
  for (int i = 0; i < rounds; ++i) {
    const Result<void> written = writer.write("some line\n");
    const Result<void> drained = co_await writer.drain();
    if (!written || !drained) {
      result = written ? drained : written;
      co_return;
    }
  }
}
TEST_F(BufferedWriterTest, WritingToADeadPeerEndsWithAnError) {
  Writer& writer = make({}, {.high = 100});
  far_ = DuplexStream();
  Result<void> result = not_yet;
  spawn(write_and_drain, std::ref(writer), 1000, std::ref(result));
  run();
  EXPECT_EQ(result.error(), std::errc::broken_pipe);
}

// --- run() -----------------------------------------------------------------------------------------------------------

Task<void> write_later(Writer& writer, string_view text, Duration pause) {
  const Result<void> slept = co_await sleep(pause);
  EXPECT_TRUE(slept);
  EXPECT_TRUE(writer.write(text));
}
TEST_F(BufferedWriterTest, RunSendsOnceATurnWhatAnybodyWrites) {
  Writer& writer = make({});
  Result<void> ended = not_yet;
  spawn(run_into, std::ref(writer), std::ref(ended));
  for (int turn = 1; turn <= 3; ++turn) {
    for (int i = 0; i < 10; ++i) spawn(write_later, std::ref(writer), "x", Duration(turn * 1s));
  }
  run();
  EXPECT_EQ(writes(), (Sizes{10, 10, 10}));
  Result<void> closed = not_yet;
  spawn(shutdown_into, std::ref(writer), std::ref(closed));
  run();
  EXPECT_TRUE(ended);
  EXPECT_TRUE(closed);
}

TEST_F(BufferedWriterTest, RunEndsWithTheErrorOfTheStream) {
  Writer& writer = make({});
  Result<void> ended = not_yet;
  spawn(run_into, std::ref(writer), std::ref(ended));
  run();
  far_.abort();
  EXPECT_TRUE(writer.write("x"));
  run();
  EXPECT_EQ(ended.error(), std::errc::connection_reset);
}

// --- C-145, C-155: ends ----------------------------------------------------------------------------------------------

TEST_F(BufferedWriterTest, ShutdownWaitsForTheBufferAndEndsTheStream) {
  Writer& writer = make({.capacity = 2});
  EXPECT_TRUE(writer.write("abcdef"));
  Result<void> ended = not_yet;
  spawn(shutdown_into, std::ref(writer), std::ref(ended));
  run();
  EXPECT_EQ(ended.error(), Errc::would_block);
  EXPECT_EQ(writer.write("x").error(), Errc::closed);
  EXPECT_EQ(received(), "abcdef");
  EXPECT_TRUE(ended);
  std::string end = "?";
  spawn([](DuplexStream& from, std::string& to) -> Task<void> {
    const Result<std::size_t> count = co_await from.read(std::as_writable_bytes(std::span(to)));
    if (count && *count == 0) to = "end";
  }, std::ref(far_), std::ref(end));
  run();
  EXPECT_EQ(end, "end");
}

TEST_F(BufferedWriterTest, CloseFlushesAndCloses) {
  Writer& writer = make({.capacity = 2});
  EXPECT_TRUE(writer.write("abcdef"));
  Result<void> closed = not_yet;
  Result<void> ended = not_yet;
  spawn(run_into, std::ref(writer), std::ref(ended));
  spawn(close_into, std::ref(writer), std::ref(closed));
  run();
  EXPECT_EQ(received(), "abcdef");
  EXPECT_TRUE(closed);
  EXPECT_TRUE(ended);
  EXPECT_FALSE(near_.is_open());
  EXPECT_EQ(writer.write("x").error(), Errc::closed);
}

TEST_F(BufferedWriterTest, CloseThatIsCancelledClosesAllTheSame) {
  for (const bool runs : {false, true}) {
    Writer& writer = make({.capacity = 2});
    EXPECT_TRUE(writer.write("abcdef"));
    Result<void> closed = not_yet;
    Result<void> ended = not_yet;
    if (runs) spawn(run_into, std::ref(writer), std::ref(ended));
    auto closing = spawn(close_into, std::ref(writer), std::ref(closed));
    run();
    EXPECT_EQ(closed.error(), Errc::would_block);
    closing.cancel();
    run();
    EXPECT_EQ(closed.error(), std::errc::operation_canceled);
    EXPECT_FALSE(near_.is_open());
    if (runs) {
      EXPECT_TRUE(ended) << "it is close() that reports";
    }
  }
}

TEST_F(BufferedWriterTest, SteadyStateAllocatesNothing) {
  Writer& writer = make({.capacity = 1 << 20});
  CountedStream quiet{near_};
  quiet.writes.reserve(4096);
  counted_.writes.reserve(4096);
  std::uint64_t before = 0;
  spawn([](Writer& to, std::uint64_t& allocated) -> Task<void> {
    for (int i = 0; i < 2000; ++i) {
      if (i == 20) allocated = gyre::test::allocations();
      EXPECT_TRUE(to.write("0123456789abcdef"));
      if (i % 4 == 0) {
        const Result<void> flushed = co_await to.flush();
        EXPECT_TRUE(flushed);
      }
    }
    allocated = gyre::test::allocations() - allocated;
  }, std::ref(writer), std::ref(before));
  run();
  EXPECT_EQ(sanitized ? 0 : before, 0U);
}

}  // namespace
