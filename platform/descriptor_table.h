// DescriptorTable: the slots of a poller's descriptors.
//
// A slot's number and generation, packed in one word, are what the kernel is given to name a descriptor; an event for an
// old generation finds nothing. As SlotTable, but the slot keeps both in the descriptor itself, and what a slot's memory
// holds is always a Descriptor: its generation is odd while it is attached and even while it is not. A slot whose
// generation is used up is retired, so that no name is ever given out twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/slot_chunks.h>
#include <gyre/platform/slot_table.h>

namespace gyre {

class DescriptorTable {
 public:
  DescriptorTable() noexcept = default;
  DescriptorTable(const DescriptorTable&) = delete;
  DescriptorTable& operator=(const DescriptorTable&) = delete;

  // A fresh slot for `fd`, its two operations bound to it; null if memory is short. The slot freed last is used first:
  // it is the one most likely in the cache.
  Descriptor* add(NativeDescriptor fd) noexcept {
    std::uint32_t number = first_free_;
    std::uint32_t generation = 1;
    if (number != none) {
      const Descriptor& free = slots_.at(number);
      first_free_ = free.slot;
      generation = free.generation + 1;
    } else {
      number = used_;
      if (!slots_.reserve(number)) return nullptr;
      ++used_;
    }
    auto* const descriptor = new (slots_.place(number)) Descriptor;
    static_assert(std::is_trivially_destructible_v<Descriptor>);
    descriptor->native = static_cast<std::int32_t>(fd);
    descriptor->slot = number;
    descriptor->generation = generation;
    descriptor->input.descriptor = descriptor;
    descriptor->output.descriptor = descriptor;
    ++size_;
    return descriptor;
  }

  // Gives the slot back: find() does not know it any more. No operation may be in flight.
  void remove(Descriptor& descriptor) noexcept {
    GYRE_CHECK_HINT(descriptor.operations == 0, "operations of the descriptor are in flight");
    GYRE_CHECK_HINT(find(id(descriptor)) == &descriptor, "the descriptor is not attached");
    --size_;
    if (++descriptor.generation == retired) return;
    first_free_ = std::exchange(descriptor.slot, first_free_);
  }

  // The descriptor that has this slot in this generation, or null.
  Descriptor* find(SlotId id) noexcept {
    if (id.slot >= used_ || (id.generation & 1) == 0) return nullptr;
    Descriptor& descriptor = slots_.at(id.slot);
    return descriptor.generation == id.generation ? &descriptor : nullptr;
  }
  // The same, of an id that this table has given out; or, after reserve(), of slot 0 in an even generation.
  Descriptor* find_issued(SlotId id) noexcept {
    GYRE_DCHECK(id.slot < used_ || id.slot == 0);
    Descriptor& descriptor = slots_.at(id.slot);
    return DescriptorTable::id(descriptor).token() == id.token() ? &descriptor : nullptr;
  }
  // Makes memory for the first slots. False: there is none.
  [[nodiscard]] bool reserve() noexcept {
    if (used_ > 0) return true;
    if (!slots_.reserve(0)) return false;
    (new (slots_.place(0)) Descriptor)->generation = 0;
    return true;
  }
  static SlotId id(const Descriptor& descriptor) noexcept {
    return {descriptor.slot, descriptor.generation};
  }

  // Descriptors that are attached.
  std::size_t size() const noexcept { return size_; }

  // Calls `visit(Descriptor&)` for each attached descriptor; it may remove the one it is given.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t number = 0; number < used_; ++number) {
      Descriptor& descriptor = slots_.at(number);
      if ((descriptor.generation & 1) != 0) visit(descriptor);
    }
  }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::uint32_t retired = 0;  // where the generation arrives after 2^31 tenants

  SlotChunks<Descriptor> slots_;
  std::uint32_t used_ = 0;  // slots that were ever taken; those beyond are raw memory
  std::uint32_t first_free_ = none;
  std::size_t size_ = 0;
};

}  // namespace gyre
