// libuv, `libuv` or `libuv http`: what can be sent at once is (uv_try_write), the rest is queued.
#include <uv.h>

#include <cstdlib>
#include <cstring>

#include "server.h"
#include "services.h"

namespace {

char shared_buffer[65536];  // lent to one read at a time: its callback is done with it

void lend(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(shared_buffer, echo::buffer_size);
}

template <typename Service>
struct Client {
  uv_tcp_t handle;
  [[no_unique_address]] Service service;
};

template <typename Service>
void finish(uv_stream_t* stream) {
  if (!uv_is_closing(reinterpret_cast<uv_handle_t*>(stream))) {
    uv_close(reinterpret_cast<uv_handle_t*>(stream),
             [](uv_handle_t* handle) { delete static_cast<Client<Service>*>(handle->data); });
  }
}

struct Rest {
  uv_write_t request;
  char bytes[1];
};

template <typename Service>
void send_later(uv_stream_t* stream, const char* bytes, std::size_t size) {
  auto* const rest = static_cast<Rest*>(std::malloc(sizeof(Rest) + size));
  std::memcpy(rest->bytes, bytes, size);
  const uv_buf_t buffer = uv_buf_init(rest->bytes, static_cast<unsigned>(size));
  uv_write(&rest->request, stream, &buffer, 1, [](uv_write_t* request, int status) {
    if (status < 0) finish<Service>(request->handle);
    std::free(request);
  });
}

template <typename Service>
void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  if (count < 0) return finish<Service>(stream);
  if (count == 0) return;
  const echo::Answer answer =
      static_cast<Client<Service>*>(stream->data)->service.answer({buffer->base, static_cast<std::size_t>(count)});
  if (!answer.bytes.empty()) {
    const uv_buf_t bytes = uv_buf_init(const_cast<char*>(answer.bytes.data()), static_cast<unsigned>(answer.bytes.size()));
    const int sent = uv_try_write(stream, &bytes, 1);
    if (sent < 0 && sent != UV_EAGAIN) return finish<Service>(stream);
    const std::string_view rest = answer.bytes.substr(sent < 0 ? 0 : static_cast<std::size_t>(sent));
    if (!rest.empty()) send_later<Service>(stream, rest.data(), rest.size());
  }
  if (!answer.goes_on) finish<Service>(stream);
}

template <typename Service>
void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* const client = new Client<Service>;
  uv_tcp_init(listener->loop, &client->handle);
  auto* const stream = reinterpret_cast<uv_stream_t*>(&client->handle);
  stream->data = client;
  if (uv_accept(listener, stream) < 0) return finish<Service>(stream);
  uv_tcp_nodelay(&client->handle, 1);
  uv_read_start(stream, lend, on_read<Service>);
}

}  // namespace

int main(int argc, char** argv) {
  uv_loop_t* const loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  uv_tcp_open(&listener, echo::listen_somewhere(SOCK_NONBLOCK));
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096,
            echo::is_http(argc, argv) ? on_connection<echo::Http> : on_connection<echo::Echo>);
  uv_run(loop, UV_RUN_DEFAULT);
}
