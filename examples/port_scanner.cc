// Port scanner: which TCP ports of a host accept connections; at most 200 attempts at once, each for at most a second.
//   port_scanner localhost 1 1024
//   port_scanner                    finds the two ports that it has opened itself
#include <cstdio>
#include <string>
#include <vector>

#include <gyre/gyre.h>

constexpr std::size_t attempts_max = 200;

gyre::Task<void> probe(gyre::Endpoint peer, std::vector<std::uint16_t>* open) {
  const gyre::Result<gyre::TcpStream> stream =
      co_await gyre::with_timeout(std::chrono::seconds(1), gyre::TcpStream::connect(peer));
  if (stream) open->push_back(peer.port());
}

gyre::Task<gyre::Result<std::vector<std::uint16_t>>> scan(std::string host, int first, int last) {
  const gyre::Result<std::vector<gyre::Endpoint>> found = co_await gyre::resolve(host, 0);
  if (!found) co_return found.error();
  std::vector<std::uint16_t> open;
  gyre::TaskGroup probes;
  for (int port = first; port <= last; ++port) {
    const gyre::Result<void> room = co_await probes.room(attempts_max);
    if (!room) break;  // Ctrl-C: the probes end, too
    probes.spawn(probe, found->front().with_port(static_cast<std::uint16_t>(port)), &open);
  }
  const gyre::Result<void> probed = co_await probes.join();
  if (!probed) co_return probed.error();
  co_return open;
}

gyre::Task<gyre::Result<void>> scan_itself() {
  gyre::Result<gyre::TcpListener> one = co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  gyre::Result<gyre::TcpListener> two = co_await gyre::TcpListener::bind(gyre::Endpoint::loopback_v4(0));
  if (!one || !two) co_return gyre::Errc::broken;
  for (const gyre::TcpListener* listener : {&*one, &*two}) {
    const int port = listener->local_endpoint()->port();
    const gyre::Result<std::vector<std::uint16_t>> open = co_await scan("127.0.0.1", port, port);
    if (!open || open->size() != 1) co_return gyre::Errc::broken;
    std::printf("found %d\n", port);
  }
  co_return gyre::Result<void>{};
}

gyre::Task<gyre::Result<void>> scan_and_print(std::string host, int first, int last) {
  const gyre::Result<std::vector<std::uint16_t>> open = co_await scan(host, first, last);
  if (!open) co_return open.error();
  for (const std::uint16_t port : *open) std::printf("%d\n", port);
  co_return gyre::Result<void>{};
}

int main(int argc, char** argv) {
  if (argc == 1) return gyre::exit_status(gyre::run(scan_itself()));
  if (argc != 4) return std::fputs("usage: port_scanner [host first_port last_port]\n", stderr), 2;
  const gyre::Result<std::uint16_t> first = gyre::parse_port(argv[2]);
  const gyre::Result<std::uint16_t> last = gyre::parse_port(argv[3]);
  if (!first || !last) return gyre::exit_status(first ? last.error() : first.error());
  return gyre::exit_status(gyre::run(scan_and_print(argv[1], *first, *last)));
}
