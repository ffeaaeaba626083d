// libuv: what can be sent at once is (uv_try_write), the rest is queued.
#include <uv.h>

#include <cstdlib>
#include <cstring>

#include "server.h"

namespace {

char shared_buffer[65536];  // lent to one read at a time: its callback is done with it

void lend(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(shared_buffer, echo::buffer_size);
}

void finish(uv_stream_t* stream) {
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(stream))) {
    uv_close(reinterpret_cast<uv_handle_t*>(stream),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); });
  }
}

struct Rest {
  uv_write_t request;
  char bytes[1];
};

void send_later(uv_stream_t* stream, const char* bytes, std::size_t size) {
  auto* const rest = static_cast<Rest*>(std::malloc(sizeof(Rest) + size));
  std::memcpy(rest->bytes, bytes, size);
  const uv_buf_t buffer = uv_buf_init(rest->bytes, static_cast<unsigned>(size));
  uv_write(&rest->request, stream, &buffer, 1, [](uv_write_t* request, int status) {
    if (status < 0) finish(request->handle);
    std::free(request);
  });
}

void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  if (count < 0) return finish(stream);
  if (count == 0) return;
  const uv_buf_t received = uv_buf_init(buffer->base, static_cast<unsigned>(count));
  const int sent = uv_try_write(stream, &received, 1);
  if (sent < 0 && sent != UV_EAGAIN) return finish(stream);
  const ssize_t done = sent < 0 ? 0 : sent;
  if (done < count) send_later(stream, buffer->base + done, static_cast<std::size_t>(count - done));
}

void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* const client = new uv_tcp_t;
  uv_tcp_init(listener->loop, client);
  auto* const stream = reinterpret_cast<uv_stream_t*>(client);
  if (uv_accept(listener, stream) < 0) return finish(stream);
  uv_tcp_nodelay(client, 1);
  uv_read_start(stream, lend, on_read);
}

}  // namespace

int main() {
  uv_loop_t* const loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  uv_tcp_open(&listener, echo::listen_somewhere(SOCK_NONBLOCK));
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, on_connection);
  uv_run(loop, UV_RUN_DEFAULT);
}
