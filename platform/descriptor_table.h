// DescriptorTable: the slots of a poller's descriptors.
//
// A slot's number and generation, packed in one word, are what the kernel is given to name a descriptor; an event for an
// old generation finds nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/slot_table.h>

namespace gyre {

class DescriptorTable {
 public:
  DescriptorTable() noexcept = default;
  DescriptorTable(const DescriptorTable&) = delete;
  DescriptorTable& operator=(const DescriptorTable&) = delete;

  // A fresh slot for `fd`, its two operations bound to it; null if memory is short.
  Descriptor* add(NativeDescriptor fd) noexcept {
    const auto entry = slots_.emplace();
    if (entry.item == nullptr) return nullptr;
    Descriptor& descriptor = *entry.item;
    descriptor.native = fd;
    descriptor.slot = entry.id.slot;
    descriptor.generation = entry.id.generation;
    descriptor.input.descriptor = &descriptor;
    descriptor.output.descriptor = &descriptor;
    return &descriptor;
  }

  // Gives the slot back: find() does not know it any more. No operation may be in flight.
  void remove(Descriptor& descriptor) noexcept {
    GYRE_CHECK_HINT(descriptor.operations == 0, "operations of the descriptor are in flight");
    slots_.erase(id(descriptor));
  }

  // The descriptor that has this slot in this generation, or null.
  Descriptor* find(std::uint32_t slot, std::uint32_t generation) noexcept {
    return slots_.find(SlotId{slot, generation});
  }
  Descriptor* find(SlotId id) noexcept { return slots_.find(id); }
  static SlotId id(const Descriptor& descriptor) noexcept {
    return {descriptor.slot, descriptor.generation};
  }

  // Descriptors that are attached.
  std::size_t size() const noexcept { return slots_.size(); }

  // Calls `visit(Descriptor&)` for each attached descriptor; it may remove the one it is given.
  template <typename Visit>
  void for_each(Visit&& visit) {
    slots_.for_each([&](SlotId, Descriptor& descriptor) { visit(descriptor); });
  }

 private:
  SlotTable<Descriptor> slots_;
};

}  // namespace gyre
