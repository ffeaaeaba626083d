// Waiting for descriptors of others, on every backend. The ids in comments are those of the conformance list.
#include <gyre/reactor/io.h>

#include <gtest/gtest.h>

#include <optional>

#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/net_task_fixture.h"
#include "support/net_tasks.h"

namespace gyre::test {
namespace {

class IoTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(IoTest);

using Told = std::optional<Result<void>>;

Task<void> readable_into(NativeDescriptor fd, Told& told) {
  const Result<void> ready = co_await wait_readable(fd);
  told = ready;
}

Task<void> wait_for_bytes() {
  const Pair pair = unix_pair();
  const Result<void> writable = co_await wait_writable(pair.near.get());
  EXPECT_TRUE(writable.has_value());
  Told told;
  TaskGroup group;
  group.spawn(readable_into, pair.near.get(), told);
  co_await settle();
  EXPECT_FALSE(told.has_value());
  write_all(pair.far, "x");
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told && *told);
  // Nothing was taken, and the descriptor is still its owner's.
  EXPECT_EQ(drain(pair.near), "x");
}
TEST_P(IoTest, WaitsUntilADescriptorIsReadable) { run(wait_for_bytes()); }

// C-034, C-044: cancelled in the turn of the event too; nobody is called afterwards, and one can wait again.
Task<void> cancel_at(int turns, bool with_event) {
  const Pair pair = unix_pair();
  Told told;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> waiting = group.spawn(readable_into, pair.near.get(), told);
  co_await settle();
  if (with_event) write_all(pair.far, "x");
  for (int turn = 0; turn < turns; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  waiting.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told.has_value());
  if (!told) co_return;
  EXPECT_TRUE(with_event ? (*told || told->error().is_cancelled()) : (!*told && told->error().is_cancelled()));
  if (!with_event) write_all(pair.far, "x");
  const Result<void> again = co_await wait_readable(pair.near.get());
  EXPECT_TRUE(again.has_value());
}
TEST_P(IoTest, ACancelledWatchEndsAndLeavesNothingBehind) {
  for (int turns = 0; turns < 4; ++turns) {
    run(cancel_at(turns, false));
    run(cancel_at(turns, true));
  }
}

// C-032, C-035: what is watched already, by another task or by the stream that owns it, is refused or watched beside; the
// first is not disturbed.
Task<void> watch_twice() {
  const Pair pair = unix_pair();
  Told first, second;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(readable_into, pair.near.get(), first);
  co_await settle();
  group.spawn(readable_into, pair.near.get(), second);
  co_await settle();
  EXPECT_FALSE(first.has_value());
  write_all(pair.far, "x");
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(first && *first);
  EXPECT_TRUE(second && (*second || second->error() == std::errc::file_exists)) << second->error();
  EXPECT_EQ(drain(pair.near), "x");
}
Task<void> watch_a_stream() {
  auto [near, far] = tcp_streams();
  Told told;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(readable_into, near.native(), told);
  co_await settle();
  co_await write_text(far, "x");
  const std::string text = co_await read_text(near, 1);
  EXPECT_EQ(text, "x");
  co_await write_text(far, "y");
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told && (*told || told->error() == std::errc::file_exists));
  const std::string rest = co_await read_text(near, 1);
  EXPECT_EQ(rest, "y");
}
TEST_P(IoTest, ASecondWatcherDoesNotDisturbTheFirst) {
  run(watch_twice());
  run(watch_a_stream());
}

// A descriptor may be closed by its owner and its number used again, between two waits.
Task<void> reuse_the_number() {
  for (int round = 0; round < 4; ++round) {
    const Pair pair = unix_pair();
    Told told;
    TaskGroup group;
    group.spawn(readable_into, pair.near.get(), told);
    co_await settle();
    EXPECT_FALSE(told.has_value()) << "an event of the number's last owner";
    write_all(pair.far, "x");
    const Result<void> joined = co_await group.join();
    EXPECT_TRUE(joined && told && *told);
  }
}
TEST_P(IoTest, ANumberThatIsUsedAgainIsAnotherDescriptor) { run(reuse_the_number()); }

Task<void> watch_a_file() {
  const UniqueFd file = temporary_file("content");
  const Result<void> readable = co_await wait_readable(file.get());
  EXPECT_TRUE(readable || readable.error() == std::errc::operation_not_permitted);
}
TEST_P(IoTest, ARegularFileIsReadyOrRefused) { run(watch_a_file()); }

// C-036: a reactor that has shut down starts nothing.
Task<void> never_runs(bool& ran) {
  ran = true;
  co_return;
}
TEST_P(IoTest, AReactorThatHasShutDownRunsNothing) {
  reactor().shutdown();
  bool ran = false;
  const Result<void> refused = reactor().run_until(never_runs(ran));
  EXPECT_EQ(refused.error(), std::errc::device_or_resource_busy);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace gyre::test
