// UDP echo: sends each datagram back to where it came from, up to 64 by one system call, until Ctrl-C.
//
//   udp_echo 7004        then: nc -u localhost 7004
//   udp_echo             asks itself once, and ends
#include <array>
#include <cstdio>
#include <string_view>

#include <gyre/gyre.h>

gyre::Task<gyre::Result<void>> serve(gyre::UdpSocket* socket) {
  gyre::DatagramBatch batch(gyre::DatagramBatch::count_max, 2048);
  for (;;) {
    const gyre::Result<std::size_t> received = co_await socket->receive(batch);
    if (!received) co_return received.error();
    for (std::size_t sent = 0; sent < batch.size();) {
      const gyre::Result<std::size_t> count = co_await socket->send(batch, sent);
      if (!count && count.error().is_cancelled()) co_return count.error();
      sent += count.value_or(1u);  // one that cannot be sent is lost, as datagrams may be
    }
  }
}

gyre::Task<gyre::Result<void>> ask(gyre::Endpoint where) {
  gyre::Result<gyre::UdpSocket> socket = co_await gyre::UdpSocket::connect(where);
  if (!socket) co_return socket.error();
  const std::string_view question = "anybody there?";
  std::array<std::byte, 64> answer;
  for (;;) {  // Either may get lost: again, until an answer comes.
    const gyre::Result<void> sent = co_await socket->send(std::as_bytes(std::span(question)));
    if (!sent) co_return sent;
    gyre::CancelScope patience(gyre::CancelScope::within(std::chrono::seconds(1)));
    const gyre::Result<gyre::Datagram> received = co_await socket->receive(answer);
    if (received) co_return received->size == question.size() ? gyre::Result<void>() : gyre::Errc::malformed;
    if (!received.error().is_timed_out()) co_return received.error();
  }
}

gyre::Task<gyre::Result<void>> start(std::uint16_t port, bool with_itself) {
  const gyre::Endpoint where = gyre::Endpoint::loopback_v4(port);
  gyre::Result<gyre::UdpSocket> socket = co_await gyre::UdpSocket::bind(where);
  if (!socket) co_return socket.error();
  const gyre::Result<gyre::Endpoint> bound = socket->local_endpoint();
  if (!bound) co_return bound.error();
  std::fprintf(stderr, "listening on %s\n", bound->to_string().c_str());
  if (!with_itself) co_return co_await serve(&*socket);
  auto race = co_await gyre::when_any(ask(*bound), serve(&*socket));
  co_return std::get<0>(race.results);
}

int main(int argc, char** argv) {
  const gyre::Result<std::uint16_t> port = gyre::parse_port(argc > 1 ? argv[1] : "0");
  return gyre::exit_status(port ? gyre::run(start(*port, argc < 2)) : port.error());
}
