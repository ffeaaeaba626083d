// IoUringPoller: its life, its descriptors, and waiting.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include <gyre/platform/io_uring_poller_linux.h>
#include <gyre/platform/poller_backends.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {
namespace {

// Calls of io_uring_enter in a row that may fail before a shutdown goes on without the kernel's answer.
constexpr std::uint32_t failures_max = 200;

}  // namespace

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
  begin_slice();
  while (wake_armed_ && failures_ < failures_max) {
    // Once more where an entry could not be had, or was taken back after a failure; a second cancel finds nothing.
    if (uring::Sqe* const entry = get_entry()) {
      entry->opcode = uring::op_async_cancel;
      entry->address = wake_token;
      entry->user_data = cancel_token;
    }
    enter(std::chrono::milliseconds(10));
    begin_slice();
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
    unlink(record);
    finish_later(record, -ECANCELED);
  });
  waiting_ = true;
  while (!ready_.empty()) {
    begin_slice();
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
  begin_slice();
  ++stats_.waits;
  for (bool first = true;; first = false) {
    refill();
    bool woken = wake_.take();
    const bool is_idle = !woken && ready_.empty() && !can_feed() && !ring_.has_completions();
    Duration patience = Duration::zero();
    if (is_idle) patience = deadline == never ? Duration::max() : deadline - clock_.now();
    if (patience > Duration::zero() && pending_.empty() && cancels_.empty()) {
      if (first) ++stats_.blocking_waits;
      const bool may_sleep = wake_.prepare_to_sleep();
      enter(may_sleep ? patience : Duration::zero());
      woken = wake_.take();
    } else if (!ring_.has_rest() && (ring_.entries_waiting() > 0 || ring_.has_hidden_work())) {
      // Without either the kernel has nothing to do for us: an idle turn makes no system call. Nor does one that has yet to
      // deliver what the last call brought.
      enter(Duration::zero());
    }
    // Each alone may fill every wait, so what is ready goes first every other time.
    if ((stats_.waits & 1) != 0) deliver_ready();
    feed_starved();
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
      const bool lives = record != nullptr && !record->is_linked &&
                         (record->stage == Stage::kernel || record->stage == Stage::polling);
      if (lives) cancels_.push_back(*record);
    } else if (InFlight* const record = records_.find(entry->user_data)) {
      unlink(*record);
      const bool cancelled = record->operation->state == OperationState::cancelling;
      finish_later(*record, cancelled ? -ECANCELED : -error);
    }
  }
}

// A foreign loop will sleep on native_handle(): everything must be with the kernel, and each wake must ring the bell.
void IoUringPoller::prepare_for_foreign_loop() noexcept {
  refill();
  if (ring_.entries_waiting() > 0 && ring_.is_bound()) ring_.submit();
  const bool may_sleep =
      ready_.empty() && pending_.empty() && cancels_.empty() && !can_feed() && wake_.prepare_to_sleep();
  if (!may_sleep) wake_.ring();
}

Result<std::unique_ptr<Poller>> make_io_uring_poller(const PollerOptions& options) {
  std::unique_ptr<IoUringPoller> poller(new (std::nothrow) IoUringPoller(options));
  if (poller == nullptr) return Error::system(ENOMEM, OperationKind::setup);
  const Result<void> opened = poller->open();
  if (!opened) return opened.error();
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace gyre
