// OperationRing: a FIFO of operations whose link is not free, because their arguments are still alive.
//
// push() never allocates: who may push reserves first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/operation.h>

namespace gyre {

class OperationRing {
 public:
  std::size_t size() const noexcept { return tail_ - head_; }
  bool empty() const noexcept { return tail_ == head_; }

  // Makes room for `count` operations in all. False: out of memory.
  bool reserve(std::size_t count) noexcept {
    if (count <= room_) return true;
    std::size_t room = room_ == 0 ? 64 : room_;
    while (room < count) room *= 2;
    std::unique_ptr<Operation*[]> places(new (std::nothrow) Operation*[room]);
    if (places == nullptr) return false;
    const std::size_t used = size();
    for (std::size_t i = 0; i < used; ++i) places[i] = places_[(head_ + i) & (room_ - 1)];
    places_ = std::move(places);
    room_ = room;
    head_ = 0;
    tail_ = used;
    return true;
  }

  void push(Operation& operation) noexcept {
    GYRE_DCHECK(size() < room_);
    places_[tail_++ & (room_ - 1)] = &operation;
  }
  // Null if there is none.
  Operation* pop() noexcept { return empty() ? nullptr : places_[head_++ & (room_ - 1)]; }

  // Takes an operation out of the middle; false if it is not here. Walks all.
  bool remove(const Operation& operation) noexcept {
    for (std::size_t i = head_; i != tail_; ++i) {
      if (places_[i & (room_ - 1)] != &operation) continue;
      for (; i + 1 != tail_; ++i) places_[i & (room_ - 1)] = places_[(i + 1) & (room_ - 1)];
      --tail_;
      return true;
    }
    return false;
  }

 private:
  std::unique_ptr<Operation*[]> places_;
  std::size_t room_ = 0;  // a power of two
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace gyre
