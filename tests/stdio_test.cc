// Standard input and output of a child that is this program itself, and what is no stream. What only POSIX has is in
// stdio_linux_test.cc.
#include <gyre/net/stdio.h>

#include <string>
#include <string_view>

#include <gyre/net/buffered_reader.h>
#include <gyre/net/process.h>
#include <gyre/reactor/run.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

class StandardStreamsTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(StandardStreamsTest);

constexpr std::string_view relay_mark = "--relay";

// The child: what comes in goes out.
Task<Result<void>> relay() {
  Result<SharedStream> input = standard_input();
  if (!input) co_return input.error();
  Result<SharedStream> output = standard_output();
  if (!output) co_return output.error();
  std::string buffer(10'000, '\0');
  for (;;) {
    const auto room = std::as_writable_bytes(std::span(buffer));
    const Result<std::size_t> count = co_await input->read(room);
    if (!count) co_return count.error();
    if (*count == 0) co_return Result<void>{};
    const Result<void> written = co_await output->write_all(room.first(*count));
    if (!written) co_return written.error();
  }
}

Task<Result<ProcessOutput>> through_child(std::string_view text) {
  Command command(current_program());
  command.argument(std::string(relay_mark));
  co_return co_await Process::run(command, text);
}

TEST_P(StandardStreamsTest, AChildReadsItsInputAndWritesItsOutput) {
  for (const std::size_t size : {0U, 1U, 500'000U}) {
    const std::string text = pattern(size);
    const Result<ProcessOutput> done = run(through_child(text));
    ASSERT_TRUE(done.has_value()) << done.error();
    EXPECT_TRUE(done->output == text) << size << ": " << done->output.size() << " bytes, " << done->errors;
    EXPECT_TRUE(done->status.success()) << done->errors;
  }
}

Task<Result<void>> talk_by_lines() {
  Command command(current_program());
  command.argument(std::string(relay_mark)).input(Stdio::piped()).output(Stdio::piped());
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  BufferedReader<ProcessPipe> answers(process->output());
  for (const std::string_view line : {"one\n", "two\n", "three\n"}) {
    const Result<void> sent = co_await process->input().write_all(std::as_bytes(std::span(line)));
    if (!sent) co_return sent.error();
    const Result<std::string_view> answer = co_await answers.read_line();
    if (!answer) co_return answer.error();
    EXPECT_EQ(*answer, line);
  }
  process->input().close_now();
  const Result<ExitStatus> ended = co_await process->wait();
  if (!ended) co_return ended.error();
  EXPECT_TRUE(ended->success());
  co_return Result<void>{};
}

TEST_P(StandardStreamsTest, NothingIsHeldBackWhileMoreMayCome) {
  const Result<void> done = run(talk_by_lines());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> open_null() {
  const Result<UniqueFd> null = open_null_device();
  if (!null) co_return null.error();
  Result<SharedStream> stream = SharedStream::open(null->get());
  if (!stream) co_return stream.error();
  std::byte byte{};
  const Result<std::size_t> count = co_await stream->read(std::span(&byte, 1));
  if (!count) co_return count.error();
  EXPECT_EQ(*count, 0U);
  const std::string text = pattern(100'000);
  co_return co_await stream->write_all(std::as_bytes(std::span(text)));
}

TEST_P(StandardStreamsTest, NullDeviceTakesEverythingAndHasNothing) {
  const Result<void> done = run(open_null());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> open_stream(NativeDescriptor descriptor) {
  const Result<SharedStream> stream = SharedStream::open(descriptor);
  if (!stream) co_return stream.error();
  co_return Result<void>{};
}

TEST_P(StandardStreamsTest, APollersDescriptorAndAClosedOneAreErrors) {
  const auto own = run(open_stream(poller().native_handle()));
  ASSERT_FALSE(own.has_value());
  EXPECT_EQ(own.error(), std::errc::bad_file_descriptor);
  const auto closed = run(open_stream(999'999));
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(closed.error(), std::errc::bad_file_descriptor);
}

}  // namespace
}  // namespace gyre::test

int main(int argc, char** argv) {
  if (argc > 1 && gyre::test::relay_mark == argv[1]) return gyre::exit_status(gyre::run(gyre::test::relay()));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
