// File, and which way its transfers take: by the kernel itself with io_uring; elsewhere at once if the data are in memory,
// else by a thread of the poller. System calls are counted and replaced on the loop's thread only.
#include <gyre/net/file.h>

#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include <gyre/platform/fault_plan.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

class FileTest : public NetTaskFixture {
 protected:
  void SetUp() override {
    if (!fault_injection) GTEST_SKIP() << "this build does not count system calls";
    NetTaskFixture::SetUp();
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(FileTest);

struct Came {
  std::string text;
  std::uint64_t tries = 0;  // system calls on the loop's thread
  std::uint64_t at_once = 0;
};

// The loop's thread answers `fault` to each try.
Task<Came> read_with(File& file, sys::Fault fault) {
  Came came;
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = SYS_preadv2, .times = sys::FaultRule::sticky, .fault = fault});
  const sys::FaultScope scope(plan);
  const PollerStats before = this_reactor().poller().stats();
  std::array<std::byte, 64> buffer{};
  const Result<std::size_t> count = co_await file.read_at(buffer, 0);
  EXPECT_TRUE(count.has_value()) << count.error();
  came.text.assign(reinterpret_cast<const char*>(buffer.data()), count.value_or(0U));
  came.tries = plan.calls(SYS_preadv2);
  came.at_once = this_reactor().poller().stats().inline_completions - before.inline_completions;
  co_return came;
}

Task<void> read_both_ways(bool by_ring) {
  Result<File> file = File::adopt(temporary_file("content"));
  EXPECT_TRUE(file.has_value());
  if (!file) co_return;
  // Seven bytes are in memory, whatever the file system thinks of that.
  const Came cached = co_await read_with(*file, {sys::Fault::Kind::replace, 7});
  // Nothing is: the thread, which the plan does not reach, waits for the medium.
  const Came slow = co_await read_with(*file, {sys::Fault::Kind::fail, EAGAIN});
  // The file system cannot say.
  const Came unknown = co_await read_with(*file, {sys::Fault::Kind::fail, EOPNOTSUPP});
  EXPECT_EQ(slow.text, "content");
  EXPECT_EQ(unknown.text, "content");
  EXPECT_EQ(cached.text, by_ring ? "content" : std::string(7, '\0'));
  for (const Came* came : {&cached, &slow, &unknown}) EXPECT_EQ(came->tries, by_ring ? 0U : 1U);
  if (by_ring) co_return;
  EXPECT_EQ(cached.at_once, 1U);
  EXPECT_EQ(slow.at_once, 0U);
  EXPECT_EQ(unknown.at_once, 0U);
}

TEST_P(FileTest, IsReadAtOnceFromMemoryAndElseByAThreadUnlessTheKernelDoesItAll) {
  EXPECT_TRUE(run(read_both_ways(is_io_uring())));
}

}  // namespace
}  // namespace gyre::test
