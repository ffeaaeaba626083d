// Operation: one I/O request to a Poller, from start to terminal completion.
//
// Invariants: 1. From start() to the terminal completion the poller owns the operation, its buffers and everything they
// point to; the owner keeps all of it alive and in place. 2. idle -> in_flight -> (cancelling) -> idle, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gyre/platform/error.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

struct Descriptor;

// One piece of a vectored transfer. May be empty.
struct IoSlice {
  void* data = nullptr;
  std::size_t size = 0;
};

// A socket address as the system wants it: a sockaddr of `size` bytes; 0 means none.
struct SocketAddress {
  std::uint32_t size = 0;
  alignas(8) std::byte bytes[112] = {};
};

// A message with address and control data (recvmsg, sendmsg, and one element of a batch). Lives until the operation's
// terminal completion; the poller keeps the system's own header in `native`.
struct Message {
  IoSlice* slices = nullptr;
  std::uint32_t slices_count = 0;
  std::uint32_t flags = 0;            // out: MessageFlags of a received message
  std::size_t size = 0;               // out: bytes transferred (of this element, in a batch)
  SocketAddress* address = nullptr;   // in for send, out for receive; may be null
  void* control = nullptr;            // control data (SCM_RIGHTS and the like); may be null
  std::size_t control_size = 0;       // in: capacity or size; out: bytes received
  alignas(8) std::byte native[64] = {};
};

// Bits of Message::flags.
inline constexpr std::uint32_t message_truncated = 1;          // the datagram was longer than the slices
inline constexpr std::uint32_t message_control_truncated = 2;  // control data did not fit; surplus descriptors were closed

enum class OperationState : std::uint8_t {
  idle,        // the owner's: may be filled in and started
  in_flight,   // the poller's
  cancelling,  // the poller's; its terminal completion has been asked for
};

// Bits of Operation::flags.
inline constexpr std::uint16_t operation_multishot = 1;  // in: accept and receive_lent complete again and again
inline constexpr std::uint16_t operation_more = 2;       // out: a multishot operation is still in flight
inline constexpr std::uint16_t operation_peek = 4;       // in: receive without consuming
inline constexpr std::uint16_t operation_no_inline = 8;  // in: do not try to complete inside start()

struct Operation {
  // Called by Poller::wait for each completion, on the poller's thread, never inside start() or cancel(). It may start
  // and cancel operations; it must not destroy the poller or call wait(). `result` and `flags` are set.
  void (*complete)(Operation& operation) noexcept = nullptr;
  void* owner = nullptr;             // the owner's own: whom to resume, say
  Descriptor* descriptor = nullptr;  // null for open_file
  OperationKind kind = OperationKind::none;
  OperationState state = OperationState::idle;
  std::uint16_t flags = 0;
  std::uint32_t token = 0;  // the poller's own

  // Arguments by kind (poller.h has the table). `next` is the poller's link once the arguments are dead.
  union {
    void* buffer = nullptr;
    IoSlice* slices;
    Message* messages;
    SocketAddress* address;
    const char* path;
    Descriptor* source;
    Operation* next;
  };
  std::size_t size = 0;      // bytes, slices or messages
  union {
    std::int64_t offset;  // in: of a file; or further flags
    // Out: >= 0 (bytes, messages, or a new descriptor), or a negated normalised errno.
    std::int64_t result = 0;
  };

  bool is_idle() const noexcept { return state == OperationState::idle; }
  bool failed() const noexcept { return result < 0; }
  Error error() const noexcept { return Error::system(static_cast<std::int32_t>(-result), kind); }
};

static_assert(sizeof(Operation) <= 56 || sizeof(void*) != 8);

}  // namespace gyre
