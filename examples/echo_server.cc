// Echo server: sends back what it receives, to any number of clients, until Ctrl-C.
//   echo_server 7000        then: nc localhost 7000 (without a port it talks to itself once, and ends)
#include <cstdio>
#include <span>
#include <string>

#include <gyre/gyre.h>

// The buffer is lent while there is something in it: a connection that waits owns none.
gyre::Task<void> session(gyre::TcpStream stream) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;  // an error, or the peer has finished
    const gyre::Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<gyre::Result<void>> serve(gyre::TcpListener& listener) {
  gyre::TaskGroup sessions(gyre::OnFailure::keep_going);
  for (;;) {
    gyre::Result<gyre::TcpStream> peer = co_await listener.accept();
    if (!peer) {  // Ctrl-C, or out of descriptors, which a gyre::Server survives
      sessions.cancel();
      static_cast<void>(co_await sessions.join());
      co_return peer.error();
    }
    sessions.spawn(session, std::move(*peer));
  }
}

gyre::Task<gyre::Result<void>> talk_to_itself(gyre::TcpListener& listener, gyre::Endpoint where) {
  gyre::TaskGroup group;
  auto server = group.spawn(serve, listener);
  gyre::Result<gyre::TcpStream> client = co_await gyre::TcpStream::connect(where);
  if (client) {
    std::string text = "hello\n";
    const gyre::Result<void> sent = co_await client->write_all(text);
    const gyre::Result<void> echoed = co_await client->read_exactly(std::as_writable_bytes(std::span(text)));
    if (sent && echoed) std::printf("%s", text.c_str());
  }
  server.cancel();
  const gyre::Result<void> joined = co_await group.join();
  co_return client ? joined : client.error();
}

gyre::Task<gyre::Result<void>> listen(std::uint16_t port, bool once) {
  gyre::Result<gyre::TcpListener> listener = co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(port));
  if (!listener) co_return listener.error();
  const gyre::Result<gyre::Endpoint> bound = listener->local_endpoint();
  if (!bound) co_return bound.error();
  std::fprintf(stderr, "listening on %s\n", bound->to_string().c_str());
  if (once) co_return co_await talk_to_itself(*listener, *bound);
  co_return co_await serve(*listener);
}

int main(int argc, char** argv) {
  const gyre::Result<std::uint16_t> port = gyre::parse_port(argc > 1 ? argv[1] : "0");
  return gyre::exit_status(port ? gyre::run(listen(*port, argc < 2)) : port.error());
}
