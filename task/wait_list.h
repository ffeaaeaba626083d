// WaitList: who waits at a synchronisation primitive, first come, first served. Every primitive is a thin skin over it.
//
// An awaiter derives from Waiter and is its own node, so waiting allocates nothing. Whoever grants a waiter what it waits
// for takes it off the list, gives it the thing (the lock, the permits, the value) at once, and queues its frame: nobody
// is resumed inside a call, nobody overtakes, and what was granted is not lost, since a cancel that comes later finds the
// wait decided.
//
// Cancel-safety, named in the header of each primitive (after a cancelled or timed out wait):
//   atomic         nothing has happened; the task has only lost its place in the queue
//   non-cancellable  the wait completes first; the next checkpoint reports the cancel
//
// Threads: a primitive is used by the tasks of one scheduler, and on its thread. Builds with debug checks bind each
// primitive to the first scheduler that waits at it, and abort at any other.
// Invariants: 1. A waiter is on the list exactly while its outcome is `parked`. 2. The list is empty when it dies.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/error.h>
#include <gyre/task/context.h>
#include <gyre/task/scheduler.h>

namespace gyre {

class WaitList;

// What has become of a wait.
enum class WaitOutcome : std::uint8_t { none, parked, granted, cancelled, closed, broken };

namespace detail {

// Left as it is until it is linked: most waits end before they begin.
struct WaitLink {
  WaitLink* next;
  WaitLink* previous;
};

// What a wait that was not granted reports. Only in the task that waited.
Error wait_error(WaitOutcome outcome, OperationKind operation) noexcept;

[[noreturn]] void wait_list_dies(const WaitLink& first) noexcept;

// A task has done at once what it might have waited for. False if it may go on; when its slice is used up, its frame is
// queued, so that a loop of such operations does not keep the other tasks waiting.
inline bool suspend_after(std::coroutine_handle<> frame, TaskContext& task) noexcept {
  if (task.scheduler->may_continue()) [[likely]] return false;
  task.scheduler->ready(frame);
  return true;
}

}  // namespace detail

class Waiter : private detail::WaitLink {
 public:
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  bool await_ready() const noexcept { return false; }

  WaitOutcome outcome() const noexcept { return outcome_; }
  // For the primitive's own use: the number of permits that are wanted, the place that was given, ...
  std::uint32_t number() const noexcept { return number_; }
  void set_number(std::uint32_t number) noexcept { number_ = number; }

 protected:
  // The two link pointers are left uninitialised on purpose; see WaitLink.
  explicit Waiter(std::uint32_t number = 0) noexcept : outcome_(WaitOutcome::none), number_(number) {}
  ~Waiter() { GYRE_DCHECK(outcome_ != WaitOutcome::parked); }

  // The three ways out of await_suspend. The task is cancelled already:
  bool refuse(WaitOutcome outcome = WaitOutcome::cancelled) noexcept {
    outcome_ = outcome;
    return false;
  }
  // There was no need to wait:
  bool pass(std::coroutine_handle<> frame, TaskContext& task) noexcept {
    outcome_ = WaitOutcome::granted;
    return detail::suspend_after(frame, task);
  }
  // To the end of the list:
  bool park(WaitList& list, std::coroutine_handle<> frame, TaskContext& task,
            const WaitKind& kind) noexcept;

  bool is_granted() const noexcept { return outcome_ == WaitOutcome::granted; }

  Error error(OperationKind operation) const noexcept {
    return detail::wait_error(outcome_, operation);
  }

  // While parked.
  void* frame() const noexcept { return frame_; }

 private:
  friend class WaitList;
  friend void detail::wait_list_dies(const detail::WaitLink&) noexcept;

  void* frame_;
  WaitOutcome outcome_;
  std::uint32_t number_;
};

class WaitList {
 public:
  WaitList() noexcept : head_{&head_, &head_} {}
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;
  ~WaitList() {
    if (!empty()) [[unlikely]] detail::wait_list_dies(*head_.next);
  }

  bool empty() const noexcept { return head_.next == &head_; }
  // Null if there is none.
  Waiter* first() const noexcept { return empty() ? nullptr : static_cast<Waiter*>(head_.next); }
  // Walks the list.
  std::size_t count_waiters() const noexcept;

  // `waiter` goes to the end, and its task suspends in it until it is woken or cancelled.
  void park(Waiter& waiter, std::coroutine_handle<> frame, TaskContext& task,
            const WaitKind& kind) noexcept {
    bind(task);
    waiter.frame_ = frame.address();
    task.wait_in(&waiter, kind);
    append(waiter);
  }

  // Off the list; it must then be woken or moved. Precondition: there is one.
  Waiter& take_first() noexcept {
    Waiter& waiter = *static_cast<Waiter*>(head_.next);
    remove(waiter);
    return waiter;
  }
  static void remove(Waiter& waiter) noexcept {
    waiter.next->previous = waiter.previous;
    waiter.previous->next = waiter.next;
    waiter.outcome_ = WaitOutcome::none;
  }
  // A waiter that was taken off another list, and still waits. Its wait_kind stays what it is.
  void append(Waiter& waiter) noexcept {
    waiter.outcome_ = WaitOutcome::parked;
    waiter.next = &head_;
    waiter.previous = head_.previous;
    head_.previous->next = &waiter;
    head_.previous = &waiter;
  }

  // Ends the wait of a waiter that was taken off: its task will run.
  static void wake(Waiter& waiter, WaitOutcome outcome) noexcept {
    TaskContext& task = *detail::promise_of(waiter.frame_).context;
    if constexpr (debug_checks) check_waker(task);
    waiter.outcome_ = outcome;
    task.end_wait();
    task.scheduler->ready(waiter.frame_);
  }
  // False if nobody waits.
  bool wake_first(WaitOutcome outcome = WaitOutcome::granted) noexcept {
    if (empty()) return false;
    wake(take_first(), outcome);
    return true;
  }
  void wake_all(WaitOutcome outcome = WaitOutcome::granted) noexcept {
    while (!empty()) wake(take_first(), outcome);
  }

  // The task that is about to look at the primitive; in builds with debug checks the primitive is now bound to its
  // scheduler.
  void bind(const TaskContext& task) noexcept {
    if constexpr (debug_checks) {
      if (home_ == nullptr) home_ = task.scheduler;
      GYRE_CHECK_HINT(home_ == task.scheduler,
                      "a synchronisation primitive is used by tasks of two schedulers");
    }
  }

  // What a WaitKind calls for a primitive to which it is all the same whether a waiter leaves. `leaf` is the Waiter.
  static void cancel(void* leaf, TaskContext& task) noexcept;

 private:
  static void check_waker(const TaskContext& woken) noexcept;

  detail::WaitLink head_;
  Scheduler* home_ = nullptr;
};

inline bool Waiter::park(WaitList& list, std::coroutine_handle<> frame, TaskContext& task,
                         const WaitKind& kind) noexcept {
  list.park(*this, frame, task, kind);
  return true;
}

static_assert(sizeof(Waiter) == 32);

}  // namespace gyre
