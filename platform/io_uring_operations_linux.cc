#include <gyre/platform/io_uring_operations_linux.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <gyre/platform/check.h>
#include <gyre/platform/socket.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {

namespace {

static_assert(sizeof(IoSlice) == sizeof(iovec) && offsetof(IoSlice, data) == offsetof(iovec, iov_base) &&
              offsetof(IoSlice, size) == offsetof(iovec, iov_len));
static_assert(sizeof(msghdr) <= sizeof(Message::native));

constexpr std::size_t slices_max = 1024;  // the kernel's UIO_MAXIOV
constexpr std::size_t batch_max = 64;

std::uint64_t address_of(const void* pointer) noexcept {
  return reinterpret_cast<std::uint64_t>(pointer);
}

std::uint32_t length_of(std::size_t size) noexcept {
  return static_cast<std::uint32_t>(std::min(size, sys::transfer_max));
}

std::uint32_t slices_count(const Operation& operation) noexcept {
  return static_cast<std::uint32_t>(std::min(operation.size, slices_max));
}

msghdr header_of(const Message& message, bool receives) noexcept {
  msghdr header{};
  if (message.address != nullptr) {
    header.msg_name = message.address->bytes;
    header.msg_namelen = receives ? static_cast<socklen_t>(sizeof(message.address->bytes))
                                  : static_cast<socklen_t>(message.address->size);
    if (header.msg_namelen == 0) header.msg_name = nullptr;
  }
  header.msg_iov = reinterpret_cast<iovec*>(message.slices);
  header.msg_iovlen = std::min<std::size_t>(message.slices_count, slices_max);
  header.msg_control = message.control;
  header.msg_controllen = message.control == nullptr ? 0 : message.control_size;
  return header;
}

msghdr* keep_header(Message& message, bool receives) noexcept {
  const msghdr header = header_of(message, receives);
  std::memcpy(message.native, &header, sizeof(header));
  return reinterpret_cast<msghdr*>(message.native);
}

void take_out(Message& message, const msghdr& header, std::size_t size) noexcept {
  message.size = size;
  message.flags = ((header.msg_flags & MSG_TRUNC) != 0 ? message_truncated : 0) |
                  ((header.msg_flags & MSG_CTRUNC) != 0 ? message_control_truncated : 0);
  message.control_size = header.msg_controllen;
  // The kernel reports the address's true size, also if it had to cut it.
  if (message.address != nullptr) {
    message.address->size = std::min<std::uint32_t>(header.msg_namelen, sizeof(message.address->bytes));
  }
}

std::int64_t receive(const Operation& operation) noexcept {
  const int flags = MSG_DONTWAIT | ((operation.flags & operation_peek) != 0 ? MSG_PEEK : 0);
  const std::size_t size = std::min(operation.size, sys::transfer_max);
  const std::int64_t result = sys::recv(operation.descriptor->native, operation.buffer, size, flags);
  // Fewer bytes than asked for: that was all, or will be for a while.
  if (result < static_cast<std::int64_t>(size)) note_received(*operation.descriptor, false);
  return result;
}

std::int64_t send_message(const Operation& operation) noexcept {
  Message& message = operation.messages[0];
  const msghdr header = header_of(message, false);
  const std::int64_t result = sys::sendmsg(operation.descriptor->native, &header, MSG_DONTWAIT);
  if (result >= 0) message.size = static_cast<std::size_t>(result);
  if (result == -EAGAIN) note_sent(*operation.descriptor, false);
  return result;
}

std::int64_t accept(const Operation& operation) noexcept {
  ensure_non_blocking(*operation.descriptor);
  const std::int64_t result = sys::accept4(operation.descriptor->native, nullptr, nullptr);
  if (result == -EAGAIN) note_received(*operation.descriptor, false);
  return result;
}

std::int64_t receive_batch(const Operation& operation) noexcept {
  mmsghdr headers[batch_max] = {};
  const std::size_t count = operation.size;
  GYRE_CHECK(count >= 1 && count <= batch_max);
  for (std::size_t i = 0; i < count; ++i) headers[i].msg_hdr = header_of(operation.messages[i], true);
  const std::int64_t result =
      sys::recvmmsg(operation.descriptor->native, headers, static_cast<unsigned>(count), MSG_DONTWAIT);
  // While many come at a time, more have come meanwhile.
  note_received(*operation.descriptor, result > 0 && 8 * result >= static_cast<std::int64_t>(count));
  for (std::int64_t i = 0; i < result; ++i) {
    take_out(operation.messages[i], headers[i].msg_hdr, headers[i].msg_len);
  }
  return result;
}

std::int64_t send_batch(const Operation& operation) noexcept {
  mmsghdr headers[batch_max] = {};
  const std::size_t count = operation.size;
  GYRE_CHECK(count >= 1 && count <= batch_max);
  for (std::size_t i = 0; i < count; ++i) headers[i].msg_hdr = header_of(operation.messages[i], false);
  const std::int64_t result =
      sys::sendmmsg(operation.descriptor->native, headers, static_cast<unsigned>(count), MSG_DONTWAIT);
  for (std::int64_t i = 0; i < result; ++i) operation.messages[i].size = headers[i].msg_len;
  return result;
}

// A connected pair of a file and something to write to. Neither end may block.
std::int64_t send_file(const Operation& operation) noexcept {
  std::int64_t offset = operation.offset;
  ensure_non_blocking(*operation.descriptor);
  return sys::sendfile(operation.descriptor->native, operation.source->native, &offset,
                       std::min(operation.size, sys::transfer_max));
}

std::int64_t splice(const Operation& operation) noexcept {
  // SPLICE_F_NONBLOCK covers the pipe only.
  if (kind_of(*operation.descriptor) != DescriptorKind::file) ensure_non_blocking(*operation.descriptor);
  if (kind_of(*operation.source) != DescriptorKind::file) ensure_non_blocking(*operation.source);
  return sys::splice(operation.source->native, operation.descriptor->native,
                     std::min(operation.size, sys::transfer_max));
}

std::int64_t shut_down(const Operation& operation) noexcept {
  static_assert(static_cast<int>(ShutdownSide::read) == SHUT_RD &&
                static_cast<int>(ShutdownSide::write) == SHUT_WR &&
                static_cast<int>(ShutdownSide::both) == SHUT_RDWR);
  return sys::shutdown(operation.descriptor->native, static_cast<int>(operation.size));
}

int open_flags(std::size_t flags) noexcept {
  const bool reads = (flags & open_read) != 0;
  const bool writes = (flags & open_write) != 0;
  int result = O_CLOEXEC | (writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY);
  if ((flags & open_create) != 0) result |= O_CREAT;
  if ((flags & open_exclusive) != 0) result |= O_EXCL;
  if ((flags & open_truncate) != 0) result |= O_TRUNC;
  if ((flags & open_append) != 0) result |= O_APPEND;
  if ((flags & open_directory) != 0) result |= O_DIRECTORY;
  return result;
}

bool is_empty(const Operation& operation) noexcept {
  const std::uint32_t count = slices_count(operation);
  return std::all_of(operation.slices, operation.slices + count,
                     [](const IoSlice& slice) { return slice.size == 0; });
}

// The file's own position, where it has one.
constexpr std::uint64_t current_offset = ~std::uint64_t{0};

void fill_transfer(uring::Sqe& entry, std::uint8_t opcode, const void* address, std::uint32_t length,
                   std::uint64_t offset) noexcept {
  entry.opcode = opcode;
  entry.address = address_of(address);
  entry.length = length;
  entry.offset = offset;
}

// Unix sockets are not received from by multishot. Linux 6.18 then loses the end of the stream: if the peer has closed by
// the time the last data are taken, the kernel finds nothing more to read and waits for an event that has been.
bool is_internet(Descriptor& descriptor) noexcept {
  if ((descriptor.state & descriptor_asked) == 0) {
    int family = 0;
    std::uint32_t size = sizeof(family);
    descriptor.state |= descriptor_asked;
    if (sys::getsockopt(descriptor.native, SOL_SOCKET, SO_DOMAIN, &family, &size) &&
        (family == AF_INET || family == AF_INET6)) {
      descriptor.state |= descriptor_internet;
    }
  }
  return (descriptor.state & descriptor_internet) != 0;
}

std::uint32_t peek_flag(const Operation& operation) noexcept {
  return (operation.flags & operation_peek) != 0 ? MSG_PEEK : 0;
}

// Sockets take messages: writev would raise SIGPIPE, and readv cannot peek.
void fill_vector(uring::Sqe& entry, const Operation& operation, msghdr* header) noexcept {
  const bool reads = operation.kind == OperationKind::receive_vector;
  if (!is_on_socket(operation)) {
    fill_transfer(entry, static_cast<std::uint8_t>(reads ? uring::op_readv : uring::op_writev), operation.slices, slices_count(operation),
                  current_offset);
    return;
  }
  GYRE_CHECK(header != nullptr);
  header->msg_iov = reinterpret_cast<iovec*>(operation.slices);
  header->msg_iovlen = slices_count(operation);
  fill_transfer(entry, static_cast<std::uint8_t>(reads ? uring::op_recvmsg : uring::op_sendmsg), header, 1, 0);
  entry.op_flags = (reads ? std::uint32_t{MSG_CMSG_CLOEXEC} | peek_flag(operation) : std::uint32_t{MSG_NOSIGNAL});
}

std::uint32_t poll_events(const InFlight& record) noexcept {
  const Operation& operation = *record.operation;
  if (operation.kind == OperationKind::splice && !record.polled_source) return POLLIN;
  return (traits_of(operation.kind) & kind_takes_input) != 0 ? POLLIN | POLLRDHUP : POLLOUT;
}

}  // namespace

std::int64_t answer_vector_without_kernel(const Operation& operation) noexcept {
  // An empty transfer neither waits nor looks like the end of the stream. But empty slices at the front, cut off by
  // slices_max, must not hide those that follow.
  if (!is_empty(operation)) return -EAGAIN;
  return operation.size <= slices_max ? 0 : -EINVAL;
}

std::int64_t send_directly(Descriptor& descriptor, const void* data, std::size_t size) noexcept {
  const std::size_t most = std::min(size, sys::transfer_max);
  const std::int64_t result = sys::send(descriptor.native, data, most, MSG_DONTWAIT);
  if (result < static_cast<std::int64_t>(most)) note_sent(descriptor, false);
  return result;
}

std::int64_t call_directly(Operation& operation) noexcept {
  switch (operation.kind) {
    case OperationKind::receive: return receive(operation);
    case OperationKind::send: return send_directly(*operation.descriptor, operation.buffer, operation.size);
    case OperationKind::send_message: return send_message(operation);
    case OperationKind::accept: return accept(operation);
    case OperationKind::receive_batch: return receive_batch(operation);
    case OperationKind::send_batch: return send_batch(operation);
    case OperationKind::splice: return splice(operation);
    case OperationKind::send_file: return send_file(operation);
    case OperationKind::shutdown: return shut_down(operation);
    default: GYRE_CHECK(false); return -EINVAL;
  }
}

void ensure_non_blocking(Descriptor& descriptor) noexcept {
  if ((descriptor.state & descriptor_non_blocking) != 0) return;
  // A refusal has not been seen; then the call may block, which is slow and not wrong.
  if (sys::set_non_blocking(descriptor.native)) descriptor.state |= descriptor_non_blocking;
}

void fill_entry(uring::Sqe& entry, Operation& operation, const IoUringFeatures& features,
                msghdr* header) noexcept {
  if (operation.descriptor != nullptr) entry.fd = static_cast<std::int32_t>(operation.descriptor->native);
  switch (operation.kind) {
    case OperationKind::accept:
      entry.opcode = uring::op_accept;
      entry.op_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
      if (features.multishot_accept && (operation.flags & operation_multishot) != 0) {
        entry.ioprio = uring::accept_multishot;
      }
      return;
    case OperationKind::connect:
      entry.opcode = uring::op_connect;
      entry.address = address_of(operation.address->bytes);
      entry.offset = operation.address->size;
      return;
    case OperationKind::receive:
      if (is_on_socket(operation)) return fill_socket_transfer(entry, operation, features);
      return fill_transfer(entry, uring::op_read, operation.buffer, length_of(operation.size), current_offset);
    case OperationKind::send:
      if (is_on_socket(operation)) return fill_socket_transfer(entry, operation, features);
      return fill_transfer(entry, uring::op_write, operation.buffer, length_of(operation.size), current_offset);
    case OperationKind::receive_vector:
    case OperationKind::send_vector: return fill_vector(entry, operation, header);
    case OperationKind::receive_message:
      fill_transfer(entry, uring::op_recvmsg, keep_header(operation.messages[0], true), 1, 0);
      entry.op_flags = MSG_CMSG_CLOEXEC | peek_flag(operation);
      return;
    case OperationKind::send_message:
      fill_transfer(entry, uring::op_sendmsg, keep_header(operation.messages[0], false), 1, 0);
      entry.op_flags = MSG_NOSIGNAL;
      return;
    case OperationKind::read_at:
      return fill_transfer(entry, uring::op_read, operation.buffer, length_of(operation.size),
                           static_cast<std::uint64_t>(operation.offset));
    case OperationKind::write_at:
      return fill_transfer(entry, uring::op_write, operation.buffer, length_of(operation.size),
                           static_cast<std::uint64_t>(operation.offset));
    case OperationKind::readable:
      entry.opcode = uring::op_poll_add;
      entry.op_flags = POLLIN | POLLRDHUP;
      return;
    case OperationKind::writable:
      entry.opcode = uring::op_poll_add;
      entry.op_flags = POLLOUT;
      return;
    case OperationKind::sync_file:
      entry.opcode = uring::op_fsync;
      return;
    case OperationKind::open_file:
      entry.opcode = uring::op_openat;
      entry.fd = AT_FDCWD;
      entry.address = address_of(operation.path);
      entry.op_flags = static_cast<std::uint32_t>(open_flags(operation.size));
      entry.length = static_cast<std::uint32_t>(operation.offset);
      return;
    default: GYRE_CHECK_HINT(false, "no request to a poller is of this kind");
  }
}

void fill_lent_entry(uring::Sqe& entry, Operation& operation, const IoUringFeatures& features,
                     std::uint32_t buffer_size) noexcept {
  if (!is_on_socket(operation)) {
    entry.fd = static_cast<std::int32_t>(operation.descriptor->native);
    entry.flags = uring::sqe_buffer_select;
    fill_transfer(entry, uring::op_read, nullptr, buffer_size, current_offset);
    return;
  }
  fill_socket_lent(entry, *operation.descriptor, features);
  if (features.multishot_receive && (operation.flags & operation_multishot) != 0 &&
      is_internet(*operation.descriptor)) {
    entry.ioprio |= uring::recv_multishot;
  }
}

void fill_poll_entry(uring::Sqe& entry, const InFlight& record) noexcept {
  const Operation& operation = *record.operation;
  const bool of_source = operation.kind == OperationKind::splice && !record.polled_source;
  const Descriptor& descriptor = of_source ? *operation.source : *operation.descriptor;
  entry.opcode = uring::op_poll_add;
  entry.fd = static_cast<std::int32_t>(descriptor.native);
  entry.op_flags = poll_events(record);
}

void finish_message(Message& message, std::size_t size) noexcept {
  msghdr header;
  std::memcpy(&header, message.native, sizeof(header));
  take_out(message, header, size);
}

bool is_connected_to_itself(const Operation& operation) noexcept {
  const AddressParts wanted = parse_address(*operation.address);
  if (wanted.family != AddressFamily::ipv4 && wanted.family != AddressFamily::ipv6) return false;
  const Result<SocketAddress> local = local_address(operation.descriptor->native);
  if (!local || parse_address(*local).port != wanted.port) return false;
  const Result<SocketAddress> peer = peer_address(operation.descriptor->native);
  return peer && *peer == *local;
}

void dissolve_connection(Descriptor& descriptor) noexcept {
  const sockaddr none{.sa_family = AF_UNSPEC, .sa_data = {}};
  (void)sys::connect(descriptor.native, &none, sizeof(none));
}

std::int64_t refusal_of(const Operation& operation) noexcept {
  const bool is_local = parse_address(*operation.address).family == AddressFamily::local;
  return is_local ? -ECONNREFUSED : -EADDRNOTAVAIL;
}

}  // namespace gyre
