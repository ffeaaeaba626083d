// Child processes: the standard streams, the end, and what is left behind (nothing), on every poller of every system.
//
// The children are this program itself (support/child_program.h); they and the tests wait for each other by pipes, never
// by time. What only Linux has is in process_linux_test.cc.
#include <gyre/net/process.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gyre/net/pipe.h>
#include <gyre/platform/file_system.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/child_program.h"
#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

constexpr int signal_kill = 9;

// After each test there is no child of this process, running or dead.
class ProcessTest : public NetTaskFixture {
 protected:
  void TearDown() override {
    NetTaskFixture::TearDown();
    EXPECT_FALSE(has_children());
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ProcessTest);

Command with_pipes(Command command) {
  command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::piped());
  return command;
}

Task<Result<ProcessOutput>> run_child(std::vector<std::string> steps, std::string_view input = {}) {
  const Command command = child(std::move(steps));
  co_return co_await Process::run(command, input);
}
Task<Result<ProcessOutput>> run_command(const Command& command) { co_return co_await Process::run(command); }
Task<Result<Process>> start(const Command& command) { co_return co_await Process::start(command); }

// Reads from `pipe` until it has brought a whole line, without its end.
Task<std::string> read_line(ProcessPipe& pipe) {
  std::string line;
  for (;;) {
    std::byte byte{};
    const Result<std::size_t> count = co_await pipe.read(std::span(&byte, 1));
    if (!count || *count == 0 || byte == std::byte{'\n'}) break;
    if (byte != std::byte{'\r'}) line += static_cast<char>(byte);
  }
  co_return line;
}

// --- C-171: communicate ---------------------------------------------------------------------------------------------

TEST_P(ProcessTest, C171_CommunicateMovesMuchDataBothWaysAtOnce) {
  const std::string big = pattern(std::size_t{3} << 20);
  const Result<ProcessOutput> done = run(run_child({"cat"}, big));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_TRUE(done->status.success());
  EXPECT_TRUE(done->output == big);
  EXPECT_EQ(done->errors, "");
}

TEST_P(ProcessTest, C171_CommunicateCollectsOutputAndErrorsWithoutInput) {
  const Result<ProcessOutput> done = run(run_child({"say out", "err err", "exit 3"}));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "out\n");
  EXPECT_EQ(done->errors, "err\n");
  EXPECT_EQ(done->status.code, 3);
  EXPECT_EQ(done->status.to_string(), "exit status 3");
}

// 259 is what Windows says of a process that still runs. (Elsewhere exit codes have 8 bits.)
TEST_P(ProcessTest, AnExitCodeOf259IsAnEndLikeAnyOther) {
  const Result<ProcessOutput> done = run(run_child({"exit 259"}));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->status.signal, 0);
  EXPECT_EQ(done->status.code & 0xff, 3);
}

TEST_P(ProcessTest, C171_AChildThatDoesNotReadItsInputIsNoError) {
  const std::string big = pattern(std::size_t{1} << 20);
  const Result<ProcessOutput> done = run(run_child({"close", "say done"}, big));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "done\n");
}

TEST_P(ProcessTest, C171_NullReadsTheEndAndSwallowsOutput) {
  Command command = child({"cat", "say lost", "err kept"});
  command.input(Stdio::null()).output(Stdio::null());
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "");
  EXPECT_EQ(done->errors, "kept\n");
}

Task<Result<std::string>> output_through_descriptor() {
  Result<ChildPipe> pipe = open_child_pipe(ChildPipeEnd::child_writes);
  if (!pipe) co_return pipe.error();
  Command command = child({"say out", "err err"});
  command.output(Stdio::descriptor(pipe->of_child.get())).errors(Stdio::as_output());
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  pipe->of_child.reset();
  Result<ProcessPipe> ours = ProcessPipe::adopt(std::move(pipe->ours));
  if (!ours) co_return ours.error();
  const std::string first = co_await read_line(*ours);
  const std::string second = co_await read_line(*ours);
  const Result<ExitStatus> ended = co_await process->wait();
  if (!ended) co_return ended.error();
  co_return first + "," + second;
}

TEST_P(ProcessTest, C171_StreamsGoToDescriptorsAndErrorsToTheOutput) {
  const Result<std::string> text = run(output_through_descriptor());
  ASSERT_TRUE(text.has_value()) << text.error();
  EXPECT_EQ(*text, "out,err");

  Command piped = child({"say out", "err err"});
  piped.errors(Stdio::as_output());
  const Result<ProcessOutput> both = run(run_command(piped));
  ASSERT_TRUE(both.has_value()) << both.error();
  EXPECT_EQ(both->output, "out\nerr\n");
}

Task<Result<void>> communicate_beyond_the_limit(ProcessOutput& output, std::int64_t& id) {
  const Command command = with_pipes(child({"flood"}));
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  id = process->id();
  co_return co_await process->communicate_into(output, {}, {.output_max = 100'000, .grace = 5s});
}

TEST_P(ProcessTest, CommunicateStopsAChildThatWritesBeyondTheLimitAndKeepsWhatCame) {
  ProcessOutput output;
  std::int64_t id = 0;
  const Result<void> done = run(communicate_beyond_the_limit(output, id));
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error(), Errc::limit_exceeded);
  EXPECT_EQ(output.output.size(), 100'000U);
  EXPECT_TRUE(is_gone(id));
}

Task<Result<void>> echo_through_child(int number, int& done) {
  const std::string text = pattern(50'000, static_cast<std::uint32_t>(number));
  const Command command = child({"cat"});
  const Result<ProcessOutput> echoed = co_await Process::run(command, text);
  if (!echoed) co_return echoed.error();
  EXPECT_TRUE(echoed->output == text) << number;
  ++done;
  co_return Result<void>{};
}

Task<Result<void>> run_many(int children, int& done) {
  TaskGroup group;
  for (int i = 0; i < children; ++i) group.spawn(echo_through_child, i, done);
  co_return co_await group.join();
}

// All are started together: each sees the end of its own input, though the others had copies of it.
TEST_P(ProcessTest, ManyChildrenStartAtOnceAndKeepTheirPipesApart) {
  int done = 0;
  const Result<void> result = run(run_many(12, done));
  EXPECT_TRUE(result.has_value()) << result.error();
  EXPECT_EQ(done, 12);
}

// --- What a child is given -------------------------------------------------------------------------------------------

TEST_P(ProcessTest, TheChildHasItsArgumentsUnchanged) {
  const Command command = child({"rest", "a b", "", "\"", "c\"d", "e\\", "f g\\", "\\\"h\\\\\"", "*", "%PATH%", "$HOME", "^&|<>"});
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "[a b][][\"][c\"d][e\\][f g\\][\\\"h\\\\\"][*][%PATH%][$HOME][^&|<>]\n");
}

TEST_P(ProcessTest, TheChildHasItsDirectoryAndEnvironment) {
  const std::string folder = std::filesystem::temp_directory_path().string();
  Command command = child({"where", "value GYRE_ONE", "value GYRE_TWO"});
  command.directory(folder).variable("GYRE_ONE", "old").variable("GYRE_ONE", "x=1").variable("GYRE_TWO", "2");
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  const std::size_t end = done->output.find('\n');
  const Result<FileStatus> there = file_status(done->output.substr(0, end).c_str());
  const Result<FileStatus> wanted = file_status(folder.c_str());
  ASSERT_TRUE(there.has_value() && wanted.has_value()) << done->output;
  EXPECT_EQ(there->number, wanted->number) << done->output;
  EXPECT_EQ(done->output.substr(end), "\nx=1\n2\n");

  Command bare = child({"value ONLY", "value PATH"});
  bare.clear_environment().variable("ONLY", "this");
  const Result<ProcessOutput> listed = run(run_command(bare));
  ASSERT_TRUE(listed.has_value()) << listed.error();
  EXPECT_EQ(listed->output, "this\n(none)\n");
}

Task<Result<ProcessOutput>> run_with_descriptors() {
  Result<ChildPipe> four = open_child_pipe(ChildPipeEnd::child_reads);
  Result<ChildPipe> seven = open_child_pipe(ChildPipeEnd::child_reads);
  if (!four || !seven) co_return Errc::broken;
  Command command = with_pipes(child({"copy 7", "copy 4", "open 4", "open 5", "open 9"}));
  command.descriptor(7, seven->of_child.get()).descriptor(4, four->of_child.get());
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  for (auto* const pipe : {&four, &seven}) {
    (*pipe)->of_child.reset();
    Result<ProcessPipe> ours = ProcessPipe::adopt(std::move((*pipe)->ours));
    if (!ours) co_return ours.error();
    const std::string_view text = pipe == &four ? "four\n" : "seven\n";
    const Result<void> sent = co_await ours->write_all(std::as_bytes(std::span(text)));
    if (!sent) co_return sent.error();
  }
  co_return co_await process->communicate();
}

TEST_P(ProcessTest, TheChildHasTheDescriptorsThatItIsGiven) {
  const Result<ProcessOutput> done = run(run_with_descriptors());
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->errors, "");
  EXPECT_EQ(done->output, "seven\nfour\n4 open\n5 closed\n9 closed\n");
}

// A pipe's writing end that children would inherit: once it is closed here the reader sees the end, though a child lives.
Task<Result<void>> read_end_beside_a_child() {
  Result<gyre::Pipe> pipe = gyre::Pipe::open();
  if (!pipe) co_return pipe.error();
  UniqueFd leak = inheritable_copy(pipe->writer.native());
  const Command command = with_pipes(child({"say ready", "drain"}));
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  leak.reset();
  pipe->writer.close_now();
  std::byte byte{};
  const Result<std::size_t> count = co_await pipe->reader.read(std::span(&byte, 1));
  if (!count) co_return count.error();
  EXPECT_EQ(*count, 0U);
  EXPECT_FALSE(process->status());
  co_return Result<void>{};
}

TEST_P(ProcessTest, TheChildHasNoDescriptorThatItIsNotGiven) {
  const Result<void> done = run(read_end_beside_a_child());
  EXPECT_TRUE(done.has_value()) << done.error();
}

// --- C-172: a start that fails ---------------------------------------------------------------------------------------

TEST_P(ProcessTest, C172_TheErrorSaysWhichStepFailedAndOnWhat) {
  const std::string folder = std::filesystem::temp_directory_path().string();
  const struct {
    std::string program;
    std::errc code;
  } cases[] = {
      {"/no/such/program", std::errc::no_such_file_or_directory},
      {"no-such-program-in-the-path", std::errc::no_such_file_or_directory},
      {folder, std::errc::permission_denied},
  };
  for (const auto& [program, code] : cases) {
    const Command command = with_pipes(Command(program));
    const detail::as_result<Result<Process>> started = run(start(command));
    ASSERT_FALSE(started.has_value()) << program;
    EXPECT_EQ(started.error(), code) << program;
    EXPECT_EQ(started.error().operation(), OperationKind::execute) << program;
    EXPECT_EQ(started.error().place(), Place::text(program));
  }

  Command elsewhere = child({});
  elsewhere.directory("/no/such/folder");
  const auto no_folder = run(start(elsewhere));
  ASSERT_FALSE(no_folder.has_value());
  EXPECT_EQ(no_folder.error().to_string(), "change directory /no/such/folder: no such file or directory");

  Command closed = child({});
  closed.descriptor(7, 9999);
  const auto no_source = run(start(closed));
  ASSERT_FALSE(no_source.has_value());
  EXPECT_EQ(no_source.error().to_string(), "redirect descriptor 7: bad file descriptor");

  Command twice = child({});
  twice.descriptor(7, 1).descriptor(7, 2);
  const auto repeated = run(start(twice));
  ASSERT_FALSE(repeated.has_value());
  EXPECT_EQ(repeated.error(), std::errc::invalid_argument);
}

// --- C-173: signals ---------------------------------------------------------------------------------------------------

Task<Result<ExitStatus>> killed() {
  const Command command = with_pipes(child({"say ready", "cat"}));
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  const Result<void> sent = process->kill();
  EXPECT_TRUE(sent);
  const Result<ExitStatus> status = co_await process->wait();
  // Gone for good, whoever has its number now.
  const Result<void> late = process->kill();
  EXPECT_FALSE(late);
  if (!late) {
    EXPECT_EQ(late.error(), std::errc::no_such_process);
  }
  EXPECT_TRUE(is_gone(process->id()));
  co_return status;
}

TEST_P(ProcessTest, C173_AKillReachesTheChildAndNobodyAfterItsEnd) {
  const Result<ExitStatus> status = run(killed());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->signal, signal_kill);
  EXPECT_EQ(status->to_string(), "killed by signal 9");
}

Task<Result<void>> race_signal_with_exit(int rounds) {
  const Command command = child({});
  for (int i = 0; i < rounds; ++i) {
    Result<Process> process = co_await Process::start(command);
    if (!process) co_return process.error();
    // Before, during or after its end: in no case an error other than that it has ended.
    for (int k = 0; k < 3; ++k) {
      const Result<void> sent = process->kill();
      if (!sent) {
        EXPECT_EQ(sent.error(), std::errc::no_such_process);
      }
      const Result<void> yielded = co_await yield();
      EXPECT_TRUE(yielded);
    }
    const Result<ExitStatus> status = co_await process->wait();
    if (!status) co_return status.error();
    EXPECT_TRUE(status->success() || status->signal == signal_kill) << status->to_string();
  }
  co_return Result<void>{};
}

TEST_P(ProcessTest, C173_SignalsMayRaceWithTheEnd) {
  const Result<void> done = run(race_signal_with_exit(8));
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<ExitStatus>> stop_one() {
  Command command = with_pipes(child({"ignore", "say ready", "drain"}));
  command.group(ProcessGroup::own_group);
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  co_return co_await process->stop(1ms);
}

TEST_P(ProcessTest, StopEndsAChildThatDoesNotEndWhenItIsAskedTo) {
  const Result<ExitStatus> status = run(stop_one());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->signal, signal_kill);
}

// --- C-174: wait ------------------------------------------------------------------------------------------------------

Task<Result<void>> wait_into(Process& process, int& ended) {
  const Result<ExitStatus> status = co_await process.wait();
  if (!status) co_return status.error();
  EXPECT_EQ(status->code, 7);
  ++ended;
  co_return Result<void>{};
}

Task<Result<void>> wait_from_many() {
  Command command = child({"line", "exit 7"});
  command.input(Stdio::piped());
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  EXPECT_FALSE(process->status());
  int ended = 0;
  TaskGroup group;
  group.spawn(wait_into, *process, ended);
  group.spawn(wait_into, *process, ended);
  auto cancelled = group.spawn(wait_into, *process, ended);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  cancelled.cancel();
  const Result<void> was = co_await cancelled;
  EXPECT_FALSE(was);
  EXPECT_EQ(ended, 0);
  // The child has not noticed.
  process->input().close_now();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined);
  EXPECT_EQ(ended, 2);
  const Result<ExitStatus> again = co_await process->wait();
  EXPECT_TRUE(again && again->code == 7);
  EXPECT_TRUE(process->status());
  co_return Result<void>{};
}

TEST_P(ProcessTest, C174_ManyTasksWaitAndACancelEndsOnlyOneWait) {
  const Result<void> done = run(wait_from_many());
  EXPECT_TRUE(done.has_value()) << done.error();
}

// --- C-175: the end of a Process --------------------------------------------------------------------------------------

Task<Result<std::int64_t>> start_and_drop() {
  const Command command = with_pipes(child({"cat"}));
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  co_return process->id();
}

TEST_P(ProcessTest, C175_DroppingKillsARunningChildAndReapsIt) {
  const Result<std::int64_t> id = run(start_and_drop());
  ASSERT_TRUE(id.has_value()) << id.error();
  // Its end comes as an event, sooner or later; the end of the reactor waits for it in any case.
  reactor().shutdown();
  EXPECT_TRUE(is_gone(*id));
}

Task<Result<ExitStatus>> drop_a_finished_child() {
  const Command command = child({"exit 9"});
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  co_return co_await process->wait();
}

TEST_P(ProcessTest, C175_DroppingAFinishedChildChangesNothing) {
  const Result<ExitStatus> status = run(drop_a_finished_child());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->code, 9);
}

Task<Result<Process>> start_with(const Command& command, UniqueFd& hold) {
  Result<Process> process = co_await Process::start(command);
  if (process) hold = process->input().release();
  co_return process;
}

TEST_P(ProcessTest, AProcessMayOutliveItsReactor) {
  Command command = child({"drain"});
  command.input(Stdio::piped());
  UniqueFd hold;
  detail::as_result<Result<Process>> process = run(start_with(command, hold));
  ASSERT_TRUE(process.has_value()) << process.error();
  std::optional<Process> kept(std::move(*process));
  reactor().shutdown();
  const std::int64_t id = kept->id();
  EXPECT_FALSE(is_gone(id));
  kept.reset();
  EXPECT_TRUE(is_gone(id));
}

Task<Result<void>> detach_one() {
  Command command = child({"drain"});
  command.input(Stdio::piped());
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  ProcessPipe input = std::move(process->input());
  const std::int64_t id = process->detach();
  process = Errc::closed;
  EXPECT_FALSE(is_gone(id));
  input.close_now();
  while (!is_gone(id)) {  // bound: the fixture's limit
    const Result<void> slept = co_await sleep(1ms);
    if (!slept) co_return slept.error();
  }
  co_return Result<void>{};
}

TEST_P(ProcessTest, ADetachedChildRunsOnAndIsReaped) {
  const Result<void> done = run(detach_one());
  EXPECT_TRUE(done.has_value()) << done.error();
}

// --- Cancel at every step ---------------------------------------------------------------------------------------------

enum class Scene : std::uint8_t { wait, communicate, run };

Task<Result<void>> play(Scene scene, std::int64_t& id) {
  const std::string big = pattern(std::size_t{300} << 10);
  if (scene == Scene::run) {
    const Command command = child({"cat"});
    const Result<ProcessOutput> done = co_await Process::run(command, big);
    if (!done) co_return done.error();
    co_return Result<void>{};
  }
  const Command command = with_pipes(child({"cat"}));
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  id = process->id();
  if (scene == Scene::communicate) {
    const Result<ProcessOutput> done = co_await process->communicate(big, {.grace = 1ms});
    EXPECT_TRUE(is_gone(id)) << "communicate() has returned";
    if (!done) co_return done.error();
    co_return Result<void>{};
  }
  process->input().close_now();
  const Result<ExitStatus> status = co_await process->wait();
  if (!status) co_return status.error();
  co_return Result<void>{};
}

// The scene is cancelled after `turns` turns of the loop. Returns whether it had ended before.
Task<void> noted(Scene scene, std::int64_t& id, std::optional<Result<void>>& result) {
  const Result<void> played = co_await play(scene, id);
  result = played;
}

class ProcessCancelTest : public ProcessTest {
 protected:
  void cancel_at_every_turn(Scene scene) {
    bool was_undisturbed = false;
    for (int turns = 0; !was_undisturbed && turns < 2000; turns += turns < 40 ? 1 : 25) {
      std::optional<Result<void>> result;
      std::int64_t id = 0;
      auto task = spawn(noted, scene, id, result);
      for (int turn = 0; turn < turns && !result; ++turn) reactor().run_once(reactor().clock().now() + 1ms);
      was_undisturbed = result.has_value();
      task.cancel();
      for (int turn = 0; turn < 100'000 && !result; ++turn) reactor().run_once(reactor().clock().now() + 1ms);
      ASSERT_TRUE(result.has_value()) << "cancelled after " << turns << " turns, it does not end";
      if (*result) continue;
      EXPECT_TRUE(result->error().is_cancelled()) << result->error();
      // Killed by the Process that has gone; its reaping is an event of its own.
      for (int turn = 0; turn < 100'000 && id != 0 && !is_gone(id); ++turn) {
        reactor().run_once(reactor().clock().now() + 1ms);
      }
      EXPECT_TRUE(id == 0 || is_gone(id));
    }
    EXPECT_TRUE(was_undisturbed) << "never came to its end";
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ProcessCancelTest);

TEST_P(ProcessCancelTest, CancelOfWaitLeavesNothing) { cancel_at_every_turn(Scene::wait); }
TEST_P(ProcessCancelTest, CancelOfCommunicateLeavesNothing) { cancel_at_every_turn(Scene::communicate); }
TEST_P(ProcessCancelTest, CancelOfRunLeavesNothing) { cancel_at_every_turn(Scene::run); }

}  // namespace
}  // namespace gyre::test

int main(int argc, char** argv) { return gyre::test::be_child_or_test(argc, argv); }
