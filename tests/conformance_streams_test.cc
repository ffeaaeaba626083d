// What streams and their buffers promise, over TCP on every backend. The ids are those of docs/CONFORMANCE.md; the same
// claims in memory and in virtual time: buffered_reader_test.cc, buffered_writer_test.cc, duplex_test.cc.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/buffered_writer.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_task_fixture.h"
#include "support/net_tasks.h"
#include "support/skips.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;
using Reader = BufferedReader<TcpStream>;
using Writer = BufferedWriter<TcpStream>;

class StreamConformanceTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(StreamConformanceTest);

// More than the buffers of both sides hold.
const std::string& much_text() {
  static const std::string text = pattern(16 << 20);
  return text;
}
// Holds much_text().
constexpr std::size_t wide = 32 << 20;

// --- Writing ---------------------------------------------------------------------------------------------------------

Task<void> write_much(TcpStream& stream, bool& done) {
  const Result<void> written = co_await stream.write_all(bytes_of(much_text()));
  EXPECT_TRUE(written.has_value());
  EXPECT_TRUE(stream.shutdown().has_value());
  done = true;
}
Task<void> pause_the_writer() {
  auto [near, far] = tcp_streams();
  bool done = false;
  TaskGroup group;
  group.spawn(write_much, near, done);
  co_await settle();
  EXPECT_FALSE(done);
  const std::string text = co_await read_rest(far);
  EXPECT_TRUE(text == much_text());
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined && done);
}
TEST_P(StreamConformanceTest, C147_WhoDoesNotReadPausesTheWriterAndReadingResumesIt) { run(pause_the_writer()); }

// Strictly above the high mark drain() waits, and it ends at the low one; many wait at once (C-154).
Task<void> drain_one(Writer& writer, int& drained) {
  const Result<void> done = co_await writer.drain();
  EXPECT_TRUE(done.has_value());
  EXPECT_LE(writer.unsent(), 200U);
  ++drained;
}
Task<void> keep_watermarks() {
  auto [near, far] = tcp_streams();
  Writer writer(near, {.high = 1000, .low = 200, .limit = wide});
  EXPECT_TRUE(writer.write(pattern(1000)).has_value());
  const Result<void> not_above = co_await writer.drain();
  EXPECT_TRUE(not_above.has_value());
  EXPECT_EQ(writer.sent(), 0U) << "no need to send yet";

  EXPECT_TRUE(writer.write(much_text()).has_value());
  EXPECT_TRUE(writer.is_above_high());
  int drained = 0;
  TaskGroup group;
  for (int i = 0; i < 3; ++i) group.spawn(drain_one, writer, drained);
  co_await settle();
  EXPECT_EQ(drained, 0);
  const std::string text = co_await read_text(far, 1000 + much_text().size() - 200);
  EXPECT_EQ(text.substr(0, 1000), pattern(1000));
  EXPECT_TRUE(text.substr(1000) == much_text().substr(0, text.size() - 1000));
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_EQ(drained, 3);
  EXPECT_FALSE(writer.is_above_high());
}
TEST_P(StreamConformanceTest, C148_DrainWaitsAboveTheHighMarkUntilTheLowOne) { run(keep_watermarks()); }

Task<void> write_to_the_dead() {
  auto [near, far] = tcp_streams();
  Writer writer(near, {.high = 0, .limit = 10'000});
  far.abort();
  Result<void> failed;
  for (int i = 0; i < 10'000 && failed; ++i) {
    failed = writer.write(pattern(1'000));
    if (failed) failed = co_await writer.drain();
  }
  EXPECT_FALSE(failed.has_value());
  EXPECT_TRUE(failed.error() == std::errc::broken_pipe || failed.error() == std::errc::connection_reset);
  // It stays so.
  EXPECT_EQ(writer.write("more").error(), failed.error());
  const Result<void> again = co_await writer.flush();
  EXPECT_EQ(again.error(), failed.error());
}
TEST_P(StreamConformanceTest, C154_WritingAndDrainingToADeadPeerEnds) { run(write_to_the_dead()); }

Task<void> close_writer(Writer& writer, bool& done) {
  const Result<void> closed = co_await writer.close();
  EXPECT_TRUE(closed.has_value());
  done = true;
}
Task<void> close_with_a_full_buffer() {
  auto [near, far] = tcp_streams();
  Writer writer(near, {.limit = wide});
  EXPECT_TRUE(writer.write(much_text()).has_value());
  bool done = false;
  TaskGroup group;
  group.spawn(close_writer, writer, done);
  co_await settle();
  EXPECT_FALSE(done) << "the peer has not taken it yet";
  EXPECT_EQ(writer.write("late").error(), Errc::closed);
  const std::string text = co_await read_rest(far);
  EXPECT_TRUE(text == much_text());
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined && done);
  EXPECT_FALSE(near.is_open());
}
// One that is not taken in time is given up.
Task<void> close_in_time() {
  auto [near, far] = tcp_streams();
  Writer writer(near, {.limit = wide});
  EXPECT_TRUE(writer.write(much_text()).has_value());
  const Result<void> closed = co_await with_timeout(5ms, writer.close());
  EXPECT_TRUE(!closed && closed.error().is_timed_out());
  EXPECT_FALSE(near.is_open());
  EXPECT_GT(writer.unsent(), 0U);
  EXPECT_TRUE(far.is_open());
}
TEST_P(StreamConformanceTest, C145_ClosingFlushesAndMayBeGivenADeadline) {
  run(close_with_a_full_buffer());
  run(close_in_time());
}

Task<void> close_with_unread_data() {
  auto [near, far] = tcp_streams();
  co_await write_text(far, "nobody reads this");
  std::array<std::byte, 1> first;
  const Result<std::size_t> read = co_await near.read(first);
  EXPECT_TRUE(read.has_value());
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
  std::array<std::byte, 8> buffer;
  const Result<std::size_t> end = co_await far.read(buffer);
  EXPECT_EQ(end.error(), std::errc::connection_reset);
  const Result<std::size_t> late = co_await near.write(buffer);
  EXPECT_EQ(late.error(), Errc::closed);
}
TEST_P(StreamConformanceTest, C155_ClosingWithUnreadDataResetsThePeer) { run(close_with_unread_data()); }

// --- Reading ---------------------------------------------------------------------------------------------------------

// A segment a byte, so that everything comes in parts.
Task<void> drip(TcpStream& stream, std::string_view text) {
  for (const char& c : text) {
    const Result<void> written = co_await stream.write_all(bytes_of({&c, 1}));
    EXPECT_TRUE(written.has_value());
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  EXPECT_TRUE(stream.shutdown().has_value());
}
Task<void> read_what_drips() {
  auto [near, far] = tcp_streams();
  Reader reader(far, {.limit = 12});
  TaskGroup group;
  group.spawn(drip, near, std::string_view("line\r\ncounted12key=value;--a line that is too long--\nlast"));
  const Result<std::string_view> line = co_await reader.read_line();
  EXPECT_EQ(line.value_or("(error)"), "line\r\n");
  std::string counted(9, '.');
  const Result<void> exactly = co_await reader.read_exactly(room_in(counted));
  EXPECT_TRUE(exactly.has_value());
  EXPECT_EQ(counted, "counted12");
  // Of two separators the one that ends first, and one that comes in two parts.
  constexpr std::array<std::string_view, 2> either{";", "="};
  Result<std::string_view> piece = co_await reader.read_until(either);
  EXPECT_EQ(piece.value_or("(error)"), "key=");
  piece = co_await reader.read_until(";--");
  EXPECT_EQ(piece.value_or("(error)"), "value;--");
  // Over the limit: the data stay, no more are taken in, and it goes on behind them.
  piece = co_await reader.read_until("--");
  EXPECT_EQ(piece.error(), Errc::limit_exceeded);
  EXPECT_EQ(text_of(reader.buffered()), "a line that ");
  co_await settle();
  EXPECT_EQ(reader.buffered().size(), 12U);
  const Result<std::uint64_t> skipped = co_await reader.skip_until("\n");
  EXPECT_EQ(skipped.value_or(0U), 26U);
  // The end in the middle: a line may be cut, a piece with a separator may not, and stays.
  piece = co_await reader.read_until(";");
  EXPECT_EQ(piece.error(), Errc::end_of_stream);
  const Result<std::string_view> last = co_await reader.read_line();
  EXPECT_EQ(last.value_or("(error)"), "last");
  const Result<std::string_view> nothing = co_await reader.read_line();
  EXPECT_EQ(nothing.value_or("(error)"), "");
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
}
TEST_P(StreamConformanceTest, C150_C151_C152_LinesAndPiecesComeWholeHoweverTheyArrive) { run(read_what_drips()); }

Task<void> fail_every_read() {
  auto [near, far] = tcp_streams();
  const Result<Endpoint> peer = far.peer_endpoint();
  EXPECT_TRUE(peer.has_value());
  Reader reader(far);
  co_await write_text(near, "before");
  const Result<std::span<const std::byte>> there = co_await reader.peek(6);
  EXPECT_TRUE(there.has_value());
  near.abort();
  Result<std::string_view> line = co_await reader.read_line();
  EXPECT_FALSE(line.has_value());
  if (line) co_return;
  EXPECT_EQ(line.error(), std::errc::connection_reset);
  EXPECT_EQ(line.error().place(), knows_peer_after_reset() ? peer->place() : Place());
  std::string buffer(10, '.');
  const Result<std::size_t> before = co_await reader.read(room_in(buffer));
  EXPECT_EQ(buffer.substr(0, before.value_or(0U)), "before");
  for (int again = 0; again < 2; ++again) {
    const Result<std::size_t> nothing = co_await reader.read(room_in(buffer));
    EXPECT_EQ(nothing.error(), std::errc::connection_reset);
    line = co_await reader.read_line();
    EXPECT_EQ(line.error(), std::errc::connection_reset);
  }
}
Task<void> read_line_into(Reader& reader, Result<std::string>& told) {
  const Result<std::string_view> line = co_await reader.read_line();
  told = line ? Result<std::string>(std::string(*line)) : Result<std::string>(line.error());
}
Task<void> cancel_a_line(int turns) {
  auto [near, far] = tcp_streams();
  Reader reader(far);
  Result<std::string> told = std::string();
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> reading = group.spawn(read_line_into, reader, told);
  co_await write_text(near, "half ");
  for (int turn = 0; turn < turns; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  reading.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(!told && told.error().is_cancelled());
  co_await write_text(near, "line\n");
  const Result<std::string_view> line = co_await reader.read_line();
  EXPECT_EQ(line.value_or("(error)"), "half line\n");
}
TEST_P(StreamConformanceTest, C153_AnErrorIsTheAnswerOfEveryLaterReadAndACancelLosesNothing) {
  run(fail_every_read());
  for (int turns = 0; turns < 6; ++turns) run(cancel_a_line(turns));
}

// --- Preconditions ---------------------------------------------------------------------------------------------------

// There is no buffer that the user hands out on request, so none that is empty or too large: a read is given its own, and
// one that could not tell the end of the stream is a bug.
TEST(StreamConformanceDeathTest, C039_C149_ABufferIsASpanAndNotEmpty) {
  Stream stream;
  EXPECT_DEATH(static_cast<void>(stream.read(std::span<std::byte>())), "empty buffer");
  EXPECT_DEATH(static_cast<void>(stream.write(std::span<const std::byte>())), "write\\(\\) of nothing");
}

}  // namespace
}  // namespace gyre::test
