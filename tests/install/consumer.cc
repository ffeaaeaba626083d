// A program of somebody who has installed Gyre, in every way that tools/install_test knows: one line goes over TCP to a
// task of the same program, and back.
#include <array>
#include <cstdio>
#include <string_view>

#include <gyre/gyre.h>

gyre::Task<void> echo(gyre::TcpStream stream) {
  std::array<std::byte, 16> buffer;
  const gyre::Result<std::size_t> count = co_await stream.read(buffer);
  if (count) static_cast<void>(co_await stream.write_all(std::span(buffer).first(*count)));
}

gyre::Task<gyre::Result<void>> talk() {
  gyre::Result<gyre::TcpListener> listener = co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  if (!listener) co_return listener.error();
  gyre::Result<gyre::TcpStream> client = co_await gyre::TcpStream::connect(*listener->local_endpoint());
  if (!client) co_return client.error();
  gyre::Result<gyre::TcpStream> server = co_await listener->accept();
  if (!server) co_return server.error();
  gyre::TaskGroup group;
  group.spawn(echo, std::move(*server));

  constexpr std::string_view line = "hello, Gyre";
  const gyre::Result<void> sent = co_await client->write_all(std::as_bytes(std::span(line)));
  if (!sent) co_return sent.error();
  std::array<char, line.size()> back;
  const gyre::Result<void> received = co_await client->read_exactly(std::as_writable_bytes(std::span(back)));
  if (!received) co_return received.error();
  std::printf("%.*s\n", static_cast<int>(back.size()), back.data());
  if (std::string_view(back.data(), back.size()) != line) co_return gyre::Errc::malformed;
  co_return co_await group.join();
}

int main() {
  const gyre::Result<void> talked = gyre::run(talk());
  if (!talked) std::printf("%s\n", talked.error().to_string().c_str());
  return talked ? 0 : 1;
}
