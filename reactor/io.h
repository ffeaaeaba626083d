// Awaiting an operation of a poller: how every socket, pipe and file of Gyre waits.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/context.h>

namespace gyre {

namespace detail {

// That of the reactor which runs `task`; also where nothing runs, as in a completion.
inline Poller& poller_of(const TaskContext& task) noexcept {
  return *task.scheduler().poller();
}

// That of the reactor which runs the current task. Must be called inside a task of one.
inline Poller& current_poller() noexcept {
  GYRE_DCHECK(thread_state.poller != nullptr);
  return *thread_state.poller;
}

// What a task waits in that waits for an operation.
extern const WaitKind operation_wait;

// Awaiter: task() gives the task that start_operation() has noted by begin_wait(task); take(operation, result) keeps the
// result instead. It must be kept there, and then: when the task runs, the descriptor may have been closed by another one, and
// the slot that held the operation may be the next descriptor's.
template <typename Awaiter>
void complete_operation(Operation& operation) noexcept {
  auto& awaiter = *static_cast<Awaiter*>(operation.owner);
  TaskContext& task = awaiter.task();
  awaiter.take(operation, operation.result);
  task.end_wait();
}

// What was started is done already, though the current task has been made to wait for it. False: it goes on at once.
template <typename Awaiter>
[[gnu::noinline]] bool take_at_once() noexcept {
  TaskContext& task = *thread_state.current;
  const Operation& operation = *static_cast<Operation*>(std::exchange(task.leaf, nullptr));
  static_cast<Awaiter*>(operation.owner)->take(operation, operation.result);
  if (may_continue()) return false;
  // Always ready: others first.
  thread_state.scheduler->ready(task.frame);
  return true;
}

// Starts `operation` for the task that is about to suspend as `frame`. False: go on at once, the result is there.
// The task waits before the operation is started, so that nothing has to be kept for afterwards.
template <typename Awaiter>
inline bool start_operation(Awaiter& awaiter, Operation& operation, TaskContext& task, void* frame) noexcept {
  if (task.cancel_requested()) [[unlikely]] {
    awaiter.take(operation, -static_cast<std::int64_t>(std::errc::operation_canceled));
    return false;
  }
  operation.complete = complete_operation<Awaiter>;
  operation.owner = &awaiter;
  awaiter.begin_wait(task);
  task.wait_in(&operation, operation_wait, frame);
  if (current_poller().start(operation)) [[unlikely]] return take_at_once<Awaiter>();
  return true;
}

// The error of a finished operation, whose `result` is negative: as the scope has it where a cancel was the reason;
// Errc::closed where closing the descriptor was.
Error operation_error(OperationKind kind, std::int64_t result) noexcept;

}  // namespace detail

// Awaits one operation that stands elsewhere (in a descriptor's slot, or beside the await) and has been filled in but
// for `complete` and `owner`. The result is the operation's: a number >= 0, or its error. Cancelling waits for the
// poller's answer, and a result that won the race is delivered.
class [[nodiscard]] OperationAwaiter {
 public:
  explicit OperationAwaiter(Operation& operation) noexcept : operation_(operation), kind_(operation.kind) {}
  OperationAwaiter(const OperationAwaiter&) = delete;
  OperationAwaiter& operator=(const OperationAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    return detail::start_operation(*this, operation_, *frame.promise().context, frame.address());
  }
  Result<std::size_t> await_resume() const noexcept {
    if (result_ < 0) [[unlikely]] return detail::operation_error(kind_, result_);
    return static_cast<std::size_t>(result_);
  }

  // For start_operation().
  void begin_wait(TaskContext& task) noexcept { task_ = &task; }
  TaskContext& task() const noexcept { return *task_; }
  void take(const Operation&, std::int64_t result) noexcept { result_ = result; }

 private:
  Operation& operation_;
  union {
    TaskContext* task_;  // while the operation is in flight
    std::int64_t result_ = 0;
  };
  OperationKind kind_;
};

// Waits until `descriptor` polls readable or writable. It must stay open, and be watched for one direction by one task
// at a time. Errors: cancelled, timed_out; operation_not_permitted for a regular file; file_exists (but for io_uring) if the
// reactor watches it already, for another task or as a stream's.
[[nodiscard]] Task<Result<void>> wait_readable(NativeDescriptor descriptor);
[[nodiscard]] Task<Result<void>> wait_writable(NativeDescriptor descriptor);

}  // namespace gyre
