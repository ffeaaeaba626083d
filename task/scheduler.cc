#include <gyre/task/scheduler.h>

#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/compiler.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre {

namespace {

constexpr std::uint32_t slices_max = 8;

// The default sink: a failed detached task is never silent.
void print_failure(void*, const TaskFailure& failure) noexcept {
  std::string what = "unknown exception";
  if (failure.exception == nullptr) {
    what = failure.error.to_string();
  } else {
    GYRE_TRY(std::rethrow_exception(failure.exception);)
    GYRE_CATCH(const std::exception& exception, what = exception.what();)
    GYRE_CATCH(...)
  }
  if (failure.task_name != nullptr) {
    std::fprintf(stderr, "gyre: detached task \"%s\" failed: %s\n", failure.task_name, what.c_str());
  } else {
    std::fprintf(stderr, "gyre: detached task %u failed: %s\n", failure.task_id, what.c_str());
  }
}

void print_slow_step(void*, const SlowStep& step) noexcept {
  const std::string name = step.task_name != nullptr ? std::string(" \"") + step.task_name + '"' : std::string();
  const std::string place = step.file != nullptr
                                ? "it now waits at " + std::string(step.file) + ':' + std::to_string(step.line)
                                : std::string("it has ended");
  std::fprintf(stderr, "gyre: task %u%s held its thread for %.1f ms; %s\n", step.task_id, name.c_str(),
               static_cast<double>(step.took.count()) / 1e6, place.c_str());
}

}  // namespace

Scheduler::Scheduler(Clock& clock, const SchedulerOptions& options)
    : now_(clock.now()), clock_(clock), options_(options), detached_(new TaskGroup(*this)) {
  GYRE_CHECK(options.transfers_max >= 1 && options.transfers_max <= 65536);
  if (options_.on_task_failure == nullptr) options_.on_task_failure = print_failure;
  if (options_.on_slow_step == nullptr) options_.on_slow_step = print_slow_step;
}

Scheduler::~Scheduler() {
  GYRE_CHECK_HINT(tasks_ == 0, "tasks are left: cancel and join them before the scheduler goes");
  // They belong to others, who may have forgotten them, or close them on another scheduler.
  while (open_generators_.pop_front() != nullptr) {
  }
  delete detached_;
}

std::size_t Scheduler::run_ready(std::size_t at_most, Instant until) noexcept {
  // Reading the clock costs more than a short task.
  constexpr std::size_t clock_every = 64;
  detail::ThreadState& thread = detail::thread_state;
  Scheduler* const outer = std::exchange(thread.scheduler, this);
  Poller* const outer_poller = std::exchange(thread.poller, options_.poller);
  thread.transfers_left = options_.transfers_max;
  stack_base_ = GYRE_FRAME_ADDRESS();
  slices_left_ = slices_max;
  claim_thread();
  const bool watched = options_.slow_step > Duration::zero();
  std::size_t left = at_most;
  while (left != 0 && !ready_.empty()) {
    const std::size_t chunk = left < clock_every ? left : clock_every;
    left -= chunk - (watched ? run_chunk<true>(chunk) : run_chunk<false>(chunk));
    if (until != never && left != 0 && !ready_.empty() && clock_.now() >= until) break;
  }
  thread.current = nullptr;
  thread.scheduler = outer;
  thread.poller = outer_poller;
  return at_most - left;
}

// Runs up to `chunk` frames, at least one; returns how many of them there were not.
template <bool watched>
inline std::size_t Scheduler::run_chunk(std::size_t chunk) noexcept {
  do {
    if constexpr (watched) {
      run_frame_watched(ready_.pop());
    } else {
      run_frame(ready_.pop());
    }
  } while (--chunk != 0 && !ready_.empty());
  return chunk;
}

inline void Scheduler::run_frame(void* frame) noexcept {
  detail::thread_state.current = detail::promise_of(frame).context;
  std::coroutine_handle<>::from_address(frame).resume();
  if (finished_ != nullptr) [[unlikely]] destroy_finished();
}

void Scheduler::run_frame_watched(void* frame) noexcept {
  const TaskContext* const task = detail::promise_of(frame).context;
  const std::uint32_t id = task->id;
  const char* const name = detail::record_of(*task).name;
  const Instant begin = clock_.now();
  run_frame(frame);
  const Duration took = clock_.now() - begin;
  if (took <= options_.slow_step) return;
  SlowStep step{.task_id = id, .task_name = name, .took = took};
  // A task ends with its last step, and takes its context along.
  if (last_ended_ != id && task->leaf != nullptr) {
    const detail::AwaitPlace place = detail::place_of(detail::promise_of(task->frame));
    step.file = place.file();
    step.line = place.line();
  }
  options_.on_slow_step(options_.failure_owner, step);
}

void Scheduler::destroy_finished() noexcept {
  std::coroutine_handle<>::from_address(std::exchange(finished_, nullptr)).destroy();
}

std::size_t Scheduler::fire_timers() noexcept {
  const std::size_t fired = timers_.fire_due(now_, ~std::size_t{0});
  while (expired_ != nullptr) {
    CancelScope& scope = *expired_;
    expired_ = std::exchange(scope.next_expired_, nullptr);
    if (expired_ == nullptr) last_expired_ = &expired_;
    scope.cancel(CancelReason::deadline);
  }
  return fired;
}

void Scheduler::expire(CancelScope& scope) noexcept {
  *last_expired_ = &scope;
  last_expired_ = &scope.next_expired_;
}

// Tail calls leave the stack as it was. (Going through the queue after each slice would cost more than the queue does:
// the processor then mispredicts what follows, about 100 ns each time.)
std::coroutine_handle<> Scheduler::continue_with(void* frame) noexcept {
  begin_slice();
  if (slices_left_ != 0 && !has_deep_stack()) [[likely]] {
    --slices_left_;
    return std::coroutine_handle<>::from_address(frame);
  }
  slices_left_ = slices_max;
  ready_.push_front(frame);
  return std::noop_coroutine();
}

// Whether what has been called since run_ready() can be a slice of nested resumptions: each takes more than 32 bytes.
bool Scheduler::has_deep_stack() const noexcept {
  const auto base = reinterpret_cast<std::uintptr_t>(stack_base_);
  const auto here = reinterpret_cast<std::uintptr_t>(GYRE_FRAME_ADDRESS());
  return base - here > std::size_t{32} * options_.transfers_max;
}

void Scheduler::run_nested(void* frame) noexcept {
  TaskContext* const outer = detail::thread_state.current;
  Scheduler* const outer_scheduler = std::exchange(detail::thread_state.scheduler, this);
  Poller* const outer_poller = std::exchange(detail::thread_state.poller, options_.poller);
  ++nested_;
  run_frame(frame);
  --nested_;
  detail::thread_state.scheduler = outer_scheduler;
  detail::thread_state.poller = outer_poller;
  detail::thread_state.current = outer;
}

void Scheduler::report(const TaskFailure& failure) noexcept {
  options_.on_task_failure(options_.failure_owner, failure);
}

std::coroutine_handle<> detail::transfer_in_new_slice(void* frame) noexcept {
  return thread_state.scheduler->continue_with(frame);
}

void detail::begin_slice() noexcept { thread_state.scheduler->begin_slice(); }

}  // namespace gyre
