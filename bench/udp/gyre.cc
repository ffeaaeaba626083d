// Gyre: `gyre epoll batch`, `gyre io_uring single`, ...; up to 64 datagrams by a system call, or one by one.
#include <array>
#include <string_view>

#include <gyre/gyre.h>

#include "../echo/gyre_run.h"
#include "../echo/server.h"

namespace {

gyre::Task<gyre::Result<void>> echo_batches(gyre::UdpSocket& socket) {
  gyre::DatagramBatch batch(gyre::DatagramBatch::count_max, 2048);
  for (;;) {
    const gyre::Result<std::size_t> received = co_await socket.receive(batch);
    if (!received) co_return received.error();
    for (std::size_t sent = 0; sent < batch.size();) {
      const gyre::Result<std::size_t> count = co_await socket.send(batch, sent);
      if (!count && count.error().is_cancelled()) co_return count.error();
      sent += count.value_or(1u);  // one that cannot be sent is lost, as datagrams may be
    }
  }
}

gyre::Task<gyre::Result<void>> echo_single(gyre::UdpSocket& socket) {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    const gyre::Result<gyre::Datagram> received = co_await socket.receive(buffer);
    if (!received) co_return received.error();
    const gyre::Result<void> sent = co_await socket.send_to(std::span(buffer).first(received->size), received->from);
    if (!sent && sent.error().is_cancelled()) co_return sent.error();
  }
}

gyre::Task<gyre::Result<void>> serve(bool in_batches) {
  gyre::Result<gyre::UdpSocket> socket = co_await gyre::UdpSocket::bind(gyre::Endpoint::loopback_v4(0));
  if (!socket) co_return socket.error();
  echo::announce(socket->local_endpoint()->port());
  if (in_batches) co_return co_await echo_batches(*socket);
  co_return co_await echo_single(*socket);
}

}  // namespace

int main(int argc, char** argv) {
  return echo::run_on_poller(argc, argv, serve(std::string_view(argv[argc - 1]) != "single"));
}
