// Asio with completion handlers.
#include <array>

#include <asio.hpp>

#include "../echo/server.h"

namespace {

class Server {
 public:
  Server(asio::io_context& context, int fd) : socket_(context, asio::ip::udp::v4(), fd) {}

  void receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_, [this](asio::error_code error, std::size_t count) {
      error ? receive() : send(count);
    });
  }

 private:
  void send(std::size_t count) {
    socket_.async_send_to(asio::buffer(buffer_, count), from_, [this](asio::error_code, std::size_t) { receive(); });
  }

  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint from_;
  std::array<char, 2048> buffer_;
};

}  // namespace

int main() {
  asio::io_context context(1);
  Server server(context, echo::bind_somewhere(0));
  server.receive();
  context.run();
}
