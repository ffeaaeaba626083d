// DuplexStream: two connected byte streams in memory, for tests and for joining tasks as if by a socket.
//
//   auto [client, server] = make_duplex();
//
// Each direction holds a bounded number of bytes; who writes more waits. The errors are a socket's: the end of the stream
// after shutdown() or close(), broken_pipe when nobody reads any more, connection_reset after abort(), or after a close()
// that left something unread. A reset is reported from then on, and unread bytes are gone. An end that is not open any
// more, or was moved from, answers Errc::closed.
//
// Threads: both ends on one reactor. Cancel-safety of read and write: atomic.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>
#include <gyre/task/wait_list.h>

namespace gyre {

namespace detail {

// One direction: a ring of bytes, who waits for some, and who for room.
class DuplexPipe {
 public:
  explicit DuplexPipe(std::size_t capacity, std::size_t transfer_max);

  enum class Side : std::uint8_t { input, output };

  // Whether an operation would not wait.
  bool is_ready(Side side) const noexcept;
  Result<std::size_t> take(std::span<std::byte> buffer) noexcept;
  Result<std::size_t> put(std::span<const std::byte> bytes) noexcept;

  // No more is written: the reader comes to the end. Idempotent, as all three.
  void end_output() noexcept;
  // No more is read: what there is goes, and the writer is told. Returns whether there was something.
  bool end_input() noexcept;
  void reset() noexcept;

  std::size_t size() const noexcept { return size_; }
  WaitList& waiters(Side side) noexcept { return side == Side::input ? readers_ : writers_; }
  // Whether an operation is between its start and its result.
  bool& is_busy(Side side) noexcept { return side == Side::input ? reading_ : writing_; }

 private:
  void wake_all() noexcept;

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_;
  std::size_t transfer_max_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  WaitList readers_;
  WaitList writers_;
  bool reading_ = false;
  bool writing_ = false;
  bool output_ended_ = false;
  bool input_ended_ = false;
  bool reset_ = false;
};

struct DuplexState {
  DuplexState(std::size_t capacity, std::size_t transfer_max)
      : forth(capacity, transfer_max), back(capacity, transfer_max) {}
  DuplexPipe forth;
  DuplexPipe back;
};

class [[nodiscard]] DuplexAwaiter : public Waiter {
 public:
  // `pipe`: null if the end is not open.
  DuplexAwaiter(DuplexPipe* pipe, DuplexPipe::Side side, std::byte* data, std::size_t size) noexcept
      : pipe_(pipe), data_(data), size_(size), side_(side) {}

  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> frame) noexcept;
  Result<std::size_t> await_resume() noexcept;

 private:
  DuplexPipe* pipe_;
  std::byte* data_;
  std::size_t size_;
  DuplexPipe::Side side_;
};

}  // namespace detail

class DuplexStream {
 public:
  // Not open.
  DuplexStream() noexcept = default;
  DuplexStream(DuplexStream&& other) noexcept
      : state_(std::move(other.state_)), is_first_(other.is_first_) {}
  DuplexStream& operator=(DuplexStream&& other) noexcept {
    if (this != &other) {
      drop();
      state_ = std::move(other.state_);
      is_first_ = other.is_first_;
    }
    return *this;
  }
  // Closes at once. Precondition: nothing is in flight.
  ~DuplexStream() { drop(); }

  bool is_open() const noexcept { return state_ != nullptr; }

  // Reads at least one byte; zero at the end of the stream. `buffer` must not be empty.
  // Errors: connection_reset, cancelled, timed_out.
  [[nodiscard]] detail::DuplexAwaiter read(std::span<std::byte> buffer) noexcept {
    GYRE_CHECK_HINT(!buffer.empty(), "read() into an empty buffer could not tell the end of the stream");
    return {is_open() ? &input() : nullptr, detail::DuplexPipe::Side::input, buffer.data(), buffer.size()};
  }
  // Writes at least one byte and returns how many. `bytes` must not be empty.
  // Errors: broken_pipe, connection_reset, cancelled, timed_out.
  [[nodiscard]] detail::DuplexAwaiter write(std::span<const std::byte> bytes) noexcept {
    GYRE_CHECK_HINT(!bytes.empty(), "write() of nothing");
    return {is_open() ? &output() : nullptr, detail::DuplexPipe::Side::output,
            const_cast<std::byte*>(bytes.data()), bytes.size()};
  }
  // Bytes that a read would find. Precondition: is_open().
  std::size_t readable() const noexcept { return input().size(); }

  [[nodiscard]] Result<void> shutdown(ShutdownSide side = ShutdownSide::write) noexcept;
  // Ends what is in flight at this end, with Errc::closed, and closes; the end counts as closed at once. Nobody can
  // cancel it. Does nothing if it is not open.
  [[nodiscard]] Task<Result<void>> close();
  // Closes at once; the peer is reset. Precondition: nothing is in flight.
  void abort() noexcept;

 private:
  friend std::pair<DuplexStream, DuplexStream> make_duplex(const struct DuplexOptions& options);
  DuplexStream(std::shared_ptr<detail::DuplexState> state, bool is_first) noexcept
      : state_(std::move(state)), is_first_(is_first) {}

  detail::DuplexPipe& input() const noexcept { return is_first_ ? open().back : open().forth; }
  detail::DuplexPipe& output() const noexcept { return is_first_ ? open().forth : open().back; }
  detail::DuplexState& open() const noexcept {
    GYRE_CHECK_HINT(state_ != nullptr, "the stream is not open: closed, or moved from");
    return *state_;
  }
  void drop() noexcept;

  std::shared_ptr<detail::DuplexState> state_;
  bool is_first_ = false;
};

struct DuplexOptions {
  // Bytes that each direction holds.
  std::size_t capacity = 64 * 1024;
  // Bytes that one read or write moves at most: 1 shows who counts on more.
  std::size_t transfer_max = std::numeric_limits<std::size_t>::max();
};

[[nodiscard]] std::pair<DuplexStream, DuplexStream> make_duplex(const DuplexOptions& options = {});

}  // namespace gyre
