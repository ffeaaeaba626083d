// One try of each operation that may have to wait: its result, or EAGAIN, and then the descriptor's bit is cleared.
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <gyre/platform/check.h>
#include <gyre/platform/readiness.h>
#include <gyre/platform/socket.h>
#include <gyre/platform/socket_native_posix.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

// IoSlice is the system's iovec.
static_assert(sizeof(IoSlice) == sizeof(iovec));
static_assert(offsetof(IoSlice, data) == offsetof(iovec, iov_base));
static_assert(offsetof(IoSlice, size) == offsetof(iovec, iov_len));

constexpr std::size_t slices_max = 1024;  // the system's IOV_MAX; more are left for the next call
constexpr std::size_t batch_max = 64;

iovec* native_slices(IoSlice* slices) noexcept { return reinterpret_cast<iovec*>(slices); }

std::size_t clamp(std::size_t size) noexcept { return std::min(size, sys::transfer_max); }

// Bytes in all, saturated.
std::size_t total(const IoSlice* slices, std::size_t count) noexcept {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum = clamp(sum + clamp(slices[i].size));
  return sum;
}

msghdr to_native(const Message& message) noexcept {
  msghdr native{};
  native.msg_iov = native_slices(message.slices);
  native.msg_iovlen = static_cast<decltype(native.msg_iovlen)>(std::min<std::size_t>(message.slices_count, slices_max));
  native.msg_control = message.control;
  native.msg_controllen = static_cast<decltype(native.msg_controllen)>(message.control_size);
  return native;
}

msghdr to_receive(Message& message) noexcept {
  msghdr native = to_native(message);
  if (message.address != nullptr) {
    native.msg_name = message.address->bytes;
    native.msg_namelen = sizeof(message.address->bytes);
  }
  return native;
}

msghdr to_send(const Message& message) noexcept {
  msghdr native = to_native(message);
  if (message.address != nullptr && message.address->size != 0) {
    native.msg_name = message.address->bytes;
    native.msg_namelen = message.address->size;
  }
  return native;
}

void take_received(Message& message, const msghdr& native, std::size_t size) noexcept {
  message.size = size;
  message.control_size = native.msg_controllen;
  // The kernel reports the address's true size, also if it had to cut it.
  if (message.address != nullptr) {
    message.address->size =
        std::min<std::uint32_t>(native.msg_namelen, sizeof(message.address->bytes));
  }
  // The kernel itself closes descriptors for which there was no room.
  message.flags = ((native.msg_flags & MSG_TRUNC) != 0 ? message_truncated : 0) |
                  ((native.msg_flags & MSG_CTRUNC) != 0 ? message_control_truncated : 0);
}

}  // namespace

// 0, or a negated errno, which no descriptor that we know has ever given.
std::int64_t ReadinessPoller::make_non_blocking(Descriptor& descriptor) noexcept {
  if ((descriptor.state & non_blocking) != 0) [[likely]] return 0;
  stats_.system_calls += 2;
  const Result<void> done = sys::set_non_blocking(descriptor.native);
  if (!done) return -done.error().code();
  descriptor.state |= non_blocking;
  return 0;
}

// Learns whether a short transfer proves anything. True of TCP and of pipes. Of local streams only if no descriptors or
// credentials came along, which end a read early. Of terminals, datagrams and whatever else there is: no.
void ReadinessPoller::classify(Descriptor& descriptor) noexcept {
  descriptor.state |= classified;
  if (kind_of(descriptor) == DescriptorKind::file) return;
  const NativeDescriptor fd = descriptor.native;
  if (kind_of(descriptor) == DescriptorKind::stream) {
    ++stats_.system_calls;
    const Result<struct ::stat> status = sys::fstat(fd);
    if (!status || !S_ISFIFO(status->st_mode)) return;
    ++stats_.system_calls;
    const std::int64_t flags = sys::get_flags(fd);
    if (flags >= 0 && (flags & sys::packet_pipe) == 0) descriptor.state |= byte_stream;
    return;
  }
  switch (detail::stream_kind(fd, stats_.system_calls)) {
    case detail::StreamKind::tcp: descriptor.state |= byte_stream; break;
    case detail::StreamKind::local: descriptor.state |= byte_stream | local_stream; break;
    case detail::StreamKind::other: break;
  }
}

std::int64_t ReadinessPoller::attempt_other(Operation& operation, Descriptor& descriptor) noexcept {
  switch (operation.kind) {
    case OperationKind::receive_vector:
    case OperationKind::send_vector: return try_vector(operation, descriptor);
    case OperationKind::receive_message:
    case OperationKind::send_message: return try_message(operation, descriptor);
    case OperationKind::receive_batch:
    case OperationKind::send_batch: return try_batch(operation, descriptor);
    case OperationKind::accept: return try_accept(descriptor);
    case OperationKind::connect: return try_connect(operation, descriptor);
    case OperationKind::readable:
    case OperationKind::writable: return try_ready(operation, descriptor);
    case OperationKind::splice: return try_splice(operation, descriptor);
    case OperationKind::send_file: return try_send_file(operation, descriptor);
    default: break;
  }
  GYRE_CHECK(false);
  return -EINVAL;
}

// What is not a TCP socket or a socket of datagrams.
std::int64_t ReadinessPoller::receive_otherwise(Operation& operation, Descriptor& descriptor, void* buffer,
                                                std::size_t size) noexcept {
  const bool peek = (operation.flags & operation_peek) != 0;
  std::size_t wanted = size;
  std::int64_t result = 0;
  if (kind_of(descriptor) == DescriptorKind::socket) {
    iovec slice{};
    slice.iov_base = buffer;
    slice.iov_len = size;
    msghdr message{};
    message.msg_iov = &slice;
    message.msg_iovlen = 1;
    result = sys::recvmsg(descriptor.native, &message, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
    const bool ended_early = (message.msg_flags & MSG_CTRUNC) != 0;  // by what came along
    if (!is_proof(operation, result) || ended_early) wanted = 0;
  } else {
    result = peek ? -EOPNOTSUPP : sys::read(descriptor.native, buffer, size);
  }
  note_read(descriptor, result, peek && result > 0 ? 0 : wanted);
  return result;
}

std::int64_t ReadinessPoller::try_vector(Operation& operation, Descriptor& descriptor) noexcept {
  // start() has seen to it that not all are empty. Empty ones in front are skipped, so that slices_max does not cut off
  // what follows and the transfer looks empty.
  IoSlice* slices = operation.slices;
  std::size_t count = operation.size;
  for (; slices->size == 0; ++slices) --count;
  count = std::min(count, slices_max);
  const std::size_t size = total(slices, count);
  if ((descriptor.state & classified) == 0) classify(descriptor);
  const bool reads = operation.kind == OperationKind::receive_vector;
  std::size_t wanted = size;
  std::int64_t result = 0;
  ++stats_.system_calls;
  if (kind_of(descriptor) == DescriptorKind::socket) {
    msghdr message{};
    message.msg_iov = native_slices(slices);
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    const bool peek = (operation.flags & operation_peek) != 0;
    result = reads ? sys::recvmsg(descriptor.native, &message, MSG_DONTWAIT | (peek ? MSG_PEEK : 0))
                   : sys::sendmsg(descriptor.native, &message, MSG_DONTWAIT);
    const bool ended_early = (message.msg_flags & MSG_CTRUNC) != 0;
    if (reads && (!is_proof(operation, result) || ended_early || (peek && result > 0))) wanted = 0;
  } else {
    result = reads ? sys::readv(descriptor.native, native_slices(slices), static_cast<int>(count))
                   : sys::writev(descriptor.native, native_slices(slices), static_cast<int>(count));
  }
  reads ? note_read(descriptor, result, wanted) : note_written(descriptor, result, wanted);
  return result;
}

std::int64_t ReadinessPoller::try_message(Operation& operation, Descriptor& descriptor) noexcept {
  Message& message = *operation.messages;
  ++stats_.system_calls;
  if (operation.kind == OperationKind::send_message) {
    const msghdr native = to_send(message);
    const std::int64_t result = sys::sendmsg(descriptor.native, &native, MSG_DONTWAIT);
    if (result >= 0) message.size = static_cast<std::size_t>(result);
    note_written(descriptor, result, 0);
    return result;
  }
  msghdr native = to_receive(message);
  const bool peek = (operation.flags & operation_peek) != 0;
  const std::int64_t result =
      sys::recvmsg(descriptor.native, &native, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  if (result >= 0) take_received(message, native, static_cast<std::size_t>(result));
  note_read(descriptor, result, 0);
  return result;
}

std::int64_t ReadinessPoller::try_batch(Operation& operation, Descriptor& descriptor) noexcept {
  GYRE_CHECK(operation.size >= 1 && operation.size <= batch_max);
  const bool reads = operation.kind == OperationKind::receive_batch;
  std::array<sys::mmsghdr, batch_max> natives;  // 4 KiB, of which only the part in use is touched
  for (std::size_t i = 0; i < operation.size; ++i) {
    Message& message = operation.messages[i];
    natives[i].msg_hdr = reads ? to_receive(message) : to_send(message);
    natives[i].msg_len = 0;
  }
  const auto count = static_cast<unsigned>(operation.size);
  ++stats_.system_calls;
  const std::int64_t result = reads ? sys::recvmmsg(descriptor.native, natives.data(), count, MSG_DONTWAIT)
                                    : sys::sendmmsg(descriptor.native, natives.data(), count, MSG_DONTWAIT);
  for (std::int64_t i = 0; i < result; ++i) {
    const auto at = static_cast<std::size_t>(i);
    Message& message = operation.messages[at];
    if (reads) {
      take_received(message, natives[at].msg_hdr, natives[at].msg_len);
    } else {
      message.size = natives[at].msg_len;
    }
  }
  if (!reads) {
    note_written(descriptor, result, 0);  // fewer than asked may mean that one was refused, not that there is no room
  } else if (result > 0 && result < static_cast<std::int64_t>(count) &&
             (descriptor.state & read_ended) == 0) {
    // The kernel went on until there were no more, or until an error, which it keeps for the next call; an error is also
    // an event, and that comes.
    descriptor.state &= static_cast<std::uint16_t>(~may_read);
  } else {
    note_read(descriptor, result, 0);
  }
  return result;
}

std::int64_t ReadinessPoller::try_accept(Descriptor& descriptor) noexcept {
  if (const std::int64_t failed = make_non_blocking(descriptor); failed < 0) return failed;
  ++stats_.system_calls;
  const std::int64_t result = sys::accept4(descriptor.native, nullptr, nullptr);
  note_read(descriptor, result, 0);
  return result;
}

std::int64_t ReadinessPoller::try_connect(Operation& operation, Descriptor& descriptor) noexcept {
  constexpr std::uint32_t retries_max = 2;
  const SocketAddress& address = *operation.address;
  std::int64_t result = 0;
  if ((operation.token & token_connecting) == 0) {
    if (const std::int64_t failed = make_non_blocking(descriptor); failed < 0) return failed;
    // What was reported of the unconnected socket (a hang-up, for one) is not true of the connection.
    descriptor.state &= static_cast<std::uint16_t>(~(may_read | may_write | read_ended | write_ended));
    ++stats_.system_calls;
    result = sys::connect(descriptor.native, address.bytes, address.size);
    if (result == -EINPROGRESS || result == -EALREADY) {
      operation.token |= token_connecting;
      return -EAGAIN;
    }
    // A local listener's queue is full, or TCP is out of ports; neither becomes ready by itself.
    if (result == -EAGAIN) return parse_address(address).family == AddressFamily::local ? -ECONNREFUSED : -EADDRNOTAVAIL;
  } else {
    ++stats_.system_calls;
    result = -sys::take_socket_error(descriptor.native);
    // The error was asked for with getsockopt(), so Linux believes the attempt to be still going on, and would answer
    // the next connect() with ECONNABORTED.
    if (result < 0) disconnect(descriptor);
  }
  if (result < 0) return result;
  switch (check_connection(operation, descriptor)) {
    case Connection::good: descriptor.state |= may_write; return 0;
    case Connection::pending: descriptor.state &= static_cast<std::uint16_t>(~may_write); return -EAGAIN;
    case Connection::with_itself: break;
  }
  // Its own port was chosen to be the one it connects to. Undone, it gets another.
  disconnect(descriptor);
  if (operation.token / token_retry >= retries_max) return -ECONNREFUSED;
  operation.token = (operation.token & ~token_connecting) + token_retry;
  return try_connect(operation, descriptor);
}

void ReadinessPoller::disconnect(Descriptor& descriptor) noexcept {
  SocketAddress none;
  none.size = sizeof(sockaddr);
  static_assert(AF_UNSPEC == 0);
  ++stats_.system_calls;
  (void)sys::connect(descriptor.native, none.bytes, none.size);
}

ReadinessPoller::Connection ReadinessPoller::check_connection(Operation& operation,
                                                              Descriptor& descriptor) noexcept {
  SocketAddress peer;
  peer.size = sizeof(peer.bytes);
  ++stats_.system_calls;
  const Result<void> asked = sys::getpeername(descriptor.native, peer.bytes, &peer.size);
  // Ready without error and without a peer: the event was about something else.
  if (!asked) return asked.error() == std::errc::not_connected ? Connection::pending : Connection::good;
  const AddressFamily family = parse_address(*operation.address).family;
  if (family != AddressFamily::ipv4 && family != AddressFamily::ipv6) return Connection::good;
  ++stats_.system_calls;
  const Result<SocketAddress> local = local_address(descriptor.native);
  return local && *local == peer ? Connection::with_itself : Connection::good;
}

// Does not wait. A signal that is pending interrupts it all the same, and then nothing has been said about readiness.
std::int64_t ReadinessPoller::poll_now(pollfd* descriptors, std::size_t count) noexcept {
  for (;;) {  // bound: signals come to an end
    ++stats_.system_calls;
    const std::int64_t result = sys::poll(descriptors, count, Duration::zero());
    if (result != -EINTR) return result;
  }
}

// The bit says "maybe"; the system knows.
std::int64_t ReadinessPoller::try_ready(Operation& operation, Descriptor& descriptor) noexcept {
  if ((descriptor.state & always_ready) != 0) return 0;
  const bool reads = operation.kind == OperationKind::readable;
  pollfd asked{};
  asked.fd = static_cast<int>(descriptor.native);
  asked.events = static_cast<short>(reads ? POLLIN | sys::poll_read_ended : POLLOUT);
  const std::int64_t count = poll_now(&asked, 1);
  if (count > 0) return 0;
  if (count < 0) return count;
  reads ? note_read(descriptor, -EAGAIN, 1) : note_written(descriptor, -EAGAIN, 1);
  return -EAGAIN;
}

std::int64_t ReadinessPoller::try_splice(Operation& operation, Descriptor& descriptor) noexcept {
  Descriptor& source = *operation.source;
  if (const std::int64_t failed = make_non_blocking(source); failed < 0) return failed;
  if (const std::int64_t failed = make_non_blocking(descriptor); failed < 0) return failed;
  constexpr int tries_max = 2;
  for (int tries = 0; tries < tries_max; ++tries) {
    ++stats_.system_calls;
    const std::int64_t result = sys::splice(source.native, descriptor.native, clamp(operation.size));
    if (result != -EAGAIN) return result;
    // Which of the two?
    pollfd both[2] = {};
    both[0].fd = static_cast<int>(source.native);
    both[0].events = POLLIN;
    both[1].fd = static_cast<int>(descriptor.native);
    both[1].events = POLLOUT;
    const std::int64_t asked = poll_now(both, 2);
    if (asked < 0) return asked;
    const bool source_waits = both[0].revents == 0;
    const bool target_waits = both[1].revents == 0;
    if (source_waits) note_read(source, -EAGAIN, 1);
    if (target_waits) note_written(descriptor, -EAGAIN, 1);
    if (source_waits || target_waits) return -EAGAIN;
  }
  return -EAGAIN;  // ready both, but not for each other; the next event will tell
}

std::int64_t ReadinessPoller::try_send_file(Operation& operation, Descriptor& descriptor) noexcept {
  if (const std::int64_t failed = make_non_blocking(descriptor); failed < 0) return failed;
  std::int64_t offset = operation.offset;
  ++stats_.system_calls;
  const std::int64_t result = sys::sendfile(descriptor.native, operation.source->native, &offset, clamp(operation.size));
  note_written(descriptor, result, 0);  // fewer than asked may be the end of the file
  return result;
}

}  // namespace gyre
