// Floor: epoll by hand. Level-triggered, one receive and one send for each event, nothing else.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "server.h"

namespace {

struct Connection {
  int fd;
  std::string unsent;  // what did not fit; while there is some, nothing is received
};

void watch(int epoll, int operation, Connection* connection, unsigned events) {
  epoll_event event = {.events = events, .data = {.ptr = connection}};
  if (::epoll_ctl(epoll, operation, connection->fd, &event) < 0) echo::fail("epoll_ctl");
}

// False: the connection is done with.
bool serve(int epoll, Connection& connection, char* buffer) {
  if (!connection.unsent.empty()) {
    const ssize_t sent =
        ::send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection.unsent.erase(0, static_cast<std::size_t>(sent));
    if (connection.unsent.empty()) watch(epoll, EPOLL_CTL_MOD, &connection, EPOLLIN);
    return true;
  }
  const ssize_t count = ::recv(connection.fd, buffer, echo::buffer_size, 0);
  if (count <= 0) return count < 0 && errno == EAGAIN;
  ssize_t sent = ::send(connection.fd, buffer, static_cast<std::size_t>(count), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  if (sent < count) {
    sent = sent < 0 ? 0 : sent;
    connection.unsent.assign(buffer + sent, static_cast<std::size_t>(count - sent));
    watch(epoll, EPOLL_CTL_MOD, &connection, EPOLLOUT);
  }
  return true;
}

}  // namespace

int main() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  Connection listener{echo::listen_somewhere(SOCK_NONBLOCK), {}};
  watch(epoll, EPOLL_CTL_ADD, &listener, EPOLLIN);
  std::vector<epoll_event> events(256);
  std::vector<char> buffer(echo::buffer_size);
  for (;;) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const connection =
          static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (connection == &listener) {
        for (int fd;
             (fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          watch(epoll, EPOLL_CTL_ADD, new Connection{fd, {}}, EPOLLIN);
        }
      } else if (!serve(epoll, *connection, buffer.data())) {
        ::close(connection->fd);
        delete connection;
      }
    }
  }
}
