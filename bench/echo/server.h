// What the servers of the comparisons share: the socket and its announcement.
//
// Each server is one thread with TCP_NODELAY, prints its port on a line of its own, and runs until it is killed: it echoes
// whatever it receives or, with `http` as its last argument, answers requests for a page (services.h). Every one is
// written the way its library's users write, with buffers of 16 KiB.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace echo {

inline constexpr std::size_t buffer_size = 16384;

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline void announce(int port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
}

// Binds to a port that the system picks, and returns it.
inline int bind_to_loopback(int fd) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) < 0) fail("bind");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// A listener on a port that the system picks; announced. `flags`: SOCK_NONBLOCK, say.
inline int listen_somewhere(int flags) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) fail("socket");
  const int on = 1;
  // Accepted connections inherit it.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const int port = bind_to_loopback(fd);
  if (::listen(fd, 4096) < 0) fail("listen");
  announce(port);
  return fd;
}

// A UDP socket on a port that the system picks; announced.
inline int bind_somewhere(int flags) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) fail("socket");
  announce(bind_to_loopback(fd));
  return fd;
}

}  // namespace echo
