#include <gyre/net/listener.h>

#include <utility>

#include <gyre/platform/socket.h>

namespace gyre {

Result<void> Listener::listen_with(UniqueFd socket) {
  const Result<int> listening = get_option(socket.get(), SocketOption::listening);
  if (!listening) return listening.error();
  if (*listening == 0) {
    return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::listen);
  }
  return attach(std::move(socket), DescriptorKind::socket);
}

}  // namespace gyre
