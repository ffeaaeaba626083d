// How streams end: cancels, closes and resets, on every backend. The ids in comments are those of the conformance list.
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

#include "support/skips.h"
#include "support/stream_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(StreamTest);

// --- Cancelling ------------------------------------------------------------------------------------------------------

// C-044: within the next turn, without any event on the socket; the stream stays usable (C-043).
Task<void> cancel_a_read() {
  auto [near, far] = tcp_streams();
  std::array<std::byte, 8> buffer;
  for (int round = 0; round < 3; ++round) {
    Told<std::size_t> told;
    TaskGroup group(OnFailure::keep_going);
    JoinHandle<void> reader = group.spawn(read_into, near, buffer, told);
    co_await settle();
    reader.cancel();
    EXPECT_FALSE(told.is_there()) << "resumed inside cancel()";
    const Result<void> joined = co_await group.join();
    EXPECT_TRUE(joined.has_value());
    EXPECT_TRUE(told.is(std::errc::operation_canceled));

    const Result<void> sent = co_await far.write_all(bytes_of("x"));
    EXPECT_TRUE(sent.has_value());
    const Result<std::size_t> count = co_await near.read(buffer);
    EXPECT_TRUE(count.has_value() && *count == 1);
  }
}
TEST_P(StreamTest, ACancelledReadEndsAndTheStreamGoesOn) { run(cancel_a_read()); }

// C-042: cancelled in the very turn in which the bytes arrive, at every place in that turn: delivered or still there. The
// buffer that receive() lends (there is only one) goes back if nobody wants it.
enum class ReadKind : std::uint8_t { read, receive };
Task<void> read_text_into(Stream& stream, ReadKind kind, std::string& text) {
  if (kind == ReadKind::receive) {
    const Result<LentBytes> received = co_await stream.receive();
    if (received) text = text_of(received->bytes());
    EXPECT_TRUE(received || received.error().is_cancelled());
    co_return;
  }
  std::array<std::byte, 8> buffer;
  const Result<std::size_t> count = co_await stream.read(buffer);
  if (count) text = text_of(std::span(buffer).first(*count));
  EXPECT_TRUE(count || count.error().is_cancelled());
}
Task<void> cancel_while_data_arrive(ReadKind kind, int turns) {
  auto [near, far] = tcp_streams();
  std::string text;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> reader = group.spawn(read_text_into, near, kind, text);
  co_await settle();
  const Result<void> sent = co_await far.write_all(bytes_of("12345678"));
  EXPECT_TRUE(sent.has_value());
  for (int turn = 0; turn < turns; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  reader.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(far.shutdown().has_value());
  const std::string rest = co_await read_rest(near);
  EXPECT_EQ(text + rest, "12345678");
}
TEST_P(StreamTest, ACancelWhileDataArriveLosesNone) {
  ReactorOptions options;
  options.poller.lent_buffers = 1;
  reopen(std::move(options));
  for (const ReadKind kind : {ReadKind::read, ReadKind::receive}) {
    for (int turns = 0; turns < 6; ++turns) run(cancel_while_data_arrive(kind, turns));
  }
}

// write_all says how far it came, and that is what the peer gets.
Task<void> cancel_a_write_all() {
  auto [near, far] = tcp_streams();
  const std::string& text = much_text();
  std::size_t written = 0;
  Told<void> told;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> writer = group.spawn(write_all_from, near, bytes_of(text), &written, told);
  co_await settle();
  EXPECT_FALSE(told.is_there()) << "32 MiB fit into the buffers of a socket";
  writer.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is(std::errc::operation_canceled));
  EXPECT_GT(written, 0U);
  EXPECT_LT(written, text.size());
  EXPECT_TRUE(near.shutdown().has_value());
  const std::string received = co_await read_rest(far);
  EXPECT_TRUE(received == text.substr(0, written)) << received.size() << " of " << written;
}
TEST_P(StreamTest, ACancelledWriteAllSaysWhatWentOut) { run(cancel_a_write_all()); }

// The same with slices so small that what is done at once goes through the queue, too: between the send and the task's next
// step come a cancel, or a close and the next tenant of the slot.
Task<void> cancel_between(int turns, std::string_view text) {
  auto [near, far] = tcp_streams();
  std::size_t written = 0;
  Told<void> told;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> writing = group.spawn(write_all_from, near, bytes_of(text), &written, told);
  for (int turn = 0; turn < turns; ++turn) static_cast<void>(co_await yield());
  writing.cancel();
  static_cast<void>(co_await group.join());
  EXPECT_TRUE(told.is_there());
  EXPECT_EQ(near.bytes_sent(), written);
  EXPECT_TRUE(near.shutdown().has_value());
  const std::string received = co_await read_rest(far);
  EXPECT_TRUE(received == text.substr(0, written)) << received.size() << " of " << written;
  EXPECT_TRUE(!told.is_there() || (written == text.size() ? told.result->has_value() : told.is(std::errc::operation_canceled)));
}
Task<void> close_between(int turns) {
  auto [near, far] = tcp_streams();
  std::size_t written = 0;
  Told<void> told;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(write_all_from, near, bytes_of("hello"), &written, told);
  for (int turn = 0; turn < turns; ++turn) static_cast<void>(co_await yield());
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
  auto [next_near, next_far] = tcp_streams();
  static_cast<void>(co_await group.join());
  EXPECT_TRUE(written == 5 ? told.is_there() && told.result->has_value() : told.is(Errc::closed)) << written;
  EXPECT_EQ(next_near.bytes_sent() + next_far.bytes_sent(), 0U);
}
TEST_P(StreamTest, AWriteThatGivesWayIsDecided) {
  for (const std::uint32_t slice : {1U, 2U, 3U}) {
    ReactorOptions options;
    options.scheduler.transfers_max = slice;
    reopen(std::move(options));
    for (int turns = 0; turns < 5; ++turns) {
      run(cancel_between(turns, "hello"));
      run(cancel_between(turns, std::string_view(much_text()).substr(0, 8 << 20)));
      run(close_between(turns));
    }
  }
}

Task<void> start_when_cancelled() {
  auto [near, far] = tcp_streams();
  const Result<void> sent = co_await far.write_all(bytes_of("x"));
  EXPECT_TRUE(sent.has_value());
  std::array<std::byte, 8> buffer;
  {
    CancelScope scope;
    scope.cancel();
    const Result<std::size_t> count = co_await near.read(buffer);
    EXPECT_EQ(count.error(), std::errc::operation_canceled);
    const Result<LentBytes> lent = co_await near.receive();
    EXPECT_EQ(lent.error(), std::errc::operation_canceled);
    std::size_t written = 9;
    const Result<void> all = co_await near.write_all(bytes_of("y"), &written);
    EXPECT_EQ(all.error(), std::errc::operation_canceled);
    EXPECT_EQ(written, 0U);
  }
  const Result<std::size_t> count = co_await near.read(buffer);
  EXPECT_TRUE(count.has_value() && *count == 1);
}
TEST_P(StreamTest, ACancelledTaskStartsNothing) { run(start_when_cancelled()); }

Task<void> time_out_a_read() {
  auto [near, far] = tcp_streams();
  std::array<std::byte, 8> buffer;
  CancelScope scope(CancelScope::within(2ms));
  const Result<std::size_t> count = co_await near.read(buffer);
  EXPECT_TRUE(!count && count.error().is_timed_out()) << count.error();
  const Result<Endpoint> peer = near.peer_endpoint();
  EXPECT_TRUE(peer.has_value());
  EXPECT_EQ(count.error().to_string(), "receive " + peer->to_string() + ": timed out");
  EXPECT_TRUE(far.is_open());
}
TEST_P(StreamTest, AReadThatTimesOutNamesThePeer) { run(time_out_a_read()); }

// --- Closing ---------------------------------------------------------------------------------------------------------

// C-155: everything on a closed stream answers, nothing aborts; closing twice is nothing.
Task<void> use_when_closed(Stream& stream) {
  EXPECT_FALSE(stream.is_open());
  std::array<std::byte, 8> buffer{};
  const Result<std::size_t> count = co_await stream.read(buffer);
  EXPECT_EQ(count.error(), Errc::closed);
  const Result<LentBytes> lent = co_await stream.receive();
  EXPECT_EQ(lent.error(), Errc::closed);
  const Result<void> exactly = co_await stream.read_exactly(buffer);
  EXPECT_EQ(exactly.error(), Errc::closed);
  const Result<std::size_t> some = co_await stream.write(buffer);
  EXPECT_EQ(some.error(), Errc::closed);
  const Result<void> all = co_await stream.write_all(buffer);
  EXPECT_EQ(all.error(), Errc::closed);
  std::array<IoSlice, 1> slices{IoSlice{buffer.data(), buffer.size()}};
  const Result<std::size_t> in = co_await stream.read(std::span(slices));
  EXPECT_EQ(in.error(), Errc::closed);
  const Result<std::size_t> out = co_await stream.write(std::span(slices));
  EXPECT_EQ(out.error(), Errc::closed);
  EXPECT_EQ(stream.shutdown().error(), Errc::closed);
  const Result<void> again = co_await stream.close();
  EXPECT_TRUE(again.has_value());
  stream.abort();
}
Task<void> use_after_close() {
  auto [near, far] = tcp_streams();
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
  co_await use_when_closed(near);
  far.abort();
  co_await use_when_closed(far);
  Stream never_open;
  co_await use_when_closed(never_open);
}
TEST_P(StreamTest, AClosedStreamSaysSo) { run(use_after_close()); }

// Closing is a cancelling operation: it ends both directions, and waits for their end.
Task<void> close_under_way() {
  auto [near, far] = tcp_streams();
  std::array<std::byte, 8> buffer;
  const std::string& much = much_text();
  Told<std::size_t> read;
  Told<void> wrote;
  std::size_t written = 0;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(read_into, near, buffer, read);
  group.spawn(write_all_from, near, bytes_of(much), &written, wrote);
  co_await settle();
  EXPECT_FALSE(read.is_there() || wrote.is_there());
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(read.is(Errc::closed));
  EXPECT_TRUE(wrote.is(Errc::closed));
  const std::string received = co_await read_rest(far);
  EXPECT_TRUE(received == much.substr(0, written)) << received.size() << " of " << written;
}
TEST_P(StreamTest, CloseEndsWhatIsUnderWay) { run(close_under_way()); }

// The closer is cancelled before and while it closes: closed all the same.
Task<void> close_it(Stream& stream) {
  const Result<void> closed = co_await stream.close();
  EXPECT_TRUE(closed.has_value());
}
Task<void> close_when_cancelled() {
  auto [near, far] = tcp_streams();
  Told<std::size_t> told;
  std::array<std::byte, 8> buffer;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(read_into, near, buffer, told);
  co_await settle();
  JoinHandle<void> closer = group.spawn(close_it, near);
  closer.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is(Errc::closed));
  EXPECT_FALSE(near.is_open());
  const std::string nothing = co_await read_rest(far);
  EXPECT_EQ(nothing, "");
}
TEST_P(StreamTest, ACloseThatIsCancelledCloses) { run(close_when_cancelled()); }

// The slot in which the operation of a finished read lies may be the next stream's by the time the reader runs. Whoever
// yields all the time runs first.
Task<void> take_every_slot(std::vector<std::pair<TcpStream, TcpStream>>& taken) {
  for (int turn = 0; turn < 12; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
    auto& [first, second] = taken.emplace_back(tcp_streams());
    std::string buffer(8, '.');
    const Result<void> sent = co_await first.write_all(bytes_of("other"));
    EXPECT_TRUE(sent.has_value());
    const Result<void> back = co_await second.write_all(bytes_of("other"));
    EXPECT_TRUE(back.has_value());
    const Result<std::size_t> one = co_await first.read(room_in(buffer));
    EXPECT_TRUE(one.has_value() && *one == 5);
    const Result<std::size_t> two = co_await second.read(room_in(buffer));
    EXPECT_TRUE(two.has_value() && *two == 5);
  }
}
Task<void> reuse_the_slot() {
  auto [near, far] = tcp_streams();
  const std::string& much = much_text();
  std::array<std::byte, 8> buffer;
  Told<std::size_t> read;
  Told<void> wrote;
  std::vector<std::pair<TcpStream, TcpStream>> taken;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(read_into, near, buffer, read);
  group.spawn(write_all_from, near, bytes_of(much), nullptr, wrote);
  co_await settle();
  group.spawn(take_every_slot, taken);
  group.spawn(close_it, near);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(read.is(Errc::closed));
  EXPECT_TRUE(wrote.is(Errc::closed));
}
TEST_P(StreamTest, AResultIsNotTheNextStreams) { run(reuse_the_slot()); }

// --- Resets ----------------------------------------------------------------------------------------------------------

// C-145, C-146: abort drops what was not sent and resets; the peer's error names who that was.
Task<void> reset_a_reader() {
  auto [near, far] = tcp_streams();
  const Result<Endpoint> peer = near.peer_endpoint();
  EXPECT_TRUE(peer.has_value());
  std::array<std::byte, 8> buffer;
  Told<std::size_t> told;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(read_into, near, buffer, told);
  co_await settle();
  far.abort();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is(std::errc::connection_reset));
  if (told.is_there() && !*told.result) {
    const std::string whom = knows_peer_after_reset() ? " " + peer->to_string() : "";
    EXPECT_EQ(told.result->error().to_string(), "receive" + whom + ": connection reset by peer");
  }
  // Reported once; then the stream is at its end, and writing fails.
  const Result<std::size_t> after = co_await near.read(buffer);
  EXPECT_TRUE(after.has_value() && *after == 0);
  const Result<std::size_t> late = co_await near.write(buffer);
  EXPECT_EQ(late.error(), std::errc::broken_pipe);
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
}
TEST_P(StreamTest, AResetIsReportedOnceAndNamesThePeer) { run(reset_a_reader()); }

Task<void> reset_a_writer() {
  auto [near, far] = tcp_streams();
  const std::string& much = much_text();
  Told<void> told;
  std::size_t written = 0;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(write_all_from, near, bytes_of(much), &written, told);
  co_await settle();
  EXPECT_FALSE(told.is_there());
  far.abort();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.is(std::errc::connection_reset) || told.is(std::errc::broken_pipe));
  EXPECT_GT(written, 0U);
  EXPECT_LT(written, much.size());
}
TEST_P(StreamTest, AResetEndsAWriteAll) { run(reset_a_writer()); }

// Before each kind of operation, and with one of each kind under way: no hang, no success, no crash.
Task<bool> fails_or_ends(Stream& stream, int kind) {
  std::string buffer(1 << 20, '.');
  switch (kind) {
    case 0: {
      const Result<std::size_t> count = co_await stream.read(room_in(buffer));
      co_return !count || *count == 0;
    }
    case 1: {
      const Result<LentBytes> lent = co_await stream.receive();
      co_return !lent || lent->empty();
    }
    case 2: {
      const Result<void> exactly = co_await stream.read_exactly(room_in(buffer));
      co_return !exactly;
    }
    case 3: {
      std::array<IoSlice, 2> slices{IoSlice{buffer.data(), 10}, IoSlice{buffer.data() + 10, 10}};
      const Result<std::size_t> count = co_await stream.read(std::span(slices));
      co_return !count || *count == 0;
    }
    case 4: {
      // A reset that is under way may let the first bytes through.
      Result<std::size_t> count = co_await stream.write(bytes_of(buffer));
      for (int more = 0; more < 100 && count; ++more) count = co_await stream.write(bytes_of(buffer));
      co_return !count;
    }
    default: {
      Result<void> all = co_await stream.write_all(bytes_of(buffer));
      for (int more = 0; more < 100 && all; ++more) all = co_await stream.write_all(bytes_of(buffer));
      co_return !all;
    }
  }
}
Task<void> reset_before(int kind) {
  auto [near, far] = tcp_streams();
  far.abort();
  const bool failed = co_await fails_or_ends(near, kind);
  EXPECT_TRUE(failed) << kind;
  // Whatever comes now: no success either.
  for (int next = 0; next < 6; ++next) {
    const bool again = co_await fails_or_ends(near, next);
    EXPECT_TRUE(again) << kind << ", then " << next;
  }
  const Result<void> shut = near.shutdown();
  if (!shut) {
    EXPECT_EQ(shut.error(), std::errc::not_connected);
  }
}
Task<void> reset_while(int kind) {
  auto [near, far] = tcp_streams();
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<bool> under_way = group.spawn(fails_or_ends, near, kind);
  co_await settle();
  far.abort();
  const Result<bool> failed = co_await under_way;
  EXPECT_TRUE(failed && *failed) << kind;
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
}
TEST_P(StreamTest, AResetAtEveryPointIsAnErrorOrTheEnd) {
  for (int kind = 0; kind < 6; ++kind) {
    run(reset_before(kind));
    run(reset_while(kind));
  }
}

// C-154: writing on and on to a dead peer ends.
Task<void> write_for_ever() {
  auto [near, far] = tcp_streams();
  const Result<void> closed = co_await far.close();
  EXPECT_TRUE(closed.has_value());
  Result<void> sent;
  int rounds = 0;
  for (; sent && rounds < 100'000; ++rounds) sent = co_await near.write_all(bytes_of("again and again"));
  EXPECT_FALSE(sent.has_value());
  EXPECT_TRUE(sent.error() == std::errc::broken_pipe || sent.error() == std::errc::connection_reset) << sent.error();
}
TEST_P(StreamTest, WritingToADeadPeerEnds) { run(write_for_ever()); }

}  // namespace
}  // namespace gyre::test
