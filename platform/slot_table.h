// SlotTable<T>: objects with stable addresses, found by a slot number and a generation, so that a stale identifier (in a
// late event of the kernel, say) finds nothing instead of the slot's next tenant.
//
// Memory comes in chunks that are kept until the table dies: a slot's address never changes. A slot whose 32-bit
// generation is used up is retired, so no identifier is ever given out twice.
//
// Invariant: a slot's generation is odd while it is occupied and even while it is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/slot_chunks.h>

namespace gyre {

// Names one object of a SlotTable for ever. A default one names nothing.
struct SlotId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  // As one word, for the kernel to keep; 0 is the default SlotId.
  constexpr std::uint64_t token() const noexcept { return std::uint64_t{generation} << 32 | slot; }
  static constexpr SlotId from_token(std::uint64_t token) noexcept {
    return {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(token >> 32)};
  }
  friend constexpr bool operator==(SlotId, SlotId) noexcept = default;
};

template <typename T>
class SlotTable {
 public:
  struct Entry {
    SlotId id;
    T* item;  // null: out of memory
  };

  SlotTable() noexcept = default;
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  ~SlotTable() {
    for_each([this](SlotId id, T&) { erase(id); });
  }

  // The slot freed last is used first: it is the one most likely in the cache. Entry::item is null if memory is short.
  template <typename... Args>
  Entry emplace(Args&&... args) noexcept {
    static_assert(std::is_nothrow_constructible_v<T, Args&&...>, "nobody would catch it");
    const std::uint32_t number = take_free();
    if (number == none) return {SlotId{}, nullptr};
    Slot& slot = slot_at(number);
    T* const item = std::construct_at(reinterpret_cast<T*>(slot.bytes), std::forward<Args>(args)...);
    ++slot.generation;
    ++size_;
    return {SlotId{number, slot.generation}, item};
  }

  // Null if it was erased, or never was.
  T* find(SlotId id) noexcept {
    if (id.slot >= used_ || (id.generation & 1) == 0) return nullptr;
    Slot& slot = slot_at(id.slot);
    return slot.generation == id.generation ? slot.item() : nullptr;
  }

  // What is in the slot now, whatever its generation; null if the slot is free.
  T* find_current(std::uint32_t slot) noexcept {
    if (slot >= used_) return nullptr;
    Slot& found = slot_at(slot);
    return (found.generation & 1) != 0 ? found.item() : nullptr;
  }
  // That of the object in this slot. It must be there.
  SlotId id_of(std::uint32_t number) noexcept { return {number, slot_at(number).generation}; }

  // Destroys the object. It must be there.
  void erase(SlotId id) noexcept {
    T* const item = find(id);
    GYRE_CHECK(item != nullptr);
    Slot& slot = slot_at(id.slot);
    ++slot.generation;  // First, so that the destructor no longer finds itself.
    --size_;
    std::destroy_at(item);
    if (slot.generation == retired) return;
    slot.next_free = first_free_;
    first_free_ = id.slot;
  }

  std::size_t size() const noexcept { return size_; }

  // Calls visit(SlotId, T&) for each object, in the order of the slots. `visit` may erase any object; one that it adds
  // may be visited or not. Walks all slots.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t number = 0; number < used_; ++number) {
      Slot& slot = slot_at(number);
      if ((slot.generation & 1) != 0) visit(SlotId{number, slot.generation}, *slot.item());
    }
  }

 private:
  friend struct SlotTableTester;

  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::uint32_t retired = 0;  // where the generation arrives after 2^31 tenants

  struct Slot {
    T* item() noexcept { return std::launder(reinterpret_cast<T*>(bytes)); }

    alignas(T) std::byte bytes[sizeof(T)];
    std::uint32_t generation = 0;
    std::uint32_t next_free;
  };

  Slot& slot_at(std::uint32_t number) noexcept { return slots_.at(number); }

  // A free slot's number, or `none` if there is no memory for one.
  std::uint32_t take_free() noexcept {
    if (first_free_ != none) {
      const std::uint32_t number = first_free_;
      first_free_ = slot_at(number).next_free;
      return number;
    }
    if (!slots_.reserve(used_)) return none;
    new (slots_.place(used_)) Slot;
    return used_++;
  }

  SlotChunks<Slot> slots_;
  std::uint32_t used_ = 0;  // slots that were ever taken; those beyond are raw memory
  std::uint32_t first_free_ = none;
  std::size_t size_ = 0;
};

}  // namespace gyre
