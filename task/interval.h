// Interval: ticks at a fixed period, and what to do about ticks that were missed.
#pragma once

#include <cstdint>

#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

// After a delay of several periods:
enum class MissedTicks : std::uint8_t {
  burst,  // make them up at once, one after the other, and keep the rhythm
  skip,   // leave them out, and keep the rhythm
  delay,  // the next one comes a whole period after the late one
};

class Interval {
 public:
  // The first tick is one period from now. Precondition: `period` is positive. Must be made inside a task.
  explicit Interval(Duration period, MissedTicks missed = MissedTicks::burst);

  // Waits for the next tick and returns when it was due. Errors: cancelled, timed_out; the tick is then not used up.
  [[nodiscard]] Task<Result<Instant>> tick();

  Duration period() const noexcept { return period_; }
  // The next tick, if none is missed.
  Instant next() const noexcept { return next_; }
  // The next tick comes one period from now.
  void reset() noexcept;

 private:
  Clock& clock_;
  Duration period_;
  Instant next_;
  MissedTicks missed_;
};

}  // namespace gyre
