// CancelScope: a region of one task, and of every task spawned into groups inside it, that can be cancelled as a whole.
//
//   CancelScope scope(CancelScope::within(2s));
//   Result<std::size_t> count = co_await stream.read(buffer);   // timed_out after two seconds
//
// Cancellation is level-triggered: once a scope is cancelled, every checkpoint inside it reports so at once, until the
// scope is left. What had been decided before the cancel is still delivered. A shielded scope keeps the cancellation of
// the scopes around it out; it can be cancelled itself.
//
// A scope lives in a coroutine (or in an object that does), belongs to the task that made it, and must end before it.
#pragma once

#include <cstdint>

#include <gyre/platform/clock.h>
#include <gyre/task/timer_queue.h>

namespace gyre {

class Scheduler;
class TaskContext;
class TaskGroup;
struct TreeCancel;

enum class CancelReason : std::uint8_t { none, cancelled, deadline };

struct CancelScopeOptions {
  Instant deadline = never;
  bool shielded = false;
};

// Something that wants to know when a scope is cancelled, by itself or from outside. Called in the thread of the scope,
// at most once; it must not touch the scope.
struct CancelHook {
  void (*on_cancel)(CancelHook& hook) noexcept;
};

class CancelScope {
 public:
  // Covers the current task from here to the end of the scope's life. Must be called inside a task.
  CancelScope() : CancelScope(CancelScopeOptions{}) {}
  explicit CancelScope(const CancelScopeOptions& options);
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;
  ~CancelScope();

  // Options of a scope that ends `timeout` from now; at once if that is not positive. Must be called inside a task.
  static CancelScopeOptions within(Duration timeout);

  // One hook at a time; null takes it away. Called at once if the scope is cancelled already.
  void set_hook(CancelHook* hook) noexcept;

  // Idempotent; the first reason stays.
  void cancel() noexcept { cancel(CancelReason::cancelled); }
  void cancel(CancelReason reason) noexcept;

  // Moves the deadline; `never` disarms it. No effect once cancelled.
  void reschedule(Instant deadline) noexcept;
  Instant deadline() const noexcept { return deadline_; }

  bool is_cancelled() const noexcept { return reason_ != CancelReason::none; }
  CancelReason reason() const noexcept { return reason_; }
  // Whether a checkpoint directly inside would report: cancelled itself, or by a scope around it and not shielded.
  bool is_effective() const noexcept { return effective_; }
  // Cancelled by its own deadline, and not by anything around it.
  bool timed_out() const noexcept;
  // Whether a checkpoint inside has reported the cancellation.
  bool was_reported() const noexcept { return reported_; }

  Scheduler& scheduler() const noexcept { return scheduler_; }
  CancelScope* parent() const noexcept { return parent_; }
  TaskContext* task() const noexcept { return task_; }
  TaskGroup* group() const noexcept { return group_; }
  bool is_shielded() const noexcept { return shielded_; }

 private:
  friend class Scheduler;
  friend class TaskGroup;
  friend class TaskContext;
  friend struct TreeCancel;

  // For a group: that of the current task, or of none (then `scheduler` is given).
  CancelScope(const CancelScopeOptions& options, TaskContext* task, Scheduler& scheduler,
              TaskGroup* group);

  void call_hook() noexcept;
  void enter() noexcept;
  void leave() noexcept;
  static void on_deadline(Timer& timer) noexcept;

  struct Deadline : Timer {
    explicit Deadline(CancelScope& owner) noexcept : Timer(on_deadline), scope(owner) {}
    CancelScope& scope;
  };

  CancelHook* hook_ = nullptr;
  CancelScope* next_expired_ = nullptr;  // see Scheduler::fire_timers
  CancelScope* parent_ = nullptr;  // the next scope outwards in the same task, or the scope that the task was spawned in
  TaskContext* task_ = nullptr;
  Scheduler& scheduler_;
  TaskGroup* group_ = nullptr;  // the group whose scope this is
  Instant deadline_;
  Deadline timer_;
  CancelReason reason_ = CancelReason::none;
  bool shielded_ = false;
  bool effective_ = false;
  bool reported_ = false;
  bool entered_ = false;
};

// The earliest deadline that covers the current task; never if there is none, or outside a task.
Instant current_deadline() noexcept;

}  // namespace gyre
