// BufferedWriter: many small writes to a byte stream, sent together.
//
//   BufferedWriter writer(stream);
//   static_cast<void>(writer.write("HTTP/1.1 200 OK\r\n"));      // never waits: into the buffer
//   static_cast<void>(writer.write(body));
//   Result<void> sent = co_await writer.flush();                 // one send
//
// Who sends: whoever waits in drain(), flush(), shutdown() or close(); the others wait for the same send. A writer that
// several tasks write to (a chat's, say) may also have run() as a task of its own, which sends what a turn has
// brought, once a turn, without anybody's flush.
//
// drain() is the back-pressure of a producer: it waits only above the high watermark, and until the low one. What is
// below it leaves with the next flush(). An error of the stream is for ever: every later call reports it. The buffer
// is bounded: a write beyond the limit is refused as a whole.
//
// Cancel-safety: resumable; a cancelled call has lost and doubled nothing, the next one goes on. The stream must outlive
// the writer, and nobody else may write to it. The bytes that are not sent when the writer goes are dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <gyre/net/stream_concepts.h>
#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/event.h>
#include <gyre/task/task.h>

namespace gyre {

struct BufferedWriterOptions {
  static constexpr std::size_t automatic = std::numeric_limits<std::size_t>::max();

  // drain() waits while more than `high` bytes are unsent, until no more than `low` are. low <= high <= limit.
  std::size_t high = 64 * 1024;
  std::size_t low = automatic;    // a quarter of `high`
  // Bytes that the writer holds at most.
  std::size_t limit = automatic;  // sixteen times `high`
};

namespace detail {

// The unsent bytes. What is being sent stays in place while more are added.
class WriteBuffer {
 public:
  std::size_t size() const noexcept { return pending_.size() + sending_.size() - sending_begin_; }
  // Throws bad_alloc.
  void append(std::span<const std::byte> bytes) {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    appended_ += bytes.size();
  }
  // What to send next; empty if there is nothing. Stays valid until note_sent() has taken it all.
  std::span<const std::byte> next() noexcept;
  void note_sent(std::size_t count) noexcept {
    GYRE_CHECK_HINT(count <= sending_.size() - sending_begin_, "a stream has written more than it was given");
    sending_begin_ += count;
    sent_ += count;
  }

  // Since the beginning.
  std::uint64_t appended() const noexcept { return appended_; }
  std::uint64_t sent() const noexcept { return sent_; }

 private:
  std::vector<std::byte> pending_;
  std::vector<std::byte> sending_;
  std::size_t sending_begin_ = 0;
  std::uint64_t appended_ = 0;
  std::uint64_t sent_ = 0;
};

// With what was automatic filled in. Aborts unless low <= high <= limit.
BufferedWriterOptions checked(BufferedWriterOptions options) noexcept;

}  // namespace detail

template <WriteStream S>
class BufferedWriter {
 public:
  explicit BufferedWriter(S& stream, BufferedWriterOptions options = {}) noexcept
      : stream_(stream), options_(detail::checked(options)) {}
  BufferedWriter(const BufferedWriter&) = delete;
  BufferedWriter& operator=(const BufferedWriter&) = delete;
  ~BufferedWriter() { GYRE_CHECK_HINT(!sending_, "a writer goes while it is sending"); }

  // Takes all of `bytes`, or none. Errors: Errc::limit_exceeded; Errc::closed after shutdown() or close(); the stream's
  // error, once there has been one.
  Result<void> write(std::span<const std::byte> bytes);
  Result<void> write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

  // Errors of all: the stream's, cancelled, timed_out.

  // Returns at once while no more than `high` bytes are unsent; else waits until no more than `low` are.
  [[nodiscard]] Task<Result<void>> drain();
  // Waits until all that was written before the call is sent.
  [[nodiscard]] Task<Result<void>> flush();
  // No more writes; flushes, and then ends the stream's side.
  [[nodiscard]] Task<Result<void>> shutdown();
  // No more writes; flushes, and closes the stream, also if flushing fails or is cancelled. The result is the first
  // error. (Within a deadline: with_timeout(1s, writer.close()).)
  [[nodiscard]] Task<Result<void>> close();
  // Sends whatever is written, one send a turn, until shutdown() or close(), an error, or a cancel.
  [[nodiscard]] Task<Result<void>> run();

  // Bytes that are not sent yet.
  std::size_t unsent() const noexcept { return buffer_.size(); }
  std::uint64_t sent() const noexcept { return buffer_.sent(); }
  // Whether drain() would wait.
  bool is_above_high() const noexcept { return buffer_.size() > options_.high; }

 private:
  // Until `target` bytes are sent since the beginning, or no more than `low` are left.
  Task<Result<void>> send_until(std::uint64_t target, std::size_t low);

  S& stream_;
  const BufferedWriterOptions options_;
  detail::WriteBuffer buffer_;
  Event progress_;  // after each send, for who waits for another's
  Event wanted_;    // for run(): there is something to send, or an end to see
  Error error_;
  bool sending_ = false;
  bool closed_ = false;
};

template <WriteStream S>
Result<void> BufferedWriter<S>::write(std::span<const std::byte> bytes) {
  if (error_) return error_;
  if (closed_) return Error(Errc::closed, OperationKind::write);
  if (bytes.size() > options_.limit - buffer_.size()) return Error(Errc::limit_exceeded, OperationKind::write);
  buffer_.append(bytes);
  wanted_.set();
  return {};
}

template <WriteStream S>
Task<Result<void>> BufferedWriter<S>::send_until(std::uint64_t target, std::size_t low) {
  if (current_task()->cancel_requested()) co_return current_task()->cancel_error(OperationKind::write);
  for (;;) {
    if (buffer_.sent() >= target || buffer_.size() <= low) co_return Result<void>{};
    if (error_) co_return error_;
    if (sending_) {
      const Result<void> waited = co_await progress_.wait();
      if (!waited) co_return waited.error();
      continue;
    }
    sending_ = true;
    const Result<std::size_t> count = co_await stream_.write(buffer_.next());
    sending_ = false;
    if (count) {
      buffer_.note_sent(*count);
    } else if (detail::is_of_stream(count.error())) {
      error_ = count.error();
      wanted_.set();
    }
    // Who waits looks for itself; if this call was cancelled, one of them goes on sending.
    progress_.set();
    progress_.clear();
    if (!count) co_return count.error();
  }
}

template <WriteStream S>
Task<Result<void>> BufferedWriter<S>::drain() {
  if (error_) co_return error_;
  const bool waits = is_above_high();
  const std::size_t low = waits ? options_.low : options_.high;
  Result<void> drained = co_await send_until(std::numeric_limits<std::uint64_t>::max(), low);
  co_return drained;
}

template <WriteStream S>
Task<Result<void>> BufferedWriter<S>::flush() {
  if (error_) co_return error_;
  Result<void> flushed = co_await send_until(buffer_.appended(), 0);
  co_return flushed;
}

template <WriteStream S>
Task<Result<void>> BufferedWriter<S>::shutdown() {
  closed_ = true;
  wanted_.set();
  const Result<void> flushed = co_await flush();
  if (!flushed) co_return flushed.error();
  Result<void> ended = co_await shut_down(stream_, ShutdownSide::write);
  co_return ended;
}

template <WriteStream S>
Task<Result<void>> BufferedWriter<S>::close() {
  closed_ = true;
  wanted_.set();
  const Result<void> flushed = co_await flush();
  const CancelScope shielded(CancelScopeOptions{.shielded = true});
  const Result<void> closed = co_await stream_.close();
  if (!flushed) co_return flushed.error();
  co_return closed;
}

template <WriteStream S>
Task<Result<void>> BufferedWriter<S>::run() {
  for (;;) {
    if (buffer_.size() == 0 || error_) {
      if (error_) co_return error_;
      if (closed_) co_return Result<void>{};
      wanted_.clear();
      const Result<void> wanted = co_await wanted_.wait();
      if (!wanted) co_return wanted.error();
      continue;
    }
    const Result<void> sent = co_await send_until(buffer_.appended(), 0);
    if (!sent) {
      // close() reports it.
      if (closed_ && detail::is_of_stream(sent.error())) co_return Result<void>{};
      co_return sent.error();
    }
  }
}

}  // namespace gyre
