// Standard input and output: pipes, terminals, sockets, files and devices, on every poller, none of which finds its mode
// changed. Conformance C-158.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/stdio.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace {

using namespace gyre;
using namespace std::chrono_literals;
using namespace gyre::test;
using std::string_view;

static_assert(ReadWriteStream<SharedStream>);

class StdioTest : public NetTaskFixture {};

// All that comes, or the error.
Task<Result<std::string>> read_all(NativeDescriptor fd) {
  Result<SharedStream> stream = SharedStream::open(fd);
  if (!stream) co_return stream.error();
  EXPECT_FALSE(stream->shares_mode());
  EXPECT_FALSE(is_non_blocking(static_cast<int>(fd)));
  std::string all;
  std::array<std::byte, 1000> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await stream->read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) break;
    all.append(reinterpret_cast<const char*>(buffer.data()), *count);
  }
  EXPECT_FALSE(is_non_blocking(static_cast<int>(fd)));
  co_return all;
}
Task<Result<void>> write_text(NativeDescriptor fd, string_view text) {
  Result<SharedStream> stream = SharedStream::open(fd);
  if (!stream) co_return stream.error();
  EXPECT_FALSE(stream->shares_mode());
  const Result<void> written = co_await stream->write_all(std::as_bytes(std::span(text)));
  EXPECT_FALSE(is_non_blocking(static_cast<int>(fd)));
  co_return written;
}

TEST_P(StdioTest, PipeIsReadToItsEndAndStaysBlocking) {
  Pipe pipe = pipe_pair();
  write_all(pipe.write_end, "one\ntwo\n");
  pipe.write_end.reset();
  EXPECT_EQ(run(read_all(pipe.read_end.get())).value_or("?"), "one\ntwo\n");
}

Task<void> wait_for_input(NativeDescriptor fd, const UniqueFd& writer) {
  Result<SharedStream> stream = SharedStream::open(fd);
  EXPECT_TRUE(stream);
  if (!stream) co_return;
  BufferedReader<SharedStream> reader(*stream);
  {
    const CancelScope scope(CancelScope::within(1ms));
    const Result<string_view> nothing = co_await reader.read_line();
    EXPECT_FALSE(nothing);
  }
  EXPECT_FALSE(is_non_blocking(static_cast<int>(fd))) << "while it waits, too";
  write_all(writer, "late\n");
  const Result<string_view> line = co_await reader.read_line();
  EXPECT_EQ(line.value_or("?"), "late\n");
}
TEST_P(StdioTest, WaitingForAPipeOrASocketLeavesItBlocking) {
  Pipe pipe = pipe_pair();
  EXPECT_TRUE(run(wait_for_input(pipe.read_end.get(), pipe.write_end)));
  if (poller().name() == "kqueue") return;  // for the BSDs' sake it makes sockets non-blocking
  Pair pair = unix_pair();
  EXPECT_TRUE(run(wait_for_input(pair.near.get(), pair.far)));
}

Task<void> fill_pipe(NativeDescriptor fd, const UniqueFd& reader) {
  Result<SharedStream> stream = SharedStream::open(fd);
  EXPECT_TRUE(stream);
  if (!stream) co_return;
  const std::string all = pattern(300'000);
  TaskGroup writing;
  writing.spawn([](SharedStream& to, string_view text) -> Task<void> {
    const Result<void> written = co_await to.write_all(std::as_bytes(std::span(text)));
    EXPECT_TRUE(written);
  }, std::ref(*stream), string_view(all));
  std::string got;
  while (got.size() < all.size()) {
    static_cast<void>(co_await sleep(100us));
    const std::string more = drain(reader);
    got += more;
  }
  EXPECT_FALSE(is_non_blocking(static_cast<int>(fd)));
  EXPECT_TRUE(got == all);
  const Result<void> joined = co_await writing.join();
  EXPECT_TRUE(joined);
}
TEST_P(StdioTest, FullPipeMakesTheWriterWaitAndNotTheLoop) {
  Pipe pipe = pipe_pair();
  EXPECT_TRUE(run(fill_pipe(pipe.write_end.get(), pipe.read_end)));
}

TEST_P(StdioTest, PipeWithoutAReaderIsBroken) {
  Pipe pipe = pipe_pair();
  pipe.read_end.reset();
  EXPECT_EQ(run(write_text(pipe.write_end.get(), "x")).error(), std::errc::broken_pipe);
}

TEST_P(StdioTest, FilesAreReadAndWrittenAtTheSharedPosition) {
  UniqueFd file = temporary_file("0123456789");
  ASSERT_EQ(::lseek(raw(file), 4, SEEK_SET), 4);
  EXPECT_EQ(run(read_all(file.get())).value_or("?"), "456789");
  EXPECT_EQ(::lseek(raw(file), 0, SEEK_CUR), 10) << "as if by the owner itself";
  EXPECT_TRUE(run(write_text(file.get(), "ab")));
  write_all(file, "cd");
  ASSERT_EQ(::lseek(raw(file), 8, SEEK_SET), 8);
  EXPECT_EQ(read_to_end(file), "89abcd");
}

TEST_P(StdioTest, NullDeviceTakesEverythingAndHasNothing) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(run(read_all(null.get())).value_or("?"), "");
  EXPECT_TRUE(run(write_text(null.get(), pattern(100'000))));
}

Task<void> talk_to_terminal(NativeDescriptor terminal, const UniqueFd& user) {
  Result<SharedStream> stream = SharedStream::open(terminal);
  EXPECT_TRUE(stream);
  if (!stream) co_return;
  EXPECT_FALSE(stream->shares_mode());
  const Result<void> asked = co_await stream->write_all(std::as_bytes(std::span("name? ", 6)));
  EXPECT_TRUE(asked);
  EXPECT_EQ(read_exactly(user, 6), "name? ");
  write_all(user, "gy\n");
  BufferedReader<SharedStream> reader(*stream);
  const Result<string_view> line = co_await reader.read_line();
  EXPECT_EQ(line.value_or("?"), "gy\n");
  EXPECT_FALSE(is_non_blocking(static_cast<int>(terminal)));
}
TEST_P(StdioTest, TerminalIsReadByLinesAndStaysBlocking) {
  const UniqueFd user(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!user || ::grantpt(raw(user)) != 0 || ::unlockpt(raw(user)) != 0) GTEST_SKIP() << "no terminals here";
  std::array<char, 64> name{};
  if (::ptsname_r(raw(user), name.data(), name.size()) != 0) GTEST_SKIP() << "no terminals here";
  const UniqueFd terminal(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal) GTEST_SKIP() << "no terminals here";
  termios mode{};
  ASSERT_EQ(::tcgetattr(raw(terminal), &mode), 0);
  mode.c_lflag &= static_cast<tcflag_t>(~ECHO);
  ASSERT_EQ(::tcsetattr(raw(terminal), TCSANOW, &mode), 0);
  EXPECT_TRUE(run(talk_to_terminal(terminal.get(), user)));
}

TEST_P(StdioTest, ClosedDescriptorAndDirectoryAreErrors) {
  int number = 0;
  {
    const UniqueFd closed = event_fd();
    number = raw(closed);
  }
  EXPECT_EQ(run(read_all(number)).error(), std::errc::bad_file_descriptor);
  // Where standard input was closed, its number may have gone to something of the poller's.
  const UniqueFd event = event_fd();
  EXPECT_EQ(run(read_all(event.get())).error(), std::errc::bad_file_descriptor);
  EXPECT_EQ(run(read_all(poller().native_handle())).error(), std::errc::bad_file_descriptor);
  const UniqueFd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(run(read_all(directory.get())).error(), std::errc::is_a_directory);
}

// A named pipe whose last writer has gone would not tell somebody who opens it now.
Task<void> read_lonely_pipe(NativeDescriptor fd) {
  Result<SharedStream> stream = SharedStream::open(fd);
  EXPECT_TRUE(stream);
  if (!stream) co_return;
  EXPECT_TRUE(stream->shares_mode());
  std::string text(10, '\0');
  Result<std::size_t> count = co_await stream->read(std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(text.substr(0, count.value_or(0U)), "last");
  count = co_await stream->read(std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(count.value_or(9U), 0U);
}
TEST_P(StdioTest, NamedPipeWithoutAWriterEnds) {
  const TemporaryDirectory directory;
  ASSERT_EQ(::mkfifo(directory.path("fifo").c_str(), 0600), 0);
  const UniqueFd reader(::open(directory.path("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  {
    const UniqueFd writer(::open(directory.path("fifo").c_str(), O_WRONLY | O_CLOEXEC));
    write_all(writer, "last");
  }
  ASSERT_EQ(::fcntl(raw(reader), F_SETFL, 0), 0);
  EXPECT_TRUE(run(read_lonely_pipe(reader.get())));
  EXPECT_FALSE(is_non_blocking(raw(reader))) << "as it was";
}

// Where the file cannot be opened anew its mode is changed, and restored.
Task<void> share_mode(NativeDescriptor fd, const UniqueFd& writer) {
  sys::FaultPlan plan;
  plan.add({.number = SYS_openat, .fault = {.kind = sys::Fault::Kind::fail, .value = EACCES}});
  Result<SharedStream> stream = Errc::would_block;
  {
    const sys::FaultScope scope(plan);
    stream = SharedStream::open(fd);
  }
  EXPECT_EQ(plan.hits(), 1U);
  EXPECT_TRUE(stream);
  if (!stream) co_return;
  EXPECT_TRUE(stream->shares_mode());
  write_all(writer, "x");
  std::array<std::byte, 4> buffer;
  const Result<std::size_t> count = co_await stream->read(buffer);
  EXPECT_EQ(count.value_or(0U), 1U);
  SharedStream moved = std::move(*stream);
  EXPECT_FALSE(stream->shares_mode());
  EXPECT_TRUE(moved.shares_mode());
}
TEST_P(StdioTest, ModeThatHadToBeSharedIsRestored) {
  if (!fault_injection) GTEST_SKIP() << "no fault injection in this build";
  Pipe pipe = pipe_pair();
  EXPECT_TRUE(run(share_mode(pipe.read_end.get(), pipe.write_end)));
  EXPECT_FALSE(is_non_blocking(raw(pipe.read_end)));
}

Task<void> open_standard() {
  const Result<SharedStream> output = standard_output();
  EXPECT_TRUE(output || output.error() == std::errc::bad_file_descriptor);
  const Result<SharedStream> error = standard_error();
  EXPECT_TRUE(error || error.error() == std::errc::bad_file_descriptor);
  Result<SharedStream> input = standard_input();
  EXPECT_TRUE(input || input.error() == std::errc::bad_file_descriptor);
  if (input) {
    const Result<void> closed = co_await input->close();
    EXPECT_TRUE(closed);
  }
}
TEST_P(StdioTest, StandardStreamsOpen) { EXPECT_TRUE(run(open_standard())); }

GYRE_INSTANTIATE_FOR_EVERY_POLLER(StdioTest);

}  // namespace
