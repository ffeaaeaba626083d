// Floor: io_uring by hand, `raw_io_uring` or `raw_io_uring http`. One request at a time for each
// connection, receive or send; one enter for each batch.
#include <cstdint>
#include <string_view>

#include "ring.h"
#include "server.h"
#include "services.h"

namespace {

namespace uring = gyre::uring;
using echo::Ring;

template <typename Service>
struct Connection {
  int fd = -1;
  bool sends = false;
  echo::Answer answer;  // what is not sent yet
  [[no_unique_address]] Service service;
  char buffer[echo::buffer_size];
};

template <typename Service>
void receive(Ring& ring, Connection<Service>& connection) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = uring::op_recv;
  // A request that follows an answer is hardly ever there already.
  entry.ioprio = uring::recvsend_poll_first;
  entry.fd = connection.fd;
  entry.address = reinterpret_cast<std::uint64_t>(connection.buffer);
  entry.length = echo::buffer_size;
  entry.user_data = reinterpret_cast<std::uint64_t>(&connection);
  connection.sends = false;
}

template <typename Service>
void send(Ring& ring, Connection<Service>& connection) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = uring::op_send;
  entry.fd = connection.fd;
  entry.address = reinterpret_cast<std::uint64_t>(connection.answer.bytes.data());
  entry.length = static_cast<std::uint32_t>(connection.answer.bytes.size());
  entry.user_data = reinterpret_cast<std::uint64_t>(&connection);
  connection.sends = true;
}

void accept(Ring& ring, int listener) {
  uring::Sqe& entry = ring.entry();
  entry.opcode = uring::op_accept;
  entry.ioprio = uring::accept_multishot;
  entry.fd = listener;
}

template <typename Service>
void close(Connection<Service>* connection) {
  ::close(connection->fd);
  delete connection;
}

// Sends what there is to send, then closes or receives.
template <typename Service>
void go_on(Ring& ring, Connection<Service>& connection) {
  if (!connection.answer.bytes.empty()) return send(ring, connection);
  connection.answer.goes_on ? receive(ring, connection) : close(&connection);
}

template <typename Service>
void serve(Ring& ring, int listener, const uring::Cqe& completion) {
  auto* connection = reinterpret_cast<Connection<Service>*>(completion.user_data);
  if (connection == nullptr) {
    if ((completion.flags & uring::cqe_more) == 0) accept(ring, listener);
    if (completion.result < 0) return;
    connection = new Connection<Service>;
    connection->fd = completion.result;
    receive(ring, *connection);
  } else if (completion.result <= 0) {
    close(connection);
  } else {
    const auto count = static_cast<std::size_t>(completion.result);
    if (connection->sends) {
      connection->answer.bytes.remove_prefix(count);
    } else {
      connection->answer = connection->service.answer({connection->buffer, count});
    }
    go_on(ring, *connection);
  }
}

template <typename Service>
int run() {
  Ring ring;
  const int listener = echo::listen_somewhere(0);
  accept(ring, listener);
  for (;;) {
    ring.enter(1);
    ring.reap([&](const uring::Cqe& completion) { serve<Service>(ring, listener, completion); });
  }
}

}  // namespace

int main(int argc, char** argv) { return echo::is_http(argc, argv) ? run<echo::Http>() : run<echo::Echo>(); }
