#include <gyre/net/listener.h>

#include <utility>

#include <gyre/platform/socket.h>

namespace gyre {

Result<SocketAddress> detail::listening_address(const UniqueFd& socket) noexcept {
  GYRE_CHECK_HINT(static_cast<bool>(socket), "a listener needs an open descriptor");
  const Result<int> listening = get_option(socket.get(), SocketOption::listening);
  if (!listening) return listening.error().with(OperationKind::listen);
  const Result<SocketAddress> address = local_address(socket.get());
  if (!address) return address.error().with(OperationKind::listen);
  if (*listening != 0) return address;
  return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::listen).at(place_of(*address));
}

Result<void> Listener::listen_with(UniqueFd socket) {
  const Result<SocketAddress> address = detail::listening_address(socket);
  if (!address) return address.error();
  return attach(std::move(socket), DescriptorKind::socket);
}

}  // namespace gyre
