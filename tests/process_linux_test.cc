// Child processes as POSIX has them: descriptors, signals, groups, scripts, failing system calls, on every poller. The rest
// is in process_test.cc.
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
class ProcessPosixTest : public NetTaskFixture {
 protected:
  void TearDown() override {
    NetTaskFixture::TearDown();
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1) << "a child is left: " << info.si_pid;
    EXPECT_EQ(errno, ECHILD);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ProcessPosixTest);

Command shell_with_pipes(std::string line) {
  Command command = Command::shell(std::move(line));
  command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::piped());
  return command;
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

Task<Result<ProcessOutput>> communicate_with(const Command& command) {
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  co_return co_await process->communicate();
}
Task<Result<ProcessOutput>> run_command(const Command& command) { co_return co_await Process::run(command); }

// A grandchild holds the output open; its end is the end of `hold`, which the test has.
TEST_P(ProcessPosixTest, CommunicateLingersForOutputThatOthersHoldOpenOnlyAsLongAsItIsTold) {
  const Pipe hold = pipe_pair();
  Command command = Command::shell("echo here; cat <&3 & exit 0");
  command.descriptor(3, hold.read_end.get());
  Task<Result<ProcessOutput>> lingering = Process::run(command, {}, {.linger = 100ms});
  const Result<ProcessOutput> done = run(std::move(lingering));
  ASSERT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(done->output, "here\n");
  EXPECT_TRUE(done->status.success());
}

// --- What a child is given -------------------------------------------------------------------------------------------

TEST_P(ProcessPosixTest, TheChildHasItsArgumentsDirectoryAndEnvironment) {
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

TEST_P(ProcessPosixTest, TheChildHasTheDescriptorsThatItIsGivenAndNoOther) {
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
TEST_P(ProcessPosixTest, AParentWithoutStandardInputStartsChildrenWithout) {
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

TEST_P(ProcessPosixTest, TheChildHasDefaultDispositionsAndNoBlockedSignal) {
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
TEST_P(ProcessPosixTest, TheChildMayHaveAGroupOrASessionOfItsOwn) {
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

// The leader has ended; what it has left behind holds the output open until the signal ends it.
Task<Result<void>> end_what_a_leader_leaves() {
  Command command = shell_with_pipes("sleep 60 & echo ready");
  command.group(ProcessGroup::own_group);
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  const Result<ExitStatus> ended = co_await process->wait();
  if (!ended) co_return ended.error();
  EXPECT_EQ(process->terminate().error(), std::errc::no_such_process);
  const Result<void> none = process->signal_group(0);
  if (!none) co_return none.error();
  EXPECT_EQ(process->signal_group(12345).error(), std::errc::invalid_argument);
  const Result<void> sent = process->signal_group(SIGTERM);
  if (!sent) co_return sent.error();
  const std::string rest = co_await read_line(process->output());
  EXPECT_EQ(rest, "");
  co_return Result<void>{};
}

TEST_P(ProcessPosixTest, ASignalToTheGroupReachesWhatItsLeaderHasLeftBehind) {
  const Result<void> done = run(end_what_a_leader_leaves());
  EXPECT_TRUE(done.has_value()) << done.error();
}

TEST_P(ProcessPosixTest, ASignalToTheGroupGoesByNumberBeforeLinux69) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = sys::number_pidfd_send_signal, .times = sys::FaultRule::sticky, .fault = {sys::Fault::Kind::fail, EINVAL}});
  const sys::FaultScope scope(plan);
  const Result<void> done = run(end_what_a_leader_leaves());
  EXPECT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(plan.hits(), 3U);
}

Task<Result<void>> signal_the_group_of(const Command& command) {
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  co_return process->signal_group(SIGTERM);
}

TEST_P(ProcessPosixTest, AChildWithoutAGroupOfItsOwnHasNoneToSignal) {
  const Command command = shell_with_pipes("read line");
  const Result<void> sent = run(signal_the_group_of(command));
  EXPECT_EQ(sent.error(), std::errc::invalid_argument);
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

TEST_P(ProcessPosixTest, C172_TheErrorSaysWhatIsWrongWithAProgram) {
  const TemporaryDirectory directory;
  const std::string plain = script(directory, "plain", "echo no interpreter\n", 0755);
  const std::string orphan = script(directory, "orphan", "#!/no/such/interpreter\n", 0755);
  const std::string locked = script(directory, "locked", "#!/bin/sh\n", 0644);
  const struct {
    std::string program;
    std::errc code;
  } cases[] = {
      {orphan, std::errc::no_such_file_or_directory},
      {plain, std::errc::executable_format_error},
      {locked, std::errc::permission_denied},
  };
  for (const auto& [program, code] : cases) {
    Command command(program);
    command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::piped());
    const Error error = start_error(*this, run(start(command)));
    EXPECT_EQ(error, code) << program;
    EXPECT_EQ(error.operation(), OperationKind::execute) << program;
    EXPECT_EQ(error.place(), Place::text(program));
  }
}

// The n-th call of each kind fails, for each n, and the error names the step that it belongs to.
TEST_P(ProcessPosixTest, C172_EveryFailingSystemCallOfAStartLeavesNothing) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  Command command("/bin/true");
  command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::null());
  const struct {
    long number;
    int error;
    std::vector<std::string> says;  // of the first, the second, ... call
  } calls[] = {
      {SYS_clone, EAGAIN, {"spawn process /bin/true: resource temporarily unavailable"}},
      {SYS_clone, ENOMEM, {"spawn process /bin/true: not enough memory"}},
      // Its input, its output, and what it reports through.
      {SYS_pipe2, EMFILE,
       {"pipe /bin/true: too many open files", "pipe /bin/true: too many open files",
        "spawn process /bin/true: too many open files"}},
      {SYS_openat, EMFILE, {"open file /dev/null: too many open files"}},
  };
  for (const auto& [number, code, says] : calls) {
    for (std::uint64_t n = 1; n <= says.size() + 1; ++n) {
      sys::FaultPlan plan;
      plan.add(sys::FaultRule{.number = number, .first = n, .fault = {sys::Fault::Kind::fail, code}});
      detail::as_result<Result<Process>> started = Errc::broken;
      {
        const sys::FaultScope scope(plan);
        started = run(start(command));
      }
      ASSERT_EQ(started.has_value(), n > says.size()) << "call " << number << ", " << n;
      EXPECT_EQ(plan.hits(), started ? 0U : 1U);
      if (!started) {
        EXPECT_EQ(started.error().to_string(), says[n - 1]) << "call " << number << ", " << n;
      }
    }
  }
}

// As the system's watching of the child and of its pipes does, which each poller asks for in its own way.
TEST_P(ProcessPosixTest, C172_AChildThatCannotBeWatchedIsNotLeft) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  Command command("/bin/cat");
  command.input(Stdio::piped()).output(Stdio::piped());
  std::uint64_t n = 1;
  for (; n < 50; ++n) {
    sys::FaultPlan plan;
    plan.add(sys::FaultRule{.number = SYS_epoll_ctl, .first = n, .fault = {sys::Fault::Kind::fail, ENOMEM}});
    detail::as_result<Result<Process>> started = Errc::broken;
    {
      const sys::FaultScope scope(plan);
      started = run(start(command));
    }
    if (plan.hits() == 0) break;
    if (!started) {
      EXPECT_EQ(started.error(), std::errc::not_enough_memory) << n;
      EXPECT_EQ(started.error().place(), Place::text("/bin/cat")) << n;
    }
  }
  EXPECT_LT(n, 50U);
}

TEST_P(ProcessPosixTest, C172_WithoutFreeDescriptorsAStartFailsAndLeavesNothing) {
  Command command("/bin/true");
  command.input(Stdio::piped());
  const Result<ProcessOutput> warmed_up = run(run_command(command));
  ASSERT_TRUE(warmed_up.has_value());
  const NoMoreDescriptors none;
  const Error error = start_error(*this, run(start(command)));
  EXPECT_EQ(error, std::errc::too_many_files_open);
}

// --- Failures give everything back -----------------------------------------------------------------------------------

// Heap blocks and coroutine frames of this thread are as many after `rounds` failures as after the first few, which fill
// pools and tables; descriptors and children are the fixture's to look at.
class FailedStartTest : public ProcessPosixTest {
 protected:
  // `refusal`: what the system answers to a call of each start, if it shall.
  void expect_nothing_kept(const Command& command, std::string_view says, const sys::FaultRule* refusal = nullptr) {
    constexpr int warm_up = 5;
    constexpr int rounds = 30;
    std::int64_t blocks = 0;
    std::int64_t frames = 0;
    for (int i = 0; i < warm_up + rounds; ++i) {
      if (i == warm_up) {
        blocks = live_allocations();
        frames = live_frames();
      }
      fail_once(command, says, refusal);
    }
    EXPECT_EQ(live_allocations(), blocks) << says;
    EXPECT_EQ(live_frames(), frames) << says;
  }

 private:
  void fail_once(const Command& command, std::string_view says, const sys::FaultRule* refusal) {
    sys::FaultPlan plan;
    if (refusal != nullptr) plan.add(*refusal);
    const sys::FaultScope scope(plan);
    const detail::as_result<Result<Process>> started = run(start(command));
    ASSERT_FALSE(started.has_value()) << says;
    EXPECT_EQ(started.error().to_string(), says);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(FailedStartTest);

Command with_all_pipes(std::string program) {
  Command command(std::move(program));
  command.input(Stdio::piped()).output(Stdio::piped()).errors(Stdio::piped());
  return command;
}

TEST_P(FailedStartTest, AMissingFileKeepsNothing) {
  expect_nothing_kept(with_all_pipes("/no/such/program"), "execute /no/such/program: no such file or directory");
  expect_nothing_kept(with_all_pipes("no-such-program"), "execute no-such-program: no such file or directory");
}

// A long path is cut in front.
std::string says_of(int code, const std::string& program) {
  return Error::system(code, OperationKind::execute).at(Place::text(program)).to_string();
}

TEST_P(FailedStartTest, AScriptWithoutAnInterpreterKeepsNothing) {
  const TemporaryDirectory directory;
  const std::string plain = script(directory, "plain", "echo no interpreter\n", 0755);
  const std::string orphan = script(directory, "orphan", "#!/no/such/interpreter\n", 0755);
  expect_nothing_kept(with_all_pipes(plain), says_of(ENOEXEC, plain));
  expect_nothing_kept(with_all_pipes(orphan), says_of(ENOENT, orphan));
}

TEST_P(FailedStartTest, AProcessThatTheSystemRefusesKeepsNothing) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  const sys::FaultRule refusal{.number = SYS_clone, .fault = {sys::Fault::Kind::fail, EAGAIN}};
  expect_nothing_kept(with_all_pipes("/bin/true"), "spawn process /bin/true: resource temporarily unavailable", &refusal);
}

TEST_P(FailedStartTest, PipesThatTheSystemRefusesKeepNothing) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  for (const std::uint64_t which : {1U, 2U, 3U}) {
    const sys::FaultRule refusal{.number = SYS_pipe2, .first = which, .fault = {sys::Fault::Kind::fail, EMFILE}};
    expect_nothing_kept(with_all_pipes("/bin/true"), "pipe /bin/true: too many open files", &refusal);
  }
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

TEST_P(ProcessPosixTest, C173_ASignalReachesTheChildAndNobodyAfterItsEnd) {
  for (const int number : {SIGKILL, SIGTERM, SIGHUP}) {
    const Result<ExitStatus> status = run(signalled(number));
    ASSERT_TRUE(status.has_value()) << status.error();
    EXPECT_EQ(status->signal, number);
    EXPECT_EQ(status->to_string(), "killed by signal " + std::to_string(number));
  }
}

Task<Result<ExitStatus>> stop_one_that_ignores_terminate() {
  const Command command = shell_with_pipes("trap '' TERM; echo ready; cat; cat <&3");
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const std::string line = co_await read_line(process->output());
  EXPECT_EQ(line, "ready");
  co_return co_await process->stop(1ms);
}

TEST_P(ProcessPosixTest, StopAsksThenKills) {
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

TEST_P(ProcessPosixTest, StopLetsTheChildCleanUp) {
  const Result<ExitStatus> status = run(stop_one_that_cleans_up());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->code, 5);
}

// --- C-174: wait ------------------------------------------------------------------------------------------------------

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

TEST_P(ProcessPosixTest, C174_WaitDoesNotWaitForTheEndOfThePipes) {
  UniqueFd hold;
  const Result<std::string> line = run(wait_beside_a_grandchild(hold));
  ASSERT_TRUE(line.has_value()) << line.error();
  EXPECT_EQ(*line, "late");
}

}  // namespace
}  // namespace gyre::test
