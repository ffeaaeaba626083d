// BufferedReader and BufferedWriter against a model: the text itself. Random texts over a small alphabet (so that
// separators overlap and repeat), random pieces on their way, random limits, requests and cancels; on the in-memory pair
// in virtual time, and on sockets of every poller. What each request brings must not depend on how the bytes came.
//
// Conformance C-144, C-150 to C-153.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/buffered_writer.h>
#include <gyre/net/duplex.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/net_task_fixture.h"
#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace gyre;
using gyre::testing::for_random_seeds;
using gyre::testing::Random;
using std::string_view;

std::span<const std::byte> bytes_of(string_view text) { return std::as_bytes(std::span(text)); }
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string random_text(Random& random, std::size_t size) {
  constexpr string_view alphabet = "aab;\r\n\n-x";
  std::string text(size, '\0');
  for (char& c : text) c = alphabet[random.below(static_cast<std::uint32_t>(alphabet.size()))];
  return text;
}

// How long a pause or a deadline is: in units that suit the clock.
Duration random_pause(Random& random, Duration unit) { return unit * static_cast<int>(random.below(4)); }

// Counts what the reader has been given.
template <typename S>
struct Metered {
  S& inner;
  std::size_t delivered = 0;

  Task<Result<std::size_t>> read(std::span<std::byte> buffer) {
    const Result<std::size_t> count = co_await inner.read(buffer);
    delivered += count.value_or(0U);
    co_return count;
  }
};

// One end of the comparison: the whole text, and where the reader stands in it.
template <typename S>
class ModelCheck {
 public:
  ModelCheck(S& stream, string_view all, std::size_t limit, Random& random, Duration unit)
      : metered_{stream}, reader_(metered_, {.limit = limit}), all_(all), limit_(limit), random_(random), unit_(unit) {}

  // Random requests until the text is used up or something is wrong.
  Task<void> run() {
    // Requests that cannot be answered at the end take nothing; some more than the text has bytes are enough.
    const std::size_t requests_max = 4 * all_.size() + 200;
    for (std::size_t i = 0; i < requests_max && !::testing::Test::HasFailure(); ++i) {
      if (rest().empty() && random_.one_in(4)) break;
      const CancelScope scope(random_.one_in(2) ? CancelScope::within(random_pause(random_, unit_))
                                                : CancelScopeOptions{});
      switch (random_.below(7)) {
        case 0: co_await request_read(); break;
        case 1: co_await request_exactly(); break;
        case 2: co_await request_line(); break;
        case 3:
        case 4: co_await request_until(); break;
        case 5: co_await request_peek(); break;
        default: co_await request_skip(); break;
      }
      check_position();
    }
    co_await read_rest();
  }

 private:
  string_view rest() const { return all_.substr(position_); }
  // Where the first of the separators ends in the rest; npos if nowhere.
  std::size_t end_of(std::span<const string_view> separators) const {
    std::size_t end = string_view::npos;
    for (const string_view separator : separators) {
      const std::size_t at = rest().find(separator);
      if (at != string_view::npos) end = std::min(end, at + separator.size());
    }
    return end;
  }
  void check_position() {
    EXPECT_EQ(metered_.delivered - reader_.buffered().size(), position_);
    EXPECT_EQ(text_of(reader_.buffered()), rest().substr(0, reader_.buffered().size()));
    EXPECT_LE(reader_.buffered().size(), limit_);
  }
  template <typename T>
  static bool was_cancelled(const Result<T>& result) {
    return !result && result.error() == std::errc::timed_out;
  }
  // What a piece up to a separator has to be.
  void check_piece(const Result<string_view>& piece, std::size_t end, bool rest_counts) {
    if (was_cancelled(piece)) return;
    if (end > limit_ && rest().size() >= limit_) {
      expect_error(piece, Errc::limit_exceeded);
    } else if (end == string_view::npos && !rest_counts) {
      expect_error(piece, Errc::end_of_stream);
    } else {
      const string_view expected = rest().substr(0, end);
      EXPECT_EQ(piece.value_or("(an error)"), expected);
      position_ += expected.size();
    }
  }
  template <typename T>
  static void expect_error(const Result<T>& result, Errc code) {
    EXPECT_FALSE(result);
    if (!result) {
      EXPECT_EQ(result.error(), code);
    }
  }

  Task<void> request_read() {
    std::string buffer(1 + random_.below(40), '\0');
    const Result<std::size_t> count = co_await reader_.read(std::as_writable_bytes(std::span(buffer)));
    if (was_cancelled(count)) co_return;
    EXPECT_TRUE(count);
    EXPECT_EQ(count.value_or(0U) == 0, rest().empty());
    EXPECT_EQ(buffer.substr(0, count.value_or(0U)), rest().substr(0, count.value_or(0U)));
    position_ += count.value_or(0U);
  }
  Task<void> request_exactly() {
    std::string buffer(random_.below(random_.one_in(5) ? 200 : 30), '\0');
    std::size_t received = 0;
    const Result<void> read = co_await reader_.read_exactly(std::as_writable_bytes(std::span(buffer)), &received);
    EXPECT_EQ(buffer.substr(0, received), rest().substr(0, received));
    if (buffer.size() <= limit_) {
      EXPECT_EQ(received, read ? buffer.size() : 0U) << "all or nothing";
    }
    if (!was_cancelled(read)) {
      EXPECT_EQ(read.has_value(), rest().size() >= buffer.size());
      if (!read) expect_error(read, Errc::end_of_stream);
    }
    position_ += received;
  }
  Task<void> request_line() {
    constexpr std::array<string_view, 1> separators{"\n"};
    const Result<string_view> line = co_await reader_.read_line();
    check_piece(line, end_of(separators), true);
  }
  Task<void> request_until() {
    constexpr std::array<string_view, 7> choice{"\n", "\r\n", "aab", ";", "--", "ab;\r\n", "aa"};
    std::vector<string_view> separators;
    for (std::uint32_t i = random_.below(3) + 1; i-- > 0;) separators.push_back(choice[random_.below(choice.size())]);
    Result<string_view> piece = Errc::would_block;
    if (separators.size() == 1) {
      piece = co_await reader_.read_until(separators[0]);
    } else {
      piece = co_await reader_.read_until(separators);
    }
    check_piece(piece, end_of(separators), false);
  }
  Task<void> request_peek() {
    const std::size_t count = random_.below(static_cast<std::uint32_t>(limit_) + 3);
    const Result<std::span<const std::byte>> seen = co_await reader_.peek(count);
    if (was_cancelled(seen)) co_return;
    if (count > limit_) {
      expect_error(seen, Errc::limit_exceeded);
      co_return;
    }
    EXPECT_TRUE(seen);
    if (!seen) co_return;
    EXPECT_GE(seen->size(), std::min(count, rest().size()));
    EXPECT_EQ(text_of(*seen), rest().substr(0, seen->size()));
    const std::size_t consumed = seen->empty() ? 0 : random_.below(static_cast<std::uint32_t>(seen->size()) + 1);
    reader_.consume(consumed);
    position_ += consumed;
  }
  Task<void> request_skip() {
    constexpr std::array<string_view, 3> choice{"\n", "aab", "--"};
    const std::array<string_view, 1> separators{choice[random_.below(choice.size())]};
    if (separators[0].size() > limit_ || !random_.one_in(3)) co_return;
    const std::size_t end = end_of(separators);
    const Result<std::uint64_t> skipped = co_await reader_.skip_until(separators[0]);
    if (was_cancelled(skipped)) {
      const std::size_t now = metered_.delivered - reader_.buffered().size();
      EXPECT_GE(now, position_);
      EXPECT_LT(now - position_, end);
      position_ = now;
    } else if (end == string_view::npos) {
      expect_error(skipped, Errc::end_of_stream);
      position_ = all_.size() - std::min(rest().size(), separators[0].size() - 1);
    } else {
      EXPECT_EQ(skipped.value_or(0U), end);
      position_ += end;
    }
  }
  Task<void> read_rest() {
    std::string buffer(50, '\0');
    for (std::size_t i = 0; i <= all_.size(); ++i) {
      const Result<std::size_t> count = co_await reader_.read(std::as_writable_bytes(std::span(buffer)));
      EXPECT_TRUE(count);
      if (count.value_or(0U) == 0) break;
      EXPECT_EQ(buffer.substr(0, *count), rest().substr(0, *count));
      position_ += *count;
    }
    EXPECT_EQ(position_, all_.size());
  }

  Metered<S> metered_;
  BufferedReader<Metered<S>> reader_;
  const string_view all_;
  const std::size_t limit_;
  std::size_t position_ = 0;
  Random& random_;
  const Duration unit_;
};

// Writes the text in random pieces, plainly or through a BufferedWriter, with pauses and cancels, and ends the stream.
template <typename S>
Task<void> write_plainly(S& stream, string_view all, Random& random, Duration unit) {
  while (!all.empty()) {
    const std::size_t size = std::min<std::size_t>(all.size(), 1 + random.below(60));
    const Result<std::size_t> count = co_await stream.write(bytes_of(all.substr(0, size)));
    EXPECT_TRUE(count);
    if (!count) co_return;
    all.remove_prefix(*count);
    if (random.one_in(3)) static_cast<void>(co_await sleep(random_pause(random, unit)));
  }
  EXPECT_TRUE(stream.shutdown());
}

template <typename S>
Task<void> write_buffered(S& stream, string_view all, Random& random, Duration unit) {
  BufferedWriterOptions options{.high = random.below(60)};
  options.limit = options.high + 1 + random.below(40);
  BufferedWriter<S> writer(stream, options);
  std::size_t accepted = 0;
  while (accepted < all.size()) {
    const CancelScope scope(random.one_in(2) ? CancelScope::within(random_pause(random, unit)) : CancelScopeOptions{});
    const string_view piece = all.substr(accepted, 1 + random.below(50));
    const std::size_t room = options.limit - writer.unsent();
    const Result<void> written = writer.write(piece);
    EXPECT_EQ(written.has_value(), piece.size() <= room);
    if (written) accepted += piece.size();
    EXPECT_EQ(writer.sent() + writer.unsent(), accepted);
    if (!written || random.one_in(3)) {
      static_cast<void>(co_await writer.flush());
    } else {
      static_cast<void>(co_await writer.drain());
    }
    if (random.one_in(4)) static_cast<void>(co_await sleep(random_pause(random, unit)));
  }
  const Result<void> ended = co_await writer.shutdown();
  EXPECT_TRUE(ended);
  EXPECT_EQ(writer.sent(), all.size());
}

template <typename S>
Task<void> read_and_check(S& stream, string_view all, std::size_t limit, Random& random, Duration unit) {
  ModelCheck<S> check(stream, all, limit, random, unit);
  co_await check.run();
}

// Both ends at once; `writing` and `reading` are separate sequences, so that neither depends on the order of the tasks.
template <typename S>
Task<void> exchange(S& from, S& to, string_view all, Random& random, Duration unit) {
  Random writing(random.below(1u << 31));
  Random reading(random.below(1u << 31));
  const std::size_t limit = 1 + random.below(random.one_in(4) ? 3 : 80);
  TaskGroup group;
  if (random.one_in(2)) {
    group.spawn(write_plainly<S>, std::ref(from), all, std::ref(writing), unit);
  } else {
    group.spawn(write_buffered<S>, std::ref(from), all, std::ref(writing), unit);
  }
  group.spawn(read_and_check<S>, std::ref(to), all, limit, std::ref(reading), unit);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined);
}

// --- A protocol of lines and counted bodies, fed with damaged input ---------------------------------------------------

constexpr std::size_t line_max = 24;
constexpr std::size_t body_max = 60;

// "put N\n", and N bytes: a message. The event that a request line stands for; "" for a good one, whose size is set.
std::string parse_request(string_view line, std::size_t& size) {
  line = without_line_end(line);
  if (!line.starts_with("put ")) return "what?";
  line.remove_prefix(4);
  size = 0;
  if (line.empty() || line.size() > 4) return "size?";
  for (const char c : line) {
    if (c < '0' || c > '9') return "size?";
    size = size * 10 + static_cast<std::size_t>(c - '0');
  }
  return size > body_max ? "too much" : "";
}

// What a server of this protocol does with the whole input, computed without any stream.
std::vector<std::string> expected_events(string_view input) {
  std::vector<std::string> events;
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    if (end == string_view::npos || end + 1 > line_max) {
      const bool is_long = input.size() >= line_max;
      events.push_back(is_long ? "line too long" : "torn line");
      if (!is_long || end == string_view::npos) return events;
      input.remove_prefix(end + 1);
      continue;
    }
    std::size_t size = 0;
    const std::string complaint = parse_request(input.substr(0, end + 1), size);
    input.remove_prefix(end + 1);
    if (!complaint.empty()) {
      events.push_back(complaint);
      continue;
    }
    events.push_back(input.size() < size ? "torn body" : std::string(input.substr(0, size)));
    if (input.size() < size) return events;
    input.remove_prefix(size);
  }
  return events;
}

Task<void> serve_requests(DuplexStream& stream, std::vector<std::string>& events) {
  BufferedReader<DuplexStream> reader(stream, {.limit = line_max});
  for (;;) {
    const Result<string_view> line = co_await reader.read_until("\n");
    if (!line && line.error() == Errc::limit_exceeded) {
      events.push_back("line too long");
      const Result<std::uint64_t> skipped = co_await reader.skip_until("\n");
      if (!skipped) co_return;
      continue;
    }
    if (!line) {
      EXPECT_EQ(line.error(), Errc::end_of_stream);
      if (!reader.buffered().empty()) events.push_back("torn line");
      co_return;
    }
    std::size_t size = 0;
    const std::string complaint = parse_request(*line, size);
    if (!complaint.empty()) {
      events.push_back(complaint);
      continue;
    }
    std::string body(size, '\0');
    const Result<void> read = co_await reader.read_exactly(std::as_writable_bytes(std::span(body)));
    events.push_back(read ? body : "torn body");
    if (!read) co_return;
  }
}

std::string damaged_requests(Random& random) {
  std::string input;
  for (std::uint32_t i = random.below(12); i-- > 0;) {
    const std::uint32_t size = random.below(body_max + 8);
    input += "put " + std::to_string(size) + (random.one_in(2) ? "\r\n" : "\n") + random_text(random, size);
  }
  for (std::uint32_t i = random.below(6); i-- > 0 && !input.empty();) {
    const std::size_t at = random.below(static_cast<std::uint32_t>(input.size()));
    switch (random.below(4)) {
      case 0: input[at] = static_cast<char>(random.below(256)); break;
      case 1: input.erase(at, 1 + random.below(20)); break;
      case 2: input.insert(at, random_text(random, 1 + random.below(40))); break;
      default: input.resize(at); break;
    }
  }
  return input;
}

class BufferedRandomTest : public gyre::testing::TaskFixture {};

TEST_F(BufferedRandomTest, AnswersAsTheModelDoesInMemory) {
  for_random_seeds(400, [this](Random& random) {
    auto [a, b] = make_duplex({.capacity = 1 + random.below(100), .transfer_max = 1 + random.below(60)});
    const std::string all = random_text(random, random.below(600));
    spawn(exchange<DuplexStream>, std::ref(a), std::ref(b), string_view(all), std::ref(random),
          Duration(std::chrono::milliseconds(1)));
    run();
    EXPECT_EQ(scheduler().tasks(), 0U) << "somebody still waits";
  });
}

TEST_F(BufferedRandomTest, LineProtocolSurvivesDamagedInput) {
  std::size_t complaints = 0;
  for_random_seeds(3000, [&](Random& random) {
    auto [a, b] = make_duplex({.capacity = 1 + random.below(100), .transfer_max = 1 + random.below(60)});
    const std::string input = damaged_requests(random);
    const std::vector<std::string> expected = expected_events(input);
    std::vector<std::string> events;
    spawn(write_plainly<DuplexStream>, std::ref(a), string_view(input), std::ref(random),
          Duration(std::chrono::milliseconds(1)));
    spawn(serve_requests, std::ref(b), std::ref(events));
    run();
    EXPECT_EQ(events, expected) << input;
    EXPECT_EQ(scheduler().tasks(), 0U) << "somebody still waits";
    for (const std::string& event : events) complaints += event == "line too long" || event == "torn body" ? 1 : 0;
  });
  EXPECT_GT(complaints, 100U) << "the input is not damaged enough";
}

class BufferedRandomNetTest : public gyre::test::NetTaskFixture {};

Task<void> exchange_over_tcp(Random& random) {
  Result<std::pair<TcpStream, TcpStream>> pair = TcpStream::pair();
  EXPECT_TRUE(pair);
  if (!pair) co_return;
  const std::string all = random_text(random, random.below(3000));
  co_await exchange(pair->first, pair->second, string_view(all), random, Duration(std::chrono::microseconds(20)));
}

TEST_P(BufferedRandomNetTest, AnswersAsTheModelDoesOverTcp) {
  for_random_seeds(25, [this](Random& random) {
    const bool done = run(exchange_over_tcp(random));
    EXPECT_TRUE(done);
  });
}

GYRE_INSTANTIATE_FOR_EVERY_POLLER(BufferedRandomNetTest);

}  // namespace
