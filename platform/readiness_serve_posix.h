// ReadinessPoller: the way that most events take, in one piece, for a poller whose fetch() keeps them.
#pragma once

#include <cstdint>

#include <gyre/platform/readiness.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {

// The operation is its owner's again.
[[gnu::always_inline]] inline void ReadinessPoller::end(Operation& operation, std::int64_t result) noexcept {
  operation.token = 0;
  operation.state = OperationState::idle;
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  operation.result = result;
  --in_flight_;
  note_delivery();
  operation.complete(operation);
}

// Usual is a stream over TCP that waits for bytes in a lent buffer, and there are some. All the rest is done elsewhere, so
// that this calls nothing but the kernel and whom the operation belongs to; and who calls this counts for all of them.
[[gnu::always_inline]] inline bool ReadinessPoller::serve_usual(SlotId id) noexcept {
  Descriptor* const descriptor = table_.find_issued(id);
  if (descriptor == nullptr) [[unlikely]] return false;
  Operation& input = descriptor->input;
  const bool is_usual = input.kind == OperationKind::receive_lent && input.state == OperationState::in_flight &&
                        input.flags == 0 && input.token == (token_parked | token_usual);
  if (!is_usual || !lent_.has_free()) [[unlikely]] return false;
  void* const buffer = lent_.take_free();
  const std::size_t size = lent_.size();
  const std::int64_t result = sys::recv_once(descriptor->native, buffer, size, MSG_DONTWAIT);
  if (result <= 0) [[unlikely]] {
    settle_receive(*descriptor, buffer, result);
    return true;
  }
  // Less than was asked for is all there was.
  descriptor->state &= static_cast<std::uint16_t>(~(may_read | idle_all));
  if (static_cast<std::size_t>(result) == size) [[unlikely]] note_full(*descriptor);
  descriptor->parked_input = nullptr;
  --descriptor->operations;
  input.kind = OperationKind::receive_lent;  // as it was: with the next three, one store
  input.state = OperationState::idle;
  input.flags = 0;
  input.token = 0;
  input.buffer = buffer;
  input.result = result;
  budget_ -= result + bytes_per_completion;
  input.complete(input);
  return true;
}

[[gnu::always_inline]] inline void ReadinessPoller::note_served(std::size_t usual) noexcept {
  stats_.system_calls += usual;
  in_flight_ -= usual;
  delivered_ += usual;
}

}  // namespace gyre
