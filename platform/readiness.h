// ReadinessPoller: operations that complete, made from a system that only says what is ready (epoll, kqueue).
//
// An operation is tried; if it would block it is parked in its descriptor and tried again when the system says so. Each
// descriptor is registered once, edge-triggered, for input and hang-up, and for output from the first time on that something
// waits for that: else each datagram that leaves a socket would be an event. Between edges the poller remembers in two
// bits what *may* be ready. A bit is set by an event; it is cleared when a call answered EAGAIN, and also when a byte
// stream transferred less than was asked (the kernel's buffer was then empty, or full; what comes later is a new edge),
// which saves the call that would only answer EAGAIN. After a hang-up or an error there may be no further edge: then only
// EAGAIN clears it.
//
// While a descriptor is being closed its close operation stands in for the operation that is parked for input, and keeps
// that one as its own `next`.
//
// Invariants: 1. A parked operation is in exactly one of: its descriptor only (waits for an event); also in `due_` (will
// be tried by the next wait); also in `unlent_` (waits for a lent buffer); with the file worker. 2. `due_` has room for
// all parked operations. 3. An operation whose result is known waits in `done_`.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/descriptor_table.h>
#include <gyre/platform/file_worker.h>
#include <gyre/platform/lent_buffers.h>
#include <gyre/platform/operation_list.h>
#include <gyre/platform/operation_ring.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/thread.h>
#include <gyre/platform/wake_word.h>

struct pollfd;

namespace gyre {

class ReadinessPoller : public Poller {
 public:
  Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept final;
  UniqueFd detach(Descriptor& descriptor) noexcept final;
  void close(Descriptor& descriptor) noexcept final;

  bool start(Operation& operation) noexcept final;
  void cancel(Operation& operation) noexcept final;
  std::int64_t send_now(Descriptor& descriptor, const void* data, std::size_t size) noexcept final;
  std::int64_t settle_send(Descriptor& descriptor, const void* data, std::size_t size,
                           std::int64_t answer) noexcept final;
  std::size_t wait(Instant deadline) noexcept final;
  void wake() noexcept final;
  // Any thread: ends a sleep, but not wait(), which looks what there is to do and goes on.
  void nudge() noexcept;
  void give_back(void* buffer) noexcept final;
  void shutdown() noexcept final;

  PollerStats stats() const noexcept final;
  std::size_t in_flight() const noexcept final { return in_flight_; }

 protected:
  // Bits of Descriptor::state.
  static constexpr std::uint16_t may_read = 1;
  static constexpr std::uint16_t may_write = 2;
  static constexpr std::uint16_t read_ended = 4;   // hang-up, error or urgent data: only EAGAIN clears may_read
  static constexpr std::uint16_t write_ended = 8;  // the same for may_write
  static constexpr std::uint16_t watches_output = 1u << 13;

  // What a receive from a socket that was answered with less than it asked for says about what is left. `nothing`: the BSDs
  // also stop before descriptors that come along, and at urgent data, and neither is an event; there only as many bytes as
  // the last event has announced prove that nothing is left of them. Nor do all of them know MSG_DONTWAIT for a send.
  enum class ShortReceive : bool { proves_empty, nothing };

  explicit ReadinessPoller(const PollerOptions& options, ShortReceive means = ShortReceive::proves_empty) noexcept;
  ~ReadinessPoller() override;

  // What a system has to provide.

  // Registers `descriptor`, edge-triggered, under its SlotId. What is ready already counts as an edge.
  // 0, or a negated errno; EPERM: it is always ready. Counts its system calls, as unwatch() does.
  // For output only if the state has `watches_output`, or if that costs nothing.
  virtual std::int64_t watch(Descriptor& descriptor) noexcept = 0;
  // Registers one that is watched for output, too; the state has `watches_output` by now.
  virtual std::int64_t watch_output(Descriptor& descriptor) noexcept = 0;
  // `closes`: the descriptor is about to be closed.
  virtual void unwatch(Descriptor& descriptor, bool closes) noexcept = 0;
  // Waits at most `timeout` (zero: not at all; Duration::max(): for ever) for events, and then either calls on_event() for each
  // or keeps them for serve_fetched(). Returns the number of the former, without those of signal(). May return early.
  virtual std::size_t fetch(Duration timeout) noexcept = 0;
  // Calls serve() for each event that fetch() has kept, in their order, until none is left or is_full(). Returns how
  // many there were, without those of signal(). Nothing is fetched before all have been served.
  virtual std::size_t serve_fetched() noexcept { return 0; }
  // Makes the running or next fetch() return. Any thread.
  virtual void signal() const noexcept = 0;

  // An event: `ready` are bits of the state that are set by it. The operation that waits for input is tried at once.
  // Inside wait() only, as it completes operations.
  void serve(SlotId id, std::uint16_t ready) noexcept;
  // The same where `ready` is may_read, if it is the usual case, which note_served() has to count; else false, and nothing
  // has happened. In readiness_serve_posix.h.
  bool serve_usual(SlotId id) noexcept;
  void note_served(std::size_t usual) noexcept;
  // Whether the running wait() has delivered enough.
  bool is_full() const noexcept { return budget_ <= 0; }
  // Makes memory for the first slots, so that serve_usual() may be asked for one that nobody has. False: there is none.
  [[nodiscard]] bool reserve_slots() noexcept { return table_.reserve(); }
  bool has_fetched() const noexcept { return fetched_ != served_; }

  // As serve(), but what waits is tried by the next wait(). `announced`: how many bytes there are to be received, or
  // `unknown`; fewer must not be said.
  static constexpr std::int64_t unknown = -1;
  void on_event(SlotId id, std::uint16_t ready, std::int64_t announced = unknown) noexcept {
    Descriptor* const descriptor = table_.find(id);
    if (descriptor == nullptr) [[unlikely]] return note_stale();
    descriptor->state |= ready;
    Operation* const input = descriptor->parked_input;
    Operation* const output = descriptor->parked_output;
    const bool for_input = input != nullptr && (ready & may_read) != 0;
    const bool for_output = output != nullptr && (ready & may_write) != 0;
    if (for_input) note_announced(*input, announced);
    if (for_input && (input->token & (token_due | token_unlent)) == 0) make_due(*input);
    if (for_output && (output->token & token_due) == 0) make_due(*output);
    if (for_input || for_output) [[likely]] {
      descriptor->state &= static_cast<std::uint16_t>(~idle_all);
    } else {
      note_idle(*descriptor);
    }
  }
  // Whether nearly always nobody but us holds the open file: a connection that has been read from. (A listener is often
  // inherited, or shared by several processes.)
  static bool is_connection(const Descriptor& descriptor) noexcept {
    return (descriptor.state & byte_stream) != 0 && kind_of(descriptor) == DescriptorKind::socket;
  }
  template <typename Visit>
  void for_each_watched(Visit&& visit) {
    table_.for_each([&](Descriptor& descriptor) {
      if (is_watched(descriptor)) visit(descriptor);
    });
  }
  // Whether there is such a descriptor, and it is registered, or about to be.
  bool is_watched(SlotId id) noexcept {
    const Descriptor* const descriptor = table_.find(id);
    return descriptor != nullptr && is_watched(*descriptor);
  }
  std::size_t attached() const noexcept { return table_.size(); }
  bool is_in_foreign_loop() const noexcept { return foreign_loop_; }
  // An event of a descriptor that was closed, whose open file lives on elsewhere; or that was closed after the event had been
  // fetched, which is nothing to be looked after.
  void note_stale() noexcept {
    if (closed_since_fetch_ > 0) {
      --closed_since_fetch_;
    } else {
      ++stale_events_;
    }
  }
  // From now on wake() always signals between waits, and so do we if the next wait would not sleep.
  void enter_foreign_loop() const noexcept;
  // To be called by the destructor, before signal() loses what it needs.
  void stop_worker() noexcept { worker_.stop(); }

  PollerStats stats_;
  std::size_t stale_events_ = 0;  // a system that can leave some behind looks after them
  // Events that fetch() has kept, and those of them that have been served.
  std::uint32_t fetched_ = 0;
  std::uint32_t served_ = 0;

 private:
  enum class Side : std::uint8_t { input, output, both, none };
  enum class Connection : std::uint8_t { good, pending, with_itself };

  // Descriptor::state, continued.
  static constexpr std::uint16_t kind_shift = 4;  // two bits of DescriptorKind
  static constexpr std::uint16_t kind_bits = 3u << kind_shift;  // none of them: a socket
  static_assert(static_cast<int>(DescriptorKind::socket) == 0);
  static constexpr std::uint16_t always_ready = 1u << 6;   // the system does not watch it
  static constexpr std::uint16_t quarantined = 1u << 7;    // not watched until somebody waits for it
  static constexpr std::uint16_t classified = 1u << 8;     // byte_stream and local_stream are known
  static constexpr std::uint16_t byte_stream = 1u << 9;    // a short transfer proves that the buffer is empty or full
  static constexpr std::uint16_t local_stream = 1u << 10;  // ... unless the kernel says that descriptors came along
  static constexpr std::uint16_t non_blocking = 1u << 11;  // O_NONBLOCK is set
  static constexpr std::uint16_t refusing = 1u << 12;      // closing, or the poller is shut down: nothing starts
  static constexpr std::uint16_t idle_one = 1u << 14;      // two bits: events in a row that nobody waited for
  static constexpr std::uint16_t idle_all = 3u << 14;

  // Bits of Operation::token.
  static constexpr std::uint32_t token_parked = 1;
  static constexpr std::uint32_t token_due = 2;         // in due_
  static constexpr std::uint32_t token_unlent = 4;      // in unlent_
  static constexpr std::uint32_t token_worker = 8;      // with the file worker
  static constexpr std::uint32_t token_connecting = 16; // the system has been asked
  static constexpr std::uint32_t token_usual = 32;      // see serve_usual()
  static constexpr std::uint32_t token_has_buffer = 64; // `buffer` is a lent one, kept for it until it is tried
  static constexpr std::uint32_t token_announced = 128; // `result` is what the last event has announced
  static constexpr std::uint32_t token_retry = 256;     // counts from here: retries

  // What one wait() delivers at most, in bytes: so little that what a receive has brought into the cache (the kernel's
  // socket, the lent buffer, the frame) is still there when the task that waited for it sends; and so much that a turn of
  // the loop is a small part of the cost. A completion counts as much as the lines of the cache that it touches, about.
  // The next waits serve what is left of the events before anything is fetched.
  static constexpr std::int64_t bytes_per_completion = 2048;
  static constexpr std::uint32_t completions_per_wait = 32;
  // Completions of one multishot operation before it queues again behind the others.
  static constexpr std::size_t multishot_budget = 16;

  static Side side_of(OperationKind kind) noexcept;
  static DescriptorKind kind_of(const Descriptor& descriptor) noexcept {
    return static_cast<DescriptorKind>((descriptor.state >> kind_shift) & 3);
  }
  static bool is_watched(const Descriptor& descriptor) noexcept {
    return (descriptor.state & (always_ready | quarantined)) == 0;
  }

  bool watches(NativeDescriptor native) noexcept;
  // The close operation in flight, or null.
  static Operation* closing_of(const Descriptor& descriptor) noexcept {
    const bool is_closing = (descriptor.state & refusing) != 0 && descriptor.parked_input != nullptr &&
                            descriptor.parked_input->kind == OperationKind::close;
    return is_closing ? descriptor.parked_input : nullptr;
  }

  // In debug builds: everything on the thread that waits.
  void check_thread() const noexcept {
    GYRE_CHECK_HINT(!debug_checks || thread_ == nullptr || thread_ == &thread_mark,
                    "a poller is used on the thread that waits; from others only wake() may be called");
  }

  // readiness_posix.cc: the life of an operation.
  static bool is_empty_transfer(const Operation& operation) noexcept;
  bool answer(Operation& operation, std::int64_t result) noexcept;
  bool answer_later(Operation& operation, std::int64_t result) noexcept;
  void park(Operation& operation, Descriptor& descriptor, Side side) noexcept;
  void park_source(Operation& operation) noexcept;
  static void clear_input(Descriptor& descriptor, const Operation& operation) noexcept;
  void unpark(Operation& operation) noexcept;
  bool start_other(Operation& operation) noexcept;
  bool start_unparked(Operation& operation) noexcept;
  bool start_file(Operation& operation) noexcept;
  bool start_close(Operation& operation) noexcept;
  void make_due(Operation& operation) noexcept {
    operation.token |= token_due;
    due_.push(operation);
  }
  // Of a receive that waits. The last event counts: it tells of all that was there then.
  static void note_announced(Operation& operation, std::int64_t announced) noexcept {
    operation.token &= ~token_announced;
    const bool receives = operation.kind == OperationKind::receive || operation.kind == OperationKind::receive_lent ||
                          operation.kind == OperationKind::receive_vector;
    if (!receives || announced == unknown) return;
    operation.token |= token_announced;
    operation.result = announced;
  }
  // Whether a receive from a socket that was answered with fewer bytes than it asked for has taken all there were. Asked
  // once: another call of the operation will need another event.
  bool is_proof(Operation& operation, std::int64_t received) noexcept {
    if (short_receive_ == ShortReceive::proves_empty) return true;
    const bool is_announced = (operation.token & token_announced) != 0;
    operation.token &= ~token_announced;
    return is_announced && received >= operation.result;
  }
  void note_delivery() noexcept {
    ++delivered_;
    budget_ -= bytes_per_completion;
  }
  void run(Operation& operation) noexcept;
  [[gnu::cold]] void settle_receive(Descriptor& descriptor, void* buffer, std::int64_t result) noexcept;
  void serve_otherwise(Descriptor& descriptor, std::uint16_t ready) noexcept;
  void run_multishot(Operation& operation) noexcept;
  void finish(Operation& operation, std::int64_t result) noexcept;
  void end(Operation& operation, std::int64_t result) noexcept;
  void take_back(Operation& operation) noexcept;
  [[gnu::cold]] void give_back_otherwise(void* buffer) noexcept;
  static void* take_kept_buffer(Operation& operation) noexcept;
  [[gnu::cold]] static void note_full(Descriptor& descriptor) noexcept;

  // readiness_descriptors_posix.cc: the life of a descriptor.
  void forget(Descriptor& descriptor, bool closes) noexcept;
  void restore(Descriptor& descriptor) noexcept;
  void ask_for_output(Descriptor& descriptor) noexcept;
  void give_up(Operation* operation, std::int64_t result) noexcept;
  void note_idle(Descriptor& descriptor) noexcept;

  // readiness_waiting_posix.cc.
  void run_due() noexcept;
  void run_done() noexcept;
  void take_from_worker() noexcept;
  void hand_to_foreign_loop() const noexcept;

  // One try: a result, or EAGAIN and the bit is cleared. All but the two usual kinds are in readiness_calls_posix.cc.
  std::int64_t attempt(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t attempt_other(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_send(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_vector(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_message(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_batch(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_receive_lent(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_accept(Descriptor& descriptor) noexcept;
  std::int64_t try_connect(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t poll_now(pollfd* descriptors, std::size_t count) noexcept;
  std::int64_t try_ready(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_splice(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t try_send_file(Operation& operation, Descriptor& descriptor) noexcept;
  std::int64_t receive_some(Operation& operation, Descriptor& descriptor, void* buffer, std::size_t size) noexcept;
  std::int64_t receive_otherwise(Operation& operation, Descriptor& descriptor, void* buffer, std::size_t size) noexcept;
  void disconnect(Descriptor& descriptor) noexcept;
  Connection check_connection(Operation& operation, Descriptor& descriptor) noexcept;
  // After a call: `wanted` bytes were asked for; 0: a short transfer proves nothing.
  static void note_read(Descriptor& descriptor, std::int64_t result, std::size_t wanted) noexcept {
    if (result >= static_cast<std::int64_t>(wanted)) return;
    if ((descriptor.state & always_ready) != 0) [[unlikely]] return;
    if (result == -EAGAIN) {
      descriptor.state &= static_cast<std::uint16_t>(~(may_read | read_ended));
    } else if (result > 0 && (descriptor.state & (byte_stream | read_ended)) == byte_stream) {
      descriptor.state &= static_cast<std::uint16_t>(~may_read);
    }
  }
  static void note_written(Descriptor& descriptor, std::int64_t result, std::size_t wanted) noexcept {
    if (result >= static_cast<std::int64_t>(wanted)) [[likely]] return;
    if ((descriptor.state & always_ready) != 0) [[unlikely]] return;
    if (result == -EAGAIN) {
      descriptor.state &= static_cast<std::uint16_t>(~(may_write | write_ended));
    } else if (result > 0 && (descriptor.state & (byte_stream | write_ended)) == byte_stream) {
      descriptor.state &= static_cast<std::uint16_t>(~may_write);
    }
  }
  void classify(Descriptor& descriptor) noexcept;
  std::int64_t make_non_blocking(Descriptor& descriptor) noexcept;

  // Set once.
  Clock& clock_;
  const std::int64_t budget_max_;  // of one wait()
  const ShortReceive short_receive_;
  const bool waits_in_send_;  // MSG_DONTWAIT is for receives only (NetBSD): sockets are made non-blocking

  // Owner thread only.
  DescriptorTable table_;
  OperationRing due_;
  OperationList done_;
  OperationList unlent_;
  LentBuffers lent_;
  FileWorker worker_;
  std::size_t in_flight_ = 0;
  std::uint64_t inline_sends_ = 0;  // by send_now(); a system call and an inline completion each
  std::size_t with_worker_ = 0;
  std::size_t delivered_ = 0;  // by the wait() that runs
  std::int64_t budget_ = 0;  // what it may still deliver, in bytes
  std::size_t closed_since_fetch_ = 0;  // descriptors, while events were left to be served
  std::size_t due_before_ = 0;  // operations at the front of due_ that are there since the last fetch
  const char* thread_ = nullptr;  // debug builds: thread_mark of the one that waits
  bool shut_down_ = false;  // every descriptor is `refusing`
  mutable bool foreign_loop_ = false;

  // Any thread (atomic). A line of its own: others write it.
  alignas(64) mutable WakeWord wake_word_;
  std::atomic<std::uint64_t> wakes_ = 0;
};

}  // namespace gyre
