// Any number of awaits in a row, and any depth of them that the heap allows, fit on a stack of 256 KiB, as this test is
// built. (stack_depth_posix_test has the same compiled by other compilers, at other levels.)
#include <gtest/gtest.h>

#include "support/deep_awaits.h"

namespace {

TEST(StackDepthTest, OfThisBuildIsBounded) {
  const gyre::test::Awaited awaited = gyre::test::await_on_small_stack();
  EXPECT_EQ(awaited.children, gyre::test::children);
  EXPECT_EQ(awaited.chained, gyre::test::children);
  EXPECT_EQ(awaited.depth, gyre::test::depth_max);
  EXPECT_EQ(awaited.depth_with_wait, gyre::test::depth_max);
}

}  // namespace
