// Asio with C++20 coroutines.
#include <array>
#include <utility>

#include <asio.hpp>

#include "server.h"

namespace {

asio::awaitable<void> session(asio::ip::tcp::socket socket) {
  try {
    std::array<char, echo::buffer_size> buffer;
    for (;;) {
      const std::size_t count =
          co_await socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
      co_await asio::async_write(socket, asio::buffer(buffer, count), asio::use_awaitable);
    }
  } catch (const std::exception&) {
  }
}

asio::awaitable<void> serve(asio::ip::tcp::acceptor& acceptor) {
  for (;;) {
    asio::ip::tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor.get_executor(), session(std::move(socket)), asio::detached);
  }
}

}  // namespace

int main() {
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, asio::ip::tcp::v4(), echo::listen_somewhere(0));
  asio::co_spawn(context, serve(acceptor), asio::detached);
  context.run();
}
