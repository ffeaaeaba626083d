// Asio with C++20 coroutines: `asio_coroutines` or `asio_coroutines http`.
#include <array>
#include <utility>

#include <asio.hpp>

#include "server.h"
#include "services.h"

namespace {

template <typename Service>
asio::awaitable<void> session(asio::ip::tcp::socket socket) {
  try {
    std::array<char, echo::buffer_size> buffer;
    Service service;
    for (;;) {
      const std::size_t count =
          co_await socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
      const echo::Answer answer = service.answer({buffer.data(), count});
      if (!answer.bytes.empty()) {
        co_await asio::async_write(socket, asio::buffer(answer.bytes), asio::use_awaitable);
      }
      if (!answer.goes_on) break;
    }
  } catch (const std::exception&) {
  }
}

template <typename Service>
asio::awaitable<void> serve(asio::ip::tcp::acceptor& acceptor) {
  for (;;) {
    asio::ip::tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor.get_executor(), session<Service>(std::move(socket)), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, asio::ip::tcp::v4(), echo::listen_somewhere(0));
  asio::co_spawn(context, echo::is_http(argc, argv) ? serve<echo::Http>(acceptor) : serve<echo::Echo>(acceptor),
                 asio::detached);
  context.run();
}
