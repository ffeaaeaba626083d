// InFlight and InFlightTable: the io_uring poller's records of operations in flight.
//
// The kernel is given a record's slot and generation as user_data; a completion for a record that is over finds nothing.
// Memory comes in chunks that are kept; a record's address never changes. A server has one for each connection that waits,
// so they are small: links are slots, and what the operation has to say of itself is not repeated.
//
// Invariant: a record's generation is odd while it is taken and even while it is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include <gyre/platform/check.h>
#include <gyre/platform/operation.h>

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
struct alignas(32) InFlight {
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  std::uint64_t token() const noexcept { return std::uint64_t{generation} << 32 | slot; }

  Operation* operation = nullptr;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t next = none;      // in a list, or the next free record
  std::uint32_t previous = none;  // in a list
  std::uint32_t header = none;    // slot of the msghdr that it needs
  std::uint16_t fruitless = 0;    // polls in a row after which it still would have blocked, and the like
  Stage stage = Stage::pending;
  bool is_linked : 1 = false;      // in a list
  bool wants_poll : 1 = false;     // what is, or is to be, submitted is a poll
  bool polled_source : 1 = false;  // of splice: its source is readable, now for the target
};
static_assert(sizeof(InFlight) == 32 || sizeof(void*) != 8);

class InFlightTable {
 public:
  InFlightTable() = default;
  InFlightTable(const InFlightTable&) = delete;
  InFlightTable& operator=(const InFlightTable&) = delete;

  // A fresh record, of an operation whose entry is queued next; null if memory is short.
  InFlight* add(Operation& operation) noexcept {
    if (first_free_ == none && !grow()) [[unlikely]] return nullptr;
    InFlight& record = at(first_free_);
    first_free_ = record.next;
    ++record.generation;
    ++size_;
    record.operation = &operation;
    record.header = none;
    record.fruitless = 0;
    record.stage = Stage::kernel;
    record.is_linked = false;
    record.wants_poll = false;
    record.polled_source = false;
    return &record;
  }
  void remove(InFlight& record) noexcept {
    GYRE_DCHECK((record.generation & 1) != 0 && !record.is_linked);
    ++record.generation;
    --size_;
    record.next = first_free_;
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
  // Hints that this record will be looked for soon, and its operation right after it. The token may be old, or name no
  // operation; some record must have been taken once.
  void prefetch(std::uint64_t token) noexcept { __builtin_prefetch(&at(static_cast<std::uint32_t>(token))); }
  void prefetch_operation(std::uint64_t token) noexcept {
    __builtin_prefetch(at(static_cast<std::uint32_t>(token)).operation);
  }
  // It must be one that was taken once.
  InFlight& at(std::uint32_t slot) noexcept { return chunks_[slot >> chunk_bits][slot & (chunk_size - 1)]; }
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
  static constexpr std::uint32_t none = InFlight::none;

  // False if memory is short.
  bool grow() noexcept;

  std::unique_ptr<std::unique_ptr<InFlight[]>[]> chunks_;
  std::uint32_t chunks_max_ = 0;  // room in chunks_
  std::uint32_t slots_count_ = 0;
  std::uint32_t first_free_ = none;
  std::size_t size_ = 0;
};

// A FIFO of records; each is in one list at most.
class InFlightList {
 public:
  explicit InFlightList(InFlightTable& table) noexcept : table_(table) {}
  InFlightList(const InFlightList&) = delete;
  InFlightList& operator=(const InFlightList&) = delete;

  bool empty() const noexcept { return first_ == none; }
  // Null if there is none.
  InFlight* front() noexcept { return empty() ? nullptr : &table_.at(first_); }
  InFlight* pop_front() noexcept {
    InFlight* const record = front();
    if (record != nullptr) remove(*record);
    return record;
  }
  void push_back(InFlight& record) noexcept {
    GYRE_DCHECK(!record.is_linked);
    record.is_linked = true;
    record.next = none;
    record.previous = last_;
    (last_ != none ? table_.at(last_).next : first_) = record.slot;
    last_ = record.slot;
  }
  // It must be in this list.
  void remove(InFlight& record) noexcept {
    GYRE_DCHECK(record.is_linked);
    record.is_linked = false;
    (record.previous != none ? table_.at(record.previous).next : first_) = record.next;
    (record.next != none ? table_.at(record.next).previous : last_) = record.previous;
  }

 private:
  static constexpr std::uint32_t none = InFlight::none;

  InFlightTable& table_;
  std::uint32_t first_ = none;
  std::uint32_t last_ = none;
};

}  // namespace gyre
