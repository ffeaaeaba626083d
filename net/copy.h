// Whole streams from here to there: copy(), copy_bidirectional() for proxies, send_file().
//
//   Result<CopyCounts> counts = co_await copy_bidirectional(client, upstream);
//
// Bytes go through a buffer of 16 KiB in each direction. Between two sockets or pipes, what comes in bulk may instead be
// moved inside the kernel, through a pipe that is made when the buffer has been filled once. That is an option, and off:
// over loopback TCP it took 1.1 to 1.5 times the processor time (Linux 6.18); between network interfaces, measure.
//
// Cancel-safety: partial; the counts say what has been written. What was read and not yet written (a buffer, or a pipe's
// content) is lost, as after an error.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include <gyre/net/file.h>
#include <gyre/net/stream.h>
#include <gyre/net/stream_concepts.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre {

// Bytes that were written.
struct CopyCounts {
  std::uint64_t first_to_second = 0;
  std::uint64_t second_to_first = 0;
};

struct CopyOptions {
  bool splice = false;  // between two Streams: bulk by splice(2), where the system can
};

struct SendFileOptions {
  std::uint64_t offset = 0;
  std::uint64_t size = std::numeric_limits<std::uint64_t>::max();  // at most; the file may end earlier
};

namespace detail {

inline constexpr std::size_t copy_buffer_size = 16 * 1024;

template <typename From, typename To>
concept Spliceable = std::derived_from<From, Stream> && std::derived_from<To, Stream>;

// How the kernel's way has ended.
enum class Moved : std::uint8_t {
  all,      // to the end of the stream
  refused,  // the system cannot, here: go on by hand
};
// `copied` counts on. Nothing that was read has been lost when it was refused.
Task<Result<Moved>> splice(Stream& from, Stream& to, std::uint64_t& copied);
Task<Result<Moved>> send_file(Stream& to, File& from, SendFileOptions what, std::uint64_t& sent);

// `bytes` to the end, counted on as they go.
template <WriteStream To>
Task<Result<void>> write_counted(To& to, std::span<const std::byte> bytes, std::uint64_t& copied) {
  while (!bytes.empty()) {
    const Result<std::size_t> count = co_await to.write(bytes);
    if (!count) co_return count.error();
    copied += *count;
    bytes = bytes.subspan(*count);
  }
  co_return Result<void>{};
}

template <ReadStream From, WriteStream To>
Task<Result<void>> copy_counted(From& from, To& to, std::uint64_t& copied, CopyOptions options) {
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(copy_buffer_size);
  const std::span<std::byte> buffer(memory.get(), copy_buffer_size);
  for (;;) {
    const Result<std::size_t> count = co_await from.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Result<void>{};
    const Result<void> written = co_await write_counted(to, buffer.first(*count), copied);
    if (!written) co_return written.error();
    if constexpr (Spliceable<From, To>) {
      // A full buffer: there is more where that came from.
      if (*count == buffer.size() && options.splice) {
        const Result<Moved> moved = co_await splice(from, to, copied);
        if (!moved) co_return moved.error();
        if (*moved == Moved::all) co_return Result<void>{};
        options.splice = false;
      }
    }
  }
}

// One direction of a proxy: to the end, and passes the end on.
template <ReadStream From, WriteStream To>
Task<Result<void>> pump(From& from, To& to, std::uint64_t& copied, CopyOptions options) {
  const Result<void> done = co_await copy_counted(from, to, copied, options);
  if (!done) co_return done.error();
  const Result<void> ended = co_await shut_down(to, ShutdownSide::write);
  // Gone already: nobody is left who could be told.
  if (!ended && ended.error() != std::errc::not_connected) co_return ended.error();
  co_return Result<void>{};
}

}  // namespace detail

// Reads `from` to its end, writes all to `to`, and leaves both open. The result is the number of bytes; `*copied`, if
// given, says it also on failure.
template <ReadStream From, WriteStream To>
[[nodiscard]] Task<Result<std::uint64_t>> copy(From& from, To& to, std::uint64_t* copied = nullptr,
                                               CopyOptions options = {}) {
  std::uint64_t own = 0;
  std::uint64_t& count = copied != nullptr ? *copied : own;
  count = 0;
  const Result<void> done = co_await detail::copy_counted(from, to, count, options);
  if (!done) co_return done.error();
  co_return count;
}

// Both ways at once. The end of one direction is passed on by ending the write side of its target, while the other goes
// on; the call returns when both have ended. An error of either cancels the other and is the result. Neither stream is
// closed: the caller does that, by abort() to pass an error on as a reset. `*counts`, if given, holds also on failure.
template <ReadWriteStream A, ReadWriteStream B>
[[nodiscard]] Task<Result<CopyCounts>> copy_bidirectional(A& first, B& second, CopyCounts* counts = nullptr,
                                                          CopyOptions options = {}) {
  CopyCounts own;
  CopyCounts& count = counts != nullptr ? *counts : own;
  count = CopyCounts();
  TaskGroup directions;
  directions.spawn(detail::pump<A, B>, std::ref(first), std::ref(second), std::ref(count.first_to_second), options);
  directions.spawn(detail::pump<B, A>, std::ref(second), std::ref(first), std::ref(count.second_to_first), options);
  const Result<void> done = co_await directions.join();
  if (!done) co_return done.error();
  co_return count;
}

// Writes a part of a file to `to`: from the kernel's memory where stream and file allow that, else through a buffer. The
// file's position stays. The result is the number of bytes, fewer than asked if the file ends; `*sent`, if given, says
// it also on failure. Errors: of the stream, and of reading the file.
template <WriteStream To>
[[nodiscard]] Task<Result<std::uint64_t>> send_file(To& to, File& from, SendFileOptions what = {},
                                                    std::uint64_t* sent = nullptr) {
  std::uint64_t own = 0;
  std::uint64_t& count = sent != nullptr ? *sent : own;
  count = 0;
  if constexpr (std::derived_from<To, Stream>) {
    const Result<detail::Moved> moved = co_await detail::send_file(to, from, what, count);
    if (!moved) co_return moved.error();
    if (*moved == detail::Moved::all) co_return count;
  }
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(detail::copy_buffer_size);
  while (count < what.size) {
    const auto step = static_cast<std::size_t>(
        std::min<std::uint64_t>(what.size - count, detail::copy_buffer_size));
    const Result<std::size_t> read = co_await from.read_at({memory.get(), step}, what.offset + count);
    if (!read) co_return read.error();
    if (*read == 0) break;
    const Result<void> written = co_await detail::write_counted(to, std::span(memory.get(), *read), count);
    if (!written) co_return written.error();
  }
  co_return count;
}

}  // namespace gyre
