// Streams against chance: random sizes, pieces and kinds of transfer, cancelled at random, over TCP, local sockets and
// memory, plainly and through buffers, on every backend. What was reported as written is what arrives, byte for byte and
// in order (C-038, C-042, C-144, C-153).
#include <gyre/net/tcp_stream.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/buffered_writer.h>
#include <gyre/net/duplex.h>
#include <gyre/net/unix_stream.h>
#include <gyre/platform/check.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/net_task_fixture.h"
#include "support/net_tasks.h"
#include "support/random_cancel.h"

namespace gyre::test {
namespace {

using testing::Random;

class StreamRandomTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(StreamRandomTest);

// One direction: what goes is a part of an endless text, so that nobody need keep it; what comes is compared at once.
class Flow {
 public:
  Flow(Random& random, std::uint64_t size, std::uint32_t piece_max)
      : size_(size), piece_max_(piece_max), shift_(random.below(1'000)), random_(random.below(1'000'000'000)) {}

  // What is done next; the sender and the receiver of a flow have a sequence each.
  Random& random() { return random_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }
  bool is_sent() const { return sent_ == size_; }
  bool has_ended() const { return ended_; }

  // How much a transfer is asked to move: mostly little, now and then a lot.
  std::size_t some() { return 1 + random_.below(random_.one_in(3) ? piece_max_ : std::min(piece_max_, 3'000U)); }
  // What goes next, at most `most` bytes.
  std::span<std::byte> next(std::size_t most) {
    const std::size_t at = (shift_ + sent_) % text().size();
    const std::uint64_t size = std::min<std::uint64_t>({most, size_ - sent_, text().size() - at});
    return std::as_writable_bytes(std::span(text())).subspan(at, static_cast<std::size_t>(size));
  }
  void note_sent(std::size_t count) { sent_ += count; }

  // Where what comes next may be put.
  std::span<std::byte> room(std::size_t size) {
    room_.resize(std::max(size, room_.size()));
    return std::span(room_).first(size);
  }
  void note_received(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t at = (shift_ + received_) % text().size();
      const std::size_t size = std::min(bytes.size(), text().size() - at);
      if (std::memcmp(bytes.data(), text().data() + at, size) != 0) {
        ADD_FAILURE() << "other bytes than were sent, behind " << received_;
      }
      received_ += size;
      bytes = bytes.subspan(size);
    }
  }
  void note_end() { ended_ = true; }

 private:
  static std::string& text() {
    static std::string bytes = pattern(1'000'003);
    return bytes;
  }

  std::uint64_t size_;
  std::uint32_t piece_max_;
  std::size_t shift_;
  Random random_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  bool ended_ = false;
  std::vector<std::byte> room_;
};

// A few slices over `text`, some of them empty.
std::vector<IoSlice> cut(Random& random, std::span<std::byte> text) {
  std::vector<IoSlice> slices;
  const std::uint32_t pieces = 1 + random.below(6);
  for (std::uint32_t i = 0; i < pieces; ++i) {
    const std::size_t size =
        i + 1 == pieces ? text.size() : random.below(static_cast<std::uint32_t>(text.size()) + 1);
    slices.push_back(random.one_in(4) ? IoSlice{} : IoSlice{text.data(), size});
    text = text.subspan(slices.back().size);
  }
  return slices;
}
std::size_t size_of(const std::vector<IoSlice>& slices) {
  std::size_t size = 0;
  for (const IoSlice& slice : slices) size += slice.size;
  return size;
}

template <typename T>
Result<void> outcome_of(const Result<T>& result) {
  return result ? Result<void>() : Result<void>(result.error());
}

// --- Plainly ---------------------------------------------------------------------------------------------------------

template <typename S>
concept HasPieces = std::derived_from<S, Stream>;

// Empty slices leave no gap: the bytes are those of the others in their order, which is the text's.
Task<Result<void>> send_pieces(Stream& stream, Flow& flow, std::span<std::byte> part) {
  std::vector<IoSlice> slices = cut(flow.random(), part);
  const Result<std::size_t> count = co_await stream.write(std::span(slices));
  flow.note_sent(count.value_or(0U));
  co_return outcome_of(count);
}

// One transfer, of a random kind; it may be cancelled.
template <typename S>
Task<void> send_some(S& stream, Flow& flow, Result<void>& outcome) {
  const std::span<std::byte> part = flow.next(flow.some());
  const std::uint32_t kind = flow.random().below(3);
  if constexpr (HasPieces<S>) {
    if (kind == 2) {
      outcome = co_await send_pieces(stream, flow, part);
      co_return;
    }
  }
  if (kind == 0) {
    const Result<std::size_t> count = co_await stream.write(part);
    flow.note_sent(count.value_or(0U));
    outcome = outcome_of(count);
    co_return;
  }
  std::size_t written = 0;
  if constexpr (HasPieces<S>) {
    outcome = co_await stream.write_all(part, &written);
  } else {
    outcome = co_await write_all(stream, part, &written);
  }
  flow.note_sent(written);
  EXPECT_EQ(outcome.has_value(), written == part.size());
}

Task<Result<void>> receive_pieces(Stream& stream, Flow& flow, std::span<std::byte> room) {
  std::vector<IoSlice> slices = cut(flow.random(), room);
  const Result<std::size_t> count = co_await stream.read(std::span(slices));
  std::size_t left = count.value_or(0U);
  if (count && *count == 0 && size_of(slices) > 0) flow.note_end();
  for (const IoSlice& slice : slices) {
    const std::size_t here = std::min(left, slice.size);
    flow.note_received({static_cast<const std::byte*>(slice.data), here});
    left -= here;
  }
  co_return outcome_of(count);
}

Task<Result<void>> receive_lent(Stream& stream, Flow& flow) {
  const Result<LentBytes> lent = co_await stream.receive();
  if (lent) flow.note_received(lent->bytes());
  if (lent && lent->empty()) flow.note_end();
  co_return outcome_of(lent);
}

template <typename S>
Task<void> receive_some(S& stream, Flow& flow, Result<void>& outcome) {
  const std::span<std::byte> room = flow.room(flow.some());
  const std::uint32_t kind = flow.random().below(4);
  if constexpr (HasPieces<S>) {
    if (kind == 2) {
      outcome = co_await receive_pieces(stream, flow, room);
      co_return;
    }
    if (kind == 3) {
      outcome = co_await receive_lent(stream, flow);
      co_return;
    }
  }
  if (kind == 0) {
    std::size_t received = 0;
    if constexpr (HasPieces<S>) {
      outcome = co_await stream.read_exactly(room, &received);
    } else {
      outcome = co_await read_exactly(stream, room, &received);
    }
    flow.note_received(room.first(received));
    if (!outcome && outcome.error() == Errc::end_of_stream) {
      flow.note_end();
      outcome = Result<void>();
    }
    co_return;
  }
  const Result<std::size_t> count = co_await stream.read(room);
  flow.note_received(room.first(count.value_or(0U)));
  if (count && *count == 0) flow.note_end();
  outcome = outcome_of(count);
}

// --- Through buffers -------------------------------------------------------------------------------------------------

template <typename S>
Task<void> send_some(BufferedWriter<S>& writer, Flow& flow, Result<void>& outcome) {
  const std::span<const std::byte> part = flow.next(flow.some());
  const Result<void> accepted = writer.write(part);
  if (accepted) flow.note_sent(part.size());
  EXPECT_EQ(writer.sent() + writer.unsent(), flow.sent());
  if (!accepted || flow.random().one_in(3)) {
    outcome = co_await writer.flush();
  } else {
    outcome = co_await writer.drain();
  }
}

template <typename S>
Task<void> receive_some(BufferedReader<S>& reader, Flow& flow, Result<void>& outcome) {
  const std::span<std::byte> room = flow.room(flow.some());
  switch (flow.random().below(3)) {
    case 0: {
      const Result<std::size_t> count = co_await reader.read(room);
      flow.note_received(room.first(count.value_or(0U)));
      if (count && *count == 0) flow.note_end();
      outcome = outcome_of(count);
      co_return;
    }
    case 1: {
      std::size_t received = 0;
      outcome = co_await reader.read_exactly(room, &received);
      flow.note_received(room.first(received));
      // The incomplete rest stays in the reader.
      if (!outcome && outcome.error() == Errc::end_of_stream) outcome = Result<void>();
      co_return;
    }
    default: {
      const Result<std::span<const std::byte>> seen = co_await reader.peek(1 + flow.random().below(2));
      if (seen && !seen->empty()) {
        const std::size_t taken = 1 + flow.random().below(static_cast<std::uint32_t>(seen->size()));
        flow.note_received(seen->first(taken));
        reader.consume(taken);
      }
      outcome = outcome_of(seen);
      co_return;
    }
  }
}

// --- Both ways at once -----------------------------------------------------------------------------------------------

// One step as a child of its own, which is cancelled after a random number of turns, or not.
template <typename End>
Task<void> take_step(Task<void> (*step)(End&, Flow&, Result<void>&), End& end, Flow& flow, Random& random) {
  Result<void> outcome;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> child = group.spawn(step, end, flow, outcome);
  if (random.one_in(3)) {
    for (std::uint32_t turns = random.below(4); turns > 0; --turns) {
      const Result<void> yielded = co_await yield();
      EXPECT_TRUE(yielded.has_value());
    }
    child.cancel();
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(outcome || outcome.error().is_cancelled()) << outcome.error();
}

template <typename S>
Task<void> send_all(S& stream, Flow& flow) {
  while (!flow.is_sent() && !::testing::Test::HasFailure()) {
    co_await take_step<S>(send_some, stream, flow, flow.random());
  }
  const Result<void> ended = co_await shut_down(stream);
  EXPECT_TRUE(ended.has_value()) << ended.error();
}
template <typename S>
Task<void> receive_all(S& stream, Flow& flow, Random& random) {
  while (!flow.has_ended() && !::testing::Test::HasFailure()) {
    co_await take_step<S>(receive_some, stream, flow, random);
  }
}

template <typename S>
Task<void> send_through_buffer(S& stream, Flow& flow, std::uint32_t high) {
  BufferedWriter<S> writer(stream, {.high = high, .limit = high + 200'000U});
  while (!flow.is_sent() && !::testing::Test::HasFailure()) {
    co_await take_step<BufferedWriter<S>>(send_some, writer, flow, flow.random());
  }
  const Result<void> ended = co_await writer.shutdown();
  EXPECT_TRUE(ended.has_value()) << ended.error();
  EXPECT_EQ(writer.sent(), flow.size());
}
template <typename S>
Task<void> receive_through_buffer(S& stream, Flow& flow, Random& random, std::size_t limit) {
  BufferedReader<S> reader(stream, {.limit = limit});
  while (!flow.has_ended() && !::testing::Test::HasFailure()) {
    co_await take_step<BufferedReader<S>>(receive_some, reader, flow, random);
  }
}

struct Traffic {
  std::uint64_t there = 0;  // bytes
  std::uint64_t back = 0;
  std::uint32_t piece_max = 200'000;
  bool buffered = false;
};

template <typename S>
Task<void> exchange(Random& random, S& near, S& far, Traffic traffic) {
  Flow there(random, traffic.there, traffic.piece_max);
  Flow back(random, traffic.back, traffic.piece_max);
  Random receiving_there(random.below(1'000'000'000)), receiving_back(random.below(1'000'000'000));
  TaskGroup group;
  if (traffic.buffered) {
    const std::uint32_t high = random.below(100'000);
    const std::size_t limit = 2 + random.below(random.one_in(3) ? 8 : 60'000);
    group.spawn(send_through_buffer<S>, near, there, high);
    group.spawn(send_through_buffer<S>, far, back, high);
    group.spawn(receive_through_buffer<S>, near, back, receiving_back, limit);
    group.spawn(receive_through_buffer<S>, far, there, receiving_there, limit);
  } else {
    group.spawn(send_all<S>, near, there);
    group.spawn(send_all<S>, far, back);
    group.spawn(receive_all<S>, near, back, receiving_back);
    group.spawn(receive_all<S>, far, there, receiving_there);
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  for (const Flow* flow : {&there, &back}) {
    EXPECT_EQ(flow->sent(), flow->size());
    EXPECT_EQ(flow->received(), flow->size());
  }
}

enum class Over : std::uint8_t { tcp, local, memory };
constexpr std::array every_way{Over::tcp, Over::local, Over::memory};

// Buffers of the system as narrow as it allows, or the usual ones.
template <typename S>
void set_buffers(S& stream, bool narrow) {
  if (narrow) {
    EXPECT_TRUE(stream.set_option(SocketOptions::send_buffer, 1).has_value());
  }
}

Task<void> exchange_over(Random& random, Over over, Traffic traffic, bool narrow) {
  switch (over) {
    case Over::tcp: {
      // As narrow a buffer for receiving would make TCP itself wait, for 200 ms each time: a window smaller than a
      // segment is probed by its persist timer. See OneByteAtATimeThroughTheNarrowestWindow.
      auto [near, far] = tcp_streams();
      set_buffers(near, narrow);
      co_await exchange(random, near, far, traffic);
      co_return;
    }
    case Over::local: {
      Result<std::pair<UnixStream, UnixStream>> ends = UnixStream::pair();
      GYRE_CHECK(ends.has_value());
      set_buffers(ends->first, narrow);
      set_buffers(ends->second, narrow);
      co_await exchange(random, ends->first, ends->second, traffic);
      co_return;
    }
    case Over::memory: {
      const std::size_t capacity = narrow ? 1 + random.below(100) : 64 * 1024;
      auto [near, far] = make_duplex({.capacity = capacity, .transfer_max = 1 + random.below(70'000)});
      co_await exchange(random, near, far, traffic);
      co_return;
    }
  }
}

Task<void> exchange_anything(Random& random, Over over, bool buffered) {
  const bool narrow = random.one_in(2);
  const std::uint32_t size_max = over == Over::memory && narrow ? 3'000 : random.one_in(3) ? 600'000 : 20'000;
  Traffic traffic;
  traffic.there = random.below(size_max);
  traffic.back = random.below(size_max);
  traffic.buffered = buffered;
  co_await exchange_over(random, over, traffic, narrow);
}

TEST_P(StreamRandomTest, WhatWasReportedAsWrittenArrivesInOrder) {
  for (const Over over : every_way) {
    testing::for_random_seeds(8, [&](Random& random) { EXPECT_TRUE(run(exchange_anything(random, over, false))); });
  }
}
TEST_P(StreamRandomTest, WhatWasReportedAsSentByABufferArrivesInOrder) {
  for (const Over over : every_way) {
    testing::for_random_seeds(8, [&](Random& random) { EXPECT_TRUE(run(exchange_anything(random, over, true))); });
  }
}

// Nothing is ever moved by more than a byte or two, and every buffer between the two is as small as can be.
Task<void> exchange_bytes(Random& random, Over over, bool buffered) {
  Traffic traffic{.there = 500 + random.below(500), .back = 500 + random.below(500), .piece_max = 2, .buffered = buffered};
  if (over == Over::memory) {
    auto [near, far] = make_duplex({.capacity = 1, .transfer_max = 1});
    co_await exchange(random, near, far, traffic);
    co_return;
  }
  if (over == Over::tcp) {
    auto [near, far] = tcp_streams();
    for (TcpStream* stream : {&near, &far}) {
      EXPECT_TRUE(stream->set_option(SocketOptions::send_buffer, 1).has_value());
      EXPECT_TRUE(stream->set_option(SocketOptions::receive_buffer, 1).has_value());
    }
    co_await exchange(random, near, far, traffic);
    co_return;
  }
  co_await exchange_over(random, over, traffic, true);
}
TEST_P(StreamRandomTest, OneByteAtATimeThroughTheNarrowestWindow) {
  for (const Over over : every_way) {
    for (const bool buffered : {false, true}) {
      testing::for_random_seeds(1, [&](Random& random) { EXPECT_TRUE(run(exchange_bytes(random, over, buffered))); });
    }
  }
}

// Far more than everything between the two holds. A sanitizer makes it ten times as long.
constexpr std::uint64_t much = std::uint64_t{sanitized ? 4 : 64} << 20;

Task<void> exchange_much(Random& random, Over over, bool buffered) {
  co_await exchange_over(random, over, {.there = much, .back = much, .buffered = buffered}, false);
}
TEST_P(StreamRandomTest, SixtyFourMebibytesBothWaysUnderCancels) {
  for (const Over over : every_way) {
    testing::for_random_seeds(1, [&](Random& random) { EXPECT_TRUE(run(exchange_much(random, over, false))); });
  }
}
TEST_P(StreamRandomTest, SixtyFourMebibytesThroughBuffersUnderCancels) {
  for (const Over over : every_way) {
    testing::for_random_seeds(1, [&](Random& random) { EXPECT_TRUE(run(exchange_much(random, over, true))); });
  }
}

}  // namespace
}  // namespace gyre::test
