// rounds ROUNDS: an echo server's sessions and their clients in one process, for instructions_linux_test to count what the
// server's side of a round trip executes. 50 TCP connections; in each round all clients send 64 bytes, and once all have
// arrived the reactor takes three turns (a poll hands out 32 at most), or four where the kernel is given the receives by the first. Nothing depends on timing, so two runs differ by their rounds alone.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <gyre/net/tcp_listener.h>
#include <gyre/platform/check.h>
#include <gyre/reactor/reactor.h>

namespace {

constexpr int connections = 50;
constexpr std::size_t size = 64;

// The session of examples/echo_server.cc.
gyre::Task<void> echo(gyre::TcpStream stream) {
  for (;;) {
    const gyre::Result<gyre::LentBytes> received = co_await stream.receive();
    if (!received || received->empty()) co_return;
    const gyre::Result<void> sent = co_await stream.write_all(received->bytes());
    if (!sent) co_return;
  }
}

gyre::Task<void> connect_all(std::vector<int>& servers, std::vector<int>& clients) {
  gyre::Result<gyre::TcpListener> listener = co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  GYRE_CHECK(listener.has_value());
  const gyre::Endpoint where = *listener->local_endpoint();
  for (int i = 0; i < connections; ++i) {
    gyre::Result<gyre::TcpStream> client = co_await gyre::TcpStream::connect(where);
    GYRE_CHECK(client.has_value());
    gyre::Result<gyre::TcpStream> server = co_await listener->accept();
    GYRE_CHECK(server.has_value());
    clients.push_back(static_cast<int>(client->release().release()));
    servers.push_back(static_cast<int>(server->native()));
    gyre::this_reactor().detach(echo, std::move(*server));
  }
}

void wait_until_readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  for (int tries = 0; tries < 100; ++tries) {  // a signal may end one
    if (poll(&entry, 1, 1000) == 1) return;
  }
  GYRE_CHECK_HINT(false, "the bytes do not arrive");
}

// What is counted, by its name.
[[gnu::noinline]] void serve(gyre::Reactor& reactor, int turns) {
  for (int turn = 0; turn < turns; ++turn) reactor.run_once(gyre::Instant());
}

}  // namespace

int main(int count, char** arguments) {
  const long rounds = count > 1 ? std::strtol(arguments[1], nullptr, 10) : 1;
  gyre::Result<std::unique_ptr<gyre::Reactor>> made = gyre::Reactor::create();
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().to_string().c_str());
    return 3;
  }
  gyre::Reactor& reactor = **made;
  std::vector<int> servers, clients;
  GYRE_CHECK(reactor.run_until(connect_all(servers, clients)).has_value());
  const int turns = reactor.poller().name() == "io_uring" ? 4 : 3;
  char text[size] = {};
  for (long round = 0; round < rounds; ++round) {
    for (const int client : clients) GYRE_CHECK(write(client, text, size) == size);
    for (const int server : servers) wait_until_readable(server);
    serve(reactor, turns);
    for (const int client : clients) {
      wait_until_readable(client);
      GYRE_CHECK(recv(client, text, size, MSG_WAITALL) == size);
    }
  }
  std::printf("%s\n", reactor.poller().name().data());
  std::fflush(stdout);
  _exit(0);
}
