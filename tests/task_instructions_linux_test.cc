// What tasks execute, an operation each, counted by callgrind (bench/tasks/rounds.cc; bench/notes.md says what the parts are).
#include <gtest/gtest.h>

#include <cstdio>
#include <optional>
#include <ostream>
#include <string>

#include "support/callgrind.h"

namespace gyre::test {
namespace {

struct Limit {
  const char* workload;
  double most;
};
std::ostream& operator<<(std::ostream& out, const Limit& limit) { return out << limit.workload; }

// As g++ 12 makes them, and a few more. What costs more than this is a decision: say in the commit what it buys.
constexpr Limit limits[] = {
    {"child", 140}, {"yield", 60},     {"spawn_join", 350}, {"spawn_many", 255}, {"mutex", 45},
    {"channel", 86}, {"ping_pong", 284}, {"hand_over", 168},  {"sleep", 740},
};

class TaskInstructionsTest : public ::testing::TestWithParam<Limit> {};

// The difference of two runs that differ by their counts alone.
TEST_P(TaskInstructionsTest, AreNoMoreThan) {
  constexpr int few = 1000;
  constexpr int many = 3000;
  const std::string program = release_bench("tasks/rounds").string();
  if (std::string(__VERSION__).find("Clang") != std::string::npos) GTEST_SKIP() << "the limits are those of g++";
  if (!has_callgrind()) GTEST_SKIP() << "callgrind is not installed, or does not run here";
  if (!std::filesystem::exists(program)) GTEST_SKIP() << "bench/tasks/rounds was not built for release";
  const std::string name = GetParam().workload;
  const std::optional<double> of_few = count_instructions({}, {program, name, std::to_string(few)});
  const std::optional<double> of_many = count_instructions({}, {program, name, std::to_string(many)});
  ASSERT_TRUE(of_few && of_many) << name << " did not run under callgrind, or its profile has no total";
  const double each = (*of_many - *of_few) / (many - few);
  std::fprintf(stderr, "%s: %.1f instructions\n", name.c_str(), each);
  EXPECT_LE(each, GetParam().most);
  EXPECT_GE(each, 20) << "less than a bare loop takes: not all was counted";
}
INSTANTIATE_TEST_SUITE_P(Of, TaskInstructionsTest, ::testing::ValuesIn(limits),
                         [](const auto& parameter) { return std::string(parameter.param.workload); });

}  // namespace
}  // namespace gyre::test
