// Load for a server of streams: `stream PORT PID CONNECTIONS BYTES|http:PIPELINE SECONDS [RATE]`.
//
// A request is BYTES bytes that are to come back, or PIPELINE requests for a page, sent at once; their latency is that of the
// last answer, and each page is counted.
//
// Without RATE the loop is closed: each connection sends its next request when it has its answer.
// With RATE (requests per second over all connections) it is open: request n is due at n / RATE, on
// connection n modulo CONNECTIONS, whether the server keeps up or not, and its latency counts from
// the time when it was due. So a server that stalls pays for every request that it held up (no
// coordinated omission).
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "http_exchange.h"
#include "load.h"

namespace {

using load::fail;
using load::Nanoseconds;
using load::now;

struct Connection {
  int fd = -1;
  std::uint32_t unsent = 0;      // bytes of the request
  std::uint32_t unreceived = 0;  // bytes of the answer; 0: idle
  bool waits_to_send = false;
  Nanoseconds begin = 0;   // of the request under way: when it was sent, or due
  std::uint64_t due = 0;   // open loop: requests that came due while one was under way
  std::uint64_t next = 0;  // open loop: number of the next of them
};

struct Load {
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> connections;
  std::string request;
  std::string expected;            // the answer to it
  std::string mask;                // of what counts in it; empty: all of it
  std::uint64_t requests_each = 1;  // in `request`
  std::vector<char> answer = std::vector<char>(1 << 16);
  load::Histogram latencies;
  bool counts = false;
  double interval = 0;  // open loop: between two requests
  Nanoseconds start = 0;

  Nanoseconds due_time(std::uint64_t of) const {
    return start + static_cast<Nanoseconds>(static_cast<double>(of) * interval);
  }

  void watch(Connection& connection, int operation, unsigned events) {
    epoll_event event = {.events = events, .data = {.ptr = &connection}};
    if (::epoll_ctl(epoll, operation, connection.fd, &event) < 0) fail("epoll_ctl");
  }

  void send(Connection& connection) {
    while (connection.unsent > 0) {
      const std::size_t done = request.size() - connection.unsent;
      const ssize_t sent = ::send(connection.fd, request.data() + done, connection.unsent,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno == EAGAIN) break;
      if (sent < 0) fail("send");
      connection.unsent -= static_cast<std::uint32_t>(sent);
    }
    const bool must_wait = connection.unsent > 0;
    if (must_wait != connection.waits_to_send) {
      connection.waits_to_send = must_wait;
      watch(connection, EPOLL_CTL_MOD, must_wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
  }

  void begin(Connection& connection, Nanoseconds time) {
    connection.begin = time;
    connection.unsent = static_cast<std::uint32_t>(request.size());
    connection.unreceived = static_cast<std::uint32_t>(expected.size());
    send(connection);
  }

  // Whether the first `size` bytes of `answer` are those of `expected` from `offset` on.
  bool is_right(std::size_t offset, std::size_t size) const {
    if (mask.empty()) return std::memcmp(answer.data(), expected.data() + offset, size) == 0;
    int difference = 0;
    for (std::size_t i = 0; i < size; ++i) difference |= (answer[i] ^ expected[offset + i]) & mask[offset + i];
    return difference == 0;
  }

  void receive(Connection& connection) {
    const ssize_t count = ::recv(connection.fd, answer.data(), answer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("the server has closed a connection");
    if (count > connection.unreceived) fail("an answer is too long");
    const std::size_t offset = expected.size() - connection.unreceived;
    if (!is_right(offset, static_cast<std::size_t>(count))) fail("an answer is not its request's");
    connection.unreceived -= static_cast<std::uint32_t>(count);
    if (connection.unreceived > 0) return;
    const Nanoseconds time = now();
    latencies.add(time - connection.begin, counts);
    if (interval == 0) return begin(connection, time);
    if (connection.due == 0) return;
    --connection.due;
    begin(connection, due_time(connection.next));
    connection.next += connections.size();
  }

  // Open loop: starts what is due.
  std::uint64_t number = 0;
  void start_due() {
    for (const Nanoseconds time = now(); due_time(number) <= time; ++number) {
      Connection& connection = connections[number % connections.size()];
      if (connection.unreceived == 0) {
        begin(connection, due_time(number));
      } else if (connection.due++ == 0) {
        connection.next = number;
      }
    }
  }

  void run_until(Nanoseconds end) {
    std::vector<epoll_event> events(512);
    while (now() < end) {
      if (interval > 0) start_due();
      // The open loop looks at the clock all the time: a timer would add its own delay to what is
      // measured.
      const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()),
                                     interval > 0 ? 0 : 100);
      for (int i = 0; i < count; ++i) {
        auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (connection.waits_to_send) send(connection);
        if ((events[static_cast<std::size_t>(i)].events & ~EPOLLOUT) != 0) receive(connection);
      }
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: stream PORT PID CONNECTIONS BYTES|http:PIPELINE SECONDS [RATE]\n");
    return 2;
  }
  load::raise_descriptor_limit();
  const int port = std::atoi(argv[1]);
  const int pid = std::atoi(argv[2]);
  const std::string_view kind = argv[4];
  const auto seconds = std::atof(argv[5]);
  const double rate = argc > 6 ? std::atof(argv[6]) : 0;
  Load work;
  if (kind.starts_with("http:")) {
    work.requests_each = static_cast<std::uint64_t>(std::atoi(argv[4] + 5));
    work.request = load::repeated(load::page_request, work.requests_each);
    work.expected = load::repeated(load::ask_for_page(port, work.mask), work.requests_each);
    work.mask = load::repeated(work.mask, work.requests_each);
  } else {
    work.request.resize(static_cast<std::size_t>(std::atoi(argv[4])));
    for (std::size_t i = 0; i < work.request.size(); ++i) work.request[i] = static_cast<char>(i * 31 + i / 251);
    work.expected = work.request;
  }
  work.connections.resize(static_cast<std::size_t>(std::atoi(argv[3])));
  for (Connection& connection : work.connections) {
    connection.fd = load::connect_to(port);
    work.watch(connection, EPOLL_CTL_ADD, EPOLLIN);
  }
  work.interval = rate > 0 ? 1e9 / rate : 0;
  work.start = now();
  if (rate <= 0) {
    for (Connection& connection : work.connections) work.begin(connection, now());
  }
  const auto measured = static_cast<Nanoseconds>(seconds * 1e9);
  work.run_until(work.start + measured / 5);
  work.counts = true;
  const Nanoseconds begin = now();
  const Nanoseconds cpu_before = load::cpu_time_of(pid);
  work.run_until(begin + measured);
  const Nanoseconds cpu = load::cpu_time_of(pid) - cpu_before;
  return load::report(work.latencies, now() - begin, cpu, work.requests_each);
}
