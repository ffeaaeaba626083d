// How the io_uring poller treats each kind of operation, and how it is put to the kernel.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/io_uring_abi_linux.h>
#include <gyre/platform/io_uring_in_flight_linux.h>
#include <gyre/platform/io_uring_ring_linux.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/operation_sides.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {

// Bits of Descriptor::state, beside those of operation_sides.h.
inline constexpr std::uint16_t descriptor_non_blocking = 8;  // surely has O_NONBLOCK
inline constexpr std::uint16_t descriptor_drained = 16;      // the last receive left nothing,
inline constexpr std::uint16_t descriptor_holds_more = 32;   // or left something: the socket said so (or the last accept)
inline constexpr std::uint16_t descriptor_full = 64;         // the last send did not fit
inline constexpr std::uint16_t descriptor_asked = 128;       // the socket's family is known,
inline constexpr std::uint16_t descriptor_internet = 256;    // and is IPv4 or IPv6

// What there is to know of a kind of operation, as bits, beside those of operation_sides.h. One table, so that the way of
// an operation through the poller has few branches.
inline constexpr std::uint8_t kind_is_vector = 8;
inline constexpr std::uint8_t kind_never_waits = 16;
// Has no opcode, or one that is slower than the call (it is punted to a worker thread): the poller makes the call itself,
// once a poll has said that it will not block.
inline constexpr std::uint8_t kind_is_direct = 32;
// Neither answered without the kernel nor called, whatever is known of the descriptor: straight to the ring. But for what
// is worth a call.
inline constexpr std::uint8_t kind_is_plain = 128;

constexpr std::uint8_t make_traits(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::accept:
    case OperationKind::receive_message:
    case OperationKind::receive_lent:
    case OperationKind::readable: return kind_takes_input | kind_is_plain;
    case OperationKind::receive: return kind_takes_input;
    case OperationKind::receive_vector: return kind_takes_input | kind_is_vector;
    case OperationKind::receive_batch: return kind_takes_input | kind_is_direct;
    case OperationKind::connect:
    case OperationKind::send_message:
    case OperationKind::writable: return kind_takes_output | kind_is_plain;
    case OperationKind::send: return kind_takes_output;
    case OperationKind::send_vector: return kind_takes_output | kind_is_vector;
    case OperationKind::send_batch: return kind_takes_output | kind_is_direct;
    case OperationKind::splice:
    case OperationKind::send_file: return kind_takes_output | kind_has_source | kind_is_direct;
    case OperationKind::shutdown: return kind_never_waits | kind_is_direct;
    case OperationKind::close: return kind_is_close;
    default: return kind_is_plain;
  }
}

struct TraitsTable {
  std::uint8_t of[256];
  constexpr TraitsTable() noexcept : of() {
    for (std::size_t i = 0; i < 256; ++i) of[i] = make_traits(static_cast<OperationKind>(i));
  }
};
inline constexpr TraitsTable traits_table;

inline std::uint8_t traits_of(OperationKind kind) noexcept {
  return traits_table.of[static_cast<std::size_t>(kind)];
}

// The descriptor whose input side splice takes, and that send_file reads; null for other kinds.
inline Descriptor* source_of(const Operation& operation) noexcept {
  return (traits_of(operation.kind) & kind_has_source) != 0 ? operation.source : nullptr;
}

// Whether its slices are put to the kernel in a msghdr, which the poller has to keep.
inline bool needs_header(const Operation& operation) noexcept {
  return (traits_of(operation.kind) & kind_is_vector) != 0 && is_on_socket(operation);
}

// Whether start() should make the call itself before it asks the ring; depends on what is known of the descriptor.
//
// A send nearly always fits. Its call costs what its entry costs (4.5 us a round trip over loopback TCP with one pair,
// 4.1 us with 64, either way), and the bytes leave at once. A receive mostly has to wait, so it is called only if the
// last one has said that there is more; so is an accept, or each of a burst would take a turn of the loop. After a
// batch of few datagrams, none is left.
inline bool is_worth_a_call(const Operation& operation) noexcept {
  const std::uint16_t state = operation.descriptor == nullptr ? 0 : operation.descriptor->state;
  switch (operation.kind) {
    case OperationKind::send:
    case OperationKind::send_message: return is_on_socket(operation) && (state & descriptor_full) == 0;
    case OperationKind::receive: return (state & descriptor_holds_more) != 0 && is_on_socket(operation);
    case OperationKind::accept:
      return (state & descriptor_holds_more) != 0 && (operation.flags & operation_multishot) == 0;
    case OperationKind::receive_batch: return (state & descriptor_drained) == 0;
    default: return (traits_of(operation.kind) & kind_is_direct) != 0;
  }
}

// The result of an operation that nobody need be asked for, or -EAGAIN.
std::int64_t answer_vector_without_kernel(const Operation& operation) noexcept;
inline std::int64_t answer_without_kernel(const Operation& operation) noexcept {
  switch (operation.kind) {
    case OperationKind::receive:
      GYRE_DCHECK(operation.size > 0);
      return (operation.flags & operation_peek) != 0 && !is_on_socket(operation) ? -EOPNOTSUPP : -EAGAIN;
    case OperationKind::send: GYRE_DCHECK(operation.size > 0); return -EAGAIN;
    case OperationKind::receive_vector:
    case OperationKind::send_vector: return answer_vector_without_kernel(operation);
    default: return -EAGAIN;
  }
}

// What a transfer has told about the socket, and the next one may go by.
inline void note_received(Descriptor& descriptor, bool holds_more) noexcept {
  constexpr std::uint16_t both = descriptor_drained | descriptor_holds_more;
  const auto now = holds_more ? descriptor_holds_more : descriptor_drained;
  descriptor.state = static_cast<std::uint16_t>((descriptor.state & ~both) | now);
}
inline void note_sent(Descriptor& descriptor, bool fitted) noexcept {
  descriptor.state = static_cast<std::uint16_t>((descriptor.state & ~descriptor_full) |
                                                (fitted ? 0 : descriptor_full));
}

// Makes that call, which never blocks. Returns its result, or -EAGAIN.
std::int64_t call_directly(Operation& operation) noexcept;
// The same for a send on a socket.
std::int64_t send_directly(Descriptor& descriptor, const void* data, std::size_t size) noexcept;

// Makes the descriptor's description non-blocking unless it is known to be so: the one place that decides on a mode.
// io_uring itself works with both; calls that have no flag for it need O_NONBLOCK.
void ensure_non_blocking(Descriptor& descriptor) noexcept;

// Asks for a receive or a send on a socket. `entry` is zeroed.
inline void fill_socket_transfer(uring::Sqe& entry, const Operation& operation, const IoUringFeatures& features) noexcept {
  const bool receives = operation.kind == OperationKind::receive;
  const Descriptor& descriptor = *operation.descriptor;
  entry.opcode = receives ? uring::op_recv : uring::op_send;
  entry.fd = static_cast<std::int32_t>(descriptor.native);
  entry.address = reinterpret_cast<std::uint64_t>(operation.buffer);
  entry.length = static_cast<std::uint32_t>(std::min(operation.size, sys::transfer_max));
  entry.op_flags = receives ? ((operation.flags & operation_peek) != 0 ? MSG_PEEK : 0) : MSG_NOSIGNAL;
  // Spares the kernel an attempt that is known to find nothing.
  const std::uint16_t futile = receives ? descriptor_drained : descriptor_full;
  if (features.poll_first && (descriptor.state & futile) != 0) entry.ioprio = uring::recvsend_poll_first;
}

// Asks for a receive on a socket into a buffer that the kernel picks. `entry` is zeroed.
inline void fill_socket_lent(uring::Sqe& entry, const Descriptor& descriptor, const IoUringFeatures& features) noexcept {
  // Length 0: the buffer's. Polling first, a socket is told that buffers have run out only when it has data for one.
  entry.opcode = uring::op_recv;
  entry.flags = uring::sqe_buffer_select;
  entry.fd = static_cast<std::int32_t>(descriptor.native);
  if (features.poll_first) entry.ioprio = uring::recvsend_poll_first;
}

// Asks for `operation` itself. `header`: if it needs one.
void fill_entry(uring::Sqe& entry, Operation& operation, const IoUringFeatures& features,
                msghdr* header) noexcept;
// Asks for receive_lent, into a buffer that the kernel picks.
void fill_lent_entry(uring::Sqe& entry, Operation& operation, const IoUringFeatures& features,
                     std::uint32_t buffer_size) noexcept;
// Asks for a poll on the operation's behalf.
void fill_poll_entry(uring::Sqe& entry, const InFlight& record) noexcept;

// Copies what the kernel wrote into a received message's own header to where its owner looks.
void finish_message(Message& message, std::size_t size) noexcept;

// After a successful connect.
bool is_connected_to_itself(const Operation& operation) noexcept;
void dissolve_connection(Descriptor& descriptor) noexcept;
// What EAGAIN means for a connect: a local listener's queue is full, or TCP is out of ports; neither becomes ready.
std::int64_t refusal_of(const Operation& operation) noexcept;

// One errno for each condition: the kernel's own names for what a program knows otherwise, some of which io_uring lets
// through.
inline std::int64_t normalised(std::int64_t result) noexcept {
  constexpr std::int64_t kernel_restartsys = 512;
  constexpr std::int64_t kernel_notsupp = 524;
  if (result > -kernel_restartsys) [[likely]] return result;
  if (result == -kernel_restartsys) return -EINTR;
  return result == -kernel_notsupp ? -EOPNOTSUPP : result;
}

}  // namespace gyre
