#include <gyre/platform/check.h>

#include <gtest/gtest.h>

namespace gyre {
namespace {

class CheckDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// abort() is signal 6 where there are signals, and 3 is what Windows' own ends a process with.
#if defined(_WIN32)
const testing::ExitedWithCode aborted(3);
#else
const testing::KilledBySignal aborted(6);
#endif

TEST_F(CheckDeathTest, PrintsFileLineAndConditionAndAborts) {
  const int two = 2;
  EXPECT_EXIT(GYRE_CHECK(two == 3), aborted,
              "check_test\\.cc:.*: check failed: two == 3");
}

TEST_F(CheckDeathTest, PrintsTheHint) {
  EXPECT_DEATH(GYRE_CHECK_HINT(false, "call start() first"),
               "check failed: false \\(call start\\(\\) first\\)");
}

TEST_F(CheckDeathTest, DebugChecksFollowTheBuild) {
  if (debug_checks) {
    EXPECT_DEATH(GYRE_DCHECK(1 > 2), "check failed: 1 > 2");
  } else {
    GYRE_DCHECK(1 > 2);
    SUCCEED();
  }
}

TEST(CheckTest, ATrueConditionIsEvaluatedOnceAndGoesOn) {
  int evaluated = 0;
  GYRE_CHECK(++evaluated > 0);
  EXPECT_EQ(evaluated, 1);
}

// The macros are statements: they fit between if and else without braces.
TEST(CheckTest, IsAStatement) {
  bool reached_else = false;
  if (reached_else)
    GYRE_CHECK(false);
  else
    reached_else = true;
  EXPECT_TRUE(reached_else);
}

}  // namespace
}  // namespace gyre
