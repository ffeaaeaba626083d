// Streams: bytes in order, half-closes, ownership, on every backend. How they end is in stream_end_test.cc. The ids in comments
// are those of the conformance list.
#include <gyre/net/stream.h>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/stream_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(StreamTest);

// --- Bytes -----------------------------------------------------------------------------------------------------------

Task<void> read_what_was_written() {
  auto [near, far] = tcp_streams();
  const Result<void> sent = co_await near.write_all(bytes_of("hello"));
  EXPECT_TRUE(sent.has_value());
  std::array<std::byte, 3> small;
  const Result<std::size_t> first = co_await far.read(small);
  EXPECT_TRUE(first.has_value());
  if (first) {
    EXPECT_EQ(text_of(std::span(small).first(*first)), "hel");
  }
  const Result<std::size_t> rest = co_await far.read(small);
  EXPECT_TRUE(rest.has_value());
  if (rest) {
    EXPECT_EQ(text_of(std::span(small).first(*rest)), "lo");
  }
}
TEST_P(StreamTest, ReadsWhatWasWritten) { run(read_what_was_written()); }

template <typename Text>
concept CanBeWritten = requires(TcpStream stream, Text&& text) { stream.write_all(std::forward<Text>(text)); };
static_assert(CanBeWritten<const char (&)[6]> && CanBeWritten<std::string_view> && CanBeWritten<std::string&>);
static_assert(!CanBeWritten<std::string>, "it would be gone before it is written");

Task<void> write_texts() {
  auto [near, far] = tcp_streams();
  const std::string text = ", world";
  const Result<void> first = co_await near.write_all("hello");
  const Result<void> second = co_await near.write_all(text);
  EXPECT_TRUE(first && second);
  std::array<std::byte, 12> all;
  const Result<void> read = co_await far.read_exactly(all);
  EXPECT_TRUE(read);
  EXPECT_EQ(text_of(all), "hello, world") << "and no zero at the end";
}
TEST_P(StreamTest, TextIsWrittenAsItIs) { run(write_texts()); }

// C-150: what came before the end is counted.
Task<void> end_before_enough() {
  auto [near, far] = tcp_streams();
  const Result<void> sent = co_await near.write_all(bytes_of("abc"));
  EXPECT_TRUE(sent.has_value());
  EXPECT_TRUE(near.shutdown().has_value());
  std::string buffer(5, '.');
  std::size_t received = 99;
  const Result<void> read = co_await far.read_exactly(room_in(buffer), &received);
  EXPECT_EQ(read.error(), Errc::end_of_stream);
  EXPECT_EQ(received, 3U);
  EXPECT_EQ(buffer, "abc..");
  // The end stays the end.
  for (int again = 0; again < 2; ++again) {
    const Result<std::size_t> nothing = co_await far.read(room_in(buffer));
    EXPECT_TRUE(nothing.has_value() && *nothing == 0);
    const Result<LentBytes> lent = co_await far.receive();
    EXPECT_TRUE(lent.has_value() && lent->empty());
  }
}
TEST_P(StreamTest, ReadExactlySaysHowMuchCameBeforeTheEnd) { run(end_before_enough()); }

Task<void> nothing_asked() {
  auto [near, far] = tcp_streams();
  const Result<void> read = co_await near.read_exactly({});
  EXPECT_TRUE(read.has_value());
  std::size_t written = 7;
  const Result<void> sent = co_await near.write_all({}, &written);
  EXPECT_TRUE(sent.has_value());
  EXPECT_EQ(written, 0U);
  std::array<IoSlice, 2> empty{};
  const Result<std::size_t> pieces = co_await near.write(std::span(empty));
  EXPECT_TRUE(pieces.has_value() && *pieces == 0);
  const Result<std::size_t> none = co_await near.read(std::span(empty));
  EXPECT_TRUE(none.has_value() && *none == 0);
  EXPECT_TRUE(far.is_open());
}
TEST_P(StreamTest, TransfersOfNothingAreDoneAtOnce) { run(nothing_asked()); }

// C-144: pieces of every size, empty ones first, last and between.
Task<void> pieces_in_order() {
  auto [near, far] = tcp_streams();
  std::string hello = "hello", blank = " ", world = "world";
  std::array<IoSlice, 6> out{IoSlice{}, {hello.data(), 5}, {}, {blank.data(), 1}, {world.data(), 5}, {}};
  const Result<std::size_t> sent = co_await near.write(std::span(out));
  EXPECT_TRUE(sent.has_value() && *sent == 11);
  std::string first(4, '.'), second(20, '.');
  std::array<IoSlice, 4> in{IoSlice{}, {first.data(), first.size()}, {}, {second.data(), second.size()}};
  const Result<std::size_t> received = co_await far.read(std::span(in));
  EXPECT_TRUE(received.has_value() && *received == 11);
  EXPECT_EQ(first + second.substr(0, 7), "hello world");
}
TEST_P(StreamTest, PiecesKeepTheirOrderAndEmptyOnesAreSkipped) { run(pieces_in_order()); }

// More pieces than one call of the system's takes, and more bytes than the buffers hold; the slices say what is left.
std::vector<IoSlice> cut(std::string& text, std::size_t size) {
  std::vector<IoSlice> slices;
  for (std::size_t at = 0; at < text.size(); at += size) {
    slices.push_back({text.data() + at, std::min(size, text.size() - at)});
    slices.push_back({});
  }
  return slices;
}
Task<void> send_in_pieces(Stream& stream, std::string& text, std::size_t size) {
  std::vector<IoSlice> slices = cut(text, size);
  std::size_t written = 7;
  const Result<void> sent = co_await stream.write_all(slices, &written);
  EXPECT_TRUE(sent.has_value()) << sent.error();
  EXPECT_EQ(written, text.size());
  for (const IoSlice& slice : slices) EXPECT_EQ(slice.size, 0U);
}
Task<void> all_pieces() {
  auto [near, far] = tcp_streams();
  for (const std::size_t size : {std::size_t{1'000'003}, std::size_t{4'000}, std::size_t{7}}) {
    std::string out = pattern(size == 7 ? 50'000 : 8 << 20);
    std::string in(out.size(), '.');
    std::vector<IoSlice> room = cut(in, size + 1);
    TaskGroup group;
    group.spawn(send_in_pieces, std::ref(near), std::ref(out), size);
    std::size_t received = 7;
    const Result<void> filled = co_await far.read_exactly(room, &received);
    EXPECT_TRUE(filled.has_value());
    EXPECT_EQ(received, out.size());
    const Result<void> joined = co_await group.join();
    EXPECT_TRUE(joined.has_value());
    EXPECT_TRUE(in == out) << size;
  }
  // The peer ends in the second piece.
  std::string hello = "hello", first(3, '.'), second(5, '.');
  std::vector<IoSlice> out = cut(hello, 2);
  const Result<void> sent = co_await near.write_all(out);
  EXPECT_TRUE(sent && near.shutdown());
  std::array<IoSlice, 2> in{IoSlice{first.data(), first.size()}, {second.data(), second.size()}};
  std::size_t received = 0;
  const Result<void> ended = co_await far.read_exactly(std::span(in), &received);
  EXPECT_EQ(ended.error(), Errc::end_of_stream);
  EXPECT_EQ(received, 5U);
  EXPECT_EQ(first + second, "hello...");
  EXPECT_EQ(in[0].size, 0U);
  EXPECT_EQ(in[1].size, 3U);
  // Its own side has ended.
  far.abort();
  std::string much = pattern(8 << 20);
  std::vector<IoSlice> lost = cut(much, 1 << 20);
  std::size_t written = 7;
  Result<void> failed = co_await near.write_all(lost, &written);
  EXPECT_FALSE(failed.has_value());
  std::size_t left = 0;
  for (const IoSlice& slice : lost) left += slice.size;
  EXPECT_EQ(written + left, much.size());
}
TEST_P(StreamTest, AllPiecesAreWrittenAndFilled) { run(all_pieces()); }

// An idle stream owns no buffer; what is lent can be kept over further reads.
Task<void> lend_buffers() {
  auto [near, far] = tcp_streams();
  std::vector<LentBytes> kept;
  for (int round = 0; round < 8; ++round) {
    const std::string text = pattern(100, static_cast<std::uint32_t>(round));
    const Result<void> sent = co_await near.write_all(bytes_of(text));
    EXPECT_TRUE(sent.has_value());
    Result<LentBytes> received = co_await far.receive();
    EXPECT_TRUE(received.has_value() && received->size() == 100);
    if (received) kept.push_back(std::move(*received));
  }
  for (std::size_t round = 0; round < kept.size(); ++round) {
    EXPECT_EQ(text_of(kept[round].bytes()), pattern(100, static_cast<std::uint32_t>(round)));
  }
}
TEST_P(StreamTest, LentBytesStayUntilTheyAreGivenBack) { run(lend_buffers()); }

Task<void> receive_and_keep(Stream& stream, Told<std::size_t>& told) {
  const Result<LentBytes> received = co_await stream.receive();
  if (received) {
    told.result = received->size();
  } else {
    told.result = received.error();
  }
}
Task<void> run_out_of_buffers() {
  auto [near, far] = tcp_streams();
  const Result<void> sent = co_await near.write_all(bytes_of(pattern(40)));
  EXPECT_TRUE(sent.has_value());
  std::vector<LentBytes> kept;
  for (int i = 0; i < 2; ++i) {
    const Result<void> more = co_await near.write_all(bytes_of("x"));
    EXPECT_TRUE(more.has_value());
    Result<LentBytes> received = co_await far.receive();
    EXPECT_TRUE(received.has_value());
    if (received) kept.push_back(std::move(*received));
  }
  const Result<void> more = co_await near.write_all(bytes_of("y"));
  EXPECT_TRUE(more.has_value());
  TaskGroup group;
  Told<std::size_t> told;
  group.spawn(receive_and_keep, far, told);
  co_await settle();
  EXPECT_FALSE(told.is_there()) << "there was no buffer left";
  kept.clear();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is_there() && *told.result);
}
TEST_P(StreamTest, AReceiveWithoutABufferWaitsForOne) {
  ReactorOptions options;
  options.poller.lent_buffers = 2;
  options.poller.lent_buffer_size = 64;
  reopen(std::move(options));
  run(run_out_of_buffers());
}

// More streams are busy than there are buffers, and each keeps its buffer for a turn. Those that wait for one must get it
// before those that have just had one: a stream that is always first is first for ever.
Task<void> echo_until(Stream& stream, std::size_t& served, const bool& stop) {
  while (!stop) {
    const Result<LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;
    ++served;
    const Result<void> yielded = co_await yield();
    if (!yielded) co_return;
    const Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}
Task<void> ask_until(Stream& stream, std::size_t& answers, const bool& stop) {
  std::array<std::byte, 8> answer;
  while (!stop) {
    const Result<void> sent = co_await stream.write_all(bytes_of("?"));
    if (!sent) co_return;
    const Result<std::size_t> received = co_await stream.read(answer);
    if (!received || *received == 0) co_return;
    ++answers;
  }
}
Task<void> share_buffers(std::size_t streams) {
  std::vector<std::pair<TcpStream, TcpStream>> pairs;
  for (std::size_t i = 0; i < streams; ++i) pairs.push_back(tcp_streams());
  std::vector<std::size_t> served(streams);
  std::size_t answers = 0;
  bool stop = false;
  TaskGroup group(OnFailure::keep_going);
  for (std::size_t i = 0; i < streams; ++i) {
    group.spawn(echo_until, pairs[i].first, served[i], stop);
    group.spawn(ask_until, pairs[i].second, answers, stop);
  }
  while (answers < 20 * streams) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
    if (!yielded) break;
  }
  stop = true;
  group.cancel();
  static_cast<void>(co_await group.join());
  for (std::size_t i = 0; i < streams; ++i) EXPECT_GE(served[i], 5U) << "stream " << i << " of " << streams;
  for (auto& [near, far] : pairs) {
    near.abort();
    far.abort();
  }
}
TEST_P(StreamTest, StreamsThatWaitForABufferHaveTheirTurns) {
  for (const std::uint32_t buffers : {1U, 4U}) {
    ReactorOptions options;
    options.poller.lent_buffers = buffers;
    options.poller.lent_buffer_size = 64;
    reopen(std::move(options));
    run(share_buffers(3));
    run(share_buffers(20));
  }
}

// C-037, C-038, C-144: far more than the buffers of both sides hold.
Task<void> send_part(Stream& stream, std::size_t from, std::size_t size) {
  std::size_t written = 0;
  const Result<void> sent = co_await stream.write_all(bytes_of(much_text()).subspan(from, size), &written);
  EXPECT_TRUE(sent.has_value());
  EXPECT_EQ(written, size);
  EXPECT_TRUE(stream.shutdown().has_value());
}
Task<void> expect_part(Stream& stream, std::size_t from, std::size_t size) {
  const std::string text = co_await read_rest(stream);
  EXPECT_TRUE(text == std::string_view(much_text()).substr(from, size)) << text.size();
}
Task<void> both_ways(std::size_t size) {
  auto [near, far] = tcp_streams();
  TaskGroup group;
  group.spawn(send_part, near, 0U, size);
  group.spawn(send_part, far, 1000U, size);
  group.spawn(expect_part, near, 1000U, size);
  group.spawn(expect_part, far, 0U, size);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
}
TEST_P(StreamTest, MegabytesArriveWholeInBothDirections) { run(both_ways(16 << 20)); }

// C-158 for sockets, C-145: one side ends, the other goes on.
Task<void> half_close() {
  auto [near, far] = tcp_streams();
  const Result<void> sent = co_await near.write_all(bytes_of("question"));
  EXPECT_TRUE(sent.has_value());
  EXPECT_TRUE(near.shutdown().has_value());
  const std::string question = co_await read_rest(far);
  EXPECT_EQ(question, "question");
  const Result<void> answered = co_await far.write_all(bytes_of("answer"));
  EXPECT_TRUE(answered.has_value());
  const std::string answer = co_await read_text(near, 6);
  EXPECT_EQ(answer, "answer");
  const Result<std::size_t> late = co_await near.write(bytes_of("more"));
  EXPECT_EQ(late.error(), std::errc::broken_pipe);
}
TEST_P(StreamTest, AHalfClosedStreamStillReads) { run(half_close()); }

Task<void> shut_down_reading() {
  auto [near, far] = tcp_streams();
  Told<std::size_t> told;
  std::array<std::byte, 8> buffer;
  TaskGroup group;
  group.spawn(read_into, near, buffer, told);
  co_await settle();
  EXPECT_FALSE(told.is_there());
  EXPECT_TRUE(near.shutdown(ShutdownSide::read).has_value());
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is_there() && *told.result && **told.result == 0);
  EXPECT_TRUE(far.is_open());
}
TEST_P(StreamTest, ShuttingDownReadingEndsAReadThatWaits) { run(shut_down_reading()); }

// --- Ownership -------------------------------------------------------------------------------------------------------

Task<void> move_streams() {
  auto [near, far] = tcp_streams();
  TcpStream moved = std::move(near);
  EXPECT_FALSE(near.is_open());
  EXPECT_TRUE(moved.is_open());
  const Result<void> sent = co_await moved.write_all(bytes_of("x"));
  EXPECT_TRUE(sent.has_value());
  moved = TcpStream();
  const std::string rest = co_await read_rest(far);
  EXPECT_EQ(rest, "x");
  TcpStream& itself = far;
  far = std::move(itself);
  EXPECT_TRUE(far.is_open());
}
TEST_P(StreamTest, MovesAndAssigningCloses) { run(move_streams()); }

// Moving a stream while something is under way is fine: the slot stays where it is.
Task<void> move_while_reading() {
  auto [near, far] = tcp_streams();
  std::array<std::byte, 8> buffer;
  Told<std::size_t> told;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(read_into, near, buffer, told);
  co_await settle();
  TcpStream moved = std::move(near);
  const Result<void> sent = co_await far.write_all(bytes_of("x"));
  EXPECT_TRUE(sent.has_value());
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is_there() && *told.result && **told.result == 1);
}
TEST_P(StreamTest, MayBeMovedWhileAReadIsUnderWay) { run(move_while_reading()); }

}  // namespace
}  // namespace gyre::test
