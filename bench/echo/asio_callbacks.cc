// Asio with completion handlers: `asio_callbacks` or `asio_callbacks http`.
#include <array>
#include <memory>
#include <utility>

#include <asio.hpp>

#include "server.h"
#include "services.h"

namespace {

template <typename Service>
class Session : public std::enable_shared_from_this<Session<Service>> {
 public:
  explicit Session(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = this->shared_from_this()](asio::error_code error, std::size_t count) {
                              if (!error) self->write(count);
                            });
  }

 private:
  void write(std::size_t count) {
    const echo::Answer answer = service_.answer({buffer_.data(), count});
    if (answer.bytes.empty()) {
      if (answer.goes_on) read();
      return;
    }
    asio::async_write(socket_, asio::buffer(answer.bytes),
                      [self = this->shared_from_this(), answer](asio::error_code error, std::size_t) {
                        if (!error && answer.goes_on) self->read();
                      });
  }

  asio::ip::tcp::socket socket_;
  std::array<char, echo::buffer_size> buffer_;
  [[no_unique_address]] Service service_;
};

template <typename Service>
void accept(asio::ip::tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](asio::error_code error, asio::ip::tcp::socket socket) {
    if (!error) std::make_shared<Session<Service>>(std::move(socket))->read();
    accept<Service>(acceptor);
  });
}

}  // namespace

int main(int argc, char** argv) {
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, asio::ip::tcp::v4(), echo::listen_somewhere(0));
  echo::is_http(argc, argv) ? accept<echo::Http>(acceptor) : accept<echo::Echo>(acceptor);
  context.run();
}
