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
// that this calls nothing but the kernel and whom the operation belongs to.
[[gnu::always_inline]] inline void ReadinessPoller::serve(SlotId id, std::uint16_t ready) noexcept {
  Descriptor* const descriptor = table_.find_issued(id);
  if (descriptor == nullptr) [[unlikely]] return note_stale();
  Operation* const input = descriptor->parked_input;
  const std::uint16_t state = descriptor->state;
  constexpr std::uint16_t asked = classified | byte_stream | local_stream | always_ready | read_ended | kind_bits;
  const bool is_usual = ready == may_read && input != nullptr && (state & asked) == (classified | byte_stream) &&
                        input->kind == OperationKind::receive_lent && input->state == OperationState::in_flight &&
                        input->flags == 0 && input->token == token_parked;
  if (!is_usual) [[unlikely]] return serve_otherwise(*descriptor, ready);
  void* const buffer = lent_.take();
  if (buffer == nullptr) [[unlikely]] return serve_otherwise(*descriptor, ready);
  ++stats_.system_calls;
  const std::int64_t result = sys::recv_once(descriptor->native, buffer, lent_.size(), MSG_DONTWAIT);
  if (result <= 0) [[unlikely]] return settle_receive(*descriptor, buffer, result);
  const bool is_drained = static_cast<std::size_t>(result) < lent_.size();
  const auto calm = static_cast<std::uint16_t>(state & ~(may_read | idle_all));
  descriptor->state = is_drained ? calm : static_cast<std::uint16_t>(calm | may_read);
  descriptor->parked_input = nullptr;
  --descriptor->operations;
  input->buffer = buffer;
  budget_ -= result;
  end(*input, result);
}

}  // namespace gyre
