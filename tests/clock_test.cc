#include <gyre/platform/clock.h>

#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace gyre {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
constexpr Instant at(std::int64_t ns) { return Instant(Duration(ns)); }

static_assert(never.nanoseconds() == highest);
static_assert(Instant() == at(0));
static_assert(at(1) < at(2) && at(lowest) < at(0) && at(highest - 1) < never);

TEST(InstantTest, AddsAndSubtracts) {
  EXPECT_EQ(at(5) + 3ns, at(8));
  EXPECT_EQ(at(5) - 3ns, at(2));
  EXPECT_EQ(at(5) + -7ns, at(-2));
  EXPECT_EQ(at(5) - at(7), -2ns);
  EXPECT_EQ(at(0) + 2s, at(2'000'000'000));
}

TEST(InstantTest, SumsSaturateInsteadOfWrapping) {
  EXPECT_EQ(at(highest - 1) + 1ns, never);
  EXPECT_EQ(at(highest - 1) + 2ns, never);
  EXPECT_EQ(at(1) + Duration::max(), never);
  EXPECT_EQ(at(-1) + Duration::max(), at(highest - 1));
  EXPECT_EQ(at(lowest) + -1ns, at(lowest));
  EXPECT_EQ(at(-1) + Duration::min(), at(lowest));
  EXPECT_EQ(at(0) + Duration::min(), at(lowest));
}

TEST(InstantTest, DifferencesSaturateInsteadOfWrapping) {
  EXPECT_EQ(at(lowest) - 1ns, at(lowest));
  EXPECT_EQ(at(-2) - Duration::max(), at(lowest));
  // Negating the lowest duration would overflow; subtracting it must not.
  EXPECT_EQ(at(0) - Duration::min(), never);
  EXPECT_EQ(at(-1) - Duration::min(), at(highest));
  EXPECT_EQ(at(-2) - Duration::min(), at(highest - 1));
  EXPECT_EQ(at(highest - 1) - at(lowest), Duration::max());
  EXPECT_EQ(at(lowest) - at(highest - 1), Duration::min());
  EXPECT_EQ(at(lowest) - at(1), Duration::min());
  EXPECT_EQ(at(0) - at(lowest), Duration::max());
}

TEST(InstantTest, NeverStaysNever) {
  EXPECT_EQ(never + 1s, never);
  EXPECT_EQ(never - 1s, never);
  EXPECT_EQ(never + Duration::min(), never);
  EXPECT_EQ(never - Duration::max(), never);
}

// Walks the edges of the range in all combinations against arithmetic that is wide enough not to overflow.
TEST(InstantTest, AgreesWithWideArithmeticAtEveryEdge) {
  __extension__ using Wide = __int128;
  const std::int64_t edges[] = {lowest,     lowest + 1, lowest + 2,  lowest / 2, -2,         -1, 0,
                                1,          2,          highest / 2, highest - 2, highest - 1};
  const auto clamp = [](Wide wide) {
    if (wide > highest) return highest;
    if (wide < lowest) return lowest;
    return static_cast<std::int64_t>(wide);
  };
  for (const std::int64_t a : edges) {
    for (const std::int64_t b : edges) {
      EXPECT_EQ((at(a) + Duration(b)).nanoseconds(), clamp(Wide{a} + b)) << a << " + " << b;
      EXPECT_EQ((at(a) - Duration(b)).nanoseconds(), clamp(Wide{a} - b)) << a << " - " << b;
      EXPECT_EQ((at(a) - at(b)).count(), clamp(Wide{a} - b)) << a << " - " << b;
    }
  }
}

}  // namespace
}  // namespace gyre
