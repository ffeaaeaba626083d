// IoUringPoller: what becomes of completions.
#include <algorithm>
#include <cerrno>
#include <utility>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/io_uring_poller_linux.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {

// As finish(), of an operation that takes one side, of a descriptor that is not closing.
[[gnu::always_inline]] inline void IoUringPoller::finish_transfer(InFlight& record, Operation*& side,
                                                                  std::int64_t result) noexcept {
  Operation& operation = *record.operation;
  note_delivery();
  --operation.descriptor->operations;
  side = nullptr;
  records_.remove(record);
  operation.result = result;
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  operation.state = OperationState::idle;
  operation.complete(operation);
}

[[gnu::always_inline]] inline void IoUringPoller::on_completion(const uring::Cqe& completion,
                                                                IoUringRing::Coming coming) noexcept {
  InFlight* const record = records_.find(completion.user_data);
  if (record == nullptr) [[unlikely]] {  // a cancel's answer, or a completion of an operation that is over
    if (completion.user_data == wake_token) on_wake(completion);
    return;
  }
  // The kernel's work has thrown the next two out of the nearest cache.
  records_.prefetch(coming.later);
  records_.prefetch_operation(coming.next);
  std::int32_t result = completion.result;
  std::uint32_t flags = completion.flags;
  sys::distort_completion(record->operation->kind, result, flags);

  // Usual is a socket that has received into a buffer of the kernel's choice.
  Operation& operation = *record->operation;
  constexpr std::uint32_t asked = uring::cqe_buffer | uring::cqe_more;
  const bool is_usual = result > 0 && (flags & asked) == uring::cqe_buffer && operation.kind == OperationKind::receive_lent &&
                        operation.flags == 0 && record->stage == Stage::kernel && !record->is_linked &&
                        (operation.descriptor->state & descriptor_closing) == 0;
  if (!is_usual) [[unlikely]] return on_other_completion(*record, result, flags);
  operation.buffer = buffers_.lend(static_cast<std::uint16_t>(flags >> uring::cqe_buffer_shift));
  budget_ -= result;
  finish_transfer(*record, operation.descriptor->parked_input, result);
}

void IoUringPoller::reap() noexcept {
  if (is_full()) return;
  ring_.take_completions([this](const uring::Cqe& completion, IoUringRing::Coming coming) {
    on_completion(completion, coming);
    return !is_full();
  });
}

void IoUringPoller::on_other_completion(InFlight& record, std::int32_t result, std::uint32_t flags) noexcept {
  const bool cancelled = record.operation->state == OperationState::cancelling;
  std::int64_t answer = normalised(result);
  if (answer == -EINTR && cancelled) answer = -ECANCELED;  // that is how worker threads are stopped
  if ((flags & uring::cqe_more) == 0) unlink(record);  // the cancel is too late
  switch (record.stage) {
    case Stage::polling: return on_polled(record, answer);
    case Stage::kernel: return on_answer(record, answer, flags);
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
    case OperationKind::accept:
      // Kernels since 6.10 say whether another connection waits.
      if (result >= 0) note_received(*operation.descriptor, (flags & uring::cqe_socket_nonempty) != 0);
      return on_accepted(record, result, (flags & uring::cqe_more) != 0);
    case OperationKind::connect: return on_connected(record, result);
    case OperationKind::receive_lent: return on_lent(record, result, flags);
    case OperationKind::receive:
      if (result > 0) note_received(*operation.descriptor, (flags & uring::cqe_socket_nonempty) != 0);
      if ((operation.descriptor->state & descriptor_closing) != 0) [[unlikely]] break;
      return finish_transfer(record, operation.descriptor->parked_input, result);
    case OperationKind::send:
      note_sent(*operation.descriptor, result >= static_cast<std::int64_t>(std::min(operation.size, sys::transfer_max)));
      if ((operation.descriptor->state & descriptor_closing) != 0) [[unlikely]] break;
      return finish_transfer(record, operation.descriptor->parked_output, result);
    case OperationKind::receive_message:
    case OperationKind::send_message: {
      if (result < 0) break;
      Message& message = operation.messages[0];
      message.size = static_cast<std::size_t>(result);
      if (operation.kind == OperationKind::receive_message) {
        finish_message(message, message.size);
      } else {
        note_sent(*operation.descriptor, true);
      }
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
      if (buffers_.with_kernel() > 0) return go_on(record);  // come back meanwhile; or their completions are yet to be seen
      return starve(record);
    }
    if (result == -ENOBUFS) result = -ECANCELED;
    return finish(record, result);
  }
  operation.buffer = buffer;
  budget_ -= result;
  if ((operation.flags & operation_multishot) == 0) return finish(record, result);
  if (!more) go_on(record);
  deliver(record, result, true);
}

// There are data, and no buffer for them. Who waits so is served in turn: see feed_starved().
void IoUringPoller::starve(InFlight& record) noexcept {
  buffers_.keep();
  record.stage = Stage::starved;
  starved_.push_back(record);
}

void IoUringPoller::feed_starved() noexcept {
  while (can_feed() && !is_full()) receive_into(*starved_.pop_front(), buffers_.take());
}

// Where the kernel does not pick the buffers: the descriptor has become readable.
void IoUringPoller::receive_into_pool(InFlight& record) noexcept {
  if (!starved_.empty() || buffers_.at_hand() == 0) return starve(record);
  receive_into(record, buffers_.take());
}

void IoUringPoller::receive_into(InFlight& record, void* buffer) noexcept {
  Operation& operation = *record.operation;
  Descriptor& descriptor = *operation.descriptor;
  std::int64_t result = 0;
  ++stats_.system_calls;
  if (kind_of(descriptor) == DescriptorKind::socket) {
    result = sys::recv(descriptor.native, buffer, buffers_.size(), MSG_DONTWAIT);
  } else {
    ensure_non_blocking(descriptor);
    result = sys::read(descriptor.native, buffer, buffers_.size());
  }
  operation.buffer = result > 0 ? buffer : nullptr;
  if (result > 0) {
    budget_ -= result;
  } else {
    buffers_.give_back(buffer);
  }
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
  const std::int64_t last_result = operation.result;
  operation.result = result;
  note_delivery();
  if (more) {
    const bool is_ready = record.stage == Stage::ready;  // cancelled meanwhile: its end is to be delivered next
    operation.flags |= operation_more;
    operation.complete(operation);
    if (is_ready) operation.result = last_result;
    return;
  }
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  const std::uint8_t traits = traits_of(operation.kind);
  release_sides(operation, traits);
  // Once a descriptor is closing nobody but its close operation can take its slot away; before, the callback can.
  Descriptor* const closing =
      (traits & kind_is_close) != 0 ? nullptr : closing_without_operations(operation.descriptor);
  Descriptor* const closing_source = closing_without_operations(source_of(operation));
  if (record.header != InFlight::none) [[unlikely]] headers_.erase(headers_.id_of(record.header));
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
  record.operation->result = result;  // its arguments are dead
  ready_.push_back(record);
}

void IoUringPoller::deliver_ready() noexcept {
  while (!is_full()) {
    InFlight* const record = ready_.pop_front();
    if (record == nullptr) return;
    finish(*record, record->operation->result);
  }
}

void IoUringPoller::finish_close(Descriptor& descriptor) noexcept {
  Operation* const closing = std::exchange(descriptor.parked_input, nullptr);
  InFlight& record = records_.of(*closing);
  GYRE_CHECK(record.stage == Stage::closing);
  release_native(descriptor);
  finish_later(record, 0);
}

}  // namespace gyre
