// gyre::run() and the two signals that ask a program to end: the first cancels the main task, the second is not to be
// argued with.
#include <chrono>
#include <csignal>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/reactor/run.h>
#include <gyre/task/sleep.h>
#include <gyre/task/timeout.h>

namespace {

using namespace std::chrono_literals;
using namespace gyre;

class RunSignalTest : public ::testing::TestWithParam<int> {};

struct Seen {
  int cancels = 0;
  bool cleaned_up = false;
};

Task<Result<void>> clean_up() { co_return co_await sleep(1ms); }
Task<Result<int>> raise_and_sleep(int signal, Seen& seen) {
  std::raise(signal);
  const Result<void> slept = co_await sleep(20s);
  if (slept) co_return 1;
  ++seen.cancels;
  const Result<void> cleaned = co_await shield(clean_up());
  seen.cleaned_up = cleaned.has_value();
  co_return slept.error();
}
// S-58
TEST_P(RunSignalTest, FirstCancelsTheMainTaskWhichMayCleanUp) {
  Seen seen;
  const Result<int> ended = run(raise_and_sleep(GetParam(), seen));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(ended.error().is_cancelled());
  EXPECT_EQ(seen.cancels, 1);
  EXPECT_TRUE(seen.cleaned_up);
}

Task<int> raise_and_ignore(int signal) {
  std::raise(signal);
  static_cast<void>(co_await sleep(20s));
  co_return 6;
}
TEST_P(RunSignalTest, IgnoredFirstOneLeavesTheValue) {
  const Result<int> ended = run(raise_and_ignore(GetParam()));
  ASSERT_TRUE(ended);
  EXPECT_EQ(*ended, 6);
}

TEST_P(RunSignalTest, DispositionsArePutBackAndTheNextRunCountsAnew) {
  for (int i = 0; i < 2; ++i) {
    const Result<int> ended = run(raise_and_ignore(GetParam()));
    EXPECT_TRUE(ended);
  }
  EXPECT_EQ(std::signal(GetParam(), SIG_DFL), SIG_DFL);
}

int heard = 0;
Task<Result<void>> raise_and_nap(int signal) {
  std::raise(signal);
  co_return co_await sleep(1ms);
}
TEST_P(RunSignalTest, HandlerOfTheProgramsOwnIsLeftAlone) {
  const auto before = std::signal(GetParam(), [](int) { ++heard; });
  heard = 0;
  EXPECT_TRUE(run(raise_and_nap(GetParam())));
  EXPECT_EQ(heard, 1);
  std::signal(GetParam(), before);
}

std::string signal_name(const ::testing::TestParamInfo<int>& info) {
  return info.param == SIGINT ? "interrupt" : "terminate";
}
INSTANTIATE_TEST_SUITE_P(All, RunSignalTest, ::testing::Values(SIGINT, SIGTERM), signal_name);

}  // namespace
