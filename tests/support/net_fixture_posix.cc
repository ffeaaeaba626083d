#include "net_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include "native_calls.h"

namespace gyre::test {
namespace {

// How long a plain call may block before the test fails instead of hanging, in seconds.
constexpr int limit_s = 10;

// Close-on-exec.
UniqueFd own(int fd, const char* what) {
  if (fd < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    ADD_FAILURE() << what << ": " << std::strerror(errno);
    return {};
  }
  return UniqueFd(fd);
}

void expect_ok(int result, const char* what) {
  if (result < 0) ADD_FAILURE() << what << ": " << std::strerror(errno);
}

// A ring without cooperative task running interrupts whatever its thread waits in, so every call here may say EINTR.
template <typename Call>
auto uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

void limit_time(int fd) {
  const timeval limit = {limit_s, 0};
  expect_ok(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), "SO_RCVTIMEO");
  expect_ok(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "SO_SNDTIMEO");
}

UniqueFd make_socket(int domain, int type) {
  UniqueFd fd = own(::socket(domain, type, 0), "socket");
  limit_time(raw(fd));
  return fd;
}

void bind_to(const UniqueFd& fd, const void* address, std::size_t size) {
  expect_ok(::bind(raw(fd), static_cast<const sockaddr*>(address), static_cast<socklen_t>(size)),
            "bind");
}

// An address of 127.0.0.0/8 that no other test program uses at the same time: connections that were closed keep a port of
// their address for a minute, and thousands of tests would use up those of 127.0.0.1.
std::uint32_t own_loopback() {
  constexpr std::uint32_t addresses = 0x7e0000;
  return 0x7f010000u + static_cast<std::uint32_t>(::getpid()) % addresses;
}

Bound bound_v4(int type) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(own_loopback());
  UniqueFd fd = make_socket(AF_INET, type);
  bind_to(fd, &address, sizeof address);
  const SocketAddress where = local_address(fd);
  return {std::move(fd), where};
}

Pair make_unix_pair(int type) {
  int ends[2] = {-1, -1};
  expect_ok(::socketpair(AF_UNIX, type, 0, ends), "socketpair");
  limit_time(ends[0]);
  limit_time(ends[1]);
  return {own(ends[0], "near"), own(ends[1], "far")};
}

short poll_once(int fd, short events, int limit_ms) {
  pollfd item = {fd, events, 0};
  const int count = uninterrupted([&] { return ::poll(&item, 1, limit_ms); });
  return count > 0 ? item.revents : static_cast<short>(0);
}

}  // namespace

Pair unix_pair() { return make_unix_pair(SOCK_STREAM); }

Pair unix_datagram_pair() { return make_unix_pair(SOCK_DGRAM); }

Pair tcp_pair() {
  const Bound listener = tcp_listener();
  UniqueFd near = connect_to(listener.address);
  UniqueFd far = accept_from(listener.fd);
  return {std::move(near), std::move(far)};
}

HugeMemory::HugeMemory(std::size_t size) : memory_(nullptr), size_(size) {
  // Not every system has MAP_NORESERVE.
  void* const memory = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  memory_ = memory;
  expect_ok(::mprotect(memory, std::min(size, usable), PROT_READ | PROT_WRITE), "mprotect");
}
HugeMemory::~HugeMemory() {
  if (memory_ != nullptr) ::munmap(memory_, size_);
}

Pipe pipe_pair() {
  int ends[2] = {-1, -1};
  expect_ok(::pipe(ends), "pipe");
  return {own(ends[0], "read end"), own(ends[1], "write end")};
}

Bound tcp_listener(int backlog) {
  Bound bound = bound_v4(SOCK_STREAM);
  expect_ok(::listen(raw(bound.fd), backlog), "listen");
  return bound;
}

Bound tcp6_listener() {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  UniqueFd fd = make_socket(AF_INET6, SOCK_STREAM);
  bind_to(fd, &address, sizeof address);
  expect_ok(::listen(raw(fd), 128), "listen");
  const SocketAddress where = local_address(fd);
  return {std::move(fd), where};
}

Bound unix_listener(int backlog) {
  const sa_family_t family = AF_UNIX;  // Nothing but the family: the system picks an abstract name.
  UniqueFd fd = make_socket(AF_UNIX, SOCK_STREAM);
  bind_to(fd, &family, sizeof family);
  expect_ok(::listen(raw(fd), backlog), "listen");
  const SocketAddress where = local_address(fd);
  return {std::move(fd), where};
}

Bound udp_socket() { return bound_v4(SOCK_DGRAM); }

Bound refusing_tcp() { return bound_v4(SOCK_STREAM); }

UniqueFd tcp_socket() { return make_socket(AF_INET, SOCK_STREAM); }

UniqueFd tcp6_socket() { return make_socket(AF_INET6, SOCK_STREAM); }

UniqueFd unix_socket() { return make_socket(AF_UNIX, SOCK_STREAM); }

UniqueFd event_fd(unsigned value) { return own(open_event(value), "event"); }

UniqueFd timer_fd(Duration after) {
  return own(open_timer(after.count()), "timer");
}

UniqueFd temporary_file(std::string_view content) {
  UniqueFd fd = own(open_memory(), "memory");
  if (!content.empty()) write_all(fd, content);
  return fd;
}

UniqueFd connect_to(const SocketAddress& address) {
  const auto* where = reinterpret_cast<const sockaddr*>(address.bytes);
  UniqueFd fd = make_socket(where->sa_family, SOCK_STREAM);
  int result = ::connect(raw(fd), where, address.size);
  if (result < 0 && errno == EINTR) {  // it goes on in the background
    socklen_t size = sizeof result;
    poll_once(raw(fd), POLLOUT, limit_s * 1000);
    ::getsockopt(raw(fd), SOL_SOCKET, SO_ERROR, &result, &size);
    if (result > 0) errno = result;
    result = -result;
  }
  expect_ok(result, "connect");
  return fd;
}

void begin_to_connect(const UniqueFd& fd, const SocketAddress& address) {
  make_non_blocking(fd);
  static_cast<void>(::connect(raw(fd), reinterpret_cast<const sockaddr*>(address.bytes), address.size));
}

UniqueFd accept_from(const UniqueFd& listener) {
  UniqueFd fd = own(uninterrupted([&] { return ::accept(raw(listener), nullptr, nullptr); }), "accept");
  if (fd) limit_time(raw(fd));
  return fd;
}

SocketAddress local_address(const UniqueFd& fd) {
  SocketAddress address;
  socklen_t size = sizeof address.bytes;
  expect_ok(::getsockname(raw(fd), reinterpret_cast<sockaddr*>(address.bytes), &size), "getsockname");
  address.size = size;
  return address;
}

SocketAddress peer_address(const UniqueFd& fd) {
  SocketAddress address;
  socklen_t size = sizeof address.bytes;
  expect_ok(::getpeername(raw(fd), reinterpret_cast<sockaddr*>(address.bytes), &size), "getpeername");
  address.size = size;
  return address;
}

std::uint16_t port_of(const SocketAddress& address) {
  sockaddr_in where;  // An IPv6 address has its port in the same place.
  std::memcpy(&where, address.bytes, sizeof where);
  return ntohs(where.sin_port);
}

void write_all(const UniqueFd& fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = uninterrupted([&] { return ::write(raw(fd), text.data(), text.size()); });
    if (count < 0) {
      ADD_FAILURE() << "write: " << std::strerror(errno);
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void write_nothing(const UniqueFd& fd) { expect_ok(static_cast<int>(::write(raw(fd), "", 0)), "write"); }

std::string read_exactly(const UniqueFd& fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count =
        uninterrupted([&] { return ::read(raw(fd), text.data() + done, size - done); });
    if (count <= 0) {
      ADD_FAILURE() << "read " << done << " of " << size << " bytes: "
                    << (count < 0 ? std::strerror(errno) : "end of stream");
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

std::string read_to_end(const UniqueFd& fd) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t count = uninterrupted([&] { return ::read(raw(fd), buffer, sizeof buffer); });
    if (count < 0) ADD_FAILURE() << "read: " << std::strerror(errno);
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

std::string content_of(NativeDescriptor file) {
  const UniqueFd copy = own(::dup(static_cast<int>(file)), "dup");
  ::lseek(raw(copy), 0, SEEK_SET);
  return read_to_end(copy);
}

std::string content_of(const std::string& path) {
  return read_to_end(own(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open"));
}

std::string drain(const UniqueFd& fd) {
  std::string text;
  char buffer[65536];
  while (is_readable(raw(fd))) {
    const ssize_t count = uninterrupted([&] { return ::read(raw(fd), buffer, sizeof buffer); });
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

std::size_t fill(const UniqueFd& fd) {
  const int flags = ::fcntl(raw(fd), F_GETFL);
  ::fcntl(raw(fd), F_SETFL, flags | O_NONBLOCK);
  const std::string piece(65536, 'f');
  std::size_t total = 0;
  // Down to single bytes: a large piece may be refused where a small one still fits.
  for (std::size_t size = piece.size(); size > 0;) {
    const ssize_t count = uninterrupted([&] { return ::write(raw(fd), piece.data(), size); });
    if (count > 0) {
      total += static_cast<std::size_t>(count);
    } else {
      size /= 16;
    }
  }
  ::fcntl(raw(fd), F_SETFL, flags);
  return total;
}

void shrink_buffers(const UniqueFd& fd) {
  const int size = 1;  // The system raises it to its minimum.
  expect_ok(::setsockopt(raw(fd), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), "SO_SNDBUF");
  expect_ok(::setsockopt(raw(fd), SOL_SOCKET, SO_RCVBUF, &size, sizeof size), "SO_RCVBUF");
}

void shut_down_write(const UniqueFd& fd) { expect_ok(::shutdown(raw(fd), SHUT_WR), "shutdown"); }

void reset_connection(UniqueFd fd) {
  const linger now = {1, 0};
  expect_ok(::setsockopt(raw(fd), SOL_SOCKET, SO_LINGER, &now, sizeof now), "SO_LINGER");
}

bool becomes_readable(int fd, int limit_ms) { return poll_once(fd, POLLIN, limit_ms) != 0; }

bool is_readable(int fd) { return poll_once(fd, POLLIN, 0) != 0; }

bool becomes_reset(int fd) { return (poll_once(fd, 0, limit_s * 1000) & POLLERR) != 0; }

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

bool is_close_on_exec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

bool is_non_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

void make_non_blocking(const UniqueFd& fd) {
  expect_ok(::fcntl(raw(fd), F_SETFL, ::fcntl(raw(fd), F_GETFL) | O_NONBLOCK), "O_NONBLOCK");
}

std::string pattern(std::size_t size, std::uint32_t seed) {
  std::string text(size, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

TemporaryDirectory::TemporaryDirectory() {
  // The path of a local socket has 107 bytes, and Bazel's folders are deep.
  constexpr std::size_t folder_max = 64;
  const std::string folder = testing::TempDir();
  std::string name = (folder.size() <= folder_max ? folder : "/tmp/") + "gyre_test_XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp: " << std::strerror(errno);
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::path(std::string_view name) const {
  return name.empty() ? path_ : path_ + "/" + std::string(name);
}

NoMoreDescriptors::NoMoreDescriptors() {
  rlimit limit = {};
  expect_ok(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  soft_limit_ = static_cast<std::uint64_t>(limit.rlim_cur);
  limit.rlim_cur = 0;
  expect_ok(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

NoMoreDescriptors::~NoMoreDescriptors() {
  rlimit limit = {};
  expect_ok(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = static_cast<rlim_t>(soft_limit_);
  expect_ok(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

}  // namespace gyre::test
