// What BufferedReader promises, statement by statement (C-150 to C-153 of the conformance list), on a stream that says
// what the test wants; the random comparison with a model is in buffered_reader_random_test.cc.
#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/duplex.h>
#include <gyre/task/timeout.h>

#include "support/oracles.h"
#include "support/task_fixture.h"

namespace {

using namespace gyre;
using namespace std::chrono_literals;
using std::string_view;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Brings one piece a read (never cut: `buffer` must have room), fails, or pauses; then it has ended.
class ScriptedStream {
 public:
  struct Pause {
    Duration length;
  };
  using Step = std::variant<std::string, Error, Pause>;

  explicit ScriptedStream(std::deque<Step> steps) : steps_(std::move(steps)) {}

  Task<Result<std::size_t>> read(std::span<std::byte> buffer) {
    ++reads;
    while (!steps_.empty() && std::holds_alternative<Pause>(steps_.front())) {
      const Result<void> slept = co_await sleep(std::get<Pause>(steps_.front()).length);
      if (!slept) co_return slept.error();
      steps_.pop_front();
    }
    if (steps_.empty()) co_return std::size_t{0};
    if (const Error* error = std::get_if<Error>(&steps_.front())) {
      const Error copy = *error;
      steps_.pop_front();
      co_return copy;
    }
    std::string& piece = std::get<std::string>(steps_.front());
    const std::size_t count = std::min(piece.size(), buffer.size());
    std::copy_n(std::as_bytes(std::span(piece)).begin(), count, buffer.begin());
    piece.erase(0, count);
    if (piece.empty()) steps_.pop_front();
    co_return count;
  }

  int reads = 0;

 private:
  std::deque<Step> steps_;
};

using Reader = BufferedReader<ScriptedStream>;
static_assert(ReadStream<Reader>);
const Error reset = Error::system(static_cast<int>(std::errc::connection_reset));

class BufferedReaderTest : public gyre::testing::TaskFixture {
 protected:
  void with(std::deque<ScriptedStream::Step> steps, Task<void> (*body)(Reader&), std::size_t limit = 64) {
    ScriptedStream stream(std::move(steps));
    Reader reader(stream, {.limit = limit});
    spawn(body, std::ref(reader));
    run();
    EXPECT_EQ(scheduler().tasks(), 0U) << "still waiting";
  }
};

Task<void> expect_line(Reader& reader, string_view expected) {
  const Result<string_view> line = co_await reader.read_line();
  EXPECT_TRUE(line) << expected;
  EXPECT_EQ(line.value_or(string_view()), expected);
}
Task<void> expect_until(Reader& reader, string_view separator, string_view expected) {
  const Result<string_view> piece = co_await reader.read_until(separator);
  EXPECT_TRUE(piece) << expected;
  EXPECT_EQ(piece.value_or(string_view()), expected);
}
template <typename T>
void expect_error(const Result<T>& result, const Error& error) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), error);
}

// --- C-150: read, read_line, read_exactly ---------------------------------------------------------------------------

Task<void> lines_then_rest(Reader& reader) {
  co_await expect_line(reader, "one\n");
  co_await expect_line(reader, "\n");
  co_await expect_line(reader, "two\r\n");
  co_await expect_line(reader, "rest");
  co_await expect_line(reader, "");
  co_await expect_line(reader, "");
}
// C-150
TEST_F(BufferedReaderTest, ReadLineBringsLinesThenTheRestThenNothing) {
  with({"one\n\ntw", "o\r", "\nre", "st"}, lines_then_rest);
}

// C-150
TEST_F(BufferedReaderTest, WithoutLineEndKeepsWhatIsNoLineEnd) {
  EXPECT_EQ(without_line_end("a\n"), "a");
  EXPECT_EQ(without_line_end("a\r\n"), "a");
  EXPECT_EQ(without_line_end("a\r"), "a\r");
  EXPECT_EQ(without_line_end("a\n\n"), "a\n");
  EXPECT_EQ(without_line_end("a\r\r\n"), "a\r");
  EXPECT_EQ(without_line_end(""), "");
}

Task<void> read_pieces(Reader& reader) {
  std::array<std::byte, 3> buffer;
  Result<std::size_t> count = co_await reader.read(buffer);
  EXPECT_EQ(count.value_or(0U), 3U);
  EXPECT_EQ(text_of(buffer), "abc");
  count = co_await reader.read(buffer);
  EXPECT_EQ(count.value_or(0U), 1U) << "what is there, without waiting for more";
  count = co_await reader.read(buffer);
  EXPECT_EQ(count.value_or(0U), 2U);
  count = co_await reader.read(buffer);
  EXPECT_EQ(count.value_or(9U), 0U);
  EXPECT_TRUE(reader.has_ended());
}
// C-150
TEST_F(BufferedReaderTest, ReadBringsWhatIsThereAndZeroAtTheEnd) { with({"abcd", "ef"}, read_pieces); }

Task<void> exactly(Reader& reader) {
  std::array<std::byte, 4> buffer;
  std::size_t received = 99;
  Result<void> read = co_await reader.read_exactly(buffer, &received);
  EXPECT_TRUE(read);
  EXPECT_EQ(received, 4U);
  EXPECT_EQ(text_of(buffer), "abcd");
  read = co_await reader.read_exactly(std::span<std::byte>(), &received);
  EXPECT_TRUE(read) << "of nothing";
  read = co_await reader.read_exactly(buffer, &received);
  expect_error(read, Errc::end_of_stream);
  EXPECT_EQ(received, 0U);
  EXPECT_EQ(text_of(reader.buffered()), "ef") << "the incomplete piece stays";
  read = co_await reader.read_exactly(std::span(buffer).first(2));
  EXPECT_TRUE(read) << "and can still be read";
}
// C-150
TEST_F(BufferedReaderTest, ReadExactlyWaitsForAllAndKeepsAnIncompletePiece) { with({"a", "bcd", "ef"}, exactly); }

Task<void> exactly_more_than_limit(Reader& reader) {
  std::string buffer(10, '-');
  std::size_t received = 0;
  Result<void> read = co_await reader.read_exactly(std::as_writable_bytes(std::span(buffer)), &received);
  EXPECT_TRUE(read);
  EXPECT_EQ(buffer, "0123456789");
  read = co_await reader.read_exactly(std::as_writable_bytes(std::span(buffer)), &received);
  expect_error(read, Errc::end_of_stream);
  EXPECT_EQ(received, 2U);
  EXPECT_EQ(buffer.substr(0, 2), "ab");
}
// C-150
TEST_F(BufferedReaderTest, ReadExactlyMayExceedTheLimitAndSaysHowFarItCame) {
  with({"01", "2345", "6789", "ab"}, exactly_more_than_limit, 4);
}

Task<void> incomplete(Reader& reader) {
  for (int again = 0; again < 2; ++again) {
    const Result<string_view> piece = co_await reader.read_until("\n");
    expect_error(piece, Errc::end_of_stream);
    EXPECT_EQ(text_of(reader.buffered()), "part");
  }
  reader.consume(2);
  const Result<string_view> rest = co_await reader.read_to_end();
  EXPECT_EQ(rest.value_or("?"), "rt");
  const Result<string_view> nothing = co_await reader.read_to_end();
  EXPECT_EQ(nothing.value_or("?"), "");
}
// C-150
TEST_F(BufferedReaderTest, ReadUntilAtTheEndSaysSoAndKeepsThePart) { with({"pa", "rt"}, incomplete); }

// --- C-151: separators ----------------------------------------------------------------------------------------------

Task<void> split_separator(Reader& reader) {
  co_await expect_until(reader, "\r\n\r\n", "a\r\n\r\r\n\r\n");
  co_await expect_until(reader, "aab", "aaab");
}
// C-151
TEST_F(BufferedReaderTest, SeparatorMayBeSplitAnywhere) {
  const string_view all = "a\r\n\r\r\n\r\naaab";
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    for (std::size_t length = 1; cut + length < all.size(); ++length) {
      with({std::string(all.substr(0, cut)), std::string(all.substr(cut, length)), std::string(all.substr(cut + length))},
           split_separator);
    }
  }
  std::deque<ScriptedStream::Step> single;
  for (const char c : all) single.push_back(std::string(1, c));
  with(std::move(single), split_separator);
}

Task<void> several_separators(Reader& reader) {
  const std::array<string_view, 3> separators{"END", ";", "\r\n"};
  for (const string_view expected : {"a;", "b\r\n", "cEND", "\r\n"}) {
    const Result<string_view> piece = co_await reader.read_until(separators);
    EXPECT_EQ(piece.value_or("?"), expected);
  }
  const std::array<string_view, 2> overlapping{"abcd", "bc"};
  const Result<string_view> shortest = co_await reader.read_until(overlapping);
  EXPECT_EQ(shortest.value_or("?"), "abc") << "the one that ends first";
}
// C-151
TEST_F(BufferedReaderTest, OfSeveralSeparatorsTheOneThatEndsFirstWins) {
  with({"a;b\r", "\ncEN", "D\r\nabcd"}, several_separators);
}

Task<void> limit_without_match(Reader& reader) {
  for (int again = 0; again < 2; ++again) {
    const Result<string_view> line = co_await reader.read_line();
    expect_error(line, Errc::limit_exceeded);
    EXPECT_EQ(text_of(reader.buffered()), "12345678") << "kept";
  }
  const Result<std::uint64_t> skipped = co_await reader.skip_until("\n");
  EXPECT_EQ(skipped.value_or(0U), 11U);
  co_await expect_line(reader, "1234567\n");
  const Result<string_view> matched_too_late = co_await reader.read_until(";;");
  expect_error(matched_too_late, Errc::limit_exceeded);
  reader.consume(1);
  co_await expect_until(reader, ";;", "bcdefg;;");
}
// C-151
TEST_F(BufferedReaderTest, LimitIsExceededWithAndWithoutAMatchAndTheDataAreKept) {
  with({"12345678", "90\n1234567\nabcdefg;;"}, limit_without_match, 8);
}

// --- C-152: never more in memory than the limit ----------------------------------------------------------------------

// C-152
TEST_F(BufferedReaderTest, LimitStopsReading) {
  auto [ours, theirs] = make_duplex({.capacity = 1000});
  std::string flood(1000, 'x');
  spawn([](DuplexStream& to, string_view bytes) -> Task<void> {
    const Result<void> written = co_await write_all(to, std::as_bytes(std::span(bytes)));
    EXPECT_TRUE(written);
  }, std::ref(theirs), string_view(flood));
  BufferedReader<DuplexStream> reader(ours, {.limit = 100});
  spawn([](BufferedReader<DuplexStream>& from) -> Task<void> {
    const Result<string_view> line = co_await from.read_line();
    expect_error(line, Errc::limit_exceeded);
    from.consume(40);
    const Result<std::span<const std::byte>> seen = co_await from.peek(100);
    EXPECT_TRUE(seen);
    EXPECT_EQ(seen.value_or(std::span<const std::byte>()).size(), 100U);
  }, std::ref(reader));
  run();
  EXPECT_EQ(reader.buffered().size(), 100U);
  EXPECT_EQ(ours.readable(), 860U) << "the rest stays with the stream";
}

// --- C-153: errors of the stream, and cancelled readers ----------------------------------------------------------------

Task<void> error_for_ever(Reader& reader) {
  co_await expect_line(reader, "whole\n");
  for (int again = 0; again < 3; ++again) {
    const Result<string_view> line = co_await reader.read_line();
    expect_error(line, reset);
  }
  EXPECT_EQ(text_of(reader.buffered()), "torn");
  std::array<std::byte, 8> buffer;
  Result<std::size_t> count = co_await reader.read(buffer);
  EXPECT_EQ(count.value_or(0U), 4U) << "what came before the error is delivered";
  count = co_await reader.read(buffer);
  expect_error(count, reset);
  const Result<std::span<const std::byte>> peeked = co_await reader.peek();
  expect_error(peeked, reset);
  const Result<string_view> all = co_await reader.read_to_end();
  expect_error(all, reset);
  const Result<std::uint64_t> skipped = co_await reader.skip_until("x");
  expect_error(skipped, reset);
  const Result<void> filled = co_await reader.read_exactly(buffer);
  expect_error(filled, reset);
}
// C-153
TEST_F(BufferedReaderTest, ErrorOfTheStreamIsReportedByEveryLaterRead) {
  // After its reset a socket would go on with a clean end.
  with({"whole\nto", "rn", reset}, error_for_ever);
}

Task<void> cancelled_then_again(Reader& reader) {
  {
    const CancelScope scope(CancelScope::within(1s));
    const Result<string_view> line = co_await reader.read_line();
    expect_error(line, Error::timed_out());
  }
  EXPECT_EQ(text_of(reader.buffered()), "be");
  {
    std::array<std::byte, 5> buffer;
    std::size_t received = 0;
    const CancelScope scope(CancelScope::within(1s));
    const Result<void> read = co_await reader.read_exactly(buffer, &received);
    expect_error(read, Error::timed_out());
    EXPECT_EQ(received, 0U);
  }
  co_await expect_line(reader, "begun\n");
}
// C-153
TEST_F(BufferedReaderTest, CancelledReadLosesNothing) {
  with({"be", ScriptedStream::Pause{5s}, "gun\n"}, cancelled_then_again);
}

Task<void> cancelled_before(Reader& reader) {
  co_await expect_line(reader, "one\n");
  CancelScope scope;
  scope.cancel();
  const Result<string_view> line = co_await reader.read_line();
  expect_error(line, Error::cancelled());
  EXPECT_EQ(text_of(reader.buffered()), "two\n");
}
// C-153
TEST_F(BufferedReaderTest, CancelledScopeIsReportedEvenIfTheLineIsThere) {
  with({"one\ntwo\n"}, cancelled_before);
}

// --- The rest ------------------------------------------------------------------------------------------------------

Task<void> peeks(Reader& reader) {
  Result<std::span<const std::byte>> seen = co_await reader.peek();
  EXPECT_EQ(text_of(seen.value_or(std::span<const std::byte>())), "ab");
  seen = co_await reader.peek(3);
  EXPECT_EQ(text_of(seen.value_or(std::span<const std::byte>())), "abcd");
  seen = co_await reader.peek(9);
  expect_error(seen, Errc::limit_exceeded);
  seen = co_await reader.peek(8);
  EXPECT_EQ(text_of(seen.value_or(std::span<const std::byte>())), "abcd") << "the stream has ended";
  co_await expect_line(reader, "abcd");
  seen = co_await reader.peek();
  EXPECT_TRUE(seen);
  EXPECT_TRUE(seen.value_or(std::span<const std::byte>()).empty());
}
TEST_F(BufferedReaderTest, PeekShowsWithoutTaking) { with({"ab", "cd"}, peeks, 8); }

TEST_F(BufferedReaderTest, OneReadOfTheStreamServesManyLines) {
  ScriptedStream stream({"a\nb\nc\nd\n"});
  Reader reader(stream);
  spawn([](Reader& from) -> Task<void> {
    for (const string_view line : {"a\n", "b\n", "c\n", "d\n"}) co_await expect_line(from, line);
  }, std::ref(reader));
  run();
  EXPECT_EQ(stream.reads, 1);
}

TEST_F(BufferedReaderTest, TwoReadersAtOnceAreABug) {
  ScriptedStream stream({ScriptedStream::Pause{1s}, "x\n"});
  Reader reader(stream);
  EXPECT_DEATH(
      {
        spawn(expect_line, std::ref(reader), "x\n");
        spawn(expect_line, std::ref(reader), "x\n");
        run();
      },
      "two tasks at once");
}

TEST_F(BufferedReaderTest, EmptySeparatorAndLimitOfNothingAreBugs) {
  ScriptedStream stream({});
  Reader reader(stream);
  EXPECT_DEATH(
      {
        spawn(expect_until, std::ref(reader), "", "");
        run();
      },
      "empty separator");
  EXPECT_DEATH(Reader(stream, {.limit = 0}), "limit of no bytes");
}

Task<void> answer_lines(DuplexStream& stream, int rounds) {
  BufferedReader<DuplexStream> reader(stream);
  for (int i = 0; i < rounds; ++i) {
    const Result<string_view> line = co_await reader.read_line();
    EXPECT_TRUE(line);
    if (!line) co_return;
    const Result<std::size_t> written = co_await stream.write(std::as_bytes(std::span(*line)));
    EXPECT_TRUE(written);
  }
}
Task<void> ask_lines(DuplexStream& stream, int rounds, std::uint64_t& allocated) {
  BufferedReader<DuplexStream> reader(stream);
  for (int i = 0; i < rounds; ++i) {
    if (i == 10) allocated = gyre::test::allocations();
    const Result<std::size_t> written = co_await stream.write(std::as_bytes(std::span("0123456789012345678\n", 20)));
    EXPECT_TRUE(written);
    const Result<string_view> line = co_await reader.read_line();
    EXPECT_TRUE(line);
    if (!line) co_return;
  }
  allocated = gyre::test::allocations() - allocated;
}
TEST_F(BufferedReaderTest, SteadyStateAllocatesNothing) {
  auto [a, b] = make_duplex();
  std::uint64_t allocated = 1;
  spawn(answer_lines, std::ref(a), 1000);
  spawn(ask_lines, std::ref(b), 1000, std::ref(allocated));
  run();
  EXPECT_EQ(sanitized ? 0 : allocated, 0U);
}

}  // namespace
