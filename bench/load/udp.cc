// Load for a UDP echo server: `udp PORT PID IN_FLIGHT BYTES SECONDS`. As many datagrams as have come back are sent anew, so
// that IN_FLIGHT of them are under way; those that have not come back after 100 ms without any are lost, and replaced.
// Sends and receives in batches, so as to cost less than the servers. BYTES: at least 16.
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "load.h"

namespace {

constexpr unsigned batch_max = 64;

struct Batch {
  explicit Batch(std::size_t bytes) : buffer(batch_max * (bytes + 1)), slices(batch_max), messages(batch_max) {
    for (std::size_t i = 0; i < batch_max; ++i) {
      // Room for a byte more than there should be.
      slices[i] = {.iov_base = buffer.data() + i * (bytes + 1), .iov_len = bytes + 1};
      messages[i].msg_hdr.msg_iov = &slices[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
  char* data(std::size_t index) { return static_cast<char*>(slices[index].iov_base); }

  std::vector<char> buffer;
  std::vector<iovec> slices;
  std::vector<mmsghdr> messages;
};

struct Udp {
  Udp(int port, unsigned window_, std::size_t bytes_)
      : fd(load::connect_to(port, SOCK_DGRAM)), window(window_), bytes(bytes_), out(bytes_), in(bytes_), pattern(bytes_) {
    for (std::size_t i = 0; i < bytes; ++i) pattern[i] = static_cast<char>(i * 31 + i / 251);
    for (std::size_t i = 0; i < batch_max; ++i) {
      std::memcpy(out.data(i), pattern.data(), bytes);
      out.slices[i].iov_len = bytes;
    }
  }

  int fd;
  unsigned window;
  std::size_t bytes;
  Batch out;
  Batch in;
  std::vector<char> pattern;
  unsigned in_flight = 0;
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;
  bool counts = false;
  load::Histogram latencies;

  // Number and time stand at the beginning of a datagram.
  void fill() {
    while (in_flight < window) {
      const unsigned count = std::min(window - in_flight, batch_max);
      const load::Nanoseconds time = load::now();
      for (unsigned i = 0; i < count; ++i) {
        const std::uint64_t number = sent + i;
        std::memcpy(out.data(i), &number, 8);
        std::memcpy(out.data(i) + 8, &time, 8);
      }
      const int done = ::sendmmsg(fd, out.messages.data(), count, 0);
      if (done <= 0) load::fail("sendmmsg");
      sent += static_cast<unsigned>(done);
      in_flight += static_cast<unsigned>(done);
    }
  }

  void receive() {
    const int count = ::recvmmsg(fd, in.messages.data(), batch_max, MSG_DONTWAIT, nullptr);
    if (count < 0 && errno == EAGAIN) {
      pollfd watched = {.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&watched, 1, 100) != 0) return;
      if (counts) lost += in_flight;
      in_flight = 0;
      return;
    }
    if (count < 0) load::fail("recvmmsg");
    const load::Nanoseconds time = load::now();
    for (int i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(i);
      std::uint64_t number = 0;
      load::Nanoseconds began = 0;
      std::memcpy(&number, in.data(index), 8);
      std::memcpy(&began, in.data(index) + 8, 8);
      if (in.messages[index].msg_len != bytes || number >= sent ||
          std::memcmp(in.data(index) + 16, pattern.data() + 16, bytes - 16) != 0) {
        load::fail("an answer is not its request");
      }
      latencies.add(time - began, counts);
    }
    in_flight -= std::min(in_flight, static_cast<unsigned>(count));
  }

  void run_until(load::Nanoseconds end) {
    while (load::now() < end) {
      fill();
      receive();
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || std::atoi(argv[4]) < 16) {
    std::fprintf(stderr, "usage: udp PORT PID IN_FLIGHT BYTES SECONDS\n");
    return 2;
  }
  const int pid = std::atoi(argv[2]);
  const auto measured = static_cast<load::Nanoseconds>(std::atof(argv[5]) * 1e9);
  Udp udp(std::atoi(argv[1]), static_cast<unsigned>(std::atoi(argv[3])), static_cast<std::size_t>(std::atoi(argv[4])));
  udp.run_until(load::now() + measured / 5);
  udp.counts = true;
  const load::Nanoseconds begin = load::now();
  const load::Nanoseconds cpu_before = load::cpu_time_of(pid);
  udp.run_until(begin + measured);
  const load::Nanoseconds cpu = load::cpu_time_of(pid) - cpu_before;
  return load::report(udp.latencies, load::now() - begin, cpu, 1, udp.lost);
}
