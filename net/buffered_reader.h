// BufferedReader: lines, delimited and counted pieces of a byte stream.
//
//   BufferedReader reader(stream);
//   for (;;) {
//     Result<std::string_view> line = co_await reader.read_line();
//     if (!line || line->empty()) co_return;                 // an error, or the end
//     handle(without_line_end(*line));
//   }
//
// Nothing is lost: an operation that fails, is cancelled, or finds its limit exceeded leaves all bytes in the reader,
// where buffered() shows them and the next operation goes on with them. What came before an error of the stream, or its
// end, is delivered first; then the error is reported for ever. A view that an operation returned is valid until the
// next one. One operation at a time. The stream must outlive the reader, and nobody else may read it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <gyre/net/stream_concepts.h>
#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {

// The bytes that were read and not yet taken, in one piece. Memory is taken when first needed, grows to the limit where
// that helps, and stays.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t limit) noexcept : limit_(limit) {
    GYRE_CHECK_HINT(limit > 0, "a limit of no bytes");
  }

  std::span<std::byte> data() const noexcept { return {bytes_.get() + begin_, end_ - begin_}; }
  std::size_t size() const noexcept { return end_ - begin_; }
  std::size_t limit() const noexcept { return limit_; }
  bool is_full() const noexcept { return size() == limit_; }

  // Where the next bytes go: at least one. Precondition: not full. Throws bad_alloc.
  std::span<std::byte> room();
  // So many have been put there.
  void commit(std::size_t count) noexcept {
    end_ += count;
    was_filled_ = end_ == capacity_;
  }
  void consume(std::size_t count) noexcept {
    GYRE_CHECK_HINT(count <= size(), "more bytes consumed than there are");
    begin_ += count;
  }
  // Consumes, and returns a view of what was consumed.
  std::string_view take(std::size_t count) noexcept {
    const std::string_view taken(reinterpret_cast<const char*>(bytes_.get() + begin_), count);
    consume(count);
    return taken;
  }
  // Copies out as many bytes as there are and fit.
  std::size_t take(std::span<std::byte> buffer) noexcept;

  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
  // Where the first of the separators ends; of two that overlap, the one that ends first. The first `scanned` bytes are
  // known to hold none.
  std::size_t find_end(std::span<const std::string_view> separators, std::size_t scanned) const noexcept;

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t limit_;
  bool was_filled_ = false;  // the last read took all the room that there was
};

// One separator, or several that stand elsewhere.
struct Separators {
  std::string_view one;
  std::span<const std::string_view> several;

  std::span<const std::string_view> all() const noexcept {
    return several.empty() ? std::span(&one, 1) : several;
  }
  // Aborts if one is empty.
  void check() const noexcept;
};

}  // namespace detail

// Without "\n" or "\r\n" at its end.
std::string_view without_line_end(std::string_view line) noexcept;

struct BufferedReaderOptions {
  // Bytes that the reader holds at most, and so those of the longest line or piece, its separator included.
  std::size_t limit = 64 * 1024;
};

template <ReadStream S>
class BufferedReader {
 public:
  explicit BufferedReader(S& stream, BufferedReaderOptions options = {}) noexcept
      : stream_(stream), buffer_(options.limit) {}
  BufferedReader(const BufferedReader&) = delete;
  BufferedReader& operator=(const BufferedReader&) = delete;
  ~BufferedReader() { GYRE_CHECK_HINT(!busy_, "a reader goes while an operation on it is in flight"); }

  // The errors of all: Errc::limit_exceeded, Errc::end_of_stream, cancelled, timed_out, and the stream's.

  // At least one byte, without waiting for more; zero at the end of the stream. `buffer` must not be empty.
  [[nodiscard]] Task<Result<std::size_t>> read(std::span<std::byte> buffer);
  // Fills `buffer`. If that is no larger than the limit, an error leaves everything in the reader. A larger one is filled
  // as bytes come; `*received`, if given, says how many it holds.
  [[nodiscard]] Task<Result<void>> read_exactly(std::span<std::byte> buffer, std::size_t* received = nullptr);

  // A line with its "\n"; at the end of the stream what is left (less than the limit), and then an empty one.
  [[nodiscard]] Task<Result<std::string_view>> read_line() { return until({"\n", {}}, AtEnd::rest); }
  // All up to and with `separator`. At the end of the stream without one: Errc::end_of_stream.
  [[nodiscard]] Task<Result<std::string_view>> read_until(std::string_view separator) {
    return until({separator, {}}, AtEnd::error);
  }
  // As read_until, to the separator that ends first. There must be one, and none may be empty.
  [[nodiscard]] Task<Result<std::string_view>> read_until(std::span<const std::string_view> separators) {
    GYRE_CHECK_HINT(!separators.empty(), "read_until() without a separator");
    return until({{}, separators}, AtEnd::error);
  }
  // All that is left. Must be less than the limit.
  [[nodiscard]] Task<Result<std::string_view>> read_to_end();

  // Waits until `count` bytes are there or the stream ends, and shows all that are there without taking them: consume()
  // does. Error: limit_exceeded if `count` is larger than the limit.
  [[nodiscard]] Task<Result<std::span<const std::byte>>> peek(std::size_t count = 1);
  // Drops all up to and with `separator`, without a limit, and says how much that was: to go on behind a line that was
  // too long. What was dropped before an error is dropped.
  [[nodiscard]] Task<Result<std::uint64_t>> skip_until(std::string_view separator);

  // What has been read from the stream and not taken.
  std::span<const std::byte> buffered() const noexcept { return buffer_.data(); }
  // Takes the first `count` of those. Precondition: there are so many, and no operation is in flight.
  void consume(std::size_t count) noexcept {
    GYRE_CHECK_HINT(!busy_, "bytes consumed under an operation in flight");
    buffer_.consume(count);
  }
  // Whether the stream has come to its end; bytes may still be buffered.
  bool has_ended() const noexcept { return ended_; }
  std::size_t limit() const noexcept { return buffer_.limit(); }

 private:
  enum class AtEnd : std::uint8_t { error, rest };

  // While an operation is in flight.
  class Use {
   public:
    explicit Use(bool& busy) noexcept : busy_(busy) {
      GYRE_CHECK_HINT(!busy, "a BufferedReader is used by two tasks at once");
      busy_ = true;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() { busy_ = false; }

   private:
    bool& busy_;
  };

  Task<Result<std::string_view>> until(detail::Separators separators, AtEnd at_end);

  // Why the stream must not be asked for more; no error if it may.
  Error refusal() const noexcept {
    if (error_) return error_;
    if (ended_) return Error(Errc::end_of_stream, OperationKind::read);
    return {};
  }
  // What the scopes around the task say, also if the bytes are there already.
  static Error interruption() noexcept {
    const TaskContext& task = *current_task();
    return task.cancel_requested() ? task.cancel_error(OperationKind::read) : Error();
  }
  void note(const Result<std::size_t>& read) noexcept {
    if (!read) {
      if (detail::is_of_stream(read.error())) error_ = read.error();
    } else if (*read == 0) {
      ended_ = true;
    }
  }

  S& stream_;
  detail::ReadBuffer buffer_;
  Error error_;
  bool ended_ = false;
  bool busy_ = false;
};

template <ReadStream S>
Task<Result<std::string_view>> BufferedReader<S>::until(detail::Separators separators, AtEnd at_end) {
  const Use use(busy_);
  separators.check();
  if (const Error error = interruption()) co_return error;
  std::size_t scanned = 0;
  for (;;) {
    const std::size_t end = buffer_.find_end(separators.all(), scanned);
    if (end != detail::ReadBuffer::nowhere) co_return buffer_.take(end);
    scanned = buffer_.size();
    if (buffer_.is_full()) co_return Error(Errc::limit_exceeded, OperationKind::read);
    if (ended_ && !error_ && at_end == AtEnd::rest) co_return buffer_.take(buffer_.size());
    if (const Error error = refusal()) co_return error;
    const Result<std::size_t> count = co_await stream_.read(buffer_.room());
    note(count);
    if (!count) co_return count.error();
    buffer_.commit(*count);
  }
}

template <ReadStream S>
Task<Result<std::string_view>> BufferedReader<S>::read_to_end() {
  const Use use(busy_);
  if (const Error error = interruption()) co_return error;
  for (;;) {
    if (ended_) co_return buffer_.take(buffer_.size());
    if (const Error error = refusal()) co_return error;
    if (buffer_.is_full()) co_return Error(Errc::limit_exceeded, OperationKind::read);
    const Result<std::size_t> count = co_await stream_.read(buffer_.room());
    note(count);
    if (!count) co_return count.error();
    buffer_.commit(*count);
  }
}

template <ReadStream S>
Task<Result<std::size_t>> BufferedReader<S>::read(std::span<std::byte> buffer) {
  const Use use(busy_);
  GYRE_CHECK_HINT(!buffer.empty(), "read() into an empty buffer could not tell the end of the stream");
  if (const Error error = interruption()) co_return error;
  if (buffer_.size() > 0) co_return buffer_.take(buffer);
  if (ended_ && !error_) co_return std::size_t{0};
  if (error_) co_return error_;
  // What is as large as the buffer needs no detour.
  const bool is_direct = buffer.size() >= buffer_.limit();
  const Result<std::size_t> count = co_await stream_.read(is_direct ? buffer : buffer_.room());
  note(count);
  if (!count || is_direct) co_return count;
  buffer_.commit(*count);
  co_return buffer_.take(buffer);
}

template <ReadStream S>
Task<Result<void>> BufferedReader<S>::read_exactly(std::span<std::byte> buffer, std::size_t* received) {
  const Use use(busy_);
  if (received != nullptr) *received = 0;
  if (const Error error = interruption()) co_return error;
  const bool is_direct = buffer.size() > buffer_.limit();
  std::size_t filled = is_direct ? buffer_.take(buffer) : 0;
  for (;;) {
    if (received != nullptr) *received = filled;
    if (filled == buffer.size()) co_return Result<void>{};
    if (!is_direct && buffer_.size() >= buffer.size()) {
      filled = buffer_.take(buffer);
      continue;
    }
    if (const Error error = refusal()) co_return error;
    const Result<std::size_t> count =
        co_await stream_.read(is_direct ? buffer.subspan(filled) : buffer_.room());
    note(count);
    if (!count) co_return count.error();
    if (is_direct) {
      filled += *count;
    } else {
      buffer_.commit(*count);
    }
  }
}

template <ReadStream S>
Task<Result<std::span<const std::byte>>> BufferedReader<S>::peek(std::size_t count) {
  const Use use(busy_);
  if (const Error error = interruption()) co_return error;
  if (count > buffer_.limit()) co_return Error(Errc::limit_exceeded, OperationKind::read);
  for (;;) {
    if (buffer_.size() >= count || (ended_ && !error_)) co_return std::span<const std::byte>(buffer_.data());
    if (error_) co_return error_;
    const Result<std::size_t> read = co_await stream_.read(buffer_.room());
    note(read);
    if (!read) co_return read.error();
    buffer_.commit(*read);
  }
}

template <ReadStream S>
Task<Result<std::uint64_t>> BufferedReader<S>::skip_until(std::string_view separator) {
  const Use use(busy_);
  const detail::Separators separators{separator, {}};
  separators.check();
  GYRE_CHECK_HINT(separator.size() <= buffer_.limit(), "a separator longer than the limit");
  if (const Error error = interruption()) co_return error;
  std::uint64_t skipped = 0;
  for (;;) {
    const std::size_t end = buffer_.find_end(separators.all(), 0);
    if (end != detail::ReadBuffer::nowhere) {
      buffer_.consume(end);
      co_return skipped + end;
    }
    // The separator may have begun.
    const std::size_t spare = buffer_.size() - std::min(buffer_.size(), separator.size() - 1);
    buffer_.consume(spare);
    skipped += spare;
    if (const Error error = refusal()) co_return error;
    const Result<std::size_t> count = co_await stream_.read(buffer_.room());
    note(count);
    if (!count) co_return count.error();
    buffer_.commit(*count);
  }
}

}  // namespace gyre
