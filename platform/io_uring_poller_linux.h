// The io_uring poller (Linux 5.11 or newer).
//
// One io_uring_enter per turn submits what was started since the last one, does the kernel's deferred work and sleeps.
// An operation in flight has a record in a table; the kernel is given the record's slot and generation, so a completion
// for an operation that is over finds nothing. What io_uring has no good opcode for is called directly once a poll has
// said that it will not block.
//
// Invariants: 1. A record dies only with its operation's terminal completion, after which the kernel knows nothing of
// it. 2. A record is in at most one list: pending_, starved_, ready_ by its stage, cancels_ while its cancel waits for an
// entry. 3. No descriptor is closed while the kernel has, or is yet to be given, an entry for it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/descriptor_table.h>
#include <gyre/platform/io_uring_buffers_linux.h>
#include <gyre/platform/io_uring_operations_linux.h>
#include <gyre/platform/io_uring_ring_linux.h>
#include <gyre/platform/io_uring_wake_linux.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/slot_table.h>
#include <gyre/platform/thread.h>

namespace gyre {

// user_data that names no operation: generation 0 is nobody's. (Its slots are of the first chunk: InFlightTable::prefetch().)
inline constexpr std::uint64_t wake_token = 1;
inline constexpr std::uint64_t cancel_token = 2;

// A descriptor that polls ready so often in a row, and then would have blocked, is broken.
inline constexpr std::uint16_t fruitless_max = 1000;

// What one wait() delivers at most, as ReadinessPoller's: so few that what the kernel has touched for a connection is still
// in the cache when its task runs. A completion counts as much as the lines of the cache that it touches, about.
inline constexpr std::int64_t bytes_per_completion = 2048;
inline constexpr std::uint32_t completions_per_wait = 32;

class IoUringPoller final : public Poller {
 public:
  explicit IoUringPoller(const PollerOptions& options) noexcept
      : options_(options),
        clock_(options.clock != nullptr ? *options.clock : steady_clock()),
        budget_max_(std::clamp(options.completions_max, 1u, completions_per_wait) * bytes_per_completion) {}
  ~IoUringPoller() override;

  Result<void> open() noexcept;

  Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept override;
  UniqueFd detach(Descriptor& descriptor) noexcept override;
  void close(Descriptor& descriptor) noexcept override;
  bool start(Operation& operation) noexcept override;
  std::int64_t send_now(Descriptor& descriptor, const void* data, std::size_t size) noexcept override;
  [[gnu::cold]] std::int64_t settle_send(Descriptor& descriptor, const void* data, std::size_t size,
                                         std::int64_t answer) noexcept override;
  void cancel(Operation& operation) noexcept override;
  std::size_t wait(Instant deadline) noexcept override;
  void wake() noexcept override { wake_.wake(); }
  void give_back(void* buffer) noexcept override { buffers_.give_back(buffer); }
  void shutdown() noexcept override;
  NativeDescriptor native_handle() const noexcept override;
  std::string_view name() const noexcept override { return "io_uring"; }
  PollerStats stats() const noexcept override;
  std::size_t in_flight() const noexcept override { return records_.size(); }

 private:
  // Starting.
  void check_thread() const noexcept { GYRE_DCHECK(owner_ == nullptr || owner_ == &thread_mark); }
  bool is_open_socket(const Descriptor& descriptor) const noexcept;
  template <typename Fill>
  bool queue(Operation& operation, Operation*& side, Fill&& fill) noexcept;
  bool start_lent(Operation& operation) noexcept;
  bool start_transfer(Operation& operation, std::uint8_t traits) noexcept;
  bool start_other(Operation& operation, std::uint8_t traits) noexcept;
  InFlight* begin(Operation& operation, std::uint8_t traits) noexcept;
  bool begin_vector(InFlight& record) noexcept;
  bool begin_lent(InFlight& record) noexcept;
  bool start_close(Operation& operation) noexcept;
  bool answer(Operation& operation, std::int64_t result) noexcept;
  bool needs_poll_first(const Operation& operation) const noexcept;

  // The list that a record of this stage may be in.
  InFlightList& list_of(Stage stage) noexcept;
  void unlink(InFlight& record) noexcept {
    if (record.is_linked) list_of(record.stage).remove(record);
  }

  // Submitting.
  void submit(InFlight& record) noexcept;
  void poll_and_submit(InFlight& record) noexcept;
  void fill(uring::Sqe& entry, InFlight& record) noexcept;
  uring::Sqe* get_entry() noexcept;
  void request_cancel(InFlight& record) noexcept;
  void fill_cancel(uring::Sqe& entry, const InFlight& record) noexcept;
  void refill() noexcept;
  void arm_wake() noexcept;

  // Completing.
  void reap() noexcept;
  void on_completion(const uring::Cqe& completion, IoUringRing::Coming coming) noexcept;
  void on_other_completion(InFlight& record, std::int32_t result, std::uint32_t flags) noexcept;
  void on_wake(const uring::Cqe& completion) noexcept;
  void on_polled(InFlight& record, std::int64_t result) noexcept;
  void on_answer(InFlight& record, std::int64_t result, std::uint32_t flags) noexcept;
  void on_connected(InFlight& record, std::int64_t result) noexcept;
  void on_accepted(InFlight& record, std::int64_t result, bool more) noexcept;
  void on_lent(InFlight& record, std::int64_t result, std::uint32_t flags) noexcept;
  void try_again_after_poll(InFlight& record) noexcept;
  void starve(InFlight& record) noexcept;
  bool can_feed() const noexcept { return !starved_.empty() && buffers_.at_hand() > 0; }
  void feed_starved() noexcept;
  void receive_into_pool(InFlight& record) noexcept;
  void receive_into(InFlight& record, void* buffer) noexcept;
  void go_on(InFlight& record) noexcept;
  void finish_transfer(InFlight& record, Operation*& side, std::int64_t result) noexcept;
  void deliver(InFlight& record, std::int64_t result, bool more) noexcept;
  void finish(InFlight& record, std::int64_t result) noexcept;
  void finish_later(InFlight& record, std::int64_t result) noexcept;
  void deliver_ready() noexcept;
  static Descriptor* closing_without_operations(Descriptor* descriptor) noexcept;
  void finish_close(Descriptor& descriptor) noexcept;
  void release_native(Descriptor& descriptor) noexcept;

  // Waiting.
  void bind() noexcept;
  void enter(Duration patience) noexcept;
  void on_enter_failed(std::int64_t result) noexcept;
  void back_off(Duration patience) noexcept;
  void fail_queued(std::int32_t error) noexcept;
  void prepare_for_foreign_loop() noexcept;
  void abandon() noexcept;
  bool is_full() const noexcept { return budget_ <= 0; }
  void note_delivery() noexcept {
    ++delivered_;
    ++stats_.completions;
    budget_ -= bytes_per_completion;
  }
  void begin_slice() noexcept {
    delivered_ = 0;
    budget_ = budget_max_;
  }

  // Set once.
  const PollerOptions options_;
  Clock& clock_;
  const std::int64_t budget_max_;      // of one wait()
  std::int64_t process_ = 0;           // that opened the ring; a forked child must leave it alone
  const char* owner_ = nullptr;        // thread_mark of the thread that the ring is bound to

  // Owner thread only.
  IoUringRing ring_;
  ProvidedBuffers buffers_;
  DescriptorTable descriptors_;
  InFlightTable records_;
  SlotTable<msghdr> headers_;          // of vectors on sockets; the kernel's while the operation is in flight
  InFlightList pending_{records_};
  InFlightList cancels_{records_};
  InFlightList starved_{records_};
  InFlightList ready_{records_};
  PollerStats stats_;
  std::size_t delivered_ = 0;          // by the current wait()
  std::int64_t budget_ = 0;            // what it may still deliver, in bytes
  std::uint32_t failures_ = 0;         // of io_uring_enter, in a row
  bool waiting_ = false;
  bool draining_ = false;              // shutdown() has begun
  bool wake_armed_ = false;            // the kernel polls the bell, or is about to
  bool embedded_ = false;      // native_handle() was asked for: a foreign loop sleeps for us

  // Any thread.
  WakeSignal wake_;
};

}  // namespace gyre
