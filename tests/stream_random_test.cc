// Streams against chance: random sizes, pieces and kinds of transfer, cancelled at random, on every backend. What was
// reported as written is what arrives, byte for byte and in order (C-038, C-042, C-144).
#include <gyre/net/tcp_stream.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

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

// One direction: the bytes that go, how many are known to have gone, and what has come.
struct Direction {
  std::string bytes;
  std::size_t sent = 0;
  std::string received;
  bool ended = false;
};

// `pieces` slices over `text`, some of them empty.
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

// One transfer, of a random kind; it may be cancelled.
Task<void> send_some(Stream& stream, Direction& direction, Random& random, Result<void>& outcome) {
  const std::size_t left = direction.bytes.size() - direction.sent;
  const std::size_t size = std::min<std::size_t>(left, 1 + random.below(random.one_in(3) ? 200'000 : 3'000));
  const std::span<std::byte> part = room_in(direction.bytes).subspan(direction.sent, size);
  switch (random.below(3)) {
    case 0: {
      const Result<std::size_t> count = co_await stream.write(part);
      if (count) direction.sent += *count;
      outcome = count ? Result<void>() : Result<void>(count.error());
      co_return;
    }
    case 1: {
      std::vector<IoSlice> slices = cut(random, part);
      const Result<std::size_t> count = co_await stream.write(std::span(slices));
      if (count) {
        // Empty slices leave no gap: the bytes are those of the others in their order, which is the text's.
        direction.sent += *count;
      }
      outcome = count ? Result<void>() : Result<void>(count.error());
      co_return;
    }
    default: {
      std::size_t written = 0;
      const Result<void> all = co_await stream.write_all(part, &written);
      direction.sent += written;
      EXPECT_EQ(all.has_value(), written == size);
      outcome = all;
      co_return;
    }
  }
}

Task<void> receive_some(Stream& stream, Direction& direction, Random& random, Result<void>& outcome) {
  std::string buffer(1 + random.below(random.one_in(3) ? 200'000 : 3'000), '.');
  switch (random.below(4)) {
    case 0: {
      const Result<LentBytes> lent = co_await stream.receive();
      if (lent) direction.received += text_of(lent->bytes());
      if (lent) direction.ended = lent->empty();
      outcome = lent ? Result<void>() : Result<void>(lent.error());
      co_return;
    }
    case 1: {
      std::size_t received = 0;
      const Result<void> all = co_await stream.read_exactly(room_in(buffer), &received);
      direction.received += buffer.substr(0, received);
      if (!all && all.error() == Errc::end_of_stream) direction.ended = true;
      outcome = all || direction.ended ? Result<void>() : all;
      co_return;
    }
    case 2: {
      std::vector<IoSlice> slices = cut(random, room_in(buffer));
      std::size_t room = 0;
      for (const IoSlice& slice : slices) room += slice.size;
      const Result<std::size_t> count = co_await stream.read(std::span(slices));
      std::size_t left = count ? *count : 0;
      for (const IoSlice& slice : slices) {
        const std::size_t here = std::min(left, slice.size);
        direction.received += text_of({static_cast<const std::byte*>(slice.data), here});
        left -= here;
      }
      if (count && room > 0) direction.ended = *count == 0;
      outcome = count ? Result<void>() : Result<void>(count.error());
      co_return;
    }
    default: {
      const Result<std::size_t> count = co_await stream.read(room_in(buffer));
      if (count) direction.received += buffer.substr(0, *count);
      if (count) direction.ended = *count == 0;
      outcome = count ? Result<void>() : Result<void>(count.error());
      co_return;
    }
  }
}

using Step = Task<void> (*)(Stream&, Direction&, Random&, Result<void>&);

// One step as a child of its own, which is cancelled after a random number of turns, or not.
Task<void> take_step(Step step, Stream& stream, Direction& direction, Random& random) {
  Result<void> outcome;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> child = group.spawn(step, stream, direction, random, outcome);
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

Task<void> send_all(Stream& stream, Direction& direction, Random& random) {
  while (direction.sent < direction.bytes.size()) co_await take_step(send_some, stream, direction, random);
  EXPECT_TRUE(stream.shutdown().has_value());
}
Task<void> receive_all(Stream& stream, Direction& direction, Random& random) {
  while (!direction.ended) {
    co_await take_step(receive_some, stream, direction, random);
    EXPECT_LE(direction.received.size(), direction.sent + 200'000);
  }
}

Task<void> exchange(Random& random) {
  auto [near, far] = tcp_streams();
  // A narrow buffer makes every write partial. (As narrow a one for receiving would make TCP itself wait, for 200 ms each
  // time: a window smaller than a segment is probed by its persist timer.)
  if (random.one_in(2)) {
    EXPECT_TRUE(near.set_option(SocketOptions::send_buffer, 1).has_value());
  }
  const std::uint32_t size_max = random.one_in(3) ? 600'000 : 20'000;
  Direction there, back;
  there.bytes = pattern(random.below(size_max), random.below(1000));
  back.bytes = pattern(random.below(size_max), random.below(1000));
  TaskGroup group;
  group.spawn(send_all, near, there, random);
  group.spawn(send_all, far, back, random);
  group.spawn(receive_all, near, back, random);
  group.spawn(receive_all, far, there, random);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  for (const Direction* direction : {&there, &back}) {
    EXPECT_TRUE(direction->received == direction->bytes)
        << direction->received.size() << " of " << direction->bytes.size() << " bytes";
    EXPECT_EQ(direction->sent, direction->bytes.size());
  }
}

TEST_P(StreamRandomTest, WhatWasReportedAsWrittenArrivesInOrder) {
  testing::for_random_seeds(25, [this](Random& random) { EXPECT_TRUE(run(exchange(random))); });
}

}  // namespace
}  // namespace gyre::test
