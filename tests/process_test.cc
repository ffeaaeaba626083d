// Child processes: the standard streams, the end, signals, and what is left behind (nothing), on every poller.
//
// The children are /bin/sh, /bin/cat and the like; they and the tests wait for each other by pipes, never by time.
#include <gyre/net/process.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/syscalls_linux.h>
#include <gyre/reactor/io.h>
#include <gyre/task/event.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

// After each test there is no child of this process, running or dead.
class ProcessTest : public NetTaskFixture {
 protected:
  void TearDown() override {
    NetTaskFixture::TearDown();
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1) << "a child is left: " << info.si_pid;
    EXPECT_EQ(errno, ECHILD);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ProcessTest);

Command shell_with_pipes(std::string line) {
  Command command = Command::shell(std::move(line));
  command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::piped());
  return command;
}

Task<Result<ProcessOutput>> run_shell(std::string line, std::string_view input = {}, CommunicateOptions options = {}) {
  const Command command = Command::shell(std::move(line));
  co_return co_await Process::run(command, input, options);
}

// Reads from `pipe` until it has brought a whole line, without its end.
Task<std::string> read_line(ProcessPipe& pipe) {
  std::string line;
  for (;;) {
    std::byte byte{};
    const Result<std::size_t> count = co_await pipe.read(std::span(&byte, 1));
    if (!count || *count == 0 || byte == std::byte{'\n'}) co_return line;
    line += static_cast<char>(byte);
  }
}

bool is_gone(std::int64_t id) { return ::kill(static_cast<pid_t>(id), 0) == -1 && errno == ESRCH; }

// --- C-171: communicate ---------------------------------------------------------------------------------------------

TEST_P(ProcessTest, C171_CommunicateMovesMuchDataBothWaysAtOnce) {
  const std::string big = pattern(std::size_t{3} << 20);
  const Result<ProcessOutput> done = run(run_shell("cat", big));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_TRUE(done->status.success());
  EXPECT_TRUE(done->output == big);
  EXPECT_EQ(done->errors, "");
}

TEST_P(ProcessTest, C171_CommunicateCollectsOutputAndErrorsWithoutInput) {
  const Result<ProcessOutput> done = run(run_shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "out\n");
  EXPECT_EQ(done->errors, "err\n");
  EXPECT_EQ(done->status.code, 3);
  EXPECT_EQ(done->status.to_string(), "exit status 3");
}

TEST_P(ProcessTest, C171_AChildThatDoesNotReadItsInputIsNoError) {
  const std::string big = pattern(std::size_t{1} << 20);
  const Result<ProcessOutput> done = run(run_shell("exec 0<&-; echo done", big));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "done\n");
}

Task<Result<ProcessOutput>> communicate_with(const Command& command) {
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  co_return co_await process->communicate();
}
Task<Result<ProcessOutput>> run_command(const Command& command) { co_return co_await Process::run(command); }

TEST_P(ProcessTest, C171_NullReadsTheEndAndSwallowsOutput) {
  Command command = Command::shell("cat; echo lost; echo kept >&2");
  command.input(Stdio::null()).output(Stdio::null());
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "");
  EXPECT_EQ(done->errors, "kept\n");
}

TEST_P(ProcessTest, C171_StreamsGoToDescriptorsAndErrorsToTheOutput) {
  const UniqueFd file = temporary_file();
  Command command = Command::shell("echo out; echo err >&2");
  command.output(Stdio::descriptor(file.get())).errors(Stdio::as_output());
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  char text[32] = {};
  const ssize_t count = ::pread(raw(file), text, sizeof(text), 0);
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(std::max<ssize_t>(count, 0))), "out\nerr\n");

  Command piped = Command::shell("echo out; echo err >&2");
  piped.errors(Stdio::as_output());
  const Result<ProcessOutput> both = run(run_command(piped));
  ASSERT_TRUE(both.has_value()) << both.error();
  EXPECT_EQ(both->output, "out\nerr\n");
}

Task<Result<void>> communicate_beyond_the_limit(ProcessOutput& output, std::int64_t& id) {
  const Command command = shell_with_pipes("while :; do echo 0123456789; done");
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

// A grandchild holds the output open; its end is the end of `hold`, which the test has.
TEST_P(ProcessTest, CommunicateLingersForOutputThatOthersHoldOpenOnlyAsLongAsItIsTold) {
  const Pipe hold = pipe_pair();
  Command command = Command::shell("echo here; cat <&3 & exit 0");
  command.descriptor(3, hold.read_end.get());
  Task<Result<ProcessOutput>> lingering = Process::run(command, {}, {.linger = 5ms});
  const Result<ProcessOutput> done = run(std::move(lingering));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "here\n");
  EXPECT_TRUE(done->status.success());
}

Task<Result<void>> echo_through_child(int number, int& done) {
  const std::string text = pattern(50'000, static_cast<std::uint32_t>(number));
  const Command command("cat");
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

// All are between clone and execve together: each sees the end of its own input, though the others had copies of it.
TEST_P(ProcessTest, ManyChildrenStartAtOnceAndKeepTheirPipesApart) {
  int done = 0;
  const Result<void> result = run(run_many(30, done));
  EXPECT_TRUE(result.has_value()) << result.error();
  EXPECT_EQ(done, 30);
}

// --- What a child is given -------------------------------------------------------------------------------------------

TEST_P(ProcessTest, TheChildHasItsArgumentsDirectoryAndEnvironment) {
  const TemporaryDirectory directory;
  Command command("sh");
  command.argument("-c").argument("pwd -P; echo \"$1|$2\"; echo $GYRE_ONE$GYRE_TWO").argument("zero").argument("a b").argument("");
  command.directory(directory.path()).variable("GYRE_ONE", "old").variable("GYRE_ONE", "x=1").variable("GYRE_TWO", "2");
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, directory.path() + "\na b|\nx=12\n");

  Command bare("/usr/bin/env");
  bare.clear_environment().variable("ONLY", "this");
  const Result<ProcessOutput> listed = run(run_command(bare));
  ASSERT_TRUE(listed.has_value()) << listed.error();
  EXPECT_EQ(listed->output, "ONLY=this\n");
}

TEST_P(ProcessTest, TheChildHasTheDescriptorsThatItIsGivenAndNoOther) {
  // Sources and targets overlap on purpose, and one descriptor is not close-on-exec.
  const UniqueFd first = temporary_file("first");
  const UniqueFd second = temporary_file("second");
  const UniqueFd leaked(::dup(raw(first)));
  ASSERT_FALSE(is_close_on_exec(raw(leaked)));
  Command command = Command::shell("cat <&3; cat <&4; cat <&9; for f in /proc/self/fd/*; do printf \" ${f##*/}\"; done");
  const UniqueFd third = temporary_file("third");
  const int lower = std::min(raw(first), raw(second));
  ASSERT_GT(lower, 2);
  ::lseek(raw(first), 0, SEEK_SET);
  ::lseek(raw(second), 0, SEEK_SET);
  ::lseek(raw(third), 0, SEEK_SET);
  command.descriptor(9, third.get()).descriptor(4, first.get()).descriptor(3, second.get());
  const Result<ProcessOutput> done = run(run_command(command));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->errors, "");
  // The shell itself opens the folder that it lists.
  EXPECT_TRUE(done->output.starts_with("secondfirstthird 0 1 2 3 4 ")) << done->output;
  EXPECT_TRUE(done->output.ends_with(" 9")) << done->output;
  EXPECT_EQ(done->output.find(" " + std::to_string(raw(leaked)) + " "), std::string::npos) << done->output;
}

// The pipes of the start itself then have the number 0.
TEST_P(ProcessTest, AParentWithoutStandardInputStartsChildrenWithout) {
  const UniqueFd kept(::fcntl(0, F_DUPFD_CLOEXEC, 10));
  ASSERT_GE(raw(kept), 10);
  ::close(0);
  Command command = Command::shell("for f in /proc/self/fd/*; do printf \" ${f##*/}\"; done");
  command.output(Stdio::piped());
  Task<Result<ProcessOutput>> running = communicate_with(command);
  const Result<ProcessOutput> done = run(std::move(running));
  EXPECT_EQ(::dup2(raw(kept), 0), 0);
  ASSERT_TRUE(done.has_value()) << done.error();
  // The shell gives the first free number, 0, to the folder that it lists; it is not a pipe of ours, or it would be two.
  EXPECT_EQ(done->output, " 0 1 2");
}

TEST_P(ProcessTest, TheChildHasDefaultDispositionsAndNoBlockedSignal) {
  sigset_t one;
  sigset_t before;
  ::sigemptyset(&one);
  ::sigaddset(&one, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &one, &before);
  const auto ignored_before = ::signal(SIGUSR2, SIG_IGN);
  Command command("cat");
  command.argument("/proc/self/status");
  const Result<ProcessOutput> done = run(run_command(command));
  ::signal(SIGUSR2, ignored_before);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_TRUE(::sigismember(&after, SIGUSR1)) << "the parent's mask is its own";
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_NE(done->output.find("SigBlk:\t0000000000000000"), std::string::npos) << done->output;
  EXPECT_NE(done->output.find("SigIgn:\t0000000000000000"), std::string::npos) << done->output;
  EXPECT_NE(done->output.find("SigCgt:\t0000000000000000"), std::string::npos) << done->output;
}

// The sixth word of /proc/PID/stat is the session, the fifth the group.
TEST_P(ProcessTest, TheChildMayHaveAGroupOrASessionOfItsOwn) {
  constexpr const char* line = "read p c s d g i r < /proc/$$/stat; echo $(( p == g )) $(( p == i ))";
  const struct {
    ProcessGroup group;
    const char* says;
  } cases[] = {{ProcessGroup::inherited, "0 0\n"}, {ProcessGroup::own_group, "1 0\n"}, {ProcessGroup::own_session, "1 1\n"}};
  for (const auto& [group, says] : cases) {
    Command command = Command::shell(line);
    command.group(group);
    const Result<ProcessOutput> done = run(run_command(command));
    ASSERT_TRUE(done.has_value()) << done.error();
    EXPECT_EQ(done->output, says);
  }
}

// --- C-172: a start that fails ---------------------------------------------------------------------------------------

Task<Result<Process>> start(const Command& command) { co_return co_await Process::start(command); }

Error start_error(NetTaskFixture&, detail::as_result<Result<Process>> result) {
  EXPECT_FALSE(result.has_value());
  return result ? Error(Errc::broken) : result.error();
}

std::string script(const TemporaryDirectory& directory, const char* name, std::string_view text, mode_t mode) {
  const std::string path = directory.path(name);
  std::ofstream(path) << text;
  EXPECT_EQ(::chmod(path.c_str(), mode), 0);
  return path;
}

TEST_P(ProcessTest, C172_TheErrorSaysWhichStepFailedAndOnWhat) {
  const TemporaryDirectory directory;
  const std::string plain = script(directory, "plain", "echo no interpreter\n", 0755);
  const std::string orphan = script(directory, "orphan", "#!/no/such/interpreter\n", 0755);
  const std::string locked = script(directory, "locked", "#!/bin/sh\n", 0644);
  const struct {
    std::string program;
    std::errc code;
  } cases[] = {
      {"/no/such/program", std::errc::no_such_file_or_directory},
      {"no-such-program-in-the-path", std::errc::no_such_file_or_directory},
      {orphan, std::errc::no_such_file_or_directory},
      {plain, std::errc::executable_format_error},
      {locked, std::errc::permission_denied},
      {directory.path(), std::errc::permission_denied},
  };
  for (const auto& [program, code] : cases) {
    Command command(program);
    command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::piped());
    const Error error = start_error(*this, run(start(command)));
    EXPECT_EQ(error, code) << program;
    EXPECT_EQ(error.operation(), OperationKind::execute) << program;
    EXPECT_EQ(error.place(), Place::text(program));
  }

  Command elsewhere("/bin/true");
  elsewhere.directory("/no/such/folder");
  const Error no_folder = start_error(*this, run(start(elsewhere)));
  EXPECT_EQ(no_folder.to_string(), "change directory /no/such/folder: no such file or directory");

  Command closed("/bin/true");
  closed.descriptor(7, 9999);
  const Error no_source = start_error(*this, run(start(closed)));
  EXPECT_EQ(no_source.to_string(), "redirect descriptor 7: bad file descriptor");

  Command twice("/bin/true");
  twice.descriptor(7, 1).descriptor(7, 2);
  const Error repeated = start_error(*this, run(start(twice)));
  EXPECT_EQ(repeated, std::errc::invalid_argument);
}

TEST_P(ProcessTest, C172_EveryFailingSystemCallOfAStartLeavesNothing) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  Command command("/bin/true");
  command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::null());
  const struct {
    long number;
    int error;
  } calls[] = {{SYS_clone, EAGAIN}, {SYS_clone, ENOMEM}, {SYS_pipe2, EMFILE}, {SYS_openat, EMFILE}, {SYS_epoll_ctl, ENOMEM}};
  for (const auto& [number, code] : calls) {
    for (std::uint64_t n = 1; n < 50; ++n) {
      sys::FaultPlan plan;
      plan.add(sys::FaultRule{.number = number, .first = n, .fault = {sys::Fault::Kind::fail, code}});
      detail::as_result<Result<Process>> started = Errc::broken;
      {
        const sys::FaultScope scope(plan);
        started = run(start(command));
      }
      if (plan.hits() == 0) break;
      EXPECT_FALSE(started.has_value() && number == SYS_clone);
      if (!started) {
        EXPECT_EQ(started.error().code(), code) << "call " << number << ", " << n << ": " << started.error();
      }
    }
  }
}

TEST_P(ProcessTest, C172_WithoutFreeDescriptorsAStartFailsAndLeavesNothing) {
  Command command("/bin/true");
  command.input(Stdio::piped());
  const Result<ProcessOutput> warmed_up = run(run_command(command));
  ASSERT_TRUE(warmed_up.has_value());
  const NoMoreDescriptors none;
  const Error error = start_error(*this, run(start(command)));
  EXPECT_EQ(error, std::errc::too_many_files_open);
}

// --- C-173: signals ---------------------------------------------------------------------------------------------------

Task<Result<ExitStatus>> signalled(int number) {
  const Command command = shell_with_pipes("echo ready; cat");
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  const Result<void> sent = process->signal(number);
  EXPECT_TRUE(sent);
  const Result<ExitStatus> status = co_await process->wait();
  // Gone for good, whoever has its number now.
  const Result<void> late = process->signal(number);
  EXPECT_FALSE(late);
  if (!late) {
    EXPECT_EQ(late.error(), std::errc::no_such_process);
  }
  EXPECT_TRUE(is_gone(process->id()));
  co_return status;
}

TEST_P(ProcessTest, C173_ASignalReachesTheChildAndNobodyAfterItsEnd) {
  for (const int number : {SIGKILL, SIGTERM, SIGHUP}) {
    const Result<ExitStatus> status = run(signalled(number));
    ASSERT_TRUE(status.has_value()) << status.error();
    EXPECT_EQ(status->signal, number);
    EXPECT_EQ(status->to_string(), "killed by signal " + std::to_string(number));
  }
}

Task<Result<void>> race_signal_with_exit(int rounds) {
  const Command command("/bin/true");
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
    EXPECT_TRUE(status->success() || status->signal == SIGKILL) << status->to_string();
  }
  co_return Result<void>{};
}

TEST_P(ProcessTest, C173_SignalsMayRaceWithTheEnd) {
  const Result<void> done = run(race_signal_with_exit(20));
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<ExitStatus>> stop_one_that_ignores_terminate() {
  const Command command = shell_with_pipes("trap '' TERM; echo ready; cat; cat <&3");
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  co_return co_await process->stop(1ms);
}

TEST_P(ProcessTest, StopAsksThenKills) {
  const Result<ExitStatus> status = run(stop_one_that_ignores_terminate());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->signal, SIGKILL);
}

Task<Result<ExitStatus>> stop_one_that_cleans_up() {
  const Command command = shell_with_pipes("trap 'exit 5' TERM; echo ready; while :; do read line || :; done");
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  co_return co_await process->stop(20s);
}

TEST_P(ProcessTest, StopLetsTheChildCleanUp) {
  const Result<ExitStatus> status = run(stop_one_that_cleans_up());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->code, 5);
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
  Command command = Command::shell("read line; exit 7");
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

Task<Result<std::string>> wait_beside_a_grandchild(UniqueFd& hold) {
  Command command = Command::shell("cat <&3 & exit 0");
  Pipe pipe = pipe_pair();
  command.output(Stdio::piped()).descriptor(3, pipe.read_end.get());
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  pipe.read_end.reset();
  const Result<ExitStatus> status = co_await process->wait();
  if (!status) co_return status.error();
  // The output is still open, and brings what the grandchild writes.
  write_all(pipe.write_end, "late\n");
  const std::string line = co_await read_line(process->output());
  hold = std::move(pipe.write_end);
  co_return line;
}

TEST_P(ProcessTest, C174_WaitDoesNotWaitForTheEndOfThePipes) {
  UniqueFd hold;
  const Result<std::string> line = run(wait_beside_a_grandchild(hold));
  ASSERT_TRUE(line.has_value()) << line.error();
  EXPECT_EQ(*line, "late");
}

// --- C-175: the end of a Process --------------------------------------------------------------------------------------

Task<Result<std::int64_t>> start_and_drop() {
  const Command command = shell_with_pipes("cat");
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
  const Command command = Command::shell("exit 9");
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  co_return co_await process->wait();
}

TEST_P(ProcessTest, C175_DroppingAFinishedChildChangesNothing) {
  const Result<ExitStatus> status = run(drop_a_finished_child());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->code, 9);
}

TEST_P(ProcessTest, AProcessMayOutliveItsReactor) {
  const Pipe hold = pipe_pair();
  Command command("cat");
  command.input(Stdio::descriptor(hold.read_end.get()));
  detail::as_result<Result<Process>> process = run(start(command));
  ASSERT_TRUE(process.has_value()) << process.error();
  std::optional<Process> kept(std::move(*process));
  reactor().shutdown();
  const std::int64_t id = kept->id();
  EXPECT_FALSE(is_gone(id));
  kept.reset();
  EXPECT_TRUE(is_gone(id));
}

Task<Result<void>> detach_one() {
  Pipe hold = pipe_pair();
  Command command("cat");
  command.input(Stdio::descriptor(hold.read_end.get()));
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  hold.read_end.reset();
  const std::int64_t id = process->detach();
  process = Errc::closed;
  EXPECT_FALSE(is_gone(id));
  const Result<UniqueFd> pidfd = sys::pidfd_open(id);
  if (!pidfd) co_return pidfd.error();
  hold.write_end.reset();
  const Result<void> ended = co_await wait_readable(pidfd->get());
  if (!ended) co_return ended.error();
  while (!is_gone(id)) {  // bound: the fixture's limit
    const Result<void> yielded = co_await yield();
    if (!yielded) co_return yielded.error();
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
    const Command command = Command::shell("cat; exit 0");
    const Result<ProcessOutput> done = co_await Process::run(command, big);
    if (!done) co_return done.error();
    co_return Result<void>{};
  }
  const Command command = shell_with_pipes("cat; exit 0");
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
