// gyre::run() with dump_on_quit: SIGQUIT prints what every task waits for, and the program goes on.
#include <signal.h>

#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include <gyre/reactor/run.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

namespace {

using namespace std::chrono_literals;
using namespace gyre;

Task<void> waits_for_ever() { static_cast<void>(co_await sleep_until(never)); }

Task<int> quit_and_go_on(int times) {
  TaskGroup group;
  group.spawn(SpawnOptions{.name = "forever"}, waits_for_ever);
  for (int i = 0; i < times; ++i) {
    ::raise(SIGQUIT);
    static_cast<void>(co_await sleep(1ms));
  }
  group.cancel();
  static_cast<void>(co_await group.join());
  co_return 3;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

RunOptions with_dump(bool handle_signals) {
  RunOptions options;
  options.handle_signals = handle_signals;
  options.dump_on_quit = true;
  return options;
}

TEST(RunDumpTest, QuitPrintsTheTasksAndTheProgramGoesOn) {
  for (const bool handle_signals : {true, false}) {
    ::testing::internal::CaptureStderr();
    const Result<int> value = run(quit_and_go_on(2), with_dump(handle_signals));
    const std::string printed = ::testing::internal::GetCapturedStderr();
    ASSERT_TRUE(value);
    EXPECT_EQ(*value, 3);
    EXPECT_EQ(count(printed, "gyre: 2 tasks:\n"), 2U) << printed;
    EXPECT_EQ(count(printed, "\"forever\" waits in sleep"), 2U) << printed;
    EXPECT_GE(count(printed, "run_dump_posix_test.cc:"), 4U) << printed;
  }
}

TEST(RunDumpTest, DispositionIsPutBack) {
  ASSERT_TRUE(run(quit_and_go_on(0), with_dump(true)));
  struct sigaction now = {};
  ASSERT_EQ(::sigaction(SIGQUIT, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

TEST(RunDumpDeathTest, WithoutTheOptionQuitEndsTheProcess) {
  EXPECT_EXIT(static_cast<void>(run(quit_and_go_on(1))), ::testing::KilledBySignal(SIGQUIT), "");
}

}  // namespace
