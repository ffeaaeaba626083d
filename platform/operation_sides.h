// What io_uring's poller and IOCP's share: the sides of its descriptor that an operation takes while it is in flight.
//
// Invariants: 1. A side has one operation in flight at most. 2. While a descriptor is being closed, parked_input is its close
// operation.
#pragma once

#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/poller.h>

namespace gyre {

// Bits of Descriptor::state, beside its kind; each poller has more.
inline constexpr std::uint16_t descriptor_kind_mask = 3;
inline constexpr std::uint16_t descriptor_closing = 4;

// Bits of what each poller knows of a kind of operation, its traits; each has more.
inline constexpr std::uint8_t kind_takes_input = 1;   // takes this side of its descriptor
inline constexpr std::uint8_t kind_takes_output = 2;
inline constexpr std::uint8_t kind_has_source = 4;    // `source` is an argument
inline constexpr std::uint8_t kind_is_close = 64;

inline DescriptorKind kind_of(const Descriptor& descriptor) noexcept {
  return static_cast<DescriptorKind>(descriptor.state & descriptor_kind_mask);
}
inline bool is_on_socket(const Operation& operation) noexcept {
  return kind_of(*operation.descriptor) == DescriptorKind::socket;
}

inline void check_sides_are_free(const Operation& operation, std::uint8_t traits) noexcept {
  const Descriptor* const descriptor = operation.descriptor;
  GYRE_CHECK_HINT((traits & kind_takes_input) == 0 || descriptor->parked_input == nullptr,
                  "two operations on the input side of a descriptor");
  GYRE_CHECK_HINT((traits & kind_takes_output) == 0 || descriptor->parked_output == nullptr,
                  "two operations on the output side of a descriptor");
  GYRE_CHECK_HINT(operation.kind != OperationKind::splice || operation.source->parked_input == nullptr,
                  "two operations on the input side of a descriptor");
}

inline void claim_sides(Operation& operation, std::uint8_t traits) noexcept {
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

inline void release_sides(const Operation& operation, std::uint8_t traits) noexcept {
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

}  // namespace gyre
