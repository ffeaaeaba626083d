// Listener: accepts connections, whatever they run over; TcpListener and UnixListener are listeners.
//
// One accept at a time. A connection that was accepted is delivered even if the task was cancelled meanwhile.
#pragma once

#include <coroutine>
#include <cstdint>

#include <gyre/net/io_handle.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>
#include <gyre/reactor/io.h>

namespace gyre {

namespace detail {

// Accepts one connection as a `Connection`, a Stream.
template <typename Connection>
class [[nodiscard]] AcceptAwaiter {
 public:
  explicit AcceptAwaiter(Operation* operation) noexcept : operation_(operation) {}
  AcceptAwaiter(const AcceptAwaiter&) = delete;
  AcceptAwaiter& operator=(const AcceptAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    if (operation_ == nullptr) [[unlikely]] {
      result_ = io_not_open;
      return false;
    }
    operation_->kind = OperationKind::accept;
    operation_->flags = 0;
    return start_operation(*this, *operation_, *frame.promise().context, frame.address());
  }
  Result<Connection> await_resume() const noexcept {
    if (result_ < 0) [[unlikely]] return io_error(OperationKind::accept, operation_, result_);
    return Connection::adopt(UniqueFd(static_cast<NativeDescriptor>(result_)));
  }

  // For start_operation().
  void begin_wait(TaskContext& task) noexcept { task_ = &task; }
  TaskContext& task() const noexcept { return *task_; }
  void take(const Operation& operation, std::int64_t result) noexcept {
    result_ = io_result(result, operation.descriptor->generation);
  }

 private:
  Operation* operation_;  // in the descriptor's slot; null: the listener was not open
  union {
    TaskContext* task_;  // while the operation is in flight
    std::int64_t result_ = 0;
  };
};

}  // namespace detail

class Listener : public IoHandle {
 public:
  // Not open.
  Listener() noexcept = default;

  // Closes at once; connections that wait to be accepted are reset. Precondition: no accept is in flight.
  void close() noexcept { close_now(); }

 protected:
  // Takes over a socket that listens, and gives it to this thread's reactor. Errors: invalid_argument if it does not listen.
  Result<void> listen_with(UniqueFd socket);
  template <typename Connection>
  [[nodiscard]] detail::AcceptAwaiter<Connection> accept_as() noexcept {
    return detail::AcceptAwaiter<Connection>(input());
  }
};

}  // namespace gyre
