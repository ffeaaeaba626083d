// Streams of signals that only POSIX has, on several threads, and in forked and started processes. What every system has is in
// signal_stream_test.cc.
#include <gyre/reactor/signal_stream.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include <gyre/net/process.h>
#include <gyre/reactor/run.h>
#include <gyre/task/event.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

std::atomic<int> seen_before{0};
void note_before(int) { seen_before.fetch_add(1); }

bool has_handler(int signal, void (*handler)(int)) {
  struct sigaction current {};
  ::sigaction(signal, nullptr, &current);
  return current.sa_handler == handler;
}

class SignalStreamPosixTest : public NetTaskFixture {
 protected:
  void SetUp() override {
    NetTaskFixture::SetUp();
    ::signal(SIGUSR1, note_before);
    seen_before = 0;
  }
  void TearDown() override {
    NetTaskFixture::TearDown();
    EXPECT_TRUE(has_handler(SIGUSR1, note_before)) << "the previous disposition was not put back";
    ::signal(SIGUSR1, SIG_DFL);
    EXPECT_TRUE(has_handler(SIGUSR2, SIG_DFL));
    EXPECT_TRUE(has_handler(SIGCHLD, SIG_DFL)) << "SIGCHLD is to be left alone";
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(SignalStreamPosixTest);

Task<void> ask_for_wrong_signals() {
  for (const int number : {SIGKILL, SIGSTOP}) {
    const Result<SignalStream> stream = signals({SIGUSR1, number});
    EXPECT_FALSE(stream.has_value()) << number;
    if (!stream) {
      EXPECT_EQ(stream.error(), std::errc::invalid_argument) << number;
      EXPECT_EQ(stream.error().operation(), OperationKind::signal);
    }
  }
  EXPECT_TRUE(has_handler(SIGUSR1, note_before));
  co_return;
}

TEST_P(SignalStreamPosixTest, SignalsThatKillOrStopAreRefusedAndNothingIsLeft) {
  EXPECT_TRUE(run(ask_for_wrong_signals()));
}

Task<Result<void>> receive_into(SignalStream& stream, std::vector<int>& order, int number) {
  const Result<int> signal = co_await stream.receive();
  if (!signal) co_return signal.error();
  order.push_back(number);
  co_return Result<void>{};
}

Task<Result<void>> wait_as_many() {
  Result<SignalStream> stream = signals({SIGUSR1});
  if (!stream) co_return stream.error();
  std::vector<int> order;
  TaskGroup group;
  group.spawn(receive_into, *stream, order, 1);
  auto second = group.spawn(receive_into, *stream, order, 2);
  group.spawn(receive_into, *stream, order, 3);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  second.cancel();
  for (int i = 0; i < 2; ++i) {
    ::raise(SIGUSR1);
    while (order.size() == static_cast<std::size_t>(i)) {  // bound: the fixture's limit
      const Result<void> turn = co_await yield();
      if (!turn) co_return turn.error();
    }
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined);
  EXPECT_EQ(order, (std::vector<int>{1, 3}));
  co_return Result<void>{};
}

TEST_P(SignalStreamPosixTest, TasksAtOneStreamAreServedInTurnAndACancelLosesNothing) {
  const Result<void> done = run(wait_as_many());
  EXPECT_TRUE(done.has_value()) << done.error();
}

// Streams come and go while another thread is signalled without end: no handler touches one that has gone.
Task<Result<void>> come_and_go(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    Result<SignalStream> one = signals({SIGUSR1});
    Result<SignalStream> two = signals({SIGUSR2, SIGUSR1});
    if (!one || !two) co_return Errc::broken;
    if (i % 4 == 0) {
      const Result<int> signal = co_await two->receive();
      if (!signal) co_return signal.error();
    }
    if (i % 3 == 0) one = Errc::closed;
    const Result<void> yielded = co_await yield();
    if (!yielded) co_return yielded.error();
  }
  co_return Result<void>{};
}

TEST_P(SignalStreamPosixTest, StreamsMayComeAndGoUnderAStormOfSignals) {
  std::atomic<bool> ends{false};
  std::thread target([&] {
    while (!ends) {
      ::pthread_kill(::pthread_self(), SIGUSR1);
      std::this_thread::yield();
    }
  });
  const Result<void> done = run(come_and_go(200));
  ends = true;
  target.join();
  EXPECT_TRUE(done.has_value()) << done.error();
}

// --- C-177: fork ------------------------------------------------------------------------------------------------------

Task<Result<int>> child_program() {
  Result<SignalStream> stream = signals({SIGUSR1, SIGUSR2});
  if (!stream) co_return stream.error();
  ::raise(SIGUSR2);
  co_return co_await stream->receive();
}

// In the forked process: a loop of its own, and its own signals.
[[noreturn]] void be_forked_child() {
  const Result<int> signal = gyre::run(child_program());
  // Its stream has gone, and with it all that was taken over, here and in the parent.
  ::raise(SIGUSR1);
  ::_exit(signal && *signal == SIGUSR2 ? 10 + seen_before.load() : 99);
}

int wait_for_child(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Whether a signal has come: some turns are enough for it to be delivered.
Task<bool> has_signal(SignalStream& stream) {
  std::vector<int> order;
  TaskGroup group;
  group.spawn(receive_into, stream, order, 1);
  for (int turn = 0; turn < 5; ++turn) {
    const Result<void> slept = co_await sleep(Duration(0));
    EXPECT_TRUE(slept);
  }
  group.cancel();
  static_cast<void>(co_await group.join());
  co_return !order.empty();
}

Task<Result<void>> listen_until(SignalStream*& out, Event& done) {
  Result<SignalStream> stream = signals({SIGUSR1});
  if (!stream) co_return stream.error();
  out = &*stream;
  const Result<void> waited = co_await done.wait();
  out = nullptr;
  co_return waited;
}

TEST_P(SignalStreamPosixTest, C177_AForkedProcessRunsItsOwnLoopAndSignalsDoNotCross) {
  Event done;
  SignalStream* stream = nullptr;
  auto listener = spawn(listen_until, stream, done);
  run_until_idle();
  ASSERT_NE(stream, nullptr);

  const pid_t plain = ::fork();
  if (plain == 0) {
    ::raise(SIGUSR1);
    ::_exit(98);
  }
  const int ended = wait_for_child(plain);
  EXPECT_TRUE(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGUSR1) << ended;

  const pid_t looping = ::fork();
  if (looping == 0) be_forked_child();
  const int status = wait_for_child(looping);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 11);

  // Nothing of that has come here.
  run_until_idle();
  EXPECT_EQ(seen_before.load(), 0);
  const Result<bool> received = run(has_signal(*stream));
  EXPECT_TRUE(received && !*received);
  ::raise(SIGUSR1);
  const Result<bool> own = run(has_signal(*stream));
  EXPECT_TRUE(own && *own);
  done.set();
  run_until_idle();
  EXPECT_TRUE(listener.is_finished());
}

// A child that is started has default dispositions, whatever its parent listens to.
Task<Result<ExitStatus>> start_under_streams() {
  Result<SignalStream> stream = signals({SIGUSR1});
  if (!stream) co_return stream.error();
  const Command command = Command::shell("kill -USR1 $$; exit 5");
  Result<Process> process = co_await Process::start(command);
  if (!process) co_return process.error();
  const Result<ExitStatus> status = co_await process->wait();
  const bool received = co_await has_signal(*stream);
  EXPECT_FALSE(received);
  co_return status;
}

TEST_P(SignalStreamPosixTest, C177_AStartedChildHasDefaultDispositions) {
  const Result<ExitStatus> status = run(start_under_streams());
  ASSERT_TRUE(status.has_value()) << status.error();
  EXPECT_EQ(status->signal, SIGUSR1);
}

// --- C-181: gyre::run and its signals ---------------------------------------------------------------------------------

Task<Result<int>> raise_and_wait(int signal, bool swallows) {
  ::raise(signal);
  const Result<void> slept = co_await sleep(1h);
  EXPECT_TRUE(!slept && slept.error().is_cancelled());
  if (swallows) co_return 42;
  co_return slept.error();
}

TEST(RunSignalTest, C181_TheFirstSignalCancelsTheTaskWhichMaySwallowIt) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Result<int> told = gyre::run(raise_and_wait(signal, false));
    EXPECT_TRUE(!told && told.error().is_cancelled());
    const Result<int> swallowed = gyre::run(raise_and_wait(signal, true));
    EXPECT_TRUE(swallowed && *swallowed == 42);
    EXPECT_TRUE(has_handler(signal, SIG_DFL));
  }
}

Task<Result<int>> ignore_two() {
  ::raise(SIGINT);
  const Result<void> slept = co_await sleep(1h);
  EXPECT_FALSE(slept);
  ::raise(SIGINT);
  co_return 1;
}

TEST(RunSignalDeathTest, C181_TheSecondSignalIsHard) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT((void)gyre::run(ignore_two()), testing::KilledBySignal(SIGINT), "");
}

Task<Result<int>> cancel_itself() {
  current_task()->cancel();
  const Result<void> slept = co_await sleep(1h);
  if (!slept) co_return slept.error();
  co_return 1;
}

TEST(RunSignalTest, C181_AForeignCancelIsNoInterrupt) {
  const Result<int> told = gyre::run(cancel_itself());
  EXPECT_TRUE(!told && told.error().is_cancelled());
  const Result<int> next = gyre::run(raise_and_wait(SIGINT, true));
  EXPECT_TRUE(next && *next == 42);
}

// A stream takes the signal over from gyre::run(), and gives it back.
Task<Result<int>> listen_inside_run() {
  {
    Result<SignalStream> stream = signals({SIGTERM});
    if (!stream) co_return stream.error();
    for (int i = 0; i < 3; ++i) {
      ::raise(SIGTERM);
      const Result<int> signal = co_await stream->receive();
      EXPECT_TRUE(signal && *signal == SIGTERM);
    }
  }
  co_return co_await raise_and_wait(SIGTERM, true);
}

TEST(RunSignalTest, AStreamHasTheSignalsOfRunWhileItLives) {
  const Result<int> done = gyre::run(listen_inside_run());
  EXPECT_TRUE(done && *done == 42);
  EXPECT_TRUE(has_handler(SIGTERM, SIG_DFL));
}

}  // namespace
}  // namespace gyre::test
