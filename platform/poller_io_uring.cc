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
#include <cerrno>
#include <algorithm>
#include <memory>
#include <new>

#include <gyre/platform/check.h>
#include <gyre/platform/descriptor_table.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/io_uring_buffers_linux.h>
#include <gyre/platform/io_uring_operations_linux.h>
#include <gyre/platform/io_uring_ring_linux.h>
#include <gyre/platform/io_uring_wake_linux.h>
#include <gyre/platform/poller_backends.h>
#include <gyre/platform/slot_table.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {
namespace {

// user_data that names no operation: generation 0 is nobody's.
constexpr std::uint64_t wake_token = 1;
constexpr std::uint64_t cancel_token = 2;

// A descriptor that polls ready so often in a row, and then would have blocked, is broken.
constexpr std::uint16_t fruitless_max = 1000;
// Calls of io_uring_enter in a row that may fail before a shutdown goes on without the kernel's answer.
constexpr std::uint32_t failures_max = 200;

// Its address tells threads apart, for one load.
constinit thread_local char thread_mark = 0;

class IoUringPoller final : public Poller {
 public:
  explicit IoUringPoller(const PollerOptions& options) noexcept
      : options_(options), clock_(options.clock != nullptr ? *options.clock : steady_clock()) {}
  ~IoUringPoller() override;

  Result<void> open() noexcept;

  Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept override;
  UniqueFd detach(Descriptor& descriptor) noexcept override;
  void close(Descriptor& descriptor) noexcept override;
  bool start(Operation& operation) noexcept override;
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
  InFlight* begin(Operation& operation, std::uint8_t traits) noexcept;
  bool begin_vector(InFlight& record) noexcept;
  bool begin_lent(InFlight& record) noexcept;
  bool start_close(Operation& operation) noexcept;
  bool answer(Operation& operation, std::int64_t result) noexcept;
  static void claim(Operation& operation, std::uint8_t traits) noexcept;
  static void release(const Operation& operation, std::uint8_t traits) noexcept;
  static void check_sides_are_free(const Operation& operation, std::uint8_t traits) noexcept;
  bool needs_poll_first(const Operation& operation) const noexcept;

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
  void on_completion(const uring::Cqe& completion) noexcept;
  void on_wake(const uring::Cqe& completion) noexcept;
  void on_polled(InFlight& record, std::int64_t result) noexcept;
  void on_answer(InFlight& record, std::int64_t result, std::uint32_t flags) noexcept;
  void on_connected(InFlight& record, std::int64_t result) noexcept;
  void on_accepted(InFlight& record, std::int64_t result, bool more) noexcept;
  void on_lent(InFlight& record, std::int64_t result, std::uint32_t flags) noexcept;
  void try_again_after_poll(InFlight& record) noexcept;
  void receive_into_pool(InFlight& record) noexcept;
  void go_on(InFlight& record) noexcept;
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
  bool is_full() const noexcept { return delivered_ >= options_.completions_max; }

  // Set once.
  const PollerOptions options_;
  Clock& clock_;
  std::int64_t process_ = 0;           // that opened the ring; a forked child must leave it alone
  const char* owner_ = nullptr;        // thread_mark of the thread that the ring is bound to

  // Owner thread only.
  IoUringRing ring_;
  ProvidedBuffers buffers_;
  DescriptorTable descriptors_;
  InFlightTable records_;
  SlotTable<msghdr> headers_;          // of vectors on sockets; the kernel's while the operation is in flight
  IntrusiveList<InFlight> pending_;
  IntrusiveList<InFlight> cancels_;
  IntrusiveList<InFlight> starved_;
  IntrusiveList<InFlight> ready_;
  PollerStats stats_;
  std::size_t delivered_ = 0;          // by the current wait()
  std::uint32_t failures_ = 0;         // of io_uring_enter, in a row
  bool waiting_ = false;
  bool draining_ = false;              // shutdown() has begun
  bool wake_armed_ = false;            // the kernel polls the bell, or is about to
  bool embedded_ = false;      // native_handle() was asked for: a foreign loop sleeps for us

  // Any thread.
  WakeSignal wake_;
};

// --- Life ------------------------------------------------------------------------------------------------------------

Result<void> IoUringPoller::open() noexcept {
  sys::ignore_broken_pipes();  // io_uring has no flag for pipes either (before 6.18)
  process_ = sys::getpid();
  const std::uint32_t submissions = options_.submissions_max > 0 ? options_.submissions_max : 1;
  const Result<void> opened = ring_.open(
      {.submissions = submissions,
       .completions = options_.completion_entries > 0 ? options_.completion_entries : 4 * submissions,
       .tier = options_.tier});
  if (!opened) return opened;
  return wake_.open();
}

IoUringPoller::~IoUringPoller() {
  shutdown();
  descriptors_.for_each([this](Descriptor& descriptor) { release_native(descriptor); });
}

void IoUringPoller::shutdown() noexcept {
  GYRE_CHECK_HINT(!waiting_, "shutdown() inside wait()");
  if (draining_) return;
  draining_ = true;
  // In a forked child everything is the parent's, and the queues are not even mapped.
  if (sys::getpid() != process_) return abandon();
  records_.for_each([this](InFlight& record) { cancel(*record.operation); });
  while (records_.size() > 0 && failures_ < failures_max) wait(never);
  delivered_ = 0;
  while (wake_armed_ && failures_ < failures_max) {
    // Once more where an entry could not be had, or was taken back after a failure; a second cancel finds nothing.
    if (uring::Sqe* const entry = get_entry()) {
      entry->opcode = uring::op_async_cancel;
      entry->address = wake_token;
      entry->user_data = cancel_token;
    }
    enter(std::chrono::milliseconds(10));
    reap();
  }
  if (failures_ >= failures_max) abandon();
  buffers_.withdraw(ring_);
  ring_.unbind();
}

// The kernel does not answer any more (a filter forbids what it allowed before), or the ring is another process's.
// Closing the ring ends what is in flight; nobody will tell when.
void IoUringPoller::abandon() noexcept {
  ring_.close();
  records_.for_each([this](InFlight& record) {
    if (record.stage == Stage::ready || record.stage == Stage::closing) return;
    if (record.is_linked()) record.unlink();
    finish_later(record, -ECANCELED);
  });
  waiting_ = true;
  while (!ready_.empty()) {
    delivered_ = 0;
    deliver_ready();
  }
  waiting_ = false;
}

NativeDescriptor IoUringPoller::native_handle() const noexcept {
  // Only whoever owns the poller can ask, and asking changes how it sleeps.
  auto& self = const_cast<IoUringPoller&>(*this);
  if (!embedded_ && !draining_) {
    self.embedded_ = true;
    if (owner_ == nullptr) self.bind();
    if (!waiting_) self.prepare_for_foreign_loop();
  }
  return ring_.fd();
}

PollerStats IoUringPoller::stats() const noexcept {
  PollerStats stats = stats_;
  stats.wakes = wake_.rings();
  stats.system_calls += ring_.system_calls() + stats.wakes;
  return stats;
}

// --- Descriptors -----------------------------------------------------------------------------------------------------

Result<Descriptor*> IoUringPoller::attach(UniqueFd fd, DescriptorKind kind) noexcept {
  check_thread();
  GYRE_CHECK(fd.get() != no_descriptor);
  Descriptor* const descriptor = descriptors_.add(fd.get());
  if (descriptor == nullptr) {
    if (kind == DescriptorKind::foreign) (void)fd.release();
    return Error::system(ENOMEM, OperationKind::setup);
  }
  (void)fd.release();
  descriptor->state = static_cast<std::uint16_t>(kind);
  return descriptor;
}

UniqueFd IoUringPoller::detach(Descriptor& descriptor) noexcept {
  check_thread();
  GYRE_CHECK((descriptor.state & descriptor_closing) == 0);
  UniqueFd fd(descriptor.native);
  descriptors_.remove(descriptor);
  return fd;
}

void IoUringPoller::close(Descriptor& descriptor) noexcept {
  check_thread();
  GYRE_CHECK_HINT(descriptor.operations == 0, "start an operation of kind close instead");
  GYRE_CHECK((descriptor.state & descriptor_closing) == 0);
  release_native(descriptor);
}

// No entry for the descriptor is anywhere, so its number may be another's at once. The kernel holds no reference either,
// so this is the last one: a peer sees the end of the stream, without shutdown(), which would reach through to others
// who hold the same socket (a dup, a forked child).
void IoUringPoller::release_native(Descriptor& descriptor) noexcept {
  const NativeDescriptor fd = descriptor.native;
  const bool ours = kind_of(descriptor) != DescriptorKind::foreign;
  descriptors_.remove(descriptor);
  if (!ours) return;
  ++stats_.system_calls;
  sys::close(fd);
}

// --- Starting --------------------------------------------------------------------------------------------------------

void IoUringPoller::check_sides_are_free(const Operation& operation, std::uint8_t traits) noexcept {
  const Descriptor* const descriptor = operation.descriptor;
  GYRE_CHECK_HINT((traits & kind_takes_input) == 0 || descriptor->parked_input == nullptr,
                  "two operations on the input side of a descriptor");
  GYRE_CHECK_HINT((traits & kind_takes_output) == 0 || descriptor->parked_output == nullptr,
                  "two operations on the output side of a descriptor");
  GYRE_CHECK_HINT(operation.kind != OperationKind::splice || operation.source->parked_input == nullptr,
                  "two operations on the input side of a descriptor");
}

void IoUringPoller::claim(Operation& operation, std::uint8_t traits) noexcept {
  Descriptor* const descriptor = operation.descriptor;
  if (descriptor == nullptr || (traits & kind_is_close) != 0) return;
  ++descriptor->operations;
  if ((traits & kind_takes_input) != 0) descriptor->parked_input = &operation;
  if ((traits & kind_takes_output) != 0) descriptor->parked_output = &operation;
  if ((traits & kind_has_source) != 0) [[unlikely]] {
    ++operation.source->operations;
    if (operation.kind == OperationKind::splice) operation.source->parked_input = &operation;
  }
}

// While a descriptor is being closed, parked_input is its close operation.
void IoUringPoller::release(const Operation& operation, std::uint8_t traits) noexcept {
  Descriptor* const descriptor = operation.descriptor;
  if (descriptor == nullptr || (traits & kind_is_close) != 0) return;
  --descriptor->operations;
  if ((traits & kind_takes_output) != 0) descriptor->parked_output = nullptr;
  const bool is_closing = (descriptor->state & descriptor_closing) != 0;
  if ((traits & kind_takes_input) != 0 && !is_closing) descriptor->parked_input = nullptr;
  if ((traits & kind_has_source) != 0) [[unlikely]] {
    Descriptor& source = *operation.source;
    --source.operations;
    const bool keeps = (source.state & descriptor_closing) != 0;
    if (operation.kind == OperationKind::splice && !keeps) source.parked_input = nullptr;
  }
}

bool IoUringPoller::needs_poll_first(const Operation& operation) const noexcept {
  if (operation.kind != OperationKind::receive_lent) {
    return (traits_of(operation.kind) & kind_is_direct) != 0;
  }
  return !buffers_.kernel_picks() || kind_of(*operation.descriptor) != DescriptorKind::socket;
}

// A record for the operation, which is in flight from now on; null if memory is short.
[[gnu::always_inline]] inline InFlight* IoUringPoller::begin(Operation& operation,
                                                             std::uint8_t traits) noexcept {
  InFlight* const record = records_.add(operation);
  if (record == nullptr) [[unlikely]] return nullptr;
  record->wants_poll = (traits & kind_is_direct) != 0;
  record->header = {};
  if ((traits & (kind_is_vector | kind_has_source)) != 0) [[unlikely]] {
    if ((traits & kind_has_source) != 0) {
      record->polled_source = kind_of(*operation.source) == DescriptorKind::file;
    } else if (!begin_vector(*record)) {
      records_.remove(*record);
      return nullptr;
    }
  }
  operation.token = record->slot;
  operation.state = OperationState::in_flight;
  claim(operation, traits);
  return record;
}

// False if memory is short.
bool IoUringPoller::begin_vector(InFlight& record) noexcept {
  if (!needs_header(*record.operation)) return true;
  const auto header = headers_.emplace();
  record.header = header.id;
  return header.item != nullptr;
}

bool IoUringPoller::start(Operation& operation) noexcept {
  check_thread();
  GYRE_CHECK_HINT(operation.is_idle(), "the operation is in flight already");
  const std::uint8_t traits = traits_of(operation.kind);
  const Descriptor* const descriptor = operation.descriptor;
  const bool is_closing = descriptor != nullptr && (descriptor->state & descriptor_closing) != 0;
  const bool is_close = (traits & kind_is_close) != 0;
  if ((draining_ && !is_close) || is_closing) [[unlikely]] return answer(operation, -ECANCELED);
  if (is_close) return start_close(operation);
  check_sides_are_free(operation, traits);

  std::int64_t result = -EAGAIN;
  if ((traits & kind_is_plain) == 0) {
    const bool may_inline = (operation.flags & operation_no_inline) == 0;
    result = answer_without_kernel(operation);
    const bool may_call = may_inline || (traits & kind_never_waits) != 0;
    if (result == -EAGAIN && may_call && is_worth_a_call(operation)) {
      ++stats_.system_calls;
      result = call_directly(operation);
    }
    if (result != -EAGAIN && may_inline) return answer(operation, result);
  }
  InFlight* const record = begin(operation, traits);
  if (record == nullptr) [[unlikely]] return answer(operation, -ENOMEM);
  if (result != -EAGAIN) [[unlikely]] {
    finish_later(*record, result);
  } else if (operation.kind != OperationKind::receive_lent || begin_lent(*record)) {
    submit(*record);
  }
  if (embedded_ && !waiting_) [[unlikely]] prepare_for_foreign_loop();
  return false;
}

// Done inside start().
bool IoUringPoller::answer(Operation& operation, std::int64_t result) noexcept {
  operation.result = result;
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  ++stats_.inline_completions;
  return true;
}

bool IoUringPoller::begin_lent(InFlight& record) noexcept {
  if (!buffers_.is_open()) {
    const Result<void> opened =
        buffers_.open(ring_, options_.lent_buffers, options_.lent_buffer_size);
    if (!opened) {
      finish_later(record, -opened.error().code());
      return false;
    }
  }
  record.wants_poll = needs_poll_first(*record.operation);
  return true;
}

bool IoUringPoller::start_close(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  if (descriptor.operations == 0 && (operation.flags & operation_no_inline) == 0) {
    release_native(descriptor);
    return answer(operation, 0);
  }
  InFlight* const record = begin(operation, kind_is_close);
  if (record == nullptr) return answer(operation, -ENOMEM);
  record->stage = Stage::closing;
  descriptor.state |= descriptor_closing;
  Operation* const input = std::exchange(descriptor.parked_input, &operation);
  if (descriptor.operations == 0) {
    finish_close(descriptor);
    return false;
  }
  std::uint16_t found = 0;
  for (Operation* const taken : {input, descriptor.parked_output}) {
    if (taken == nullptr) continue;
    cancel(*taken);
    ++found;
  }
  // Files have any number of operations, and a file that is sent does not know by whom.
  if (found == descriptor.operations) return false;
  records_.for_each([&](InFlight& other) {
    Operation& started = *other.operation;
    if (&started == &operation) return;
    if (started.descriptor == &descriptor || source_of(started) == &descriptor) cancel(started);
  });
  return false;
}

// --- Submitting ------------------------------------------------------------------------------------------------------

// An entry of the submission queue; if it is full, the kernel empties it. Null if that is not possible now.
uring::Sqe* IoUringPoller::get_entry() noexcept {
  uring::Sqe* entry = ring_.get_entry();
  if (entry != nullptr || !ring_.is_bound()) return entry;
  ring_.submit();
  return ring_.get_entry();
}

[[gnu::always_inline]] inline void IoUringPoller::fill(uring::Sqe& entry, InFlight& record) noexcept {
  Operation& operation = *record.operation;
  entry.user_data = record.token();
  if (record.wants_poll) {
    record.stage = Stage::polling;
    fill_poll_entry(entry, record);
    return;
  }
  record.stage = Stage::kernel;
  if (operation.kind == OperationKind::receive_lent) {
    fill_lent_entry(entry, operation, ring_.features(), buffers_.size());
  } else {
    msghdr* const header = record.header.generation == 0 ? nullptr : headers_.find(record.header);
    fill_entry(entry, operation, ring_.features(), header);
  }
}

void IoUringPoller::submit(InFlight& record) noexcept {
  uring::Sqe* const entry = get_entry();
  if (entry == nullptr) {
    record.stage = Stage::pending;
    pending_.push_back(record);
    return;
  }
  fill(*entry, record);
}

void IoUringPoller::poll_and_submit(InFlight& record) noexcept {
  record.wants_poll = true;
  submit(record);
}

// The cancel names what it cancels by its token. Its own answer is no news: the operation ends by its own completion.
void IoUringPoller::fill_cancel(uring::Sqe& entry, const InFlight& record) noexcept {
  entry.opcode = uring::op_async_cancel;
  entry.address = record.token();
  entry.user_data = cancel_token;
  if (ring_.features().cqe_skip) entry.flags = uring::sqe_cqe_skip_success;
}

void IoUringPoller::request_cancel(InFlight& record) noexcept {
  uring::Sqe* const entry = get_entry();
  if (entry == nullptr) {
    cancels_.push_back(record);
    return;
  }
  fill_cancel(*entry, record);
}

void IoUringPoller::cancel(Operation& operation) noexcept {
  check_thread();
  if (operation.state != OperationState::in_flight) return;
  InFlight& record = records_.of(operation);
  operation.state = OperationState::cancelling;
  switch (record.stage) {
    case Stage::kernel:
    case Stage::polling: return request_cancel(record);
    case Stage::pending:
    case Stage::starved:
      record.unlink();
      return finish_later(record, -ECANCELED);
    case Stage::ready:    // the result has won
    case Stage::closing:  // nothing can stop it
      return;
  }
}

// Gives entries of the submission queue to what waits for one, cancels first.
void IoUringPoller::refill() noexcept {
  if (!wake_armed_ && !draining_) arm_wake();
  while (InFlight* const record = cancels_.front()) {
    uring::Sqe* const entry = get_entry();
    if (entry == nullptr) return;
    record->unlink();
    fill_cancel(*entry, *record);
  }
  while (InFlight* const record = pending_.front()) {
    uring::Sqe* const entry = get_entry();
    if (entry == nullptr) return;
    record->unlink();
    fill(*entry, *record);
  }
  // As many as there are buffers: each has data for one.
  for (std::uint32_t i = buffers_.available(); i > 0 && !starved_.empty(); --i) {
    go_on(*starved_.pop_front());
  }
}

void IoUringPoller::arm_wake() noexcept {
  uring::Sqe* const entry = get_entry();
  if (entry == nullptr) return;
  entry->opcode = uring::op_poll_add;
  entry->fd = static_cast<std::int32_t>(wake_.bell());
  entry->op_flags = 1;  // POLLIN
  // Multishot polls report edges, so the bell need not be silenced.
  if (ring_.features().multishot_poll) entry->length = uring::poll_add_multishot;
  entry->user_data = wake_token;
  wake_armed_ = true;
}

// --- Completing ------------------------------------------------------------------------------------------------------

void IoUringPoller::reap() noexcept {
  uring::Cqe completion;
  while (!is_full() && ring_.take_completion(completion)) on_completion(completion);
}

void IoUringPoller::on_completion(const uring::Cqe& completion) noexcept {
  if (completion.user_data == wake_token) return on_wake(completion);
  InFlight* const record = records_.find(completion.user_data);
  if (record == nullptr) return;  // a cancel's answer, or a completion of an operation that is over
  std::int32_t result = completion.result;
  std::uint32_t flags = completion.flags;
  sys::distort_completion(record->operation->kind, result, flags);

  const bool cancelled = record->operation->state == OperationState::cancelling;
  std::int64_t answer = normalised(result);
  if (answer == -EINTR && cancelled) answer = -ECANCELED;  // that is how worker threads are stopped
  if ((flags & uring::cqe_more) == 0 && record->is_linked()) record->unlink();  // the cancel is too late
  switch (record->stage) {
    case Stage::polling: return on_polled(*record, answer);
    case Stage::kernel: return on_answer(*record, answer, flags);
    default: return;  // it ended before: only a kernel that answers twice comes here
  }
}

void IoUringPoller::on_wake(const uring::Cqe& completion) noexcept {
  if ((completion.flags & uring::cqe_more) != 0) return;
  wake_armed_ = false;
  if (!ring_.features().multishot_poll && !draining_) {
    ++stats_.system_calls;
    wake_.silence();
  }
}

void IoUringPoller::on_polled(InFlight& record, std::int64_t result) noexcept {
  Operation& operation = *record.operation;
  if (result < 0) return finish(record, result);
  if (operation.state == OperationState::cancelling) return finish(record, -ECANCELED);
  if (operation.kind == OperationKind::receive_lent && !buffers_.kernel_picks()) {
    return receive_into_pool(record);
  }
  if ((traits_of(operation.kind) & kind_is_direct) == 0) {
    record.wants_poll = false;
    return submit(record);
  }
  if (operation.kind == OperationKind::splice && !record.polled_source) {
    record.polled_source = true;
    if (kind_of(*operation.descriptor) != DescriptorKind::file) return poll_and_submit(record);
  }
  ++stats_.system_calls;
  const std::int64_t answer = call_directly(operation);
  if (answer == -EAGAIN) return try_again_after_poll(record);
  finish(record, normalised(answer));
}

void IoUringPoller::try_again_after_poll(InFlight& record) noexcept {
  Operation& operation = *record.operation;
  if (operation.state == OperationState::cancelling) return finish(record, -ECANCELED);
  if (record.stage == Stage::polling || record.fruitless > 0) ++stats_.idle_polls;
  if (++record.fruitless > fruitless_max) {
    ++stats_.quarantined;
    return finish(record, -EIO);
  }
  if (operation.kind == OperationKind::splice) {
    record.polled_source = kind_of(*operation.source) == DescriptorKind::file;
  }
  poll_and_submit(record);
}

void IoUringPoller::on_answer(InFlight& record, std::int64_t result, std::uint32_t flags) noexcept {
  Operation& operation = *record.operation;
  // Only of descriptors with O_NONBLOCK, on some kernels; the others wait by themselves.
  if (result == -EAGAIN && operation.kind == OperationKind::connect) result = refusal_of(operation);
  if (result == -EAGAIN) return try_again_after_poll(record);
  if (result == -EINTR && ++record.fruitless < fruitless_max) return submit(record);
  switch (operation.kind) {
    case OperationKind::accept: return on_accepted(record, result, (flags & uring::cqe_more) != 0);
    case OperationKind::connect: return on_connected(record, result);
    case OperationKind::receive_lent: return on_lent(record, result, flags);
    case OperationKind::receive:
      if (result > 0) note_received(*operation.descriptor, (flags & uring::cqe_socket_nonempty) != 0);
      break;
    case OperationKind::send:
      note_sent(*operation.descriptor, result >= static_cast<std::int64_t>(std::min(operation.size, sys::transfer_max)));
      break;
    case OperationKind::receive_message:
    case OperationKind::send_message: {
      if (result < 0) break;
      Message& message = operation.messages[0];
      message.size = static_cast<std::size_t>(result);
      if (operation.kind == OperationKind::receive_message) finish_message(message, message.size);
      break;
    }
    case OperationKind::readable:
    case OperationKind::writable:
      if (result > 0) result = 0;  // the kernel says which events
      break;
    default: break;
  }
  finish(record, result);
}

// The next round of a multishot operation that the kernel has ended, or cannot do by itself.
void IoUringPoller::go_on(InFlight& record) noexcept {
  if (record.operation->state == OperationState::cancelling) return finish_later(record, -ECANCELED);
  record.wants_poll = needs_poll_first(*record.operation);
  record.fruitless = 0;
  submit(record);
}

// A TCP socket may be given the very port that it connects to, and then talks to itself. That is nobody's service.
void IoUringPoller::on_connected(InFlight& record, std::int64_t result) noexcept {
  constexpr std::uint16_t retries_max = 2;
  Operation& operation = *record.operation;
  if (result != 0 || !is_connected_to_itself(operation)) return finish(record, result);
  dissolve_connection(*operation.descriptor);  // then it gets another port
  stats_.system_calls += 3;
  const bool again = ++record.fruitless <= retries_max && operation.state == OperationState::in_flight;
  if (!again) return finish(record, -ECONNREFUSED);
  submit(record);
}

void IoUringPoller::on_accepted(InFlight& record, std::int64_t result, bool more) noexcept {
  const bool multishot = (record.operation->flags & operation_multishot) != 0;
  if (result < 0 || !multishot) return finish(record, result);
  if (!more) go_on(record);  // before the callback, which may cancel
  deliver(record, result, true);
}

void IoUringPoller::on_lent(InFlight& record, std::int64_t result, std::uint32_t flags) noexcept {
  Operation& operation = *record.operation;
  const bool more = (flags & uring::cqe_more) != 0;
  const bool has_buffer = (flags & uring::cqe_buffer) != 0;
  void* buffer = nullptr;
  if (has_buffer) buffer = buffers_.lend(static_cast<std::uint16_t>(flags >> uring::cqe_buffer_shift));
  if (result > 0 && !has_buffer) result = -EIO;
  if (result <= 0) {
    if (has_buffer) buffers_.give_back(buffer);
    operation.buffer = nullptr;
    if (result == -ENOBUFS && operation.state != OperationState::cancelling) {
      record.stage = Stage::starved;
      starved_.push_back(record);
      return;
    }
    if (result == -ENOBUFS) result = -ECANCELED;
    return finish(record, result);
  }
  operation.buffer = buffer;
  if ((operation.flags & operation_multishot) == 0) return finish(record, result);
  if (!more) go_on(record);
  deliver(record, result, true);
}

// Where the kernel does not pick the buffers: the descriptor has become readable.
void IoUringPoller::receive_into_pool(InFlight& record) noexcept {
  Operation& operation = *record.operation;
  Descriptor& descriptor = *operation.descriptor;
  void* const buffer = buffers_.take();
  if (buffer == nullptr) {
    record.stage = Stage::starved;
    starved_.push_back(record);
    return;
  }
  std::int64_t result = 0;
  ++stats_.system_calls;
  if (kind_of(descriptor) == DescriptorKind::socket) {
    result = sys::recv(descriptor.native, buffer, buffers_.size(), MSG_DONTWAIT);
  } else {
    ensure_non_blocking(descriptor);
    result = sys::read(descriptor.native, buffer, buffers_.size());
  }
  operation.buffer = result > 0 ? buffer : nullptr;
  if (result <= 0) buffers_.give_back(buffer);
  if (result == -EAGAIN) return try_again_after_poll(record);
  if (result <= 0 || (operation.flags & operation_multishot) == 0) {
    return finish(record, normalised(result));
  }
  go_on(record);
  deliver(record, result, true);
}

// The operation is its owner's again during the call, unless there is more to come.
void IoUringPoller::deliver(InFlight& record, std::int64_t result, bool more) noexcept {
  Operation& operation = *record.operation;
  operation.result = result;
  ++delivered_;
  ++stats_.completions;
  if (more) {
    operation.flags |= operation_more;
    return operation.complete(operation);
  }
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  const std::uint8_t traits = traits_of(operation.kind);
  release(operation, traits);
  // Once a descriptor is closing nobody but its close operation can take its slot away; before, the callback can.
  Descriptor* const closing =
      (traits & kind_is_close) != 0 ? nullptr : closing_without_operations(operation.descriptor);
  Descriptor* const closing_source = closing_without_operations(source_of(operation));
  if (record.header.generation != 0) [[unlikely]] headers_.erase(record.header);
  records_.remove(record);
  operation.state = OperationState::idle;
  operation.complete(operation);
  if (closing != nullptr) [[unlikely]] finish_close(*closing);
  if (closing_source != nullptr) [[unlikely]] finish_close(*closing_source);
}

// A descriptor whose close operation has waited for this.
Descriptor* IoUringPoller::closing_without_operations(Descriptor* descriptor) noexcept {
  const bool is_due = descriptor != nullptr && (descriptor->state & descriptor_closing) != 0 &&
                      descriptor->operations == 0;
  return is_due ? descriptor : nullptr;
}

void IoUringPoller::finish(InFlight& record, std::int64_t result) noexcept {
  deliver(record, result, false);
}

void IoUringPoller::finish_later(InFlight& record, std::int64_t result) noexcept {
  record.stage = Stage::ready;
  record.result = static_cast<std::int32_t>(result);
  ready_.push_back(record);
}

void IoUringPoller::deliver_ready() noexcept {
  while (!is_full()) {
    InFlight* const record = ready_.pop_front();
    if (record == nullptr) return;
    finish(*record, record->result);
  }
}

void IoUringPoller::finish_close(Descriptor& descriptor) noexcept {
  Operation* const closing = std::exchange(descriptor.parked_input, nullptr);
  InFlight& record = records_.of(*closing);
  GYRE_CHECK(record.stage == Stage::closing);
  release_native(descriptor);
  finish_later(record, 0);
}

// --- Waiting ---------------------------------------------------------------------------------------------------------

void IoUringPoller::bind() noexcept {
  owner_ = &thread_mark;
  const Result<void> bound = ring_.bind();
  // Enabling a ring needs no resources; only a filter that was installed since the set-up could refuse it. Then enter()
  // tries again, and says so.
  (void)bound;
}

std::size_t IoUringPoller::wait(Instant deadline) noexcept {
  GYRE_CHECK_HINT(!waiting_, "wait() inside a completion");
  if (owner_ == nullptr) bind();
  check_thread();
  waiting_ = true;
  delivered_ = 0;
  ++stats_.waits;
  for (bool first = true;; first = false) {
    refill();
    bool woken = wake_.take();
    const bool is_idle = !woken && ready_.empty() && !ring_.has_completions();
    Duration patience = Duration::zero();
    if (is_idle) patience = deadline == never ? Duration::max() : deadline - clock_.now();
    if (patience > Duration::zero() && pending_.empty() && cancels_.empty()) {
      if (first) ++stats_.blocking_waits;
      const bool may_sleep = wake_.prepare_to_sleep();
      enter(may_sleep ? patience : Duration::zero());
      woken = wake_.take();
    } else if (ring_.entries_waiting() > 0 || ring_.has_hidden_work()) {
      // Without either the kernel has nothing to do for us: an idle turn makes no system call.
      enter(Duration::zero());
    }
    deliver_ready();
    reap();
    deliver_ready();
    if (delivered_ > 0 || woken || (is_idle && patience <= Duration::zero())) break;
    if (draining_ && (records_.size() == 0 || failures_ >= failures_max)) break;
    if (failures_ > 0) back_off(patience);
  }
  if (embedded_) prepare_for_foreign_loop();
  waiting_ = false;
  return delivered_;
}

void IoUringPoller::enter(Duration patience) noexcept {
  if (!ring_.is_bound()) [[unlikely]] {
    const Result<void> bound = ring_.bind();
    if (!bound) return on_enter_failed(-bound.error().code());
  }
  if (ring_.has_overflown()) ++stats_.overflows;
  const std::int64_t result = ring_.enter(patience > Duration::zero() ? 1 : 0, patience);
  if (result >= 0 || result == -EINTR || result == -ETIME) [[likely]] {
    if (result == -EINTR) [[unlikely]] ++stats_.interrupted_waits;
    failures_ = 0;
    return;
  }
  on_enter_failed(result);
}

// EBUSY: completions have overflown, and are to be taken first. EAGAIN, ENOMEM: memory is short. EBADR: completions were
// lost for want of memory. Anything else: a filter, installed after the set-up, forbids io_uring.
void IoUringPoller::on_enter_failed(std::int64_t result) noexcept {
  ++failures_;
  if (result == -EBUSY || result == -EBADR) ++stats_.overflows;
  if (ring_.has_completions()) return;  // making room is progress
  const bool passes = result == -EBUSY || result == -EAGAIN || result == -ENOMEM || result == -EBADR;
  if (!passes || failures_ > 8) {
    const auto code = static_cast<std::int32_t>(-result);
    fail_queued(passes ? ENOMEM : code);
  }
}

// After a failed enter(): not so fast that it would be a spin, and not deaf to a wake.
void IoUringPoller::back_off(Duration patience) noexcept {
  pollfd bell{.fd = static_cast<int>(wake_.bell()), .events = POLLIN, .revents = 0};
  ++stats_.system_calls;
  sys::poll(&bell, 1, std::min<Duration>(patience, std::chrono::milliseconds(1)));
}

// What the kernel has not taken ends with `error`: for these operations it is as if the kernel had answered so.
void IoUringPoller::fail_queued(std::int32_t error) noexcept {
  while (const uring::Sqe* const entry = ring_.take_back()) {
    if (entry->user_data == wake_token) {
      wake_armed_ = false;
    } else if (entry->user_data == cancel_token) {
      InFlight* const record = records_.find(entry->address);
      const bool lives = record != nullptr && !record->is_linked() &&
                         (record->stage == Stage::kernel || record->stage == Stage::polling);
      if (lives) cancels_.push_back(*record);
    } else if (InFlight* const record = records_.find(entry->user_data)) {
      if (record->is_linked()) record->unlink();
      const bool cancelled = record->operation->state == OperationState::cancelling;
      finish_later(*record, cancelled ? -ECANCELED : -error);
    }
  }
}

// A foreign loop will sleep on native_handle(): everything must be with the kernel, and each wake must ring the bell.
void IoUringPoller::prepare_for_foreign_loop() noexcept {
  refill();
  if (ring_.entries_waiting() > 0 && ring_.is_bound()) ring_.submit();
  const bool may_sleep = ready_.empty() && pending_.empty() && cancels_.empty() && wake_.prepare_to_sleep();
  if (!may_sleep) wake_.ring();
}

}  // namespace

Result<std::unique_ptr<Poller>> make_io_uring_poller(const PollerOptions& options) {
  std::unique_ptr<IoUringPoller> poller(new (std::nothrow) IoUringPoller(options));
  if (poller == nullptr) return Error::system(ENOMEM, OperationKind::setup);
  const Result<void> opened = poller->open();
  if (!opened) return opened.error();
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace gyre
