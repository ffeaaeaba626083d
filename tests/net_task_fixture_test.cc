// The fixture of the net tests: it runs tasks on the backend that it names, and a task that hangs fails its test.
#include <gtest/gtest-spi.h>

#include <chrono>
#include <string>

#include <gyre/net/tcp_stream.h>
#include <gyre/task/event.h>
#include <gyre/task/sleep.h>

#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

class NetTaskFixtureTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(NetTaskFixtureTest);

Task<int> seven() { co_return 7; }
Task<void> wait_for_ever() {
  Event never_set;
  const Result<void> waited = co_await never_set.wait();
  EXPECT_FALSE(waited);
}
Task<Result<void>> fail_at_once() { co_return Error(Errc::broken); }
Task<Result<std::size_t>> write_to_itself(std::size_t size) {
  Result<std::pair<TcpStream, TcpStream>> ends = TcpStream::pair();
  if (!ends) co_return ends.error();
  const std::string bytes = pattern(size);
  const Result<std::size_t> sent = co_await ends->first.write(std::as_bytes(std::span(bytes)));
  if (!sent) co_return sent.error();
  std::string received(*sent, '\0');
  const Result<void> read = co_await ends->second.read_exactly(std::as_writable_bytes(std::span(received)));
  if (!read) co_return read.error();
  EXPECT_EQ(received, bytes.substr(0, *sent));
  co_return *sent;
}

TEST_P(NetTaskFixtureTest, RunsATaskOnTheBackendThatItNames) {
  EXPECT_EQ(poller().name(), GetParam().name);
  const Result<int> result = run(seven());
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 7);
  const Result<std::size_t> sent = run(write_to_itself(100));
  ASSERT_TRUE(sent.has_value()) << sent.error();
  EXPECT_EQ(*sent, 100U);
  EXPECT_EQ(reactor().scheduler().tasks(), 0U);
}

TEST_P(NetTaskFixtureTest, FailsATaskThatHangsAndNamesWhatItWaitsFor) {
  bool ended = true;
  EXPECT_NONFATAL_FAILURE(ended = run(wait_for_ever(), std::chrono::milliseconds(5)), "event");
  EXPECT_FALSE(ended);
}

TEST_P(NetTaskFixtureTest, NotesFailuresOfDetachedTasks) {
  spawn(fail_at_once);
  run_until_idle();
  const std::vector<TaskFailure> failures = take_failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures[0].error, Errc::broken);
}

TEST_P(NetTaskFixtureTest, CancelsWhatIsLeftAtTheEnd) {
  spawn(wait_for_ever);
  run_until_idle();
  EXPECT_EQ(reactor().scheduler().tasks(), 1U);
}

}  // namespace
}  // namespace gyre::test
