// SlotChunks<Slot>: an array that grows and whose elements never move, as raw memory.
//
// Memory comes in chunks, each twice as large as the one before, and is kept until the array dies. What is not used of a
// chunk is not touched.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace gyre {

template <typename Slot>
class SlotChunks {
 public:
  // Chunk k holds 64 << k slots, so the directory has a fixed size and never moves.
  static constexpr std::uint32_t first_chunk_bits = 6;
  static constexpr std::size_t chunks_max = 26;
  static constexpr std::uint32_t slots_max = ((1u << chunks_max) - 1) << first_chunk_bits;

  // Makes memory for this slot, and so for those before. False: there is none.
  bool reserve(std::uint32_t number) noexcept {
    if (number >= slots_max) return false;
    const std::uint32_t chunk = chunk_of(number);
    if (chunks_[chunk] == nullptr) {
      chunks_[chunk].reset(new (std::nothrow) Place[std::size_t{1} << (first_chunk_bits + chunk)]);
    }
    return chunks_[chunk] != nullptr;
  }

  // Must have been reserved. Nothing has been constructed there, unless the caller has.
  void* place(std::uint32_t number) noexcept {
    const std::uint32_t chunk = chunk_of(number);
    return chunks_[chunk][number - (((1u << chunk) - 1) << first_chunk_bits)].bytes;
  }
  Slot& at(std::uint32_t number) noexcept { return *std::launder(static_cast<Slot*>(place(number))); }

 private:
  struct Place {
    alignas(Slot) std::byte bytes[sizeof(Slot)];
  };

  // 0 for the first 64 slots, 1 for the next 128, ...
  static std::uint32_t chunk_of(std::uint32_t number) noexcept {
    return static_cast<std::uint32_t>(std::bit_width((number >> first_chunk_bits) + 1)) - 1;
  }

  std::unique_ptr<Place[]> chunks_[chunks_max];
};

}  // namespace gyre
