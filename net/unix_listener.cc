#include <gyre/net/unix_listener.h>

#include <gyre/platform/socket.h>

namespace gyre {

Task<Result<UnixListener>> UnixListener::bind(Endpoint where, UnixListenOptions options) {
  Result<UniqueFd> socket = open_socket(AddressFamily::local, SocketType::stream);
  if (!socket) co_return socket.error().with(OperationKind::bind).at(where.place());
  Result<SocketFile> file = SocketFile::bind(socket->get(), where, options.replace_stale);
  if (!file) co_return file.error();
  const Result<void> listening = listen_on(socket->get(), options.backlog);
  if (!listening) co_return listening.error().at(where.place());
  Result<UnixListener> listener = adopt(std::move(*socket));
  if (!listener) co_return listener.error().at(where.place());
  if (options.remove_on_close) {
    listener->file_ = std::move(*file);
  } else {
    file->forget();
  }
  co_return listener;
}

Result<UnixListener> UnixListener::adopt(UniqueFd socket) {
  UnixListener listener;
  const Result<void> opened = listener.listen_with(std::move(socket));
  if (!opened) return opened.error();
  return listener;
}

}  // namespace gyre
