// IocpPoller: what becomes of packets, and how results are delivered.
#include <gyre/platform/iocp_poller_windows.h>

#include <utility>

namespace gyre {

void IocpPoller::on_packet(const OVERLAPPED_ENTRY& entry) noexcept {
  InFlight& record = InFlight::of(entry.lpOverlapped);
  GYRE_CHECK(records_.find(record.id) == &record);
  --packets_;
  const bool cancelled = record.operation->state == OperationState::cancelling;
  const std::int64_t status = sys::status_of(record);
  switch (record.stage) {
    case Stage::kernel: {
      const std::int64_t bytes = entry.dwNumberOfBytesTransferred;
      // A file that was sent in part before the cancel came.
      const bool is_partial = status < 0 && bytes > 0 && record.operation->kind == OperationKind::send_file;
      if (is_partial) return on_result(record, bytes);
      if (status == -ECANCELED && !cancelled && record.fruitless < fruitless_max) {
        // Not by us: the socket was shut down for reading (shutdown_socket()), and says so when asked again.
        ++record.fruitless;
        const std::int64_t again = has_ended(*record.operation) ? 0 : attempt(record);
        if (again != -EINPROGRESS) on_result(record, again);
        return;
      }
      const bool is_socket = (record.operation->descriptor->state & descriptor_socket) != 0;
      const bool asks_again = status >= 0 && !cancelled && !is_socket && is_empty_write(*record.operation, bytes);
      const std::int64_t result = asks_again ? ask_for(record) : conclude_or_repeat(record, status < 0 ? status : bytes);
      if (result != -EINPROGRESS) on_result(record, result);
      return;
    }
    case Stage::polling:
      if (status == -ECANCELED && !cancelled && has_ended(*record.operation)) return on_ready(record);
      if (status < 0 || cancelled) return on_result(record, cancelled ? -ECANCELED : status);
      if (record.operation->kind == OperationKind::readable || record.operation->kind == OperationKind::writable) {
        return on_result(record, 0);
      }
      return on_ready(record);
    case Stage::waiting:
      if (record.wait != nullptr) sys::unregister_wait(std::exchange(record.wait, nullptr));
      return on_result(record, 0);
    case Stage::pool: return on_result(record, record.result);
    default: GYRE_CHECK_HINT(false, "a packet for an operation that waits for none");
  }
}

// The socket has polled ready, or there is a buffer again.
void IocpPoller::on_ready(InFlight& record) noexcept {
  const bool polled = record.stage == Stage::polling;
  const std::int64_t result = attempt(record);
  if (result != -EINPROGRESS) return on_result(record, result);
  // The poll was wrong, and goes on; or it says the same again, at once.
  const bool goes_on = polled && record.stage == Stage::polling;
  if (!goes_on && record.stage != Stage::due) return;
  ++stats_.idle_polls;
  if (++record.fruitless <= fruitless_max) return;
  ++stats_.quarantined;
  cancel(*record.operation);
}

// A stream tells a reset once, and then its end, as elsewhere. Wine takes it for the end when it receives, and knows
// better when it polls.
std::int64_t IocpPoller::as_received(const Operation& operation, std::int64_t result) noexcept {
  if (result != 0 && result != -ECONNRESET) return result;
  const bool receives = operation.kind == OperationKind::receive || operation.kind == OperationKind::receive_lent ||
                        operation.kind == OperationKind::receive_vector ||
                        operation.kind == OperationKind::receive_message;
  if (!receives || has_ended(operation)) return result;
  Descriptor& descriptor = *operation.descriptor;
  if ((descriptor.state & (descriptor_socket | descriptor_datagram)) != descriptor_socket) return result;
  if ((descriptor.state & descriptor_reset_told) != 0) return 0;
  if (result == 0) {
    ++stats_.system_calls;
    if (!is_reset(descriptor)) return 0;
  }
  descriptor.state |= descriptor_reset_told;
  return -ECONNRESET;
}

void IocpPoller::on_result(InFlight& record, std::int64_t result) noexcept {
  Operation& operation = *record.operation;
  result = as_received(operation, result);
  const bool is_lent = operation.kind == OperationKind::receive_lent;
  if (is_lent && result <= 0 && operation.buffer != nullptr) give_back(std::exchange(operation.buffer, nullptr));
  const bool goes_on = (operation.flags & operation_multishot) != 0 &&
                       (operation.kind == OperationKind::accept ? result >= 0 : result > 0);
  if (!goes_on) return deliver(record, result, false);
  record.fruitless = 0;
  if (operation.state == OperationState::cancelling) {
    finish_later(record, -ECANCELED);  // this result had won
  } else if (operation.kind == OperationKind::accept) {
    go_on(record);  // before the callback, which may cancel
  } else {
    make_due(record);  // not at once: the buffer is the callback's to see
  }
  deliver(record, result, true);
  if (is_lent) operation.buffer = nullptr;  // it is the owner's
}

// The operation is its owner's again during the call, unless there is more to come.
void IocpPoller::deliver(InFlight& record, std::int64_t result, bool more) noexcept {
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
  release_sides(operation, traits);
  // Once a descriptor is closing nobody but its close operation can take its slot away; before, the callback can.
  Descriptor* const closing =
      (traits & kind_is_close) != 0 ? nullptr : closing_without_operations(operation.descriptor);
  Descriptor* const closing_source = closing_without_operations(source_of(operation));
  records_.erase(record.id);
  operation.state = OperationState::idle;
  operation.complete(operation);
  if (closing != nullptr) finish_close(*closing);
  if (closing_source != nullptr) finish_close(*closing_source);
}

// A descriptor whose close operation has waited for this.
Descriptor* IocpPoller::closing_without_operations(Descriptor* descriptor) noexcept {
  const bool is_due = descriptor != nullptr && (descriptor->state & descriptor_closing) != 0 &&
                      descriptor->operations == 0;
  return is_due ? descriptor : nullptr;
}

void IocpPoller::finish_later(InFlight& record, std::int64_t result) noexcept {
  record.stage = Stage::ready;
  record.result = result;
  ready_.push_back(record);
  ++ready_count_;
}

void IocpPoller::make_due(InFlight& record) noexcept {
  record.stage = Stage::due;
  ready_.push_back(record);
  ++ready_count_;
}

// What is made ready meanwhile is for the next wait: so each operation gets its turn.
void IocpPoller::deliver_ready() noexcept {
  for (std::size_t count = ready_count_; count > 0 && !is_full(); --count) {
    InFlight* const record = ready_.pop_front();
    if (record == nullptr) return;
    --ready_count_;
    if (record->stage == Stage::due) {
      on_ready(*record);
    } else {
      on_result(*record, record->result);
    }
  }
}

void IocpPoller::finish_close(Descriptor& descriptor) noexcept {
  InFlight& record = record_of(*std::exchange(descriptor.parked_input, nullptr));
  GYRE_CHECK(record.stage == Stage::closing);
  release_native(descriptor);
  finish_later(record, 0);
}

}  // namespace gyre
