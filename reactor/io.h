// Awaiting an operation of a poller: how every socket, pipe and file of Gyre waits.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/context.h>

namespace gyre {

namespace detail {

// The cold half: parks the task in `operation`, which has been started. And how a cancel reaches the poller.
void wait_for_operation(Operation& operation, TaskContext& task, void* frame) noexcept;
void complete_operation(Operation& operation) noexcept;

// Starts `operation` for the task that is about to suspend as `frame`. False: go on at once, the result is there.
inline bool start_operation(Operation& operation, TaskContext& task, void* frame) noexcept {
  if (task.cancel_requested()) [[unlikely]] {
    operation.result = -static_cast<std::int64_t>(std::errc::operation_canceled);
    return false;
  }
  operation.complete = complete_operation;
  operation.owner = &task;
  if (this_reactor().poller().start(operation)) {
    if (may_continue()) return false;
    // Always ready: others first.
    thread_state.scheduler->ready(frame);
    return true;
  }
  wait_for_operation(operation, task, frame);
  return true;
}

// The error of a finished operation: as the scope has it where a cancel was the reason.
Error operation_error(const Operation& operation) noexcept;

}  // namespace detail

// Awaits one operation that stands elsewhere (in a descriptor's slot, or beside the await) and has been filled in but
// for `complete` and `owner`. The result is the operation's: a number >= 0, or its error. Cancelling waits for the
// poller's answer, and a result that won the race is delivered.
class [[nodiscard]] OperationAwaiter {
 public:
  explicit OperationAwaiter(Operation& operation) noexcept : operation_(operation) {}
  OperationAwaiter(const OperationAwaiter&) = delete;
  OperationAwaiter& operator=(const OperationAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    return detail::start_operation(operation_, *frame.promise().context, frame.address());
  }
  Result<std::size_t> await_resume() const noexcept {
    if (operation_.failed()) [[unlikely]] return detail::operation_error(operation_);
    return static_cast<std::size_t>(operation_.result);
  }

 private:
  Operation& operation_;
};

// Waits until `descriptor` polls readable or writable. It must stay open, and be watched for one direction by one task
// at a time. Errors: cancelled, timed_out; operation_not_permitted for a regular file.
[[nodiscard]] Task<Result<void>> wait_readable(NativeDescriptor descriptor);
[[nodiscard]] Task<Result<void>> wait_writable(NativeDescriptor descriptor);

}  // namespace gyre
