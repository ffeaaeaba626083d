// Small things that tests of datagrams say again and again.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include <gyre/net/datagram_socket.h>
#include <gyre/net/endpoint.h>
#include <gyre/task/task.h>

#include "net_tasks.h"

namespace gyre::test {

inline Task<void> send_text(DatagramSocket& socket, std::string text, Endpoint to) {
  const Result<void> sent = co_await socket.send_to(bytes_of(text), to);
  EXPECT_TRUE(sent.has_value()) << sent.error();
}

// At most 100 bytes. An error is a test failure.
inline Task<std::string> receive_text(DatagramSocket& socket) {
  std::string buffer(100, '.');
  const Result<Datagram> received = co_await socket.receive(room_in(buffer));
  EXPECT_TRUE(received.has_value()) << received.error();
  co_return received ? buffer.substr(0, received->size) : "(nothing)";
}

}  // namespace gyre::test
