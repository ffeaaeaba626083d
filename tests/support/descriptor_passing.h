// Descriptors that travel by local sockets, with bytes or with a datagram: what is the same of both.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/unix_datagram.h>
#include <gyre/net/unix_stream.h>
#include <gyre/task/task.h>

#include "net_fixture.h"
#include "net_tasks.h"

namespace gyre::test {

inline auto send_byte_with(UnixStream& to, std::span<const NativeDescriptor> passed) {
  return to.write_with(bytes_of("x"), passed);
}
inline auto send_byte_with(UnixDatagram& to, std::span<const NativeDescriptor> passed) {
  return to.send_with(bytes_of("x"), passed);
}
inline auto receive_with(UnixStream& from, std::span<std::byte> buffer, std::span<UniqueFd> taken) {
  return from.read_with(buffer, taken);
}
inline auto receive_with(UnixDatagram& from, std::span<std::byte> buffer, std::span<UniqueFd> taken) {
  return from.receive_with(buffer, taken);
}
inline std::size_t bytes_in(const BytesAndDescriptors& received) { return received.bytes; }
inline std::size_t bytes_in(const DatagramAndDescriptors& received) { return received.size; }

// Too many for the receiver, or one that wants none: they are closed (the fixture counts), the byte arrives. `connect`
// makes the two ends.
template <typename Ends>
Task<void> pass_too_many(Ends (*connect)(), std::size_t count, std::size_t wanted) {
  auto [near, far] = connect();
  const UniqueFd event = event_fd();
  const std::vector<NativeDescriptor> passed(count, event.get());
  const auto sent = co_await send_byte_with(near, passed);
  EXPECT_TRUE(sent.has_value()) << sent.error();
  std::array<std::byte, 8> buffer;
  std::vector<UniqueFd> taken(wanted);
  const auto received = co_await receive_with(far, buffer, taken);
  EXPECT_TRUE(received.has_value());
  if (!received) co_return;
  EXPECT_EQ(bytes_in(*received), 1U);
  EXPECT_EQ(received->descriptors, std::min(count, wanted));
  EXPECT_EQ(received->lost_some, count > wanted);
}

}  // namespace gyre::test
