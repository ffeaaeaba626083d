// Stream: a connected byte stream on a reactor, whatever it runs over; TcpStream, UnixStream and pipes are streams.
//
// One read and one write may be in flight at a time, by two tasks if need be. Bytes that a read has taken are delivered
// even if the task was cancelled meanwhile (cancel-safety: read, receive and write are atomic; read_exactly and
// write_all are partial, and say how far they came). A stream must not go while an operation on it is in flight.
// A stream that is not open any more, or was moved from, answers Errc::closed. Errors name the peer where it has a name.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gyre/net/io_handle.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/io.h>
#include <gyre/task/task.h>

namespace gyre {

// Bytes that a stream has received into a buffer of its reactor; the buffer goes back when this object goes. Empty at
// the end of the stream.
class [[nodiscard]] LentBytes {
 public:
  LentBytes() noexcept = default;
  LentBytes(Poller& poller, std::byte* data, std::size_t size) noexcept
      : poller_(&poller), bytes_(data, size) {}
  LentBytes(LentBytes&& other) noexcept
      : poller_(std::exchange(other.poller_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  LentBytes& operator=(LentBytes&& other) noexcept {
    if (this != &other) {
      give_back();
      poller_ = std::exchange(other.poller_, nullptr);
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  ~LentBytes() { give_back(); }

  // A reference, so that a coroutine that passes it on keeps no copy in its frame.
  const std::span<std::byte>& bytes() const& noexcept { return bytes_; }
  std::span<std::byte> bytes() && noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }
  bool empty() const noexcept { return bytes_.empty(); }

 private:
  void give_back() noexcept {
    if (poller_ != nullptr) poller_->give_back(bytes_.data());
  }

  Poller* poller_ = nullptr;
  std::span<std::byte> bytes_;
};

namespace detail {

// As TransferAwaiter, in two words: most of the connections of a server wait in one of these.
class [[nodiscard]] LentAwaiter {
 public:
  explicit LentAwaiter(Operation* operation) noexcept : operation_(operation) {}
  LentAwaiter(const LentAwaiter&) = delete;
  LentAwaiter& operator=(const LentAwaiter&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    if (operation_ == nullptr) [[unlikely]] {
      result_ = io_not_open;
      return false;
    }
    operation_->kind = OperationKind::receive_lent;
    GYRE_DCHECK(operation_->flags == 0);
    return start_operation(*this, *operation_, *frame.promise().context, frame.address());
  }
  Result<LentBytes> await_resume() const noexcept {
    if (result_ <= 0) [[unlikely]] {
      if (result_ < 0) return io_error(OperationKind::receive_lent, operation_, result_);
      return LentBytes();
    }
    return LentBytes(current_poller(), static_cast<std::byte*>(buffer_), static_cast<std::size_t>(result_));
  }

  // For start_operation().
  void begin_wait(TaskContext& task) noexcept { task_ = &task; }
  TaskContext& task() const noexcept { return *task_; }
  void take(const Operation& operation, std::int64_t result) noexcept {
    if (result > 0) [[likely]] {
      operation.descriptor->bytes_received += static_cast<std::uint64_t>(result);
      buffer_ = operation.buffer;
      result_ = result;
    } else {
      result_ = io_result(result, operation.descriptor->generation);
    }
  }

 private:
  union {
    Operation* operation_;  // in the descriptor's slot; null: the handle was not open
    void* buffer_;          // once there are bytes
  };
  union {
    TaskContext* task_;    // while the operation is in flight
    std::int64_t result_;  // after
  };
};

// What to await, without the awaiter: that then stands in the frame where the coroutine finds it without a pointer to it.
class [[nodiscard]] Receive {
 public:
  explicit Receive(Operation* operation) noexcept : operation_(operation) {}
  LentAwaiter operator co_await() && noexcept { return LentAwaiter(operation_); }

 private:
  Operation* operation_;
};

// Sends until nothing is left, without a coroutine of its own: the rest is started again as each part completes.
class [[nodiscard]] WriteAllAwaiter {
 public:
  WriteAllAwaiter(Descriptor* descriptor, std::span<const std::byte> bytes) noexcept
      : descriptor_(descriptor), data_(bytes.data()), left_(bytes.size()) {}
  WriteAllAwaiter(const WriteAllAwaiter&) = delete;
  WriteAllAwaiter& operator=(const WriteAllAwaiter&) = delete;

  // The usual case: all of it fits into the socket.
  bool await_ready() noexcept {
    if (descriptor_ == nullptr || left_ == 0 || current_task()->cancel_requested()) [[unlikely]] return end_early();
    if (!may_continue()) [[unlikely]] return let_others_go_first();
    const std::int64_t sent = current_poller().send_now(*descriptor_, data_, left_);
    if (sent != static_cast<std::int64_t>(left_)) [[unlikely]] return note_first(sent);
    left_ = 0;
    return true;
  }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    return begin(*frame.promise().context, frame.address());
  }
  Result<void> await_resume() const noexcept {
    if (left_ == 0) [[likely]] return {};
    return io_error(OperationKind::send, descriptor_ != nullptr ? &descriptor_->output : nullptr, failure_);
  }

 protected:
  std::size_t left() const noexcept { return left_; }

 private:
  // Nothing is sent: there is nothing, or the handle is not open, or the task is cancelled. True.
  bool end_early() noexcept;
  // Nothing is sent yet: the slice is used up. False.
  bool let_others_go_first() noexcept;
  // The answer of send_now(), if it is not that all was sent. True: there is no more to do.
  bool note_first(std::int64_t sent) noexcept;
  bool begin(TaskContext& task, void* frame) noexcept;
  // Starts what is left. True if that is decided: all sent, or an error.
  bool go_on(Poller& poller) noexcept;
  // The operation has completed. True if there is no more to do.
  bool note_sent() noexcept;
  void take_off(std::int64_t sent) noexcept;
  void fail(std::int64_t result) noexcept;
  static void complete(Operation& operation) noexcept;
  static void cancel(void* leaf, TaskContext& task) noexcept;
  static const WaitKind wait_kind;

  Descriptor* descriptor_;  // null: the handle was not open
  const std::byte* data_;  // what is not sent yet
  std::size_t left_;       // bytes of it
  union {
    bool others_first_;     // before await_suspend()
    TaskContext* task_;     // while the operation is in flight
    std::int64_t failure_;  // after, if anything is left
  };
};

// Also says how much was sent.
class [[nodiscard]] CountingWriteAllAwaiter : public WriteAllAwaiter {
 public:
  CountingWriteAllAwaiter(Descriptor* descriptor, std::span<const std::byte> bytes, std::size_t* written) noexcept
      : WriteAllAwaiter(descriptor, bytes), size_(bytes.size()), written_(written) {}
  Result<void> await_resume() const noexcept {
    if (written_ != nullptr) *written_ = size_ - left();
    return WriteAllAwaiter::await_resume();
  }

 private:
  const std::size_t size_;
  std::size_t* const written_;
};

}  // namespace detail

class Stream : public IoHandle {
 public:
  // Not open.
  Stream() noexcept = default;

  // Reads at least one byte; zero means that the peer has closed its side. `buffer` must not be empty.
  // Errors: connection_reset, cancelled, timed_out.
  [[nodiscard]] detail::TransferAwaiter<OperationKind::receive> read(std::span<std::byte> buffer) noexcept {
    GYRE_CHECK_HINT(!buffer.empty(), "read() into an empty buffer could not tell the end of the stream");
    return {input(), buffer.data(), buffer.size()};
  }
  // As read(), into a buffer of the reactor, so that a stream that waits owns none.
  [[nodiscard]] detail::Receive receive() noexcept { return detail::Receive(input()); }
  // Fills `buffer`. Errors: Errc::end_of_stream; `*received`, if given, says how many bytes came.
  [[nodiscard]] Task<Result<void>> read_exactly(std::span<std::byte> buffer,
                                                std::size_t* received = nullptr);

  // Writes at least one byte and returns how many. `bytes` must not be empty.
  // Errors: broken_pipe, connection_reset, cancelled, timed_out.
  [[nodiscard]] detail::TransferAwaiter<OperationKind::send> write(std::span<const std::byte> bytes) noexcept {
    GYRE_CHECK_HINT(!bytes.empty(), "write() of nothing");
    return {output(), const_cast<std::byte*>(bytes.data()), bytes.size()};
  }
  // Writes all.
  [[nodiscard]] detail::WriteAllAwaiter write_all(std::span<const std::byte> bytes) noexcept {
    return {descriptor(), bytes};
  }
  // Writes all of a text, which has to live until then.
  [[nodiscard]] detail::WriteAllAwaiter write_all(std::string_view text) noexcept {
    return {descriptor(), std::as_bytes(std::span(text))};
  }
  template <std::same_as<std::string> Text>
  void write_all(Text&&) = delete;  // a string that may be gone before it is written: give it a name
  // Of bytes that could be changed: without it a coroutine would keep the converted span in its frame.
  template <std::same_as<std::span<std::byte>> Bytes>
  [[nodiscard]] detail::WriteAllAwaiter write_all(const Bytes& bytes) noexcept {
    return {descriptor(), bytes};
  }
  // Then `*written`, if given, says how many bytes went out, also on failure.
  [[nodiscard]] detail::CountingWriteAllAwaiter write_all(std::span<const std::byte> bytes,
                                                          std::size_t* written) noexcept {
    if (written != nullptr) *written = 0;
    return {descriptor(), bytes, written};
  }
  // The pieces in order, as one transfer; those of size zero are skipped. The slices must live until it completes.
  [[nodiscard]] detail::TransferAwaiter<OperationKind::receive_vector> read(std::span<IoSlice> slices) noexcept {
    return {input(), slices.data(), slices.size()};
  }
  [[nodiscard]] detail::TransferAwaiter<OperationKind::send_vector> write(std::span<IoSlice> slices) noexcept {
    return {output(), slices.data(), slices.size()};
  }
  // Write all the pieces, and fill them all. The slices are used up on the way: after a failure they are what is left.
  template <std::convertible_to<std::span<IoSlice>> Slices>
  [[nodiscard]] Task<Result<void>> write_all(Slices&& slices, std::size_t* written = nullptr) {
    return write_all_pieces(slices, written);
  }
  template <std::convertible_to<std::span<IoSlice>> Slices>
  [[nodiscard]] Task<Result<void>> read_exactly(Slices&& slices, std::size_t* received = nullptr) {
    return read_exactly_pieces(slices, received);
  }

  // Ends one direction, or both: the peer sees the end of the stream once it has read what was written.
  // Errors: not_connected.
  [[nodiscard]] Result<void> shutdown(ShutdownSide side = ShutdownSide::write) noexcept;
  // Closes at once, and resets the connection: data that were not sent yet are dropped. Precondition: nothing is in
  // flight. Does nothing if the stream is not open.
  void abort() noexcept;

  // Bytes that this stream has moved since it was opened. Precondition of both: is_open().
  std::uint64_t bytes_received() const noexcept { return open().bytes_received; }
  std::uint64_t bytes_sent() const noexcept { return open().bytes_sent; }

  // The poller's slot of it, for operations that a Stream has not.
  Descriptor& slot() const noexcept { return open(); }

 protected:
  Stream(Poller& poller, Descriptor& descriptor) noexcept : IoHandle(poller, descriptor) {}

 private:
  Task<Result<void>> write_all_pieces(std::span<IoSlice> slices, std::size_t* written);
  Task<Result<void>> read_exactly_pieces(std::span<IoSlice> slices, std::size_t* received);
};

}  // namespace gyre
