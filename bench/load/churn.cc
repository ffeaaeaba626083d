// Load of short connections: `churn PORT PID AT_ONCE SECONDS`. Each is made, sends one byte, gets it back, and is reset
// (a reset leaves no port in TIME_WAIT); AT_ONCE of them are under way. The latency is from socket() to the answer.
#include <sys/epoll.h>

#include <cerrno>

#include "load.h"

namespace {

struct Connection {
  int fd = -1;
  char byte = 0;
  load::Nanoseconds begin = 0;
};

struct Churn {
  explicit Churn(int port_) : port(port_) {}

  int port;
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> connections;
  load::Histogram latencies;
  bool counts = false;

  void begin(Connection& connection) {
    connection.begin = load::now();
    connection.fd = load::connect_to(port);
    ++connection.byte;
    if (::send(connection.fd, &connection.byte, 1, MSG_NOSIGNAL) != 1) load::fail("send");
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = &connection}};
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event) < 0) load::fail("epoll_ctl");
  }

  void finish(Connection& connection) {
    char answer[2] = {};
    const ssize_t count = ::recv(connection.fd, answer, sizeof(answer), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count != 1 || answer[0] != connection.byte) load::fail("an answer is not its request");
    latencies.add(load::now() - connection.begin, counts);
    ::close(connection.fd);
    begin(connection);
  }

  void run_until(load::Nanoseconds end) {
    std::vector<epoll_event> events(connections.size());
    while (load::now() < end) {
      const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
      for (int i = 0; i < count; ++i) finish(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: churn PORT PID AT_ONCE SECONDS\n");
    return 2;
  }
  const int pid = std::atoi(argv[2]);
  const auto measured = static_cast<load::Nanoseconds>(std::atof(argv[4]) * 1e9);
  Churn churn(std::atoi(argv[1]));
  churn.connections.resize(static_cast<std::size_t>(std::atoi(argv[3])));
  for (Connection& connection : churn.connections) churn.begin(connection);
  churn.run_until(load::now() + measured / 5);
  churn.counts = true;
  const load::Nanoseconds begin = load::now();
  const load::Nanoseconds cpu_before = load::cpu_time_of(pid);
  churn.run_until(begin + measured);
  const load::Nanoseconds cpu = load::cpu_time_of(pid) - cpu_before;
  return load::report(churn.latencies, load::now() - begin, cpu);
}
