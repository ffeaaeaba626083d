// libevent says when there is something; receiving and sending are the program's own calls.
#include <event2/event.h>

#include "../echo/server.h"

namespace {

void on_readable(evutil_socket_t fd, short, void*) {
  char buffer[2048];
  for (;;) {
    sockaddr_storage address;
    socklen_t size = sizeof(address);
    auto* const from = reinterpret_cast<sockaddr*>(&address);
    const ssize_t count = ::recvfrom(fd, buffer, sizeof(buffer), 0, from, &size);
    if (count < 0) return;
    // One that cannot be sent is lost.
    [[maybe_unused]] const ssize_t sent = ::sendto(fd, buffer, static_cast<std::size_t>(count), 0, from, size);
  }
}

}  // namespace

int main() {
  event_base* const base = event_base_new();
  event* const readable = event_new(base, echo::bind_somewhere(SOCK_NONBLOCK), EV_READ | EV_PERSIST, on_readable, nullptr);
  event_add(readable, nullptr);
  event_base_dispatch(base);
}
