#include <gyre/platform/iocp_operations_windows.h>

#include <algorithm>
#include <cstring>

#include <gyre/platform/check.h>
#include <gyre/platform/socket.h>

namespace gyre {
namespace {

constexpr std::size_t slices_max = 64;  // of one call; of a stream the rest is left for the next
constexpr std::size_t batch_max = 64;
// Windows takes a send whole as soon as there is room for a byte. So much of it, lest all memory goes into buffers.
constexpr std::size_t send_max = std::size_t{1} << 20;
// What a receive may bring is locked in memory while it waits.
constexpr std::size_t receive_max = std::size_t{1} << 20;
constexpr std::size_t transmit_max = std::size_t{1} << 30;

// The system's slices have another layout.
class Slices {
 public:
  Slices(void* data, std::size_t size) noexcept : count_(1) { native_[0] = make(data, size); }
  // Without empty ones; of at most `total_max` bytes in all.
  Slices(const IoSlice* slices, std::size_t count, std::size_t total_max) noexcept {
    for (std::size_t i = 0; i < count && count_ < slices_max && total_max > 0; ++i) {
      const std::size_t size = std::min(slices[i].size, total_max);
      if (size > 0) native_[count_++] = make(slices[i].data, size);
      total_max -= size;
    }
  }
  WSABUF* data() noexcept { return native_; }
  DWORD size() const noexcept { return count_; }

 private:
  static WSABUF make(void* data, std::size_t size) noexcept {
    WSABUF native{};
    native.buf = static_cast<char*>(data);
    native.len = static_cast<ULONG>(std::min(size, sys::transfer_max));
    return native;
  }

  WSABUF native_[slices_max];
  DWORD count_ = 0;
};

std::size_t count_slices(const Message& message) noexcept {
  return static_cast<std::size_t>(
      std::count_if(message.slices, message.slices + message.slices_count, [](const IoSlice& s) { return s.size > 0; }));
}

std::size_t total(const Message& message) noexcept {
  std::size_t sum = 0;
  for (std::uint32_t i = 0; i < message.slices_count; ++i) sum += message.slices[i].size;
  return sum;
}

DWORD peek_flag(const Operation& operation) noexcept {
  return (operation.flags & operation_peek) != 0 ? static_cast<DWORD>(MSG_PEEK) : 0;
}

// A stream tells its end by 0, and a datagram that was cut off by an error: what there was room for is the result here.
std::int64_t receive_now(Descriptor& descriptor, WSABUF* slices, DWORD count, DWORD flags) noexcept {
  DWORD received = 0;
  const std::int64_t result =
      sys::receive(descriptor.native, slices, count, &flags, nullptr, nullptr, nullptr, &received);
  if (result == -EPIPE) return 0;  // shut down for reading
  if (result != -EMSGSIZE) return result;
  std::int64_t room = 0;
  for (DWORD i = 0; i < count; ++i) room += slices[i].len;
  return received > 0 ? static_cast<std::int64_t>(received) : room;
}

std::int64_t receive(Operation& operation) noexcept {
  const bool is_vector = operation.kind == OperationKind::receive_vector;
  Slices slices = is_vector ? Slices(operation.slices, operation.size, sys::transfer_max)
                            : Slices(operation.buffer, operation.size);
  return receive_now(*operation.descriptor, slices.data(), slices.size(), peek_flag(operation));
}

// A stream whose connection is gone, or never was, is a broken pipe: Windows has three names for it.
// So has a datagram that says nowhere where it is to go.
std::int64_t as_sent(const Descriptor& descriptor, std::int64_t result, bool has_address = false) noexcept {
  const bool is_stream = (descriptor.state & descriptor_datagram) == 0;
  const bool is_gone = result == -ECONNRESET || result == -ECONNABORTED || result == -ENOTCONN;
  if (is_stream) return is_gone ? -EPIPE : result;
  return !has_address && (result == -ENOTCONN || result == -EINVAL) ? -EDESTADDRREQ : result;
}

std::int64_t send(Operation& operation) noexcept {
  const bool is_stream = (operation.descriptor->state & descriptor_datagram) == 0;
  const std::size_t most = is_stream ? send_max : sys::transfer_max;
  const bool is_vector = operation.kind == OperationKind::send_vector;
  Slices slices = is_vector ? Slices(operation.slices, operation.size, most)
                            : Slices(operation.buffer, std::min(operation.size, most));
  return as_sent(*operation.descriptor,
                 sys::send(operation.descriptor->native, slices.data(), slices.size(), nullptr, 0));
}

// Datagrams come with control data only if there is room for some; streams have none.
std::int64_t receive_message(Descriptor& descriptor, Message& message, DWORD flags) noexcept {
  Slices slices(message.slices, message.slices_count, sys::transfer_max);
  SocketAddress* const address = message.address;
  const bool is_stream = (descriptor.state & descriptor_datagram) == 0;
  WSAMSG native{};
  if (address != nullptr) {
    native.name = reinterpret_cast<sockaddr*>(address->bytes);
    native.namelen = sizeof(address->bytes);
  }
  native.lpBuffers = slices.data();
  native.dwBufferCount = slices.size();
  native.Control.buf = static_cast<char*>(message.control);
  native.Control.len = message.control == nullptr ? 0 : static_cast<ULONG>(message.control_size);
  native.dwFlags = flags;
  DWORD received = 0;
  std::int64_t result = 0;
  if (is_stream) {
    result = sys::receive(descriptor.native, slices.data(), slices.size(), &native.dwFlags, nullptr, nullptr, nullptr,
                          &received);
    if (result == -EPIPE) result = 0;  // shut down for reading
    native.Control.len = 0;
    native.namelen = 0;
  } else if (native.Control.len == 0) {
    int size = native.namelen;
    result = sys::receive(descriptor.native, slices.data(), slices.size(), &native.dwFlags, native.name,
                          native.name == nullptr ? nullptr : &size, nullptr, &received);
    native.namelen = size;
  } else {
    result = sys::receive_message(descriptor.native, &native, &received);
  }
  message.flags = 0;
  if (result == -EMSGSIZE) {
    message.flags = message_truncated;
    result = static_cast<std::int64_t>(received > 0 ? received : std::min(total(message), sys::transfer_max));
  }
  if (result < 0) return result;
  if ((native.dwFlags & MSG_CTRUNC) != 0) message.flags |= message_control_truncated;
  message.size = static_cast<std::size_t>(result);
  message.control_size = native.Control.len;
  if (address != nullptr) {
    address->size = static_cast<std::uint32_t>(
        std::min<std::size_t>(static_cast<std::size_t>(native.namelen), sizeof(address->bytes)));
  }
  return result;
}

std::int64_t send_message(Descriptor& descriptor, Message& message) noexcept {
  const bool is_stream = (descriptor.state & descriptor_datagram) == 0;
  if (!is_stream && count_slices(message) > slices_max) return -EMSGSIZE;
  Slices slices(message.slices, message.slices_count, is_stream ? send_max : sys::transfer_max);
  const bool has_address = message.address != nullptr && message.address->size != 0;
  const sockaddr* const address =
      has_address ? reinterpret_cast<const sockaddr*>(message.address->bytes) : nullptr;
  const int address_size = has_address ? static_cast<int>(message.address->size) : 0;
  std::int64_t result = 0;
  if (message.control == nullptr || message.control_size == 0) {
    result = as_sent(descriptor, sys::send(descriptor.native, slices.data(), slices.size(), address, address_size),
                     has_address);
  } else if (is_stream) {
    result = -EOPNOTSUPP;
  } else {
    WSAMSG native{};
    native.name = const_cast<sockaddr*>(address);
    native.namelen = address_size;
    native.lpBuffers = slices.data();
    native.dwBufferCount = slices.size();
    native.Control.buf = static_cast<char*>(message.control);
    native.Control.len = static_cast<ULONG>(message.control_size);
    result = sys::send_message(descriptor.native, &native);
  }
  if (result >= 0) message.size = static_cast<std::size_t>(result);
  return result;
}

// One call for each: the system has none for many. What fails after the first is told by the next operation.
std::int64_t transfer_batch(Operation& operation) noexcept {
  GYRE_CHECK(operation.size >= 1 && operation.size <= batch_max);
  std::int64_t done = 0;
  for (std::size_t i = 0; i < operation.size; ++i) {
    Message& message = operation.messages[i];
    const std::int64_t result = operation.kind == OperationKind::receive_batch
                                    ? receive_message(*operation.descriptor, message, 0)
                                    : send_message(*operation.descriptor, message);
    if (result < 0) return done > 0 ? done : result;
    ++done;
  }
  return done;
}

std::int64_t shut_down(const Operation& operation) noexcept {
  static_assert(static_cast<int>(ShutdownSide::read) == SD_RECEIVE &&
                static_cast<int>(ShutdownSide::write) == SD_SEND && static_cast<int>(ShutdownSide::both) == SD_BOTH);
  return sys::shutdown(operation.descriptor->native, static_cast<int>(operation.size));
}

int native_family(const Descriptor& descriptor) noexcept {
  if ((descriptor.state & descriptor_local) != 0) return AF_UNIX;
  return (descriptor.state & descriptor_v6) != 0 ? AF_INET6 : AF_INET;
}

constexpr DWORD address_room = sizeof(sockaddr_storage) + 16;

std::int64_t ask_to_accept(InFlight& record) noexcept {
  const Descriptor& listener = *record.operation->descriptor;
  Result<UniqueFd> socket = sys::socket(native_family(listener), SOCK_STREAM, 0);
  if (!socket) return -socket.error().code();
  record.accepted = std::move(*socket);
  return sys::accept_into(listener.native, record.accepted.get(), record.addresses, address_room, record.overlapped());
}

// Until then it is not known as connected.
std::int64_t conclude_accept(InFlight& record, std::int64_t result) noexcept {
  UniqueFd accepted = std::move(record.accepted);
  // A connection that was gone before anybody took it. EIO: Wine's name for it.
  if (result < 0) return result == -ECONNRESET || result == -EIO ? -ECONNABORTED : result;
  const SOCKET listener = sys::socket_of(record.operation->descriptor->native);
  const std::int64_t updated =
      sys::setsockopt(accepted.get(), SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, &listener, sizeof(listener));
  if (updated < 0) return updated == -ENOTCONN ? -ECONNABORTED : updated;
  return accepted.release();
}

// Loopback answers a refusal at once; without this the system asks three times, for two seconds.
void ask_once(NativeDescriptor fd) noexcept {
  struct InitialRoundTrip {
    USHORT round_trip_ms;
    UCHAR retransmissions_max;
  } wanted{0xffff, 0xfe};                                  // unspecified; none
  constexpr DWORD initial_rtt = IOC_IN | IOC_VENDOR | 17;  // SIO_TCP_INITIAL_RTO, since Windows 8
  DWORD size = 0;
  ::WSAIoctl(sys::socket_of(fd), initial_rtt, &wanted, sizeof(wanted), nullptr, 0, &size, nullptr, nullptr);
}

bool is_loopback(const AddressParts& parts) noexcept {
  if (parts.family == AddressFamily::ipv4) return parts.ip[0] == 127;
  return parts.family == AddressFamily::ipv6 && parts.ip[15] == 1 &&
         std::all_of(parts.ip, parts.ip + 15, [](std::uint8_t byte) { return byte == 0; });
}

std::int64_t ask_to_connect(InFlight& record) noexcept {
  const Operation& operation = *record.operation;
  const SocketAddress& address = *operation.address;
  const NativeDescriptor fd = operation.descriptor->native;
  const AddressParts parts = parse_address(address);
  if (parts.family == AddressFamily::none) return -EAFNOSUPPORT;
  // It has to be bound; EINVAL: it is.
  SocketAddress any;
  any.size = address.size;
  std::memcpy(any.bytes, address.bytes, sizeof(sockaddr().sa_family));
  const std::int64_t bound = sys::bind(fd, any.bytes, any.size);
  if (bound < 0 && bound != -EINVAL) return bound;
  if (is_loopback(parts)) ask_once(fd);
  return sys::connect_overlapped(fd, address.bytes, address.size, record.overlapped());
}

bool is_connected_to_itself(NativeDescriptor fd) noexcept {
  const Result<SocketAddress> local = local_address(fd);
  const Result<SocketAddress> peer = peer_address(fd);
  if (!local || !peer) return false;
  const AddressFamily family = parse_address(*peer).family;
  return (family == AddressFamily::ipv4 || family == AddressFamily::ipv6) && *local == *peer;
}

// A TCP socket may be given the very port that it connects to, and then talks to itself. That is nobody's service.
std::int64_t conclude_connect(const Operation& operation, std::int64_t result) noexcept {
  if (result < 0) return result;
  const NativeDescriptor fd = operation.descriptor->native;
  if ((operation.descriptor->state & descriptor_datagram) != 0) return 0;
  if (is_connected_to_itself(fd)) {
    static_cast<void>(sys::shutdown(fd, SD_BOTH));
    return -ECONNREFUSED;
  }
  return 0;
}

std::int64_t ask_to_receive(InFlight& record) noexcept {
  Operation& operation = *record.operation;
  const bool is_vector = operation.kind == OperationKind::receive_vector;
  Slices slices = is_vector ? Slices(operation.slices, operation.size, receive_max)
                            : Slices(operation.buffer, std::min(operation.size, receive_max));
  record.flags = 0;
  DWORD received = 0;
  return sys::receive(operation.descriptor->native, slices.data(), slices.size(), &record.flags, nullptr, nullptr,
                      record.overlapped(), &received);
}

std::int64_t ask_to_send_file(InFlight& record) noexcept {
  const Operation& operation = *record.operation;
  const std::int64_t size = sys::file_size(operation.source->native);
  if (size < 0) return size;
  if (operation.offset >= size) return -ENODATA;
  const auto left = static_cast<std::size_t>(size - operation.offset);
  return sys::transmit_file(operation.descriptor->native, operation.source->native,
                            std::min({left, operation.size, transmit_max}), record.overlapped());
}

void set_offset(OVERLAPPED& overlapped, std::int64_t offset) noexcept {
  overlapped.Offset = static_cast<DWORD>(offset);
  overlapped.OffsetHigh = static_cast<DWORD>(offset >> 32);
}

bool reads(OperationKind kind) noexcept {
  return kind == OperationKind::read_at || (traits_of(kind) & kind_takes_input) != 0;
}

bool is_positioned(OperationKind kind) noexcept {
  return kind == OperationKind::read_at || kind == OperationKind::write_at;
}

// With an event the answer waits there, also where the handle belongs to a port: the lowest bit keeps packets away.
HANDLE without_packet(HANDLE event) noexcept {
  return reinterpret_cast<HANDLE>(reinterpret_cast<std::uintptr_t>(event) | 1);
}

// Files and pipes have no vectors: `gathered` stands in for one, until conclude_transfer().
std::int64_t transfer(const Operation& operation, GatheredSlices& gathered, OVERLAPPED* overlapped) noexcept {
  const NativeDescriptor file = operation.descriptor->native;
  IoSlice slice;  // a read of nothing ends when there is something
  if ((traits_of(operation.kind) & kind_is_vector) != 0) {
    gathered.assign(operation, reads(operation.kind));
    slice = gathered.whole();
  } else if (operation.kind != OperationKind::readable) {
    slice = {operation.buffer, operation.size};
  }
  // A write that waits is untouched as long as the pipe's buffer has room for the whole of it: with the first byte that the
  // reader takes the rest fits, and it is done. A longer one, cancelled half done, could not say how much has gone (C3).
  // That is so for the pipes that Gyre makes; others' may have smaller buffers.
  if (operation.kind == OperationKind::send || operation.kind == OperationKind::send_vector) {
    slice.size = std::min(slice.size, gathered_max);
  } else if (operation.kind == OperationKind::receive) {
    slice.size = std::min(slice.size, receive_max);
  }
  return reads(operation.kind) ? sys::read_file(file, slice.data, slice.size, overlapped)
                               : sys::write_file(file, slice.data, slice.size, overlapped);
}

// The end is no error.
std::int64_t conclude_transfer(const Operation& operation, const GatheredSlices& gathered, std::int64_t result) noexcept {
  if (!reads(operation.kind)) return result;
  if (result > 0) gathered.scatter(operation, static_cast<std::size_t>(result));
  if (result == -EINVAL && sys::is_directory(operation.descriptor->native)) return -EISDIR;
  return result == -ENODATA || result == -EPIPE ? 0 : result;
}

// A pipe may be one that is overlapped, and belong to another port: without an event of our own its end would be told
// to nobody. Anything else is read and written at the place where it is.
std::int64_t transfer_stream(const Operation& operation, GatheredSlices& gathered, BlockingCall& call) noexcept {
  const NativeDescriptor stream = operation.descriptor->native;
  OVERLAPPED overlapped{};
  UniqueFd event;
  if (::GetFileType(sys::handle_of(stream)) == FILE_TYPE_PIPE) {
    const HANDLE made = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
    if (made == nullptr) return -ENOMEM;
    event.reset(sys::descriptor_of(made));
    overlapped.hEvent = without_packet(made);
  }
  OVERLAPPED* const used = event ? &overlapped : nullptr;
  std::int64_t result = 0;
  do {
    if (!call.enter(sys::handle_of(stream), used)) return -ECANCELED;
    result = transfer(operation, gathered, used);
    if (result == -EINPROGRESS) result = sys::wait_for_file(stream, &overlapped);
    call.leave();
    // ECANCELED, and not by us: a console's read ends so at Ctrl-C. (Under Wine there is no such end.)
  } while (result == -ECANCELED || is_empty_write(operation, result));
  return result;
}

}  // namespace

void classify(Descriptor& descriptor) noexcept {
  descriptor.state |= descriptor_classified;
  WSAPROTOCOL_INFOW protocol{};
  int size = sizeof(protocol);
  if (kind_of(descriptor) == DescriptorKind::file) return;
  const std::int64_t asked = sys::getsockopt(descriptor.native, SOL_SOCKET, SO_PROTOCOL_INFOW, &protocol, &size);
  if (asked >= 0) {
    descriptor.state |= descriptor_socket;
    if (protocol.iSocketType == SOCK_DGRAM) descriptor.state |= descriptor_datagram;
    if (protocol.iAddressFamily == AF_INET6) descriptor.state |= descriptor_v6;
    if (protocol.iAddressFamily == AF_UNIX) descriptor.state |= descriptor_local;
    return;
  }
  if (kind_of(descriptor) == DescriptorKind::socket) descriptor.state |= descriptor_socket;
  const DWORD type = ::GetFileType(sys::handle_of(descriptor.native));
  if (type == FILE_TYPE_UNKNOWN) descriptor.state |= descriptor_waitable;
}

std::int64_t call_directly(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  switch (operation.kind) {
    case OperationKind::accept: return sys::accept(descriptor.native, nullptr, nullptr);
    case OperationKind::receive:
    case OperationKind::receive_lent:
    case OperationKind::receive_vector: return receive(operation);
    case OperationKind::send:
    case OperationKind::send_vector: return send(operation);
    case OperationKind::receive_message:
      return receive_message(descriptor, *operation.messages, peek_flag(operation));
    case OperationKind::send_message: return send_message(descriptor, *operation.messages);
    case OperationKind::receive_batch:
    case OperationKind::send_batch: return transfer_batch(operation);
    case OperationKind::shutdown: return shut_down(operation);
    default: return -EOPNOTSUPP;
  }
}

std::int64_t call_connect(InFlight& record) noexcept {
  const Operation& operation = *record.operation;
  const NativeDescriptor fd = operation.descriptor->native;
  if (record.connecting) return conclude_connect(operation, -sys::take_socket_error(fd));
  const std::int64_t result = sys::connect(fd, operation.address->bytes, operation.address->size);
  if (result != -EAGAIN && result != -EINPROGRESS) return conclude_connect(operation, result);
  record.connecting = true;
  return -EAGAIN;
}

std::int64_t call_blocking(Operation& operation, BlockingCall& call) noexcept {
  GatheredSlices gathered;
  switch (operation.kind) {
    case OperationKind::open_file: return sys::open_file(operation.path, operation.size);
    case OperationKind::sync_file: return sys::sync_file(operation.descriptor->native);
    case OperationKind::read_at:
    case OperationKind::write_at: {
      const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
      if (event == nullptr) return -ENOMEM;
      const UniqueFd owner(sys::descriptor_of(event));
      OVERLAPPED overlapped{};
      set_offset(overlapped, operation.offset);
      overlapped.hEvent = without_packet(event);
      std::int64_t result = transfer(operation, gathered, &overlapped);
      if (result == -EINPROGRESS) result = sys::wait_for_file(operation.descriptor->native, &overlapped);
      return conclude_transfer(operation, gathered, result);
    }
    case OperationKind::send_file:
    case OperationKind::splice:
    case OperationKind::shutdown: return -EOPNOTSUPP;
    case OperationKind::readable:
    case OperationKind::writable: return 0;
    default: {
      const std::int64_t result = transfer_stream(operation, gathered, call);
      return conclude_transfer(operation, gathered, result);
    }
  }
}

std::int64_t call_overlapped(InFlight& record) noexcept {
  const Operation& operation = *record.operation;
  if ((operation.descriptor->state & descriptor_socket) == 0) {
    if (operation.kind == OperationKind::splice || operation.kind == OperationKind::send_file) return -EOPNOTSUPP;
    if (is_positioned(operation.kind)) set_offset(record, operation.offset);
    return transfer(operation, record.gathered, record.overlapped());
  }
  switch (operation.kind) {
    case OperationKind::accept: return ask_to_accept(record);
    case OperationKind::connect: return ask_to_connect(record);
    case OperationKind::receive:
    case OperationKind::receive_vector: return ask_to_receive(record);
    case OperationKind::send_file:
      set_offset(record, operation.offset);
      return ask_to_send_file(record);
    default: return -EOPNOTSUPP;
  }
}

std::int64_t conclude(InFlight& record, std::int64_t result) noexcept {
  const Operation& operation = *record.operation;
  if ((operation.descriptor->state & descriptor_socket) == 0) {
    if (operation.kind == OperationKind::readable && result > 0) return 0;
    return conclude_transfer(operation, record.gathered, result);
  }
  switch (operation.kind) {
    case OperationKind::accept: return conclude_accept(record, result);
    case OperationKind::connect: {
      if (result >= 0) {
        result = sys::setsockopt(operation.descriptor->native, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, nullptr, 0);
      }
      return conclude_connect(operation, result);
    }
    case OperationKind::send_file:
      return result == -ENODATA ? 0 : as_sent(*operation.descriptor, result);  // ENODATA: nothing was asked for
    case OperationKind::receive:
    case OperationKind::receive_vector: return result == -EPIPE ? 0 : result;  // shut down for reading
    default: return result;
  }
}

// A write of no bytes ends a read of a pipe, with none; the end of the pipe is an error. (Wine takes no notice of one.)
bool is_empty_write(const Operation& operation, std::int64_t result) noexcept {
  const bool receives = (traits_of(operation.kind) & kind_takes_input) != 0 && operation.kind != OperationKind::readable;
  return result == 0 && receives && ::GetFileType(sys::handle_of(operation.descriptor->native)) == FILE_TYPE_PIPE;
}

bool is_reset(const Descriptor& stream) noexcept {
  const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  if (event == nullptr) return false;
  const UniqueFd owner(sys::descriptor_of(event));
  OVERLAPPED overlapped{};
  overlapped.hEvent = without_packet(event);
  SocketPoll poll{};  // without waiting
  poll.count = 1;
  poll.socket = sys::handle_of(stream.native);
  poll.events = poll_abort;
  std::int64_t result = sys::poll_socket(stream.native, &poll, sizeof(poll), &overlapped);
  if (result == -EINPROGRESS) result = sys::wait_for_file(stream.native, &overlapped);
  return result >= 0 && poll.count == 1 && (poll.events & poll_abort) != 0;
}

ULONG poll_events(const Operation& operation) noexcept {
  constexpr ULONG always = poll_abort | poll_local_close;
  if ((traits_of(operation.kind) & kind_takes_input) != 0) {
    return always | poll_receive | poll_disconnect | poll_accept;
  }
  return always | poll_send | poll_connect_fail;
}

std::int64_t answer_without_system(const Operation& operation) noexcept {
  switch (operation.kind) {
    case OperationKind::receive:
      GYRE_DCHECK(operation.size > 0);
      return (operation.flags & operation_peek) != 0 && !is_on_socket(operation) ? -EOPNOTSUPP : -EAGAIN;
    case OperationKind::send: GYRE_DCHECK(operation.size > 0); return -EAGAIN;
    case OperationKind::receive_vector:
    case OperationKind::send_vector: {
      // An empty transfer neither waits nor looks like the end of the stream.
      const bool is_empty = std::all_of(operation.slices, operation.slices + operation.size,
                                        [](const IoSlice& slice) { return slice.size == 0; });
      return is_empty ? 0 : -EAGAIN;
    }
    case OperationKind::splice: return -EOPNOTSUPP;
    case OperationKind::send_file: return operation.size == 0 ? 0 : -EAGAIN;  // to TransmitFile() 0 bytes are the whole file
    default: return -EAGAIN;
  }
}

}  // namespace gyre
