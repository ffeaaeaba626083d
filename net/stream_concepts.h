// What a byte stream is, so that TLS, an in-memory pair or a test double can stand in for a socket.
//
// The contract of every model: one read and one write at a time, by two tasks if need be. A read brings at least one
// byte, or zero at the end of the stream, for good. A write takes at least one byte. Both are atomic under
// cancellation: either nothing has happened, or the number of bytes that went through is the result.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <utility>

#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {

// What `co_await` of an rvalue brings.
template <typename Awaitable>
struct Awaited {
  using type = decltype(std::declval<Awaitable&>().await_resume());
};
template <typename Awaitable>
  requires requires(Awaitable&& awaitable) { std::move(awaitable).operator co_await(); }
struct Awaited<Awaitable> : Awaited<decltype(std::declval<Awaitable>().operator co_await())> {};

template <typename Awaitable, typename What>
concept AwaitsTo = std::same_as<typename Awaited<Awaitable>::type, What>;

// TLS has to send something to end a direction; a socket has not.
template <typename Answer>
concept AnswersVoid = std::same_as<Answer, Result<void>> || AwaitsTo<Answer, Result<void>>;

// Whether an error is the stream's own, and not that of a scope around the current task.
inline bool is_of_stream(const Error& error) noexcept {
  if (!error.is_cancelled() && !error.is_timed_out()) return true;
  return !current_task()->cancel_requested();
}

}  // namespace detail

template <typename S>
concept ReadStream = requires(S& stream, std::span<std::byte> buffer) {
  { stream.read(buffer) } -> detail::AwaitsTo<Result<std::size_t>>;
};

template <typename S>
concept WriteStream = requires(S& stream, std::span<const std::byte> bytes) {
  { stream.write(bytes) } -> detail::AwaitsTo<Result<std::size_t>>;
  { stream.shutdown(ShutdownSide::write) } -> detail::AnswersVoid;
  { stream.close() } -> detail::AwaitsTo<Result<void>>;
};

template <typename S>
concept ReadWriteStream = ReadStream<S> && WriteStream<S>;

// Fills `buffer`. Errors: Errc::end_of_stream, and the stream's; `*received`, if given, says how many bytes came.
template <ReadStream S>
[[nodiscard]] Task<Result<void>> read_exactly(S& stream, std::span<std::byte> buffer,
                                              std::size_t* received = nullptr) {
  std::size_t filled = 0;
  if (received != nullptr) *received = 0;
  while (filled < buffer.size()) {
    const Result<std::size_t> count = co_await stream.read(buffer.subspan(filled));
    if (!count) co_return count.error();
    if (*count == 0) co_return Error(Errc::end_of_stream, OperationKind::read);
    filled += *count;
    if (received != nullptr) *received = filled;
  }
  co_return Result<void>{};
}

// Writes all; `*written`, if given, says how many bytes went out, also on failure.
template <WriteStream S>
[[nodiscard]] Task<Result<void>> write_all(S& stream, std::span<const std::byte> bytes,
                                           std::size_t* written = nullptr) {
  std::size_t sent = 0;
  if (written != nullptr) *written = 0;
  while (sent < bytes.size()) {
    const Result<std::size_t> count = co_await stream.write(bytes.subspan(sent));
    if (!count) co_return count.error();
    sent += *count;
    if (written != nullptr) *written = sent;
  }
  co_return Result<void>{};
}

// Ends one direction, whether or not the stream has to wait for that.
template <WriteStream S>
[[nodiscard]] Task<Result<void>> shut_down(S& stream, ShutdownSide side = ShutdownSide::write) {
  if constexpr (std::same_as<decltype(stream.shutdown(side)), Result<void>>) {
    co_return stream.shutdown(side);
  } else {
    Result<void> ended = co_await stream.shutdown(side);
    co_return ended;
  }
}

}  // namespace gyre
