// libevent with bufferevents.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "server.h"

namespace {

void on_read(bufferevent* peer, void*) {
  evbuffer_add_buffer(bufferevent_get_output(peer), bufferevent_get_input(peer));
}

void on_event(bufferevent* peer, short events, void*) {
  if ((events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) bufferevent_free(peer);
}

void on_connection(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int, void*) {
  bufferevent* const peer =
      bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  bufferevent_setcb(peer, on_read, nullptr, on_event, nullptr);
  bufferevent_enable(peer, EV_READ | EV_WRITE);
}

}  // namespace

int main() {
  event_base* const base = event_base_new();
  evconnlistener_new(base, on_connection, nullptr, LEV_OPT_CLOSE_ON_FREE, 0,
                     echo::listen_somewhere(SOCK_NONBLOCK));
  event_base_dispatch(base);
}
