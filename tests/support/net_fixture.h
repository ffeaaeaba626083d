// Sockets, pipes and files for tests: connected pairs, listeners on a port that the system picks, peers that reset.
//
// Everything here is made by plain blocking system calls with a time limit, so that a fault of Gyre's own cannot hide.
// A call that fails unexpectedly is a test failure, reported where it happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/platform/clock.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::test {

inline int raw(const UniqueFd& fd) { return static_cast<int>(fd.get()); }

// `near` is the end that a test attaches to a poller, `far` the peer.
struct Pair {
  UniqueFd near;
  UniqueFd far;
};

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

// A socket and the address that it is bound to.
struct Bound {
  UniqueFd fd;
  SocketAddress address;
};

// Memory of a size that nobody has; null: not even the addresses.
class HugeMemory {
 public:
  static constexpr std::size_t usable = std::size_t{64} << 20;  // the rest is no memory, and no stream takes so much at once
  explicit HugeMemory(std::size_t size);
  HugeMemory(const HugeMemory&) = delete;
  HugeMemory& operator=(const HugeMemory&) = delete;
  ~HugeMemory();
  void* get() const { return memory_; }

 private:
  void* memory_;
  std::size_t size_;
};

Pair unix_pair();
Pair unix_datagram_pair();
Pair tcp_pair();
Pipe pipe_pair();

Bound tcp_listener(int backlog = 128);
Bound tcp6_listener();
Bound unix_listener(int backlog = 128);  // its name is abstract: no file is left behind
Bound udp_socket();
// Bound but not listening: a connection to it is refused, and nobody else can take the port.
Bound refusing_tcp();

UniqueFd tcp_socket();
UniqueFd tcp6_socket();
UniqueFd unix_socket();
UniqueFd event_fd(unsigned value = 0);
// Polls readable once `after` has passed.
UniqueFd timer_fd(Duration after);
// A regular file with no name.
UniqueFd temporary_file(std::string_view content = {});

UniqueFd connect_to(const SocketAddress& address);
// Non-blocking from then on; whether anybody answers is not waited for.
void begin_to_connect(const UniqueFd& fd, const SocketAddress& address);
UniqueFd accept_from(const UniqueFd& listener);
SocketAddress local_address(const UniqueFd& fd);
SocketAddress peer_address(const UniqueFd& fd);
std::uint16_t port_of(const SocketAddress& address);

void write_all(const UniqueFd& fd, std::string_view text);
// One write of no bytes.
void write_nothing(const UniqueFd& fd);
std::string read_exactly(const UniqueFd& fd, std::size_t size);
std::string read_to_end(const UniqueFd& fd);
// All of a file, whatever its position is.
std::string content_of(NativeDescriptor file);
std::string content_of(const std::string& path);
// Reads what is there and does not wait.
std::string drain(const UniqueFd& fd);
// Writes until nothing more fits; returns how much that was.
std::size_t fill(const UniqueFd& fd);
// Keeps the buffers of both directions as small as the system allows.
void shrink_buffers(const UniqueFd& fd);

void shut_down_write(const UniqueFd& fd);
// Closes so that the peer gets a reset instead of an end of stream.
void reset_connection(UniqueFd fd);

// Waits until `fd` polls readable (or hangs up); false after the time limit.
bool becomes_readable(int fd, int limit_ms = 5000);
bool is_readable(int fd);
// After the peer's reset: waits until it has arrived.
bool becomes_reset(int fd);

bool is_open(int fd);
bool is_close_on_exec(int fd);
bool is_non_blocking(int fd);
void make_non_blocking(const UniqueFd& fd);

// `size` bytes that differ from place to place and from seed to seed.
std::string pattern(std::size_t size, std::uint32_t seed = 1);

// A directory that goes away with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  std::string path(std::string_view name = {}) const;

 private:
  std::string path_;
};

// No further descriptor can be opened while this lives.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors();
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;
  ~NoMoreDescriptors();

 private:
  std::uint64_t soft_limit_ = 0;
};

}  // namespace gyre::test
