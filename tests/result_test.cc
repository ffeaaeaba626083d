#include <gyre/platform/result.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gyre {
namespace {

// Counts what is alive and throws when told to. A second destruction, or one of something that was never built, shows
// in `alive` or in `self`.
struct Tracked {
  static inline int alive = 0;
  static inline int throws_in = 0;  // the n-th copy or move from now throws; 0: none

  explicit Tracked(int v) : value(v) { ++alive; }
  Tracked(const Tracked& other) : value(other.value) {
    maybe_throw();
    ++alive;
  }
  Tracked(Tracked&& other) noexcept(false) : value(other.value) {
    maybe_throw();
    other.value = -1;
    ++alive;
  }
  Tracked& operator=(const Tracked& other) {
    maybe_throw();
    value = other.value;
    return *this;
  }
  Tracked& operator=(Tracked&& other) noexcept(false) {
    maybe_throw();
    value = std::exchange(other.value, -1);
    return *this;
  }
  ~Tracked() {
    EXPECT_EQ(self, this);
    self = nullptr;
    --alive;
  }

  static void maybe_throw() {
    if (throws_in > 0 && --throws_in == 0) throw std::runtime_error("copy");
  }

  Tracked* self = this;
  int value;
};

class ResultTest : public testing::Test {
 protected:
  void SetUp() override {
    Tracked::alive = 0;
    Tracked::throws_in = 0;
  }
  void TearDown() override { EXPECT_EQ(Tracked::alive, 0); }
};

using ResultDeathTest = ResultTest;

const Error reset = Error::system(static_cast<int>(std::errc::connection_reset),
                                  OperationKind::receive);

Result<int> parse(bool good) {
  if (!good) return Errc::malformed;
  return 7;
}

Result<std::string> parse_text(bool good) {
  const Result<int> number = parse(good);
  if (!number) return number.error();
  return std::to_string(*number);
}

static_assert(std::is_nothrow_move_constructible_v<Result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_constructible_v<Result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_assignable_v<Result<std::unique_ptr<int>>>);
static_assert(std::is_convertible_v<Error, Result<int>>);
static_assert(std::is_convertible_v<Errc, Result<void>>);
static_assert(std::is_convertible_v<const char*, Result<std::string>>);
// What T takes only explicitly, Result<T> takes only explicitly.
static_assert(!std::is_convertible_v<int, Result<std::vector<int>>>);
static_assert(std::is_constructible_v<Result<std::vector<int>>, int>);
// Least of all does "has a value" turn into a value.
static_assert(!std::is_convertible_v<Result<int>, Result<bool>>);
static_assert(is_result<Result<void>> && !is_result<int>);

TEST_F(ResultTest, ErrorsAndValuesConvertImplicitly) {
  EXPECT_EQ(*parse(true), 7);
  EXPECT_EQ(parse(false).error(), Errc::malformed);
  EXPECT_EQ(*parse_text(true), "7");
  EXPECT_EQ(parse_text(false).error(), Errc::malformed);
}

TEST_F(ResultTest, DefaultHoldsADefaultValue) {
  const Result<int> result;
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, 0);
}

TEST_F(ResultTest, HoldsMoveOnlyTypes) {
  Result<std::unique_ptr<int>> first = std::make_unique<int>(3);
  Result<std::unique_ptr<int>> second = std::move(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(**second, 3);
  const std::unique_ptr<int> out = *std::move(second);
  EXPECT_EQ(*out, 3);
  second = reset;
  EXPECT_EQ(second.error(), reset);
  second = std::make_unique<int>(4);
  EXPECT_EQ(**second, 4);
  EXPECT_EQ(*std::move(second).value_or(nullptr), 4);
}

TEST_F(ResultTest, AnErrorKeepsOperationAndPlace) {
  const Result<int> result = reset.at(Place::text("peer"));
  const Result<int> copy = result;
  EXPECT_EQ(copy.error().to_string(), "receive peer: connection reset by peer");
}

TEST_F(ResultTest, AssignmentDestroysWhatWasThere) {
  {
    Result<Tracked> a(Tracked(1));
    Result<Tracked> b(Tracked(2));
    const Result<Tracked> bad = reset;
    EXPECT_EQ(Tracked::alive, 2);
    a = b;
    EXPECT_EQ(a->value, 2);
    a = bad;
    EXPECT_EQ(Tracked::alive, 1);
    EXPECT_EQ(a.error(), reset);
    a = std::move(b);
    EXPECT_EQ(a->value, 2);
    EXPECT_EQ(Tracked::alive, 2);
    Result<Tracked>& same = a;
    a = same;
    EXPECT_EQ(a->value, 2);
    a = std::move(same);
    EXPECT_EQ(a->value, 2);
  }
  EXPECT_EQ(Tracked::alive, 0);
}

TEST_F(ResultTest, AThrowingCopyBuildsNothing) {
  const Result<Tracked> source(Tracked(1));
  Tracked::throws_in = 1;
  EXPECT_THROW(Result<Tracked> copy(source), std::runtime_error);
  EXPECT_EQ(Tracked::alive, 1);
  EXPECT_EQ(source->value, 1);
}

// Assigns with the n-th copy or move throwing, for each n and each combination of value and error: whatever happens,
// each object is destroyed once and the target is still a value or an error.
TEST_F(ResultTest, AThrowingAssignmentLeavesExactlyOneThingToDestroy) {
  for (const bool target_has_value : {false, true}) {
    for (const bool move : {false, true}) {
      for (int n = 1; n <= 3; ++n) {
        {
          Result<Tracked> source(Tracked(5));
          Result<Tracked> target = reset;
          if (target_has_value) target = Result<Tracked>(Tracked(6));
          bool threw = false;
          Tracked::throws_in = n;
          try {
            if (move) {
              target = std::move(source);
            } else {
              target = source;
            }
          } catch (const std::runtime_error&) {
            threw = true;
          }
          Tracked::throws_in = 0;
          EXPECT_EQ(target.has_value(), target_has_value || !threw);
          if (target.has_value()) {
            EXPECT_EQ(target->value, threw ? 6 : 5);
          } else {
            EXPECT_EQ(target.error(), reset);
          }
          if (n == 1) {
            EXPECT_TRUE(threw);
          }
        }
        EXPECT_EQ(Tracked::alive, 0);
      }
    }
  }
}

TEST_F(ResultTest, ValueThrowsSystemError) {
  const Result<int> result = reset.at(Place::text("peer"));
  try {
    static_cast<void>(result.value());
    FAIL() << "value() returned";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), std::errc::connection_reset);
    EXPECT_EQ(std::string(e.what()).find("receive peer: "), 0u) << e.what();
  }
  EXPECT_THROW(Result<void>(Errc::closed).value(), std::system_error);
  EXPECT_THROW(static_cast<void>(Result<std::string>(Errc::closed).value()), std::system_error);
  EXPECT_NO_THROW(Result<void>().value());
  EXPECT_EQ(Result<int>(3).value(), 3);
}

TEST_F(ResultTest, ValueOrGivesTheFallbackOnlyForAnError) {
  EXPECT_EQ(parse(true).value_or(1), 7);
  const Result<int> bad = parse(false);
  EXPECT_EQ(bad.value_or(1), 1);
}

TEST_F(ResultTest, VoidIsSuccessOrAnError) {
  Result<void> result;
  EXPECT_TRUE(result);
  *result;
  result = Errc::stopped;
  EXPECT_FALSE(result);
  EXPECT_EQ(result.error(), Errc::stopped);
  result = Result<void>();
  EXPECT_TRUE(result.has_value());
}

TEST_F(ResultTest, WorksInConstantExpressions) {
  constexpr auto twice = [](const Result<int>& r) constexpr { return r ? *r * 2 : -1; };
  static_assert(twice(Result<int>(4)) == 8);
  static_assert(twice(Result<int>(Errc::closed)) == -1);
  EXPECT_EQ(twice(Result<int>(4)), 8);
}

TEST_F(ResultDeathTest, TheWrongAlternativeAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Result<int> bad = Errc::closed;
  EXPECT_DEATH(static_cast<void>(*bad), "holds an error");
  Result<int> good = 1;
  EXPECT_DEATH(static_cast<void>(good.error()), "holds a value");
  EXPECT_DEATH(static_cast<void>(Result<void>().error()), "holds a value");
}

}  // namespace
}  // namespace gyre
