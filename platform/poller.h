// Poller: THE contract between Gyre and an operating system. To port Gyre, write one of these (docs/PORTING.md).
//
// A poller is completion-shaped on every system: an Operation is started, and later wait() completes it. io_uring and
// IOCP are so by nature; epoll and kqueue share `readiness` (try, park when it would block, retry).
//
// Threads: everything on one thread, the first to call wait(), except wake(), which any thread may call.
//
// C1  Every started operation gets exactly one terminal completion; a multishot one gets any number with
//     `operation_more` set, then one without.
// C2  From start to terminal completion the poller owns the operation, its buffers and addresses. All that the kernel
//     may touch lives in the operation, in what it points to, or in the descriptor's slot; never on the starter's stack.
// C3  cancel() is a request: idempotent, never blocking, no effect on an idle operation. The operation then completes
//     with ECANCELED or, if it won the race, with its result; a result is never dropped.
// C4  start() may answer "done now" as its return value, and then never calls `complete`. Neither start() nor cancel()
//     ever calls `complete`. (Who starts operations in a loop bounds the number of inline completions.)
// C5  Results are >= 0 or one negated errno of the normalised set (one table per system).
// C6  No order between operations, but byte order within one direction of one stream. One operation at a time in each
//     direction of a descriptor (checked), file operations excepted.
// C7  wake() makes the running or the next wait() return. Sticky, coalescing: no system call while the loop is awake,
//     at most one per sleep.
// C8  close() of a descriptor cancels its operations and resolves after all of them are terminal; then the slot's
//     generation changes. An event for an old generation is dropped. What the kernel is given as a token is slot and
//     generation, never a pointer or a descriptor number.
// C9  wait() takes an absolute deadline and rounds up: it never returns before the deadline without a completion or a
//     wake. Polls that bring events but complete nothing are counted; a descriptor that keeps doing so is quarantined.
// C10 After shutdown() no operation is in flight and the kernel owns nothing of ours.
//
// Operations, their arguments, and their results:
//
//   kind             descriptor  arguments                              result
//   accept           listener    flags: multishot                       a new descriptor: non-blocking, close-on-exec
//   connect          socket      address                                0
//   receive          stream      buffer, size > 0; flags: peek          bytes, 0 at the end of the stream
//   send             stream      buffer, size > 0                       bytes, at least 1
//   receive_vector   stream      slices, size = number of slices        bytes, 0 at the end (or if all are empty)
//   send_vector      stream      slices, size                           bytes (0 only if all are empty)
//   receive_message  socket      messages (one)                         bytes
//   send_message     socket      messages (one)                         bytes
//   receive_batch    socket      messages, size = number, 1 to 64       messages received, at least 1
//   send_batch       socket      messages, size                         messages sent, at least 1
//   receive_lent     stream      flags: multishot                       bytes; `buffer` is lent by the poller and goes
//                                                                       back by give_back(); 0 at the end, nothing lent
//   read_at          file        buffer, size, offset                   bytes, 0 at the end of the file
//   write_at         file        buffer, size, offset                   bytes
//   readable         any         none                                   0 once a read would not block
//   writable         any         none                                   0 once a write would not block
//   open_file        none        path, size = OpenFlags, offset = mode  a new descriptor: close-on-exec
//   sync_file        file        none                                   0 once what was written is on the medium
//   shutdown         stream      size = ShutdownSide                    0
//   close            any         none                                   0; the descriptor is gone
//   splice           to          source = from, size = bytes at most    bytes, 0 at the end; one of the two is a pipe
//   send_file        stream      source = file, offset, size            bytes, 0 at the end of the file
//
// Directions: accept, receive*, readable take the input side of a descriptor; connect, send*, writable, splice (of its
// target), send_file the output side; splice takes also the input side of its source. shutdown and close take none.
// Sockets and pipes take receive and send; a pipe or terminal is read and written by the same kinds, and
// a regular file at its own position, which others may share (that may hold up the loop).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>

#include <gyre/platform/clock.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/result.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

// What a poller knows of one descriptor: its slot. The address is stable from attach() to close or detach().
//
// The two operations are the usual home of the one request per direction that may be in flight, so that a coroutine
// that awaits a read need not carry the request in its frame. Whoever owns the descriptor may use them, and leaves their
// flags 0.
struct Descriptor {
  Operation input;
  Operation output;

  // Bytes since attach(), counted by who takes the results of stream operations (see Stream), not by the poller (but for
  // send_now()).
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;

  // The rest is the poller's own; others only read it.
  Operation* parked_input = nullptr;   // who waits for input; or the close operation in flight
  Operation* parked_output = nullptr;  // who waits for output
  std::int32_t native = -1;          // a NativeDescriptor: even a handle of Windows has 32 bits that count
  std::uint32_t slot = 0;            // number of this slot
  std::uint32_t generation = 0;      // changes when the slot is given to another descriptor
  std::uint16_t state = 0;           // backend bits: maybe readable, hang-up seen, ...
  std::uint16_t operations = 0;      // in flight
};
// A server has one for each of its connections.
static_assert(sizeof(Descriptor) <= 160 || sizeof(void*) != 8);

// What is attached.
enum class DescriptorKind : std::uint8_t {
  socket,   // a connected or unconnected socket, or a listener
  stream,   // a pipe, a terminal, an eventfd: not a socket, but pollable
  file,     // a regular file: always ready, positioned reads and writes
  foreign,  // somebody else's: only readable and writable; close() and detach() leave it open
};

// Flags of open_file, to be or-ed.
inline constexpr std::size_t open_read = 1;
inline constexpr std::size_t open_write = 2;
inline constexpr std::size_t open_create = 4;
inline constexpr std::size_t open_exclusive = 8;
inline constexpr std::size_t open_truncate = 16;
inline constexpr std::size_t open_append = 32;
inline constexpr std::size_t open_directory = 64;

enum class ShutdownSide : std::uint8_t { read, write, both };

// Counters since the poller was made.
struct PollerStats {
  std::uint64_t waits = 0;              // calls of wait()
  std::uint64_t blocking_waits = 0;     // ... that were allowed to sleep
  std::uint64_t system_calls = 0;       // all that the poller made
  std::uint64_t completions = 0;        // delivered by wait()
  std::uint64_t inline_completions = 0; // answered by start()
  std::uint64_t wakes = 0;              // system calls made to wake a sleeping wait()
  std::uint64_t idle_polls = 0;         // polls that brought events and completed nothing
  std::uint64_t quarantined = 0;        // descriptors taken out because of that
  std::uint64_t overflows = 0;          // completion queue overflows that were survived
  std::uint64_t interrupted_waits = 0;  // system calls that a signal, or work of the kernel for this thread, ended early
};

struct PollerOptions {
  // Completions that one wait() delivers at most; the rest stay for the next, which then does not block. (Everywhere but on
  // IOCP it is fewer, so that their bytes are still in the cache when the tasks run: see ReadinessPoller.)
  std::uint32_t completions_max = 256;
  // io_uring: entries of the submission and of the completion queue (0: four times the former).
  std::uint32_t submissions_max = 256;
  std::uint32_t completion_entries = 0;
  // Lent buffers: number (a power of two) and size. The memory is taken when first needed. A block of 16 KiB leaves room,
  // and so does any TLS record (18,437 bytes at most): a buffer that is not full tells, without a receive in vain, that
  // no more has come.
  std::uint32_t lent_buffers = 256;
  std::uint32_t lent_buffer_size = 20 * 1024;
  // io_uring: features that the probe must not find, for tests of older tiers.
  enum class Tier : std::uint8_t { basic, net, full } tier = Tier::full;
  Clock* clock = nullptr;  // null: steady_clock()
};

class Poller {
 public:
  // A negated errno.
  static constexpr std::int64_t would_block = -static_cast<std::int64_t>(std::errc::resource_unavailable_try_again);

  virtual ~Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Takes `fd` (which the poller makes non-blocking if it needs that) and gives it a slot. On failure `fd` is closed.
  // Errors: not_enough_memory, too_many_files_open (the system's limit on watched descriptors).
  virtual Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept = 0;
  // Gives the descriptor back and forgets it. No operation may be in flight.
  virtual UniqueFd detach(Descriptor& descriptor) noexcept = 0;
  // Closes at once. No operation may be in flight; else start an operation of kind close.
  virtual void close(Descriptor& descriptor) noexcept = 0;

  // Starts `operation`, which must be idle. True: it is done, `result` is set, and `complete` will not be called.
  [[nodiscard]] virtual bool start(Operation& operation) noexcept = 0;
  virtual void cancel(Operation& operation) noexcept = 0;
  // A send, of at least one byte, that needs no operation: the bytes sent, or a negated errno. Once all are sent, they are
  // counted in bytes_sent. Any other answer must be handed to settle_send() at once, which says what has really come of
  // it. would_block: this poller cannot say, or is busy with one, so an operation is to be started.
  [[nodiscard]] virtual std::int64_t send_now(Descriptor& descriptor, const void* data, std::size_t size) noexcept;
  [[nodiscard]] virtual std::int64_t settle_send(Descriptor& descriptor, const void* data, std::size_t size,
                                                 std::int64_t answer) noexcept;

  // Completes operations; sleeps until there is one, `deadline` has passed, or wake() was called. Does not sleep if
  // `deadline` has passed already. Returns the number of completions that it delivered.
  virtual std::size_t wait(Instant deadline) noexcept = 0;
  // Any thread, also in a signal handler.
  virtual void wake() noexcept = 0;

  // Returns a buffer that a receive_lent completion lent.
  virtual void give_back(void* buffer) noexcept = 0;

  // Cancels everything and waits until nothing is in flight; completions are delivered meanwhile. Then only close,
  // detach, give_back and the destructor may be called.
  virtual void shutdown() noexcept = 0;

  // A descriptor that polls readable when wait() would not sleep, for use inside a foreign loop.
  virtual NativeDescriptor native_handle() const noexcept = 0;
  virtual std::string_view name() const noexcept = 0;  // "epoll", "io_uring", ...
  virtual PollerStats stats() const noexcept = 0;
  virtual std::size_t in_flight() const noexcept = 0;  // operations

 protected:
  // What send_now() may tell settle_send(): it has not tried. No system has it as an errno.
  static constexpr std::int64_t not_tried = INT64_MIN;

  Poller() = default;
};

// A poller and why it was chosen.
struct PollerChoice {
  std::unique_ptr<Poller> poller;
  std::string_view reason;  // a literal: "GYRE_POLLER", "default", "io_uring is denied (EPERM)", ...
};

// Opens the poller that GYRE_POLLER names, or else the default of this system.
// Errors: invalid_argument if GYRE_POLLER names none of this build; otherwise what the last candidate said.
Result<PollerChoice> open_poller(const PollerOptions& options = {});

// Opens a poller by name. Errors: invalid_argument for an unknown name; function_not_supported, permission_denied and
// operation_not_permitted where the system lacks or forbids it.
Result<std::unique_ptr<Poller>> open_poller(std::string_view name, const PollerOptions& options = {});

// The names that open_poller knows in this build, the default first; ends with an empty one.
const std::string_view* poller_names() noexcept;

}  // namespace gyre
