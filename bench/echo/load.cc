// Load for an echo server, without any framework: `load PORT PID CONNECTIONS BYTES SECONDS [RATE]`.
//
// Without RATE the loop is closed: each connection sends its next request when it has its answer.
// With RATE (requests per second over all connections) it is open: request n is due at n / RATE, on
// connection n modulo CONNECTIONS, whether the server keeps up or not, and its latency counts from
// the time when it was due. So a server that stalls pays for every request that it held up (no
// coordinated omission).
//
// A fifth of SECONDS more is run first and not counted. Every answer is checked byte by byte.
// PID is the server's; its CPU time is what the kernel accounts to its threads. Prints one line of
// JSON; times are in nanoseconds.
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

using Nanoseconds = std::int64_t;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

Nanoseconds now() {
  timespec time = {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

// Of all threads of the process.
Nanoseconds cpu_time_of(int pid) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  DIR* const directory = ::opendir(tasks.c_str());
  if (directory == nullptr) fail("the server has gone");
  Nanoseconds sum = 0;
  while (const dirent* const entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    std::FILE* const file = std::fopen((tasks + "/" + entry->d_name + "/schedstat").c_str(), "r");
    long long nanoseconds = 0;
    if (file == nullptr) continue;
    if (std::fscanf(file, "%lld", &nanoseconds) == 1) sum += nanoseconds;
    std::fclose(file);
  }
  ::closedir(directory);
  return sum;
}

// Counts in buckets that are 1/64 of their value wide.
class Histogram {
 public:
  void add(Nanoseconds value) {
    ++counts_[bucket_of(static_cast<std::uint64_t>(std::max<Nanoseconds>(value, 0)))];
    ++total_;
    max_ = std::max(max_, value);
  }
  Nanoseconds at(double share) const {
    auto left = static_cast<std::uint64_t>(share * static_cast<double>(total_));
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > left) return static_cast<Nanoseconds>(value_of(i));
      left -= counts_[i];
    }
    return max_;
  }
  Nanoseconds max() const { return max_; }
  std::uint64_t total() const { return total_; }

 private:
  static constexpr int fine_bits = 6;
  static std::size_t bucket_of(std::uint64_t value) {
    const int shift = std::max(0, 63 - std::countl_zero(value | 1) - fine_bits);
    return (static_cast<std::size_t>(shift) << fine_bits) +
           static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t value_of(std::size_t bucket) {
    const std::size_t shift = bucket < (2U << fine_bits) ? 0 : (bucket >> fine_bits) - 1;
    return static_cast<std::uint64_t>(bucket - (shift << fine_bits)) << shift;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(64U << (fine_bits + 1));
  std::uint64_t total_ = 0;
  Nanoseconds max_ = 0;
};

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
  std::vector<char> request;
  std::vector<char> answer = std::vector<char>(1 << 16);
  Histogram latencies;
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
    connection.unsent = connection.unreceived = static_cast<std::uint32_t>(request.size());
    send(connection);
  }

  void receive(Connection& connection) {
    const ssize_t count = ::recv(connection.fd, answer.data(), answer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) fail("the server has closed a connection");
    if (count > connection.unreceived) fail("an answer is too long");
    const std::size_t offset = request.size() - connection.unreceived;
    if (std::memcmp(answer.data(), request.data() + offset, static_cast<std::size_t>(count)) != 0)
      fail("an answer is not its request");
    connection.unreceived -= static_cast<std::uint32_t>(count);
    if (connection.unreceived > 0) return;
    const Nanoseconds time = now();
    if (counts) latencies.add(time - connection.begin);
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

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // So many short tests in a row must not use up the ports: a reset leaves nothing behind.
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0) fail("connect");
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "usage: load PORT PID CONNECTIONS BYTES SECONDS [RATE]\n");
    return 2;
  }
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  const int pid = std::atoi(argv[2]);
  const auto seconds = std::atof(argv[5]);
  const double rate = argc > 6 ? std::atof(argv[6]) : 0;
  Load load;
  load.request.resize(static_cast<std::size_t>(std::atoi(argv[4])));
  for (std::size_t i = 0; i < load.request.size(); ++i)
    load.request[i] = static_cast<char>(i * 31 + i / 251);
  load.connections.resize(static_cast<std::size_t>(std::atoi(argv[3])));
  for (Connection& connection : load.connections) {
    connection.fd = connect_to(std::atoi(argv[1]));
    load.watch(connection, EPOLL_CTL_ADD, EPOLLIN);
  }
  load.interval = rate > 0 ? 1e9 / rate : 0;
  load.start = now();
  if (rate <= 0) {
    for (Connection& connection : load.connections) load.begin(connection, now());
  }
  const auto measured = static_cast<Nanoseconds>(seconds * 1e9);
  load.run_until(load.start + measured / 5);
  load.counts = true;
  const Nanoseconds begin = now();
  const Nanoseconds cpu_before = cpu_time_of(pid);
  load.run_until(begin + measured);
  const Nanoseconds cpu = cpu_time_of(pid) - cpu_before;
  const Nanoseconds took = now() - begin;
  const Histogram& latencies = load.latencies;
  std::printf(
      "{\"requests\": %llu, \"ns\": %lld, \"cpu\": %lld, \"p50\": %lld, \"p99\": %lld, \"p999\": "
      "%lld, \"max\": %lld}\n",
      static_cast<unsigned long long>(latencies.total()), static_cast<long long>(took),
      static_cast<long long>(cpu), static_cast<long long>(latencies.at(0.5)),
      static_cast<long long>(latencies.at(0.99)), static_cast<long long>(latencies.at(0.999)),
      static_cast<long long>(latencies.max()));
  return latencies.total() > 0 ? 0 : 1;
}
