// What becomes of one Operation inside the io_uring poller: its record while it is in flight, and how each kind is put
// to the kernel.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include <gyre/platform/intrusive_list.h>
#include <gyre/platform/io_uring_abi_linux.h>
#include <gyre/platform/io_uring_ring_linux.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/slot_table.h>

namespace gyre {

// Bits of Descriptor::state, beside its kind.
inline constexpr std::uint16_t descriptor_kind_mask = 3;
inline constexpr std::uint16_t descriptor_closing = 4;       // its close operation is parked_input
inline constexpr std::uint16_t descriptor_non_blocking = 8;  // surely has O_NONBLOCK
inline constexpr std::uint16_t descriptor_drained = 16;      // the last receive left nothing,
inline constexpr std::uint16_t descriptor_holds_more = 32;   // or left something: the socket said so
inline constexpr std::uint16_t descriptor_full = 64;         // the last send did not fit
inline constexpr std::uint16_t descriptor_asked = 128;       // the socket's family is known,
inline constexpr std::uint16_t descriptor_internet = 256;    // and is IPv4 or IPv6

inline DescriptorKind kind_of(const Descriptor& descriptor) noexcept {
  return static_cast<DescriptorKind>(descriptor.state & descriptor_kind_mask);
}

// Where an operation is. Only in `kernel` and `polling` does the kernel know of it.
enum class Stage : std::uint8_t {
  pending,  // waits for an entry of the submission queue; in the list of those
  kernel,   // itself queued or with the kernel
  polling,  // a poll on its behalf is queued or with the kernel; in both it may wait in the list of cancels
  starved,  // receive_lent: data are there, and no buffer is; in the list of those
  ready,    // its result is known; in the list of those
  closing,  // close: the descriptor's other operations are not terminal yet
};

// An operation in flight. The id is what the kernel is given as user_data.
struct InFlight : ListLink {
  explicit InFlight(Operation& what) noexcept : operation(&what) {}

  Operation* operation;
  SlotId id;
  SlotId header;                 // of the msghdr that it needs, or the default
  std::int32_t result = 0;       // of a ready one
  Stage stage = Stage::pending;
  bool wants_poll = false;       // of a pending one: it is a poll that is to be submitted
  bool polled_source = false;    // of splice: its source is readable, now for the target
  std::uint16_t fruitless = 0;   // polls in a row after which it still would have blocked
};

// What there is to know of a kind of operation. One table, so that the way of an operation through the poller has few
// branches.
struct KindTraits {
  bool input = false;       // takes this side of its descriptor
  bool output = false;
  bool has_source = false;  // `source` is an argument
  bool is_vector = false;
  bool may_wait = true;     // false: the call never waits
  // Has no opcode, or one that is slower than the call (it is punted to a worker thread): the poller makes the call
  // itself, once a poll has said that it will not block.
  bool is_direct = false;
};

constexpr KindTraits make_traits(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::accept:
    case OperationKind::receive:
    case OperationKind::receive_message:
    case OperationKind::receive_lent:
    case OperationKind::readable: return {.input = true};
    case OperationKind::receive_vector: return {.input = true, .is_vector = true};
    case OperationKind::receive_batch: return {.input = true, .is_direct = true};
    case OperationKind::connect:
    case OperationKind::send:
    case OperationKind::send_message:
    case OperationKind::writable: return {.output = true};
    case OperationKind::send_vector: return {.output = true, .is_vector = true};
    case OperationKind::send_batch: return {.output = true, .is_direct = true};
    case OperationKind::splice:
    case OperationKind::send_file: return {.output = true, .has_source = true, .is_direct = true};
    case OperationKind::shutdown: return {.may_wait = false, .is_direct = true};
    default: return {};
  }
}

struct TraitsTable {
  KindTraits of[256];
  constexpr TraitsTable() noexcept : of() {
    for (std::size_t i = 0; i < 256; ++i) of[i] = make_traits(static_cast<OperationKind>(i));
  }
};
inline constexpr TraitsTable traits_table;

inline const KindTraits& traits_of(OperationKind kind) noexcept {
  return traits_table.of[static_cast<std::size_t>(kind)];
}

// The descriptor whose input side splice takes, and that send_file reads; null for other kinds.
inline Descriptor* source_of(const Operation& operation) noexcept {
  return traits_of(operation.kind).has_source ? operation.source : nullptr;
}

inline bool is_on_socket(const Operation& operation) noexcept {
  return kind_of(*operation.descriptor) == DescriptorKind::socket;
}

// Whether its slices are put to the kernel in a msghdr, which the poller has to keep.
inline bool needs_header(const Operation& operation) noexcept {
  return traits_of(operation.kind).is_vector && is_on_socket(operation);
}

// Whether to look for a result without the kernel, or to make the call oneself, before asking the ring; depends on what
// is known of the descriptor.
bool is_worth_a_call(const Operation& operation) noexcept;

// The result of an operation for which nobody need be asked, or -EAGAIN.
std::int64_t answer_without_kernel(const Operation& operation) noexcept;

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

// Makes the descriptor's description non-blocking unless it is known to be so: the one place that decides on a mode.
// io_uring itself works with both; calls that have no flag for it need O_NONBLOCK.
void ensure_non_blocking(Descriptor& descriptor) noexcept;

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

// One errno for each condition.
std::int64_t normalised(std::int64_t result) noexcept;

}  // namespace gyre
