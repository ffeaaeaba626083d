#include <gyre/task/interval.h>

#include <gyre/platform/check.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>

namespace gyre {

namespace {

Clock& current_clock() noexcept {
  const TaskContext* const task = current_task();
  GYRE_CHECK_HINT(task != nullptr, "an Interval was made outside a task");
  return task->scheduler().clock();
}

}  // namespace

Interval::Interval(Duration period, MissedTicks missed)
    : clock_(current_clock()), period_(period), next_(clock_.now() + period), missed_(missed) {
  GYRE_CHECK_HINT(period > Duration::zero(), "the period of an Interval must be positive");
}

Task<Result<Instant>> Interval::tick() {
  const Instant due = next_;
  const Result<void> slept = co_await sleep_until(due);
  if (!slept) co_return slept.error();
  const Instant now = clock_.now();
  switch (missed_) {
    case MissedTicks::burst:
      next_ = due + period_;
      break;
    case MissedTicks::skip:
      // The first one of the rhythm that is still to come.
      next_ = due + period_ * ((now - due) / period_ + 1);
      break;
    case MissedTicks::delay:
      next_ = now + period_;
      break;
  }
  co_return due;
}

void Interval::reset() noexcept { next_ = clock_.now() + period_; }

}  // namespace gyre
