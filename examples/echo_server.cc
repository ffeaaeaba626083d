// Echo server: sends back what it receives, to any number of clients, until Ctrl-C.
//
//   echo_server 7000        then: nc localhost 7000
#include <cstdio>
#include <cstdlib>

#include <gyre/net/tcp_listener.h>
#include <gyre/reactor/run.h>
#include <gyre/task/task_group.h>

// The buffer is lent while there is something in it: a connection that waits owns none.
gyre::Task<void> session(gyre::TcpStream stream) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;  // an error, or the peer has finished
    const gyre::Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<gyre::Result<void>> serve(gyre::Endpoint where) {
  gyre::Result<gyre::TcpListener> listener = co_await gyre::TcpListener::bind(where);
  if (!listener) co_return listener.error();
  const gyre::Result<gyre::Endpoint> bound = listener->local_endpoint();
  if (bound) std::printf("listening on %s\n", bound->to_string().c_str());
  std::fflush(stdout);

  gyre::TaskGroup sessions(gyre::OnFailure::keep_going);
  for (;;) {
    gyre::Result<gyre::TcpStream> peer = co_await listener->accept();
    if (!peer) break;  // Ctrl-C, say
    sessions.spawn(session, std::move(*peer));
  }
  co_return co_await sessions.join();
}

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  const gyre::Result<void> served =
      gyre::run(serve(gyre::Endpoint::loopback_v4(static_cast<std::uint16_t>(port))));
  if (!served && !served.error().is_cancelled()) {
    std::fprintf(stderr, "%s\n", served.error().to_string().c_str());
    return 1;
  }
  return 0;
}
