// Time: Duration (a span), Instant (a point on the monotonic clock), Clock (where "now" comes from).
//
// All arithmetic saturates: a sum that would overflow becomes `never` (or the lowest Instant), so huge and negative
// durations are harmless. The wall clock plays no part.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>

namespace gyre {

// A span of time in nanoseconds; any std::chrono duration converts to it.
using Duration = std::chrono::nanoseconds;

namespace detail {

constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  if (b > 0 && a > highest - b) return highest;
  if (b < 0 && a < lowest - b) return lowest;
  return a + b;
}

constexpr std::int64_t saturating_subtract(std::int64_t a, std::int64_t b) noexcept {
  constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  if (b < 0 && a > highest + b) return highest;
  if (b > 0 && a < lowest + b) return lowest;
  return a - b;
}

}  // namespace detail

// A point in time: nanoseconds on the system's monotonic clock, which stands still while the machine is suspended.
class Instant {
 public:
  constexpr Instant() noexcept = default;
  constexpr explicit Instant(Duration since_epoch) noexcept : ns_(since_epoch.count()) {}

  constexpr Duration since_epoch() const noexcept { return Duration(ns_); }
  constexpr std::int64_t nanoseconds() const noexcept { return ns_; }

  friend constexpr auto operator<=>(Instant, Instant) noexcept = default;

  // Saturating. `never` plus or minus anything is `never`.
  friend constexpr Instant operator+(Instant t, Duration d) noexcept {
    constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
    if (t.ns_ == highest) return t;
    return Instant(Duration(detail::saturating_add(t.ns_, d.count())));
  }
  friend constexpr Instant operator-(Instant t, Duration d) noexcept {
    constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
    if (t.ns_ == highest) return t;
    return Instant(Duration(detail::saturating_subtract(t.ns_, d.count())));
  }
  // Saturating.
  friend constexpr Duration operator-(Instant later, Instant earlier) noexcept {
    return Duration(detail::saturating_subtract(later.ns_, earlier.ns_));
  }

 private:
  std::int64_t ns_ = 0;
};

// The Instant that does not come.
inline constexpr Instant never = Instant(Duration::max());

// Where "now" comes from: the steady clock in production, a clock that is told to move in tests.
class Clock {
 public:
  virtual Instant now() noexcept = 0;

 protected:
  ~Clock() = default;
};

// The system's monotonic clock. Any thread; lives for ever.
Clock& steady_clock() noexcept;

}  // namespace gyre
