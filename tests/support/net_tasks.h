// Small things that tests of streams say again and again: bytes and text, connected pairs, reading to the end, waiting for
// everybody else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/net/stream.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>

namespace gyre::test {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::span<std::byte> room_in(std::string& text) {
  return std::as_writable_bytes(std::span(text.data(), text.size()));
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Lets all happen that happens without time, unless the task is cancelled.
inline Task<void> settle() {
  const std::uint64_t end = this_reactor().stats().turns + 10;
  while (this_reactor().stats().turns < end) {
    const Result<void> yielded = co_await yield();
    if (!yielded) co_return;
  }
}

// Inside a task. Aborts if the system gives none.
inline std::pair<TcpStream, TcpStream> tcp_streams() {
  Result<std::pair<TcpStream, TcpStream>> ends = TcpStream::pair();
  GYRE_CHECK_HINT(ends.has_value(), "no TCP pair");
  return std::move(*ends);
}

// Exactly `size` bytes; less, and a test failure, if they do not come.
inline Task<std::string> read_text(Stream& stream, std::size_t size) {
  std::string text(size, '\0');
  std::size_t received = 0;
  const Result<void> read = co_await stream.read_exactly(room_in(text), &received);
  EXPECT_TRUE(read.has_value()) << read.error() << " after " << received << " bytes";
  text.resize(received);
  co_return text;
}

// All up to the end of the stream. An error is a test failure.
inline Task<std::string> read_rest(Stream& stream) {
  std::string text;
  for (;;) {
    const Result<LentBytes> received = co_await stream.receive();
    EXPECT_TRUE(received.has_value()) << received.error();
    if (!received || received->empty()) co_return text;
    text += text_of(received->bytes());
  }
}

inline Task<void> write_text(Stream& stream, std::string text) {
  const Result<void> written = co_await stream.write_all(bytes_of(text));
  EXPECT_TRUE(written.has_value()) << written.error();
}

}  // namespace gyre::test
