#include <gyre/net/tcp_listener.h>

#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/socket.h>
#include <gyre/reactor/io.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

namespace {

// What can be done before the reactor comes in.
Result<UniqueFd> open_listener(const Endpoint& where, const ListenOptions& options) {
  Result<UniqueFd> socket = open_socket(where.family(), SocketType::stream);
  if (!socket) return socket.error();
  const NativeDescriptor fd = socket->get();
  struct Setting {
    SocketOption option;
    bool wanted;
    bool applies;
  };
  const bool is_v6 = where.family() == AddressFamily::ipv6;
  // Accepted connections inherit no_delay, which saves a system call for each.
  const Setting settings[] = {{SocketOption::reuse_address, options.reuse_address, true},
                              {SocketOption::reuse_port, options.reuse_port, options.reuse_port},
                              {SocketOption::only_v6, options.only_v6, is_v6},
                              {SocketOption::no_delay, true, true}};
  for (const Setting& setting : settings) {
    if (!setting.applies) continue;
    const Result<void> set = set_option(fd, setting.option, setting.wanted ? 1 : 0);
    if (!set) return set.error();
  }
  const Result<void> bound = bind_socket(fd, where.address());
  if (!bound) return bound.error();
  const Result<void> listening = listen_on(fd, options.backlog);
  if (!listening) return listening.error();
  return socket;
}

}  // namespace

TcpListener::TcpListener(TcpListener&& other) noexcept
    : poller_(other.poller_), descriptor_(std::exchange(other.descriptor_, nullptr)) {}

TcpListener& TcpListener::operator=(TcpListener&& other) noexcept {
  if (this != &other) {
    close();
    poller_ = other.poller_;
    descriptor_ = std::exchange(other.descriptor_, nullptr);
  }
  return *this;
}

TcpListener::~TcpListener() { close(); }

void TcpListener::close() noexcept {
  if (descriptor_ != nullptr) poller_->close(*std::exchange(descriptor_, nullptr));
}

UniqueFd TcpListener::release() noexcept {
  GYRE_CHECK_HINT(descriptor_ != nullptr, "the listener is not open: closed, or moved from");
  return poller_->detach(*std::exchange(descriptor_, nullptr));
}

Task<Result<TcpListener>> TcpListener::bind(Endpoint where, ListenOptions options) {
  Result<UniqueFd> socket = open_listener(where, options);
  if (!socket) co_return socket.error().at(where.place());
  Result<TcpListener> listener = adopt(std::move(*socket));
  if (!listener) co_return listener.error().at(where.place());
  co_return listener;
}

Result<TcpListener> TcpListener::adopt(UniqueFd socket) {
  const Result<int> listening = get_option(socket.get(), SocketOption::listening);
  if (!listening) return listening.error();
  if (*listening == 0) {
    return Error::system(static_cast<int>(std::errc::invalid_argument), OperationKind::listen);
  }
  Poller& poller = this_reactor().poller();
  const Result<Descriptor*> descriptor = poller.attach(std::move(socket), DescriptorKind::socket);
  if (!descriptor) return descriptor.error();
  return TcpListener(poller, **descriptor);
}

Task<Result<TcpStream>> TcpListener::accept() {
  GYRE_CHECK_HINT(descriptor_ != nullptr, "the listener is not open: closed, or moved from");
  Operation& operation = descriptor_->input;
  operation.kind = OperationKind::accept;
  operation.flags = 0;
  const Result<std::size_t> accepted = co_await OperationAwaiter(operation);
  if (!accepted) co_return accepted.error();
  co_return TcpStream::adopt(UniqueFd(static_cast<NativeDescriptor>(*accepted)));
}

Result<Endpoint> TcpListener::local_endpoint() const noexcept {
  GYRE_CHECK_HINT(descriptor_ != nullptr, "the listener is not open: closed, or moved from");
  const Result<SocketAddress> address = local_address(descriptor_->native);
  if (!address) return address.error();
  return Endpoint(*address);
}

}  // namespace gyre
