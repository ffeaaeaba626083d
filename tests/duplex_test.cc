// The in-memory stream pair does what a socket does: bounded, half-closing, cancellable, with a socket's errors.
#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/net/duplex.h>
#include <gyre/net/stream_concepts.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/task/timeout.h>

#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace gyre;
using namespace std::chrono_literals;
using gyre::testing::for_random_seeds;
using gyre::testing::Random;

static_assert(ReadWriteStream<DuplexStream>);
static_assert(ReadWriteStream<TcpStream>);
static_assert(!ReadStream<int>);

class DuplexTest : public gyre::testing::TaskFixture {};

using Stream2 = std::reference_wrapper<DuplexStream>;
template <typename T>
using Out = std::reference_wrapper<T>;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

Task<void> write_into(Stream2 stream, std::string_view text, Out<Result<std::size_t>> result) {
  Result<std::size_t> written = co_await stream.get().write(bytes_of(text));
  result.get() = written;
}

Task<void> write_all_into(Stream2 stream, std::string text, Out<Result<void>> result) {
  Result<void> written = co_await write_all(stream.get(), bytes_of(text));
  result.get() = written;
}

Task<void> read_into(Stream2 stream, std::size_t size, Out<std::string> text, Out<Result<std::size_t>> result) {
  text.get().resize(size);
  Result<std::size_t> count = co_await stream.get().read(std::as_writable_bytes(std::span(text.get())));
  text.get().resize(count.value_or(0U));
  result.get() = count;
}

Task<void> close_stream(Stream2 stream) {
  Result<void> closed = co_await stream.get().close();
  EXPECT_TRUE(closed);
}

struct Reading {
  std::string text;
  Result<std::size_t> result = Errc::would_block;
};

TEST_F(DuplexTest, CarriesBytesBothWays) {
  auto [a, b] = make_duplex();
  Result<std::size_t> written = Errc::would_block;
  Reading at_b;
  Reading at_a;
  spawn(write_into, std::ref(a), "ping", std::ref(written));
  spawn(read_into, std::ref(b), std::size_t{10}, std::ref(at_b.text), std::ref(at_b.result));
  spawn(write_into, std::ref(b), "pong", std::ref(written));
  spawn(read_into, std::ref(a), std::size_t{10}, std::ref(at_a.text), std::ref(at_a.result));
  run();
  EXPECT_EQ(at_b.text, "ping");
  EXPECT_EQ(at_a.text, "pong");
}

TEST_F(DuplexTest, WriterWaitsForRoomAndTakesWhatFits) {
  auto [a, b] = make_duplex({.capacity = 4});
  Result<std::size_t> first = Errc::would_block;
  spawn(write_into, std::ref(a), "abcdef", std::ref(first));
  run();
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, 4U);

  Result<std::size_t> second = Errc::would_block;
  spawn(write_into, std::ref(a), "ef", std::ref(second));
  run();
  EXPECT_EQ(second.error(), Errc::would_block) << "the pipe is full";

  Reading reading;
  spawn(read_into, std::ref(b), std::size_t{1}, std::ref(reading.text), std::ref(reading.result));
  run();
  ASSERT_TRUE(second);
  EXPECT_EQ(*second, 1U);
  EXPECT_EQ(b.readable(), 4U);
}

TEST_F(DuplexTest, HalfCloseEndsOneDirectionAfterItsBytes) {
  auto [a, b] = make_duplex();
  Result<std::size_t> written = Errc::would_block;
  spawn(write_into, std::ref(a), "last", std::ref(written));
  run();
  EXPECT_TRUE(a.shutdown());

  Reading data;
  Reading end;
  spawn(read_into, std::ref(b), std::size_t{10}, std::ref(data.text), std::ref(data.result));
  run();
  spawn(read_into, std::ref(b), std::size_t{10}, std::ref(end.text), std::ref(end.result));
  run();
  EXPECT_EQ(data.text, "last");
  ASSERT_TRUE(end.result);
  EXPECT_EQ(*end.result, 0U);

  spawn(write_into, std::ref(a), "more", std::ref(written));
  run();
  EXPECT_EQ(written.error(), std::errc::broken_pipe) << "after shutdown";
  spawn(write_into, std::ref(b), "still", std::ref(written));
  run();
  EXPECT_TRUE(written) << "the other direction goes on";
}

TEST_F(DuplexTest, WriterToAClosedEndGetsBrokenPipe) {
  auto [a, b] = make_duplex({.capacity = 2});
  Result<void> all = Errc::would_block;
  spawn(write_all_into, std::ref(a), std::string("abc"), std::ref(all));
  run();
  EXPECT_EQ(all.error(), Errc::would_block);
  EXPECT_TRUE(b.shutdown(ShutdownSide::read));
  run();
  EXPECT_EQ(all.error(), std::errc::broken_pipe);
}

TEST_F(DuplexTest, AbortAndUnreadBytesResetThePeer) {
  for (const bool aborts : {true, false}) {
    auto [a, b] = make_duplex();
    Result<std::size_t> written = Errc::would_block;
    spawn(write_into, std::ref(a), "unread", std::ref(written));
    run();
    if (aborts) {
      b.abort();
    } else {
      b = DuplexStream();
    }
    for (int again = 0; again < 2; ++again) {
      Reading reading;
      spawn(read_into, std::ref(a), std::size_t{4}, std::ref(reading.text), std::ref(reading.result));
      spawn(write_into, std::ref(a), "x", std::ref(written));
      run();
      EXPECT_EQ(reading.result.error(), std::errc::connection_reset);
      EXPECT_EQ(written.error(), std::errc::connection_reset);
    }
  }
}

TEST_F(DuplexTest, CleanCloseIsTheEndForTheReaderAndABrokenPipeForTheWriter) {
  auto [a, b] = make_duplex();
  spawn(close_stream, std::ref(b));
  run();
  EXPECT_FALSE(b.is_open());
  Reading reading;
  Result<std::size_t> written = Errc::would_block;
  spawn(read_into, std::ref(a), std::size_t{4}, std::ref(reading.text), std::ref(reading.result));
  spawn(write_into, std::ref(a), "x", std::ref(written));
  run();
  ASSERT_TRUE(reading.result);
  EXPECT_EQ(*reading.result, 0U);
  EXPECT_EQ(written.error(), std::errc::broken_pipe);
}

TEST_F(DuplexTest, CloseEndsWhatIsInFlight) {
  auto [a, b] = make_duplex({.capacity = 1});
  Result<std::size_t> written = Errc::would_block;
  Reading reading;
  spawn(read_into, std::ref(a), std::size_t{4}, std::ref(reading.text), std::ref(reading.result));
  spawn(write_into, std::ref(a), "x", std::ref(written));
  run();
  spawn(write_into, std::ref(a), "y", std::ref(written));
  run();
  spawn(close_stream, std::ref(a));
  run();
  EXPECT_EQ(reading.result.error(), Errc::closed);
  EXPECT_EQ(written.error(), Errc::closed);
  EXPECT_FALSE(a.is_open());

  spawn(read_into, std::ref(a), std::size_t{4}, std::ref(reading.text), std::ref(reading.result));
  spawn(write_into, std::ref(a), "z", std::ref(written));
  spawn(close_stream, std::ref(a));
  run();
  EXPECT_EQ(reading.result.error(), Errc::closed);
  EXPECT_EQ(written.error(), Errc::closed);
  EXPECT_EQ(a.shutdown().error(), Errc::closed);
}

TEST_F(DuplexTest, CancelledReadHasTakenNothing) {
  auto [a, b] = make_duplex();
  Reading reading;
  auto reader = spawn(read_into, std::ref(b), std::size_t{4}, std::ref(reading.text), std::ref(reading.result));
  run();
  reader.cancel();
  run();
  EXPECT_EQ(reading.result.error(), std::errc::operation_canceled);

  // Decided before the cancel: the bytes are delivered.
  Reading second;
  Result<std::size_t> written = Errc::would_block;
  auto late = spawn(read_into, std::ref(b), std::size_t{4}, std::ref(second.text), std::ref(second.result));
  run();
  spawn(write_into, std::ref(a), "kept", std::ref(written));
  run_turn();
  late.cancel();
  run();
  EXPECT_EQ(second.text + std::string(b.readable(), '.'), "kept");
}

Task<void> send_pieces(Stream2 stream, Out<Random> random, std::string_view all) {
  while (!all.empty()) {
    const std::size_t size = std::min<std::size_t>(all.size(), 1 + random.get().below(40));
    const CancelScope scope(CancelScope::within(random.get().milliseconds_below(3)));
    Result<std::size_t> count = co_await stream.get().write(bytes_of(all.substr(0, size)));
    if (count) all.remove_prefix(*count);
    if (random.get().one_in(3)) static_cast<void>(co_await sleep(random.get().milliseconds_below(4)));
  }
  EXPECT_TRUE(stream.get().shutdown());
}

Task<void> receive_pieces(Stream2 stream, Out<Random> random, Out<std::string> all) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const std::size_t size = 1 + random.get().below(64);
    const CancelScope scope(CancelScope::within(random.get().milliseconds_below(3)));
    Result<std::size_t> count = co_await stream.get().read(std::span(buffer).first(size));
    if (!count) continue;
    if (*count == 0) co_return;
    all.get().append(reinterpret_cast<const char*>(buffer.data()), *count);
  }
}

TEST_F(DuplexTest, LosesNothingWhateverIsCancelled) {
  for_random_seeds(100, [this](Random& random) {
    auto [a, b] = make_duplex({.capacity = 1 + random.below(32), .transfer_max = 1 + random.below(16)});
    std::string sent(random.below(2000), '\0');
    for (char& c : sent) c = static_cast<char>(random.below(256));
    std::string received;
    spawn(send_pieces, std::ref(a), std::ref(random), std::string_view(sent));
    spawn(receive_pieces, std::ref(b), std::ref(random), std::ref(received));
    run();
    EXPECT_EQ(received, sent);
  });
}

TEST_F(DuplexTest, TwoReadersAtOnceAreABug) {
  auto [a, b] = make_duplex();
  Reading one;
  Reading two;
  spawn(read_into, std::ref(b), std::size_t{4}, std::ref(one.text), std::ref(one.result));
  run();
  EXPECT_DEATH(
      {
        spawn(read_into, std::ref(b), std::size_t{4}, std::ref(two.text), std::ref(two.result));
        run();
      },
      "two tasks at once");
  EXPECT_TRUE(a.shutdown());
  run();
}

}  // namespace
