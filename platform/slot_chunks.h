// SlotChunks<Slot>: an array that grows and whose elements never move, as raw memory.
//
// Memory comes in chunks of 64 slots, kept until the array dies, and a directory of them, which is copied when it grows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace gyre {

template <typename Slot>
class SlotChunks {
 public:
  SlotChunks() noexcept = default;
  SlotChunks(const SlotChunks&) = delete;
  SlotChunks& operator=(const SlotChunks&) = delete;
  ~SlotChunks() {
    for (std::uint32_t i = 0; i < chunks_; ++i) delete[] directory_[i];
  }

  // Makes memory for this slot. Precondition: there is memory for those before. False: there is none.
  bool reserve(std::uint32_t number) noexcept {
    const std::uint32_t chunk = number / chunk_size;
    if (chunk < chunks_) return true;
    if (chunks_ == room_ && !grow_directory()) return false;
    auto* const fresh = new (std::nothrow) Place[chunk_size];
    if (fresh == nullptr) return false;
    directory_[chunks_++] = fresh;
    return true;
  }

  // Must have been reserved. Nothing has been constructed there, unless the caller has.
  void* place(std::uint32_t number) noexcept { return directory_[number / chunk_size][number % chunk_size].bytes; }
  Slot& at(std::uint32_t number) noexcept { return *std::launder(static_cast<Slot*>(place(number))); }

 private:
  struct Place {
    alignas(Slot) std::byte bytes[sizeof(Slot)];
  };

  static constexpr std::uint32_t chunk_size = 64;

  bool grow_directory() noexcept {
    const std::uint32_t room = std::max(8u, 2 * room_);
    std::unique_ptr<Place*[]> larger(new (std::nothrow) Place*[room]);
    if (larger == nullptr) return false;
    std::copy_n(directory_.get(), chunks_, larger.get());
    directory_ = std::move(larger);
    room_ = room;
    return true;
  }

  std::unique_ptr<Place*[]> directory_;
  std::uint32_t chunks_ = 0;
  std::uint32_t room_ = 0;  // in the directory
};

}  // namespace gyre
