// gyre::run() and signals that end the process, as POSIX tells of it.
#include <signal.h>

#include <chrono>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/reactor/run.h>
#include <gyre/task/sleep.h>

namespace {

using namespace std::chrono_literals;
using namespace gyre;

class RunSignalDeathTest : public ::testing::TestWithParam<int> {};

Task<void> raise_twice(int signal) {
  ::raise(signal);
  static_cast<void>(co_await sleep(1ms));
  ::raise(signal);
  for (;;) static_cast<void>(co_await yield());
}
TEST_P(RunSignalDeathTest, SecondEndsTheProcessAtOnce) {
  EXPECT_EXIT(static_cast<void>(run(raise_twice(GetParam()))), ::testing::KilledBySignal(GetParam()), "");
}

Task<Result<void>> raise_and_nap(int signal) {
  ::raise(signal);
  co_return co_await sleep(1ms);
}
TEST_P(RunSignalDeathTest, SwitchedOffTheSignalEndsTheProcess) {
  RunOptions options;
  options.handle_signals = false;
  EXPECT_EXIT(static_cast<void>(run(raise_and_nap(GetParam()), std::move(options))),
              ::testing::KilledBySignal(GetParam()), "");
}

std::string signal_name(const ::testing::TestParamInfo<int>& info) {
  return info.param == SIGINT ? "interrupt" : "terminate";
}
INSTANTIATE_TEST_SUITE_P(All, RunSignalDeathTest, ::testing::Values(SIGINT, SIGTERM), signal_name);

}  // namespace
