// InFlight and InFlightTable: the io_uring poller's records of operations in flight.
//
// The kernel is given a record's slot and generation as user_data; a completion for a record that is over finds nothing.
// Memory comes in chunks that are kept; a record's address never changes, and each fills one line of the cache.
//
// Invariant: a record's generation is odd while it is taken and even while it is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include <gyre/platform/check.h>
#include <gyre/platform/intrusive_list.h>
#include <gyre/platform/operation.h>
#include <gyre/platform/slot_table.h>

namespace gyre {

// Where an operation is. Only in `kernel` and `polling` does the kernel know of it.
enum class Stage : std::uint8_t {
  pending,  // waits for an entry of the submission queue; in the list of those
  kernel,   // itself queued or with the kernel
  polling,  // a poll on its behalf is queued or with the kernel; in both it may wait in the list of cancels
  starved,  // receive_lent: data are there, and no buffer is; in the list of those
  ready,    // its result is known; in the list of those
  closing,  // close: the descriptor's other operations are not terminal yet
};

// An operation in flight.
struct alignas(64) InFlight : ListLink {
  std::uint64_t token() const noexcept { return std::uint64_t{generation} << 32 | slot; }

  Operation* operation = nullptr;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  SlotId header;                 // of the msghdr that it needs, or the default
  std::int32_t result = 0;       // of a ready one
  std::uint16_t fruitless = 0;   // polls in a row after which it still would have blocked, and the like
  Stage stage = Stage::pending;
  bool wants_poll = false;       // what is, or is to be, submitted is a poll
  bool polled_source = false;    // of splice: its source is readable, now for the target
  std::uint32_t next_free = 0;   // of a free record
};
static_assert(sizeof(InFlight) == 64 || sizeof(void*) != 8);

class InFlightTable {
 public:
  InFlightTable() = default;
  InFlightTable(const InFlightTable&) = delete;
  InFlightTable& operator=(const InFlightTable&) = delete;

  // A fresh record; null if memory is short.
  InFlight* add(Operation& operation) noexcept {
    if (first_free_ == none && !grow()) [[unlikely]] return nullptr;
    InFlight& record = at(first_free_);
    first_free_ = record.next_free;
    ++record.generation;
    ++size_;
    record.operation = &operation;
    record.fruitless = 0;
    return &record;
  }
  void remove(InFlight& record) noexcept {
    GYRE_DCHECK((record.generation & 1) != 0 && !record.is_linked());
    ++record.generation;
    --size_;
    record.next_free = first_free_;
    first_free_ = record.slot;
  }

  // Null if the token is not of an operation that is in flight.
  InFlight* find(std::uint64_t token) noexcept {
    const auto slot = static_cast<std::uint32_t>(token);
    const auto generation = static_cast<std::uint32_t>(token >> 32);
    if (slot >= slots_count_ || (generation & 1) == 0) [[unlikely]] return nullptr;
    InFlight& record = at(slot);
    return record.generation == generation ? &record : nullptr;
  }
  // Hints that this record will be looked for soon, and its operation right after it: the kernel's work in between has
  // thrown both out of the nearest cache.
  void prefetch(std::uint64_t token) noexcept {
    const auto slot = static_cast<std::uint32_t>(token);
    if (slot < slots_count_) __builtin_prefetch(&at(slot));
  }
  void prefetch_operation(std::uint64_t token) noexcept {
    const auto slot = static_cast<std::uint32_t>(token);
    if (slot < slots_count_) __builtin_prefetch(at(slot).operation);
  }
  // The record of an operation in flight.
  InFlight& of(const Operation& operation) noexcept {
    GYRE_CHECK(operation.token < slots_count_);
    InFlight& record = at(operation.token);
    GYRE_CHECK(record.operation == &operation && (record.generation & 1) != 0);
    return record;
  }

  std::size_t size() const noexcept { return size_; }

  // Calls visit(InFlight&) for each; it may remove any and add some, which may be visited or not. Walks all slots.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t slot = 0; slot < slots_count_; ++slot) {
      InFlight& record = at(slot);
      if ((record.generation & 1) != 0) visit(record);
    }
  }

 private:
  static constexpr std::uint32_t chunk_bits = 6;
  static constexpr std::uint32_t chunk_size = 1u << chunk_bits;
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  InFlight& at(std::uint32_t slot) noexcept {
    return chunks_[slot >> chunk_bits][slot & (chunk_size - 1)];
  }
  // False if memory is short.
  bool grow() noexcept;

  std::unique_ptr<std::unique_ptr<InFlight[]>[]> chunks_;
  std::uint32_t chunks_max_ = 0;  // room in chunks_
  std::uint32_t slots_count_ = 0;
  std::uint32_t first_free_ = none;
  std::size_t size_ = 0;
};

}  // namespace gyre
