// Asio with C++20 coroutines.
#include <array>

#include <asio.hpp>

#include "../echo/server.h"

namespace {

asio::awaitable<void> serve(asio::ip::udp::socket& socket) {
  std::array<char, 2048> buffer;
  asio::ip::udp::endpoint from;
  for (;;) {
    const std::size_t count = co_await socket.async_receive_from(asio::buffer(buffer), from, asio::use_awaitable);
    co_await socket.async_send_to(asio::buffer(buffer, count), from, asio::use_awaitable);
  }
}

}  // namespace

int main() {
  asio::io_context context(1);
  asio::ip::udp::socket socket(context, asio::ip::udp::v4(), echo::bind_somewhere(0));
  asio::co_spawn(context, serve(socket), asio::detached);
  context.run();
}
