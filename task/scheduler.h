// Scheduler: runs the ready tasks of one thread and fires their timers. It does no I/O: a Reactor joins it to a poller.
//
// Threads: one; the thread that runs it owns it, and everything that its tasks use.
// Invariants: 1. A frame is in the ready queue at most once. 2. Nobody is resumed but by run_ready(): completing,
// cancelling or sending only queues frames. 3. The stack is bounded, whatever the compiler makes of symmetric transfer:
// transfers are counted, and after transfers_max of them in a row the next goes through the queue's front, at once if the
// stack has grown (they were no tail calls), else at the latest after a few such rows, so that the loop has its turn.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/error.h>
#include <gyre/platform/intrusive_list.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/ready_queue.h>
#include <gyre/task/timer_queue.h>

namespace gyre {

// A task that nobody joins has failed. One of `error` and `exception` is set.
struct TaskFailure {
  std::uint32_t task_id = 0;
  const char* task_name = nullptr;  // null for an unnamed task
  Error error;
  std::exception_ptr exception;
};

// A task kept its thread for long without an await that waits.
struct SlowStep {
  std::uint32_t task_id = 0;
  const char* task_name = nullptr;
  Duration took{};
  // Where the task waits now; null if the step was its last.
  const char* file = nullptr;
  std::uint32_t line = 0;
};

struct SchedulerOptions {
  // Frames entered in a row until the stack is looked at, and operations completed in a row until the others have their
  // turn. 1 to 65,536.
  std::uint32_t transfers_max = 128;
  // Where failures of detached tasks go; the default prints them to standard error.
  void (*on_task_failure)(void* owner, const TaskFailure& failure) noexcept = nullptr;
  void* failure_owner = nullptr;
  // A step of a task that takes longer is reported to on_slow_step; zero: nobody looks at the clock.
  Duration slow_step = debug_checks ? Duration(std::chrono::milliseconds(100)) : Duration::zero();
  // The default prints it to standard error.
  void (*on_slow_step)(void* owner, const SlowStep& step) noexcept = nullptr;
  // Whoever runs this scheduler; a Reactor finds itself from a task by it.
  void* host = nullptr;
  // That of the host: its tasks find it without asking for the host.
  Poller* poller = nullptr;
};

namespace detail {

// An AsyncGenerator that has begun, and has not ended.
struct OpenGenerator : ListLink {
  void* frame = nullptr;
};

}  // namespace detail

class Scheduler {
 public:
  explicit Scheduler(Clock& clock, const SchedulerOptions& options = {});
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  // Precondition: no task is left.
  ~Scheduler();

  // Queues a suspended frame of one of this scheduler's tasks.
  void ready(void* frame) noexcept {
    check_thread();
    ready_.push(frame);
  }
  // Debug builds: aborts on any thread but the one that runs this scheduler.
  void check_thread() const noexcept {
    GYRE_DCHECK(owner_ == nullptr || owner_ == &detail::thread_state);
  }

  // Debug builds: from now on this thread runs it, and no other.
  void claim_thread() noexcept {
    if constexpr (debug_checks) {
      if (owner_ == nullptr) owner_ = &detail::thread_state;
      check_thread();
    }
  }

  // Runs ready frames, in the order of their queueing, until none is left or `at_most` have run. Stops early once the
  // clock has passed `until`. Returns the number of frames run.
  std::size_t run_ready(std::size_t at_most, Instant until = never) noexcept;
  // Fires the timers that are due at now(), and then cancels the scopes whose deadlines were among them: what became due
  // at the same time as a deadline has made it. Returns the number of timers.
  std::size_t fire_timers() noexcept;

  bool has_ready() const noexcept { return !ready_.empty(); }
  std::size_t count_ready() const noexcept { return ready_.size(); }

  // The time of this turn; update_now() reads the clock.
  Instant now() const noexcept { return now_; }
  Instant update_now() noexcept { return now_ = clock_.now(); }
  Clock& clock() noexcept { return clock_; }
  void* host() const noexcept { return options_.host; }
  Poller* poller() const noexcept { return options_.poller; }
  TimerQueue& timers() noexcept { return timers_; }

  // Live tasks: spawned or detached, and not yet finished.
  std::size_t tasks() const noexcept { return tasks_; }
  // The scope around everything; cancel it to end all tasks.
  TaskGroup& detached() noexcept { return *detached_; }

  // Those that have begun in a task of this scheduler, oldest first. See close_generator() in generator.h.
  IntrusiveList<detail::OpenGenerator>& open_generators() noexcept { return open_generators_; }

  // The rest is for the task layer itself.

  // A task more can be queued.
  bool has_room() const noexcept { return tasks_ < ready_.last(); }
  // Throws bad_alloc.
  void make_room() { ready_.reserve(tasks_ + 2); }
  // Returns its number. Precondition: has_room().
  std::uint32_t add_task() noexcept {
    ++tasks_;
    return ++last_id_;
  }
  // A new task's first step: in turn, or at once. Eager tasks that spawn eager tasks nest on the stack: no deeper than
  // nested_max, the next one waits for its turn.
  void begin(void* root_frame, bool at_once) noexcept {
    if (at_once && nested_ < nested_max) {
      run_nested(root_frame);
    } else {
      ready(root_frame);
    }
  }
  // A root frame has come to its end; it is destroyed as soon as it no longer runs.
  void bury(void* root_frame) noexcept { finished_ = root_frame; }
  // The transfer to `frame` has used up the slice: starts a new one, and says where to go on, `frame` or the loop.
  std::coroutine_handle<> continue_with(void* frame) noexcept;
  void remove_task(std::uint32_t id) noexcept {
    --tasks_;
    last_ended_ = id;
  }
  // The deadline of `scope` has fired.
  void expire(CancelScope& scope) noexcept;
  void report(const TaskFailure& failure) noexcept;
  void begin_slice() noexcept { detail::thread_state.transfers_left = options_.transfers_max; }
  // Resumes a frame from inside a running task (eager start), then returns to that one.
  void run_nested(void* frame) noexcept;
  static constexpr std::uint32_t nested_max = 64;

 private:
  template <bool watched>
  std::size_t run_chunk(std::size_t chunk) noexcept;
  void run_frame(void* frame) noexcept;
  void run_frame_watched(void* frame) noexcept;
  bool has_deep_stack() const noexcept;
  void destroy_finished() noexcept;

  // Hot.
  void* finished_ = nullptr;  // a root frame to be destroyed
  const void* stack_base_ = nullptr;  // the stack pointer of run_ready(), about
  std::uint32_t slices_left_ = 0;     // of transfers, until the loop has its turn
  ReadyQueue ready_;
  Instant now_;

  std::size_t tasks_ = 0;
  std::uint32_t last_id_ = 0;
  std::uint32_t last_ended_ = 0;

  const detail::ThreadState* owner_ = nullptr;  // debug builds: the thread that ran it first
  Clock& clock_;
  CancelScope* expired_ = nullptr;  // a list, first to last
  CancelScope** last_expired_ = &expired_;
  std::uint32_t nested_ = 0;  // calls of run_nested() on the stack
  IntrusiveList<detail::OpenGenerator> open_generators_;
  SchedulerOptions options_;
  TimerQueue timers_;  // large
  TaskGroup* detached_;
};

namespace detail {

// The slice is used up.
std::coroutine_handle<> transfer_in_new_slice(void* frame) noexcept;

// Where to go on inside await_suspend: to `frame`, or, when slice and stack are used up, back to the loop, which then
// goes there first. One call counts as one nested frame.
//
// The count is the thread's: reaching it through the task would put three dependent loads on the path of each await.
inline std::coroutine_handle<> transfer(void* frame) noexcept {
  if (--thread_state.transfers_left != 0) [[likely]] {
    return std::coroutine_handle<>::from_address(frame);
  }
  return transfer_in_new_slice(frame);
}

// A slice is used up, and whoever used it goes through the queue: starts a new one.
void begin_slice() noexcept;

// Whether an operation that could complete at once may do so without going through the queue. Each call takes one from
// the slice, so that an always-ready socket cannot keep the others waiting.
inline bool may_continue() noexcept {
  if (--thread_state.transfers_left != 0) [[likely]] return true;
  begin_slice();
  return false;
}

}  // namespace detail

inline Scheduler& TaskContext::scheduler() const noexcept { return scope->scheduler(); }

inline void TaskContext::end_wait() noexcept {
  leaf = nullptr;
  scheduler().ready(frame);
}

}  // namespace gyre
