// What tasks execute, an operation each, counted by callgrind (bench/tasks/rounds.cc; bench/notes.md says what the parts are).
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "support/callgrind.h"

namespace gyre::test {
namespace {

struct Limit {
  const char* workload;
  double most;
};

// As g++ 12 makes them, and a few more. What costs more than this is a decision: say in the commit what it buys. In the order of
// the program's own list.
constexpr Limit limits[] = {
    {"child", 137},  {"yield", 58},      {"spawn_join", 345}, {"spawn_many", 250}, {"mutex", 45},
    {"channel", 86}, {"ping_pong", 284}, {"hand_over", 168},  {"sleep", 725},
};

// All workloads in one process; each ends a part.
std::vector<double> count(int operations) {
  return count_instructions({.variables = {},
                             .command = {release_bench("tasks/rounds").string(), "all", std::to_string(operations)},
                             .options = {"--dump-after=*::run(*Workload const&*"}});
}

// The difference of two runs that differ by their counts alone.
TEST(TaskInstructionsTest, EachOperationStaysWithinItsLimit) {
  constexpr int few = 1000;
  constexpr int many = 3000;
  if (__GNUC__ != 12) GTEST_SKIP() << "the limits are those of g++ 12";  // clang calls itself 4
  if (!has_callgrind()) GTEST_SKIP() << "callgrind is not installed, or does not run here";
  if (!std::filesystem::exists(release_bench("tasks/rounds"))) GTEST_SKIP() << "bench/tasks/rounds was not built for release";
  const std::vector<double> of_few = count(few);
  const std::vector<double> of_many = count(many);
  constexpr std::size_t workloads = std::size(limits);
  ASSERT_EQ(of_few.size(), workloads + 1) << "callgrind failed, or has not seen all workloads";
  ASSERT_EQ(of_many.size(), of_few.size());
  for (std::size_t i = 0; i < workloads; ++i) {
    const double each = (of_many[i] - of_few[i]) / (many - few);
    std::fprintf(stderr, "%s: %.1f instructions\n", limits[i].workload, each);
    EXPECT_LE(each, limits[i].most) << limits[i].workload;
    EXPECT_GE(each, 20) << limits[i].workload << ": less than a bare loop takes: not all was counted";
  }
}

}  // namespace
}  // namespace gyre::test
