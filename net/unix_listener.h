// UnixListener: accepts connections of local sockets.
#pragma once

#include <utility>

#include <gyre/net/endpoint.h>
#include <gyre/net/listener.h>
#include <gyre/net/socket_file.h>
#include <gyre/net/socket_options.h>
#include <gyre/net/unix_stream.h>
#include <gyre/platform/result.h>
#include <gyre/task/task.h>

namespace gyre {

struct UnixListenOptions {
  int backlog = 4096;           // connections that may wait to be accepted; the system cuts it
  bool replace_stale = true;    // a socket's file that nobody owns makes way; see SocketFile::bind()
  bool remove_on_close = true;  // the file goes with the listener, if it is still the listener's
};

class UnixListener : public Listener, public SocketAccess<UnixListener> {
 public:
  // Not open.
  UnixListener() noexcept = default;
  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&& other) noexcept {
    if (this != &other) {
      close();
      Listener::operator=(std::move(other));
      file_ = std::move(other.file_);
    }
    return *this;
  }
  ~UnixListener() { close(); }

  // Listens at a path or an abstract name. Errors name it: address_in_use, permission_denied,
  // no_such_file_or_directory, invalid_argument for an IP endpoint.
  [[nodiscard]] static Task<Result<UnixListener>> bind(Endpoint where, UnixListenOptions options = {});
  // Takes over a socket that listens already; its file stays when this closes. Must be called inside a task. Errors:
  // invalid_argument if it does not listen.
  [[nodiscard]] static Result<UnixListener> adopt(UniqueFd socket);

  // The next connection. Errors name the listener's path: too_many_files_open, cancelled, timed_out; Errc::closed.
  [[nodiscard]] detail::AcceptAwaiter<UnixStream> accept() noexcept { return accept_as<UnixStream>(); }

  // Closes at once, and removes the file. Precondition: no accept is in flight.
  void close() noexcept {
    file_.remove();
    close_now();
  }
  // Gives the socket up; its file stays. Preconditions: it is open, and no accept is in flight.
  [[nodiscard]] UniqueFd release() noexcept {
    file_.forget();
    return Listener::release();
  }

 private:
  SocketFile file_;
};

}  // namespace gyre
