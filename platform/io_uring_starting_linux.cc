// IoUringPoller: what start() and cancel() do, and how operations come into the submission queue.
#include <algorithm>
#include <cerrno>
#include <utility>

#include <gyre/platform/io_uring_poller_linux.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {

// --- Starting --------------------------------------------------------------------------------------------------------

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
  claim_sides(operation, traits);
  return record;
}

// False if memory is short.
bool IoUringPoller::begin_vector(InFlight& record) noexcept {
  if (!needs_header(*record.operation)) return true;
  const auto header = headers_.emplace();
  if (header.item == nullptr) return false;
  record.header = header.id.slot;
  return true;
}

bool IoUringPoller::start(Operation& operation) noexcept {
  check_thread();
  GYRE_CHECK_HINT(operation.is_idle(), "the operation is in flight already");
  if (operation.kind == OperationKind::receive_lent) {
    const bool is_usual = operation.flags == 0 && is_open_socket(*operation.descriptor) && buffers_.kernel_picks();
    return is_usual ? start_lent(operation) : start_other(operation, traits_of(OperationKind::receive_lent));
  }
  const std::uint8_t traits = traits_of(operation.kind);
  if (traits == kind_takes_input || traits == kind_takes_output) {
    if (is_open_socket(*operation.descriptor)) [[likely]] return start_transfer(operation, traits);
  }
  return start_other(operation, traits);
}

// And nobody else is to know of each operation at once.
inline bool IoUringPoller::is_open_socket(const Descriptor& descriptor) const noexcept {
  constexpr std::uint16_t excluded = descriptor_closing | descriptor_kind_mask;
  static_assert(static_cast<int>(DescriptorKind::socket) == 0);
  return (descriptor.state & excluded) == 0 && !draining_ && !embedded_;
}

// Puts an operation on an open socket, which takes one side of it, to the kernel by the entry that `fill(Sqe&)` makes of a
// zeroed one. As begin() and submit(), for the bulk of all: few questions are left.
template <typename Fill>
[[gnu::always_inline]] inline bool IoUringPoller::queue(Operation& operation, Operation*& side, Fill&& fill) noexcept {
  InFlight* const record = records_.add(operation);
  if (record == nullptr) [[unlikely]] return answer(operation, -ENOMEM);
  operation.token = record->slot;
  operation.state = OperationState::in_flight;
  ++operation.descriptor->operations;
  side = &operation;
  uring::Sqe* const entry = ring_.get_entry();
  if (entry == nullptr) [[unlikely]] {
    submit(*record);
    return false;
  }
  entry->user_data = record->token();
  fill(*entry);
  return false;
}

// One receive into a buffer that the kernel picks.
[[gnu::always_inline]] inline bool IoUringPoller::start_lent(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  GYRE_CHECK_HINT(descriptor.parked_input == nullptr, "two operations on one side of a descriptor");
  return queue(operation, descriptor.parked_input, [&](uring::Sqe& entry) {
    fill_socket_lent(entry, descriptor, ring_.features());
  });
}

// Receives and sends on an open socket.
[[gnu::always_inline]] inline bool IoUringPoller::start_transfer(Operation& operation, std::uint8_t traits) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  Operation*& side = traits == kind_takes_input ? descriptor.parked_input : descriptor.parked_output;
  GYRE_CHECK_HINT(side == nullptr, "two operations on one side of a descriptor");
  GYRE_DCHECK(operation.size > 0);
  if ((operation.flags & operation_no_inline) == 0 && is_worth_a_call(operation)) {
    ++stats_.system_calls;
    const std::int64_t result = call_directly(operation);
    if (result != -EAGAIN) return answer(operation, result);
  }
  return queue(operation, side, [&](uring::Sqe& entry) { fill_socket_transfer(entry, operation, ring_.features()); });
}

// What start() does with a send on an open socket whose last one fitted.
std::int64_t IoUringPoller::send_now(Descriptor& descriptor, const void* data, std::size_t size) noexcept {
  check_thread();
  GYRE_DCHECK(size > 0);
  constexpr std::uint16_t excluded = descriptor_closing | descriptor_kind_mask | descriptor_full;
  const bool is_free = (descriptor.state & excluded) == 0 && descriptor.parked_output == nullptr;
  if (!is_free || draining_) [[unlikely]] return not_tried;
  ++stats_.system_calls;
  ++stats_.inline_completions;
  descriptor.bytes_sent += size;
  return sys::send_once(descriptor.native, data, size, MSG_DONTWAIT);
}

std::int64_t IoUringPoller::settle_send(Descriptor& descriptor, const void* data, std::size_t size,
                                        std::int64_t answer) noexcept {
  if (answer == not_tried) return would_block;
  descriptor.bytes_sent -= size;
  std::int64_t result = answer;
  if (result == -EINTR) {
    ++stats_.system_calls;
    result = send_directly(descriptor, data, size);
  } else if (sys::judged(result) < static_cast<std::int64_t>(size)) {
    note_sent(descriptor, false);
  }
  if (result == would_block) --stats_.inline_completions;
  return result;
}

bool IoUringPoller::start_other(Operation& operation, std::uint8_t traits) noexcept {
  const Descriptor* const descriptor = operation.descriptor;
  const bool is_closing = descriptor != nullptr && (descriptor->state & descriptor_closing) != 0;
  const bool is_close = (traits & kind_is_close) != 0;
  if ((draining_ && !is_close) || is_closing) [[unlikely]] return answer(operation, -ECANCELED);
  if (is_close) return start_close(operation);
  check_sides_are_free(operation, traits);

  std::int64_t result = -EAGAIN;
  if ((traits & kind_is_plain) == 0 || is_worth_a_call(operation)) {
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
    msghdr* const header = record.header == InFlight::none ? nullptr : headers_.find(headers_.id_of(record.header));
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
      unlink(record);
      return finish_later(record, -ECANCELED);
    case Stage::ready:    // the result has won
    case Stage::closing:  // nothing can stop it
      return;
  }
}

InFlightList& IoUringPoller::list_of(Stage stage) noexcept {
  switch (stage) {
    case Stage::pending: return pending_;
    case Stage::starved: return starved_;
    case Stage::ready: return ready_;
    case Stage::kernel:
    case Stage::polling:
    case Stage::closing: break;
  }
  return cancels_;
}

// Gives entries of the submission queue to what waits for one, cancels first.
void IoUringPoller::refill() noexcept {
  if (!wake_armed_ && !draining_) arm_wake();
  while (InFlight* const record = cancels_.front()) {
    uring::Sqe* const entry = get_entry();
    if (entry == nullptr) return;
    unlink(*record);
    fill_cancel(*entry, *record);
  }
  while (InFlight* const record = pending_.front()) {
    uring::Sqe* const entry = get_entry();
    if (entry == nullptr) return;
    unlink(*record);
    fill(*entry, *record);
  }
  if (starved_.empty()) buffers_.hand_over();
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

}  // namespace gyre
