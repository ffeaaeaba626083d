// Floor: epoll by hand, `raw_epoll` or `raw_epoll http`. Level-triggered, one receive and one send for each event, nothing else.
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "server.h"
#include "services.h"

namespace {

template <typename Service>
struct Connection {
  int fd;
  bool goes_on = true;
  std::string unsent = {};  // what did not fit; while there is some, nothing is received
  [[no_unique_address]] Service service = {};
};

template <typename Service>
void watch(int epoll, int operation, Connection<Service>* connection, unsigned events) {
  epoll_event event = {.events = events, .data = {.ptr = connection}};
  if (::epoll_ctl(epoll, operation, connection->fd, &event) < 0) echo::fail("epoll_ctl");
}

// False: the connection is done with.
template <typename Service>
bool serve(int epoll, Connection<Service>& connection, char* buffer) {
  if (!connection.unsent.empty()) {
    const ssize_t sent =
        ::send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection.unsent.erase(0, static_cast<std::size_t>(sent));
    if (!connection.unsent.empty()) return true;
    watch(epoll, EPOLL_CTL_MOD, &connection, EPOLLIN);
    return connection.goes_on;
  }
  const ssize_t count = ::recv(connection.fd, buffer, echo::buffer_size, 0);
  if (count <= 0) return count < 0 && errno == EAGAIN;
  const echo::Answer answer = connection.service.answer({buffer, static_cast<std::size_t>(count)});
  connection.goes_on = answer.goes_on;
  if (answer.bytes.empty()) return answer.goes_on;
  const ssize_t sent = ::send(connection.fd, answer.bytes.data(), answer.bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (done == answer.bytes.size()) return answer.goes_on;
  connection.unsent = answer.bytes.substr(done);
  watch(epoll, EPOLL_CTL_MOD, &connection, EPOLLOUT);
  return true;
}

template <typename Service>
int run() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  Connection<Service> listener{echo::listen_somewhere(SOCK_NONBLOCK)};
  watch(epoll, EPOLL_CTL_ADD, &listener, EPOLLIN);
  std::vector<epoll_event> events(256);
  std::vector<char> buffer(echo::buffer_size);
  for (;;) {
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const connection = static_cast<Connection<Service>*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (connection == &listener) {
        for (int fd; (fd = ::accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          watch(epoll, EPOLL_CTL_ADD, new Connection<Service>{fd}, EPOLLIN);
        }
      } else if (!serve(epoll, *connection, buffer.data())) {
        ::close(connection->fd);
        delete connection;
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) { return echo::is_http(argc, argv) ? run<echo::Http>() : run<echo::Echo>(); }
