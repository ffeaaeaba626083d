// libevent with bufferevents: `libevent` or `libevent http`.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <algorithm>

#include "server.h"
#include "services.h"

namespace {

void on_read(bufferevent* peer, void*) {
  evbuffer_add_buffer(bufferevent_get_output(peer), bufferevent_get_input(peer));
}

// What is received is in one piece up to 4 KiB; static answers are sent from where they are.
void on_http_read(bufferevent* peer, void* service) {
  evbuffer* const input = bufferevent_get_input(peer);
  const std::size_t size = std::min(evbuffer_get_length(input), echo::buffer_size);
  const auto* const bytes = reinterpret_cast<const char*>(evbuffer_pullup(input, static_cast<ev_ssize_t>(size)));
  const echo::Answer answer = static_cast<echo::Http*>(service)->answer({bytes, size});
  evbuffer_add_reference(bufferevent_get_output(peer), answer.bytes.data(), answer.bytes.size(), nullptr, nullptr);
  evbuffer_drain(input, size);
  if (!answer.goes_on) bufferevent_trigger_event(peer, BEV_EVENT_EOF, BEV_TRIG_DEFER_CALLBACKS);
}

void on_event(bufferevent* peer, short events, void* service) {
  if ((events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0) return;
  bufferevent_free(peer);
  delete static_cast<echo::Http*>(service);
}

void on_connection(evconnlistener* listener, evutil_socket_t fd, sockaddr*, int, void* is_http) {
  bufferevent* const peer =
      bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (is_http != nullptr) {
    bufferevent_setcb(peer, on_http_read, nullptr, on_event, new echo::Http);
  } else {
    bufferevent_setcb(peer, on_read, nullptr, on_event, nullptr);
  }
  bufferevent_enable(peer, EV_READ | EV_WRITE);
}

}  // namespace

int main(int argc, char** argv) {
  event_base* const base = event_base_new();
  evconnlistener_new(base, on_connection, echo::is_http(argc, argv) ? argv : nullptr, LEV_OPT_CLOSE_ON_FREE, 0,
                     echo::listen_somewhere(SOCK_NONBLOCK));
  event_base_dispatch(base);
}
