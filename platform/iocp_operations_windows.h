// How the IOCP poller treats each kind of operation, and its records of operations in flight.
#pragma once

#include <gyre/platform/syscalls_windows.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/blocking_call_windows.h>
#include <gyre/platform/gathered_slices_windows.h>
#include <gyre/platform/intrusive_list.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/operation_sides.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/slot_table.h>

namespace gyre {

// Bits of Descriptor::state, beside those of operation_sides.h.
inline constexpr std::uint16_t descriptor_associated = 8;   // with our port
inline constexpr std::uint16_t descriptor_polled = 16;      // it cannot be: polled, and called when it is ready
inline constexpr std::uint16_t descriptor_skips = 32;       // what is done at once sends no packet
inline constexpr std::uint16_t descriptor_classified = 64;  // the next three are known
inline constexpr std::uint16_t descriptor_socket = 128;     // a socket, whatever it was attached as
inline constexpr std::uint16_t descriptor_datagram = 256;
inline constexpr std::uint16_t descriptor_v6 = 512;         // else IPv4, or local
inline constexpr std::uint16_t descriptor_local = 1024;
inline constexpr std::uint16_t descriptor_waitable = 2048;  // neither file, pipe nor socket: a process, an event, a port

inline constexpr std::uint16_t descriptor_ended = 4096;     // shut down for reading: what waits is told the end
inline constexpr std::uint16_t descriptor_reset_told = 8192;

// What there is to know of a kind of operation, as bits, beside those of operation_sides.h.
inline constexpr std::uint8_t kind_is_vector = 8;
inline constexpr std::uint8_t kind_is_pooled = 16;   // has no overlapped form: a thread of the system's pool makes the call
inline constexpr std::uint8_t kind_is_called = 32;   // on a socket: called without waiting, after a poll if that would block

// Sends are not overlapped: one that is cancelled half done could not say how many bytes have gone (C3).
constexpr std::uint8_t traits_of(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::accept:
    case OperationKind::receive:
    case OperationKind::readable: return kind_takes_input;
    case OperationKind::receive_vector: return kind_takes_input | kind_is_vector;
    case OperationKind::receive_lent:
    case OperationKind::receive_message:
    case OperationKind::receive_batch: return kind_takes_input | kind_is_called;
    case OperationKind::connect:
    case OperationKind::writable: return kind_takes_output;
    case OperationKind::send:
    case OperationKind::send_message:
    case OperationKind::send_batch: return kind_takes_output | kind_is_called;
    case OperationKind::send_vector: return kind_takes_output | kind_is_called | kind_is_vector;
    case OperationKind::splice:
    case OperationKind::send_file: return kind_takes_output | kind_has_source;
    case OperationKind::open_file:
    case OperationKind::sync_file: return kind_is_pooled;
    case OperationKind::close: return kind_is_close;
    default: return 0;
  }
}

// Receives of a stream that this side has shut down for reading find the end.
inline bool has_ended(const Operation& operation) noexcept {
  return (operation.descriptor->state & descriptor_ended) != 0 && operation.kind != OperationKind::accept &&
         (traits_of(operation.kind) & kind_takes_input) != 0;
}

// The descriptor whose input side splice takes, and that send_file reads; null for other kinds.
inline Descriptor* source_of(const Operation& operation) noexcept {
  return (traits_of(operation.kind) & kind_has_source) != 0 ? operation.source : nullptr;
}

// Where an operation is. Only in the first four may a packet for it be on the way.
enum class Stage : std::uint8_t {
  kernel,    // asked for
  polling,   // a poll of its socket is asked for
  waiting,   // its handle is waited for, by a thread of the system's pool
  pool,      // a thread of the system's pool makes the call
  due,       // its descriptor is ready; in the list of the ready
  starved,   // receive_lent: data are there, and no buffer is; in the list of those
  ready,     // its result is known; in the list of the ready
  closing,   // close: the descriptor's other operations are not terminal yet
};

// What select() is made of: the request and the answer of a poll of sockets, which any socket of the process carries out.
struct SocketPoll {
  LARGE_INTEGER timeout;
  ULONG count;
  ULONG exclusive;
  HANDLE socket;
  ULONG events;
  LONG status;
};
inline constexpr ULONG poll_receive = 0x1;
inline constexpr ULONG poll_send = 0x4;
inline constexpr ULONG poll_disconnect = 0x8;
inline constexpr ULONG poll_abort = 0x10;
inline constexpr ULONG poll_local_close = 0x20;
inline constexpr ULONG poll_accept = 0x80;
inline constexpr ULONG poll_connect_fail = 0x100;

// An operation in flight, and all that the system may write to until its packet has come.
struct InFlight final : ListLink, OVERLAPPED {
  InFlight() noexcept : OVERLAPPED{} {}

  // Of the packet that has come.
  static InFlight& of(OVERLAPPED* overlapped) noexcept { return *static_cast<InFlight*>(overlapped); }
  // Before each use. The descriptor's port gets the packet.
  OVERLAPPED* renew() noexcept { return &(static_cast<OVERLAPPED&>(*this) = OVERLAPPED{}); }
  OVERLAPPED* overlapped() noexcept { return this; }

  Operation* operation = nullptr;
  SlotId id;
  NativeDescriptor port = no_descriptor;  // for threads of the pool
  std::int64_t result = 0;                // of a ready one, or of one whose call the pool has made
  Stage stage = Stage::ready;
  std::uint16_t fruitless = 0;            // polls in a row after which it still would have blocked
  bool connecting = false;                // connect without ConnectEx: it was asked for
  DWORD flags = 0;                        // of a receive: in and out
  HANDLE wait = nullptr;                  // while `waiting`: the wait's registration
  std::atomic<bool> signalled = false;    // ... and whether its packet is on the way
  BlockingCall blocking;                  // in the stage pool
  std::atomic<int> parties = 0;           // ... threads that use this record; the last one sends the packet
  UniqueFd accepted;                      // the socket that AcceptEx connects
  GatheredSlices gathered;                // of a vector that is no socket's
  union {
    SocketPoll poll = {};
    std::byte addresses[2 * (sizeof(sockaddr_storage) + 16)];  // AcceptEx wants to tell them
  };
};

// Asks the system what the descriptor is, once.
void classify(Descriptor& descriptor) noexcept;

// Makes the call of a kind that is `called`, or of any other on a socket that is polled; never blocks. Returns the
// result, or -EAGAIN.
std::int64_t call_directly(Operation& operation) noexcept;
// The same of connect: asks for it, and is called again when a poll says so.
std::int64_t call_connect(InFlight& record) noexcept;
// Makes the call of a kind that is `pooled`, or another on a file or stream that cannot be overlapped; blocks. Only
// transfers of streams can be cut short.
std::int64_t call_blocking(Operation& operation, BlockingCall& call) noexcept;
// Asks for an operation, overlapped. -EINPROGRESS: a packet will come. Otherwise it is done; see conclude().
std::int64_t call_overlapped(InFlight& record) noexcept;
// After such an operation, `result` being bytes or a negated errno: the operation's result.
std::int64_t conclude(InFlight& record, std::int64_t result) noexcept;

// Whether `result`, of an operation that is not on a socket, is nothing but an empty write of the peer's.
bool is_empty_write(const Operation& operation, std::int64_t result) noexcept;

// Whether the peer has reset the connection.
bool is_reset(const Descriptor& stream) noexcept;

// What a poll on behalf of the operation asks for.
ULONG poll_events(const Operation& operation) noexcept;
// The result of an operation that nobody need be asked for, or -EAGAIN.
std::int64_t answer_without_system(const Operation& operation) noexcept;

}  // namespace gyre
