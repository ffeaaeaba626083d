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
// Invariants: 1. The outcome of a waiter on a list is `parked`. 2. The list is empty when it dies.
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

// An operation that may wait, before it is awaited: the object, what is asked of it, and how to make the awaiter. (An
// awaiter that the await expression makes itself stands in the frame and is not reached through a pointer.)
template <typename Awaiter, typename Object, typename Argument = void>
class [[nodiscard]] WaitOperation {
 public:
  WaitOperation(Object& object, Argument argument) noexcept
      : object_(object), argument_(argument) {}
  Awaiter operator co_await() const noexcept { return Awaiter(object_, argument_); }

 private:
  Object& object_;
  Argument argument_;
};
template <typename Awaiter, typename Object>
class [[nodiscard]] WaitOperation<Awaiter, Object, void> {
 public:
  explicit WaitOperation(Object& object) noexcept : object_(object) {}
  Awaiter operator co_await() const noexcept { return Awaiter(object_); }

 private:
  Object& object_;
};

}  // namespace detail

// The base of an awaiter. await_ready() tries the operation, between is_refused() and settle():
//
//   bool await_ready() noexcept {
//     if (is_refused(mutex_.waiters_)) return true;
//     return settle(mutex_.try_acquire() ? WaitOutcome::granted : WaitOutcome::none);
//   }
//   void await_suspend(std::coroutine_handle<> frame) noexcept { suspend(mutex_.waiters_, frame, kind); }
class Waiter : private detail::WaitLink {
 public:
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  WaitOutcome outcome() const noexcept { return outcome_; }
  // For the primitive's own use: the number of permits that are wanted, the place that was given, ...
  std::uint32_t number() const noexcept { return number_; }
  void set_number(std::uint32_t number) noexcept { number_ = number; }

 protected:
  // What is not needed before the waiter parks is left uninitialised.
  Waiter() noexcept {
    if constexpr (debug_checks) outcome_ = WaitOutcome::none;
  }
  explicit Waiter(std::uint32_t number) noexcept : Waiter() { number_ = number; }
  ~Waiter() { GYRE_DCHECK(outcome_ != WaitOutcome::parked); }

  // Whether the task is cancelled and must not even try.
  bool is_refused(WaitList& list) noexcept;
  // The end of await_ready(); `none`: the task has to wait. What was done at once counts against the task's slice, and
  // sends it through the queue when that is used up, so that a loop of such operations does not keep the others waiting.
  bool settle(WaitOutcome outcome) noexcept {
    outcome_ = outcome;
    return outcome != WaitOutcome::none && detail::may_continue();
  }
  // To the end of the list, or, if the wait is over already, of the ready queue.
  void suspend(WaitList& list, std::coroutine_handle<> frame, const WaitKind& kind) noexcept;

  bool is_granted() const noexcept { return outcome_ == WaitOutcome::granted; }
  Error error(OperationKind operation) const noexcept {
    return detail::wait_error(outcome_, operation);
  }

 private:
  friend class WaitList;
  friend void detail::wait_list_dies(const detail::WaitLink&) noexcept;

  TaskContext* task_;
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

  // `waiter` goes to the end, and the current task waits in it until it is woken or cancelled.
  void park(Waiter& waiter, std::coroutine_handle<> frame, const WaitKind& kind) noexcept {
    TaskContext& task = *detail::thread_state.current;
    home_ = detail::thread_state.scheduler;
    waiter.task_ = &task;
    task.wait_in(&waiter, kind, frame.address());
    append(waiter);
  }
  // A waiter that was taken off another list, and still waits.
  void adopt(Waiter& waiter) noexcept;

  // Off the list; it must then be woken or adopted. Precondition: there is one.
  Waiter& take_first() noexcept {
    Waiter& waiter = *static_cast<Waiter*>(head_.next);
    remove(waiter);
    return waiter;
  }
  static void remove(Waiter& waiter) noexcept {
    waiter.next->previous = waiter.previous;
    waiter.previous->next = waiter.next;
  }

  // Ends the wait of a waiter that was taken off this list: its task will run.
  void wake(Waiter& waiter, WaitOutcome outcome) noexcept {
    if constexpr (debug_checks) check_waker();
    waiter.outcome_ = outcome;
    TaskContext& task = *waiter.task_;
    task.leaf = nullptr;
    home_->ready(task.frame);
  }
  // False if nobody waits.
  bool wake_first(WaitOutcome outcome = WaitOutcome::granted) noexcept {
    if (empty()) return false;
    wake(take_first(), outcome);
    return true;
  }
  void wake_all(WaitOutcome outcome = WaitOutcome::granted) noexcept {
    while (wake_first(outcome)) {
    }
  }

  // In builds with debug checks the primitive is now bound to the scheduler that runs the current task.
  void bind() noexcept {
    if constexpr (debug_checks) check_user();
  }

  // What a WaitKind calls for a primitive to which it is all the same whether a waiter leaves. `leaf` is the Waiter.
  static void cancel(void* leaf, TaskContext& task) noexcept;

 private:
  void append(Waiter& waiter) noexcept {
    waiter.outcome_ = WaitOutcome::parked;
    waiter.next = &head_;
    waiter.previous = head_.previous;
    head_.previous->next = &waiter;
    head_.previous = &waiter;
  }
  void check_user() noexcept;
  void check_waker() const noexcept;

  detail::WaitLink head_;
  Scheduler* home_ = nullptr;
};

inline bool Waiter::is_refused(WaitList& list) noexcept {
  list.bind();
  if (!detail::thread_state.current->cancel_requested()) [[likely]] return false;
  outcome_ = WaitOutcome::cancelled;
  return true;
}

inline void Waiter::suspend(WaitList& list, std::coroutine_handle<> frame,
                            const WaitKind& kind) noexcept {
  if (outcome_ == WaitOutcome::none) [[likely]] {
    list.park(*this, frame, kind);
  } else {
    detail::thread_state.scheduler->ready(frame.address());
  }
}

static_assert(sizeof(Waiter) == 32);

}  // namespace gyre
