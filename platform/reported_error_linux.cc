#include <gyre/platform/reported_error.h>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include <gyre/platform/control_parts_posix.h>
#include <gyre/platform/socket.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {
namespace {

bool is_on(NativeDescriptor socket, int level, int option) noexcept {
  int value = 0;
  std::uint32_t size = sizeof(value);
  return sys::getsockopt(socket, level, option, &value, &size) && value != 0;
}

SocketAddress address_in(std::span<const std::byte> bytes) noexcept {
  SocketAddress address;
  address.size = static_cast<std::uint32_t>(std::min(bytes.size(), sizeof(address.bytes)));
  std::copy_n(bytes.begin(), address.size, address.bytes);
  if (parse_address(address).family == AddressFamily::none) address.size = 0;
  return address;
}

}  // namespace

Result<void> report_errors(NativeDescriptor socket, bool on) noexcept {
  const int value = on ? 1 : 0;
  int domain = 0;
  std::uint32_t size = sizeof(domain);
  const Result<void> asked = sys::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  if (!asked) return asked.error();
  if (domain != AF_INET && domain != AF_INET6) return Error::system(ENOPROTOOPT, OperationKind::set_option);
  if (domain == AF_INET6) {
    const Result<void> done = sys::setsockopt(socket, IPPROTO_IPV6, IPV6_RECVERR, &value, sizeof(value));
    if (!done) return done;
  }
  // Of an IPv6 socket, too: it may send to IPv4.
  return sys::setsockopt(socket, IPPROTO_IP, IP_RECVERR, &value, sizeof(value));
}

ReportedError take_reported_error(NativeDescriptor socket) noexcept {
  ReportedError reported;
  // A local socket knows no queue of errors, and would answer with a message.
  if (!is_on(socket, IPPROTO_IP, IP_RECVERR)) return reported;
  alignas(8) std::byte control[256];
  // The kernel gives back the beginning of the datagram, too, which nobody wants.
  msghdr message{};
  reported.destination.size = sizeof(reported.destination.bytes);
  message.msg_name = reported.destination.bytes;
  message.msg_namelen = reported.destination.size;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const std::int64_t taken = sys::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  reported.destination.size = 0;
  if (taken < 0) return reported;
  reported.destination.size = std::min<std::uint32_t>(message.msg_namelen, sizeof(reported.destination.bytes));
  const auto take = [&](int level, int type, std::span<const std::byte> data) {
    const bool is_error = (level == IPPROTO_IP && type == IP_RECVERR) || (level == IPPROTO_IPV6 && type == IPV6_RECVERR);
    sock_extended_err told{};
    if (!is_error || data.size() < sizeof(told)) return;
    std::memcpy(&told, data.data(), sizeof(told));
    reported.error = Error::system(static_cast<std::int32_t>(told.ee_errno));
    reported.reporter = address_in(data.subspan(sizeof(told)));
  };
  for_each_control_part(std::span<const std::byte>(control).first(message.msg_controllen), take);
  return reported;
}

}  // namespace gyre
