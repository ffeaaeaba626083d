// IoHandle: one descriptor that a reactor watches; streams, listeners and sockets of datagrams are handles.
//
// One input and one output operation may be in flight at a time, by two tasks if need be. A handle that is not open (any
// more, or moved from) answers Errc::closed. It may be moved while an operation is in flight, but must not go.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/net/endpoint.h>
#include <gyre/platform/check.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>
#include <gyre/reactor/io.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {

// The result of an operation in one word: >= 0, or a failure, which also says to which tenant of the slot it belongs, so
// that only that one is asked for its name.
constexpr std::int64_t io_result(std::int64_t result, std::uint32_t generation) noexcept {
  if (result >= 0) [[likely]] return result;
  return static_cast<std::int64_t>(std::uint64_t{1} << 63 | std::uint64_t{generation & 0x7fffffff} << 32 |
                                   static_cast<std::uint32_t>(-result));
}
// Of a failure; it names the peer where that is still known. `operation` is null if the handle was not open.
Error io_error(OperationKind kind, const Operation* operation, std::int64_t failure) noexcept;
// The descriptor that has failed, if it is still open; else null.
const Descriptor* descriptor_of(const Operation* operation, std::int64_t failure) noexcept;
inline constexpr std::int64_t io_not_open = std::int64_t{-1} << 62;

// Counts what a finished transfer has moved, and returns its result.
template <OperationKind kind>
inline std::int64_t count_transfer(const Operation& operation, std::int64_t result) noexcept {
  constexpr bool sends =
      kind == OperationKind::send || kind == OperationKind::send_vector || kind == OperationKind::send_message;
  constexpr bool is_no_number_of_bytes = kind == OperationKind::receive_batch || kind == OperationKind::send_batch ||
                                         kind == OperationKind::accept;
  Descriptor& descriptor = *operation.descriptor;
  if (result < 0) [[unlikely]] return io_result(result, descriptor.generation);
  if constexpr (is_no_number_of_bytes) return result;
  (sends ? descriptor.bytes_sent : descriptor.bytes_received) += static_cast<std::uint64_t>(result);
  return result;
}

// Fills in and awaits the operation of one direction.
template <OperationKind kind>
class [[nodiscard]] TransferAwaiter {
 public:
  TransferAwaiter(Operation* operation, void* buffer, std::size_t size) noexcept
      : operation_(operation), buffer_(buffer), size_(size) {}
  TransferAwaiter(const TransferAwaiter&) = delete;
  TransferAwaiter& operator=(const TransferAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    if (operation_ == nullptr) [[unlikely]] {
      result_ = io_not_open;
      return false;
    }
    operation_->kind = kind;
    operation_->flags = 0;
    operation_->buffer = buffer_;
    operation_->size = size_;
    return start_operation(*this, *operation_, *frame.promise().context, frame.address());
  }
  Result<std::size_t> await_resume() const noexcept {
    if (result_ < 0) [[unlikely]] return io_error(kind, operation_, result_);
    return static_cast<std::size_t>(result_);
  }

  // For start_operation().
  void begin_wait(TaskContext& task) noexcept { task_ = &task; }
  TaskContext& task() const noexcept { return *task_; }
  void take(const Operation& operation, std::int64_t result) noexcept {
    buffer_ = operation.buffer;
    result_ = count_transfer<kind>(operation, result);
  }

 protected:
  Operation* operation_;  // in the descriptor's slot; null: the handle was not open
  union {
    void* buffer_;       // before, and after it
    TaskContext* task_;  // while the operation is in flight
  };
  union {
    std::size_t size_;     // before
    std::int64_t result_;  // after
  };
};

}  // namespace detail

class IoHandle {
 public:
  // Not open.
  IoHandle() noexcept = default;
  IoHandle(IoHandle&& other) noexcept
      : poller_(other.poller_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}
  IoHandle& operator=(IoHandle&& other) noexcept {
    if (this != &other) {
      close_now();
      poller_ = other.poller_;
      descriptor_ = std::exchange(other.descriptor_, nullptr);
    }
    return *this;
  }
  // Closes at once. Precondition: nothing is in flight.
  ~IoHandle() { close_now(); }

  bool is_open() const noexcept { return descriptor_ != nullptr; }
  // Ends what is in flight, with Errc::closed, and closes; the handle counts as closed at once. Nobody can cancel it.
  // Does nothing if it is not open.
  [[nodiscard]] Task<Result<void>> close();
  // Closes at once. Precondition: nothing is in flight. Does nothing if it is not open.
  void close_now() noexcept {
    if (descriptor_ != nullptr) poller_->close(*std::exchange(descriptor_, nullptr));
  }
  // Gives the descriptor up. Preconditions: it is open; nothing is in flight.
  [[nodiscard]] UniqueFd release() noexcept { return poller_->detach(open_for_release()); }
  // The descriptor, which stays the handle's. Precondition: it is open.
  NativeDescriptor native() const noexcept { return open().native; }

 protected:
  IoHandle(Poller& poller, Descriptor& descriptor) noexcept
      : poller_(&poller), descriptor_(&descriptor) {}
  // Takes over a descriptor, which this thread's reactor then watches. Must be called inside a task. On failure it is
  // closed.
  Result<void> attach(UniqueFd fd, DescriptorKind kind);
  // Connects a fresh socket. Errors name `peer`.
  [[nodiscard]] Task<Result<void>> connect_to(const Endpoint& peer);

  Descriptor& open() const noexcept {
    GYRE_CHECK_HINT(descriptor_ != nullptr, "not open: closed, or moved from");
    return *descriptor_;
  }
  Operation* input() noexcept { return descriptor_ != nullptr ? &descriptor_->input : nullptr; }
  Operation* output() noexcept { return descriptor_ != nullptr ? &descriptor_->output : nullptr; }
  Descriptor* descriptor() const noexcept { return descriptor_; }
  Poller* poller() const noexcept { return poller_; }

 private:
  Descriptor& open_for_release() noexcept {
    Descriptor& descriptor = open();
    descriptor_ = nullptr;
    return descriptor;
  }

  Poller* poller_ = nullptr;
  Descriptor* descriptor_ = nullptr;
};

}  // namespace gyre
