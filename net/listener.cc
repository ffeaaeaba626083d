#include <gyre/net/listener.h>

#include <utility>

#include <gyre/platform/socket.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

Result<void> Listener::open(UniqueFd socket) {
  const Result<int> listening = get_option(socket.get(), SocketOption::listening);
  if (!listening) return listening.error();
  if (*listening == 0) {
    return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::listen);
  }
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> descriptor = poller.attach(std::move(socket), DescriptorKind::socket);
  if (!descriptor) return descriptor.error();
  close();
  poller_ = &poller;
  descriptor_ = *descriptor;
  return {};
}

}  // namespace gyre
