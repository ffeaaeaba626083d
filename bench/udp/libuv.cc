// libuv, `libuv batch` (it receives by recvmmsg) or `libuv single`: what can be sent at once is (uv_udp_try_send), the rest
// is lost, as datagrams may be.
#include <uv.h>

#include <string_view>

#include "../echo/server.h"

namespace {

// libuv cuts it into pieces of 64 KiB for recvmmsg.
char buffer_for_all[20 * 65536];
std::size_t buffer_size = sizeof(buffer_for_all);

void lend(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(buffer_for_all, static_cast<unsigned>(buffer_size));
}

void on_datagram(uv_udp_t* socket, ssize_t count, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
  if (count < 0 || from == nullptr) return;
  const uv_buf_t bytes = uv_buf_init(buffer->base, static_cast<unsigned>(count));
  uv_udp_try_send(socket, &bytes, 1, from);
}

}  // namespace

int main(int argc, char** argv) {
  const bool in_batches = std::string_view(argv[argc - 1]) != "single";
  if (!in_batches) buffer_size = 65536;
  uv_loop_t* const loop = uv_default_loop();
  uv_udp_t socket;
  uv_udp_init_ex(loop, &socket, in_batches ? static_cast<unsigned>(UV_UDP_RECVMMSG) : 0);
  uv_udp_open(&socket, echo::bind_somewhere(SOCK_NONBLOCK));
  uv_udp_recv_start(&socket, lend, on_datagram);
  uv_run(loop, UV_RUN_DEFAULT);
}
