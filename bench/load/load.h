// What the load programs share: time, the server's CPU time, a histogram, connections. No framework, raw calls only.
//
// Each takes the port and the process id of a server, runs a fifth of its time more first without counting it, checks every
// answer, and prints one line of JSON; times are in nanoseconds.
#pragma once

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

namespace load {

using Nanoseconds = std::int64_t;

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline Nanoseconds now() {
  timespec time = {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

// Of all threads of the process, as the kernel accounts it.
inline Nanoseconds cpu_time_of(int pid) {
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
  // What is not `counted` only counts among all.
  void add(Nanoseconds value, bool counted = true) {
    ++all_;
    if (!counted) return;
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
  std::uint64_t all() const { return all_; }

 private:
  static constexpr int fine_bits = 6;
  static std::size_t bucket_of(std::uint64_t value) {
    const int shift = std::max(0, 63 - std::countl_zero(value | 1) - fine_bits);
    return (static_cast<std::size_t>(shift) << fine_bits) + static_cast<std::size_t>(value >> shift);
  }
  static std::uint64_t value_of(std::size_t bucket) {
    const std::size_t shift = bucket < (2U << fine_bits) ? 0 : (bucket >> fine_bits) - 1;
    return static_cast<std::uint64_t>(bucket - (shift << fine_bits)) << shift;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(64U << (fine_bits + 1));
  std::uint64_t total_ = 0;
  std::uint64_t all_ = 0;
  Nanoseconds max_ = 0;
};

// Thousands of connections need as many descriptors.
inline void raise_descriptor_limit() {
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// `type`: SOCK_STREAM or SOCK_DGRAM. Blocks until it is connected.
inline int connect_to(int port, int type = SOCK_STREAM) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (type == SOCK_STREAM) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    // So many short tests in a row must not use up the ports: a reset leaves nothing behind.
    const linger reset = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0) fail("connect");
  return fd;
}

// What was measured. Each latency stands for `requests_each` requests; `all` has also those before it began to count.
inline int report(const Histogram& latencies, Nanoseconds took, Nanoseconds cpu, std::uint64_t requests_each = 1,
                  std::uint64_t lost = 0) {
  std::printf("{\"requests\": %llu, \"all\": %llu, \"lost\": %llu, \"ns\": %lld, \"cpu\": %lld, \"p50\": %lld, \"p99\": %lld, \"p999\": %lld, "
              "\"max\": %lld}\n",
              static_cast<unsigned long long>(latencies.total() * requests_each),
              static_cast<unsigned long long>(latencies.all() * requests_each), static_cast<unsigned long long>(lost),
              static_cast<long long>(took), static_cast<long long>(cpu), static_cast<long long>(latencies.at(0.5)),
              static_cast<long long>(latencies.at(0.99)), static_cast<long long>(latencies.at(0.999)),
              static_cast<long long>(latencies.max()));
  return latencies.total() > 0 ? 0 : 1;
}

}  // namespace load
