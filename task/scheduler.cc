#include <gyre/task/scheduler.h>

#include <cstdio>
#include <string>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre {

namespace {

// The default sink: a failed detached task is never silent.
void print_failure(void*, const TaskFailure& failure) noexcept {
  std::string what = "unknown exception";
  if (failure.exception == nullptr) {
    what = failure.error.to_string();
  } else {
    try {
      std::rethrow_exception(failure.exception);
    } catch (const std::exception& exception) {
      what = exception.what();
    } catch (...) {
    }
  }
  if (failure.task_name != nullptr) {
    std::fprintf(stderr, "gyre: detached task \"%s\" failed: %s\n", failure.task_name, what.c_str());
  } else {
    std::fprintf(stderr, "gyre: detached task %u failed: %s\n", failure.task_id, what.c_str());
  }
}

}  // namespace

Scheduler::Scheduler(Clock& clock, const SchedulerOptions& options)
    : now_(clock.now()), clock_(clock), options_(options), detached_(new TaskGroup(*this)) {
  GYRE_CHECK(options.transfers_max >= 1 && options.transfers_max <= 65536);
  if (options_.on_task_failure == nullptr) options_.on_task_failure = print_failure;
}

Scheduler::~Scheduler() {
  GYRE_CHECK_HINT(tasks_ == 0, "tasks are left: cancel and join them before the scheduler goes");
  delete detached_;
}

std::size_t Scheduler::run_ready(std::size_t at_most, Instant until) noexcept {
  // Reading the clock costs more than a short task.
  constexpr std::size_t clock_every = 64;
  std::size_t batch = ready_.size();
  if (batch > at_most) batch = at_most;
  std::size_t ran = 0;
  while (ran < batch) {
    run_frame(ready_.pop());
    ++ran;
    if (until != never && ran % clock_every == 0 && clock_.now() >= until) break;
  }
  return ran;
}

inline void Scheduler::run_frame(void* frame) noexcept {
  detail::thread_state.current = detail::promise_of(frame).context;
  slice_ = options_.transfers_max;
  std::coroutine_handle<>::from_address(frame).resume();
  if (attention_) [[unlikely]] attend();
}

// Goes on with a transfer that had used up its slice, as often as that happens, and destroys what has finished.
void Scheduler::attend() noexcept {
  while (attention_) {
    attention_ = false;
    if (void* const root = std::exchange(finished_, nullptr)) {
      std::coroutine_handle<>::from_address(root).destroy();
    }
    if (void* const frame = std::exchange(next_, nullptr)) {
      slice_ = options_.transfers_max;
      std::coroutine_handle<>::from_address(frame).resume();
    }
  }
  detail::thread_state.current = nullptr;
}

void Scheduler::run_nested(void* frame) noexcept {
  TaskContext* const outer = detail::thread_state.current;
  const std::uint32_t outer_slice = slice_;
  GYRE_CHECK(!attention_);
  run_frame(frame);
  slice_ = outer_slice;
  detail::thread_state.current = outer;
}

std::uint32_t Scheduler::add_task() {
  ready_.reserve(tasks_ + 2);
  ++tasks_;
  return ++last_id_;
}

void Scheduler::report(const TaskFailure& failure) noexcept {
  options_.on_task_failure(options_.failure_owner, failure);
}

}  // namespace gyre
