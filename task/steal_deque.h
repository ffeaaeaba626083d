// StealDeque: its owner pushes and pops at the bottom, others steal the oldest from the top.
//
// D. Chase, Y. Lev: Dynamic circular work-stealing deque (SPAA 2005), with the growth and the orders of N. M. Le,
// A. Pop, A. Cohen, F. Zappa Nardelli: Correct and efficient work-stealing for weak memory models (PPoPP 2013), but
// sequentially consistent accesses where they have fences, which a race detector does not see.
//
// Threads: push(), pop() and the destructor the owner's; steal() and looks_empty() any.
// Invariants: 1. What lies at top..bottom-1 is in the deque; an index is never used twice. 2. top only grows, and only
// by compare-exchange. 3. A buffer that was outgrown stays until the end: a thief may be reading it. All of them
// together are no larger than the newest.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <gyre/platform/atomics.h>
#include <gyre/platform/check.h>

namespace gyre {

template <typename Atomics>
class BasicStealDeque {
 public:
  // `room` must be a power of two. Aborts without memory.
  explicit BasicStealDeque(std::size_t room = 256) : owned_(Buffer::make(room, nullptr)) {
    GYRE_CHECK(room != 0 && (room & (room - 1)) == 0);
    GYRE_CHECK_HINT(owned_ != nullptr, "no memory for a deque");
    buffer_.store(owned_, std::memory_order_relaxed);
  }
  BasicStealDeque(const BasicStealDeque&) = delete;
  BasicStealDeque& operator=(const BasicStealDeque&) = delete;
  ~BasicStealDeque() {
    while (owned_ != nullptr) Buffer::destroy(std::exchange(owned_, owned_->outgrown));
  }

  // Not null. False: the deque is full and there is no memory for a larger one.
  [[nodiscard]] bool push(void* item) noexcept {
    const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
    // top only grows: an old value makes the deque look fuller than it is.
    if (bottom - known_top_ >= owned_->room()) [[unlikely]] {
      known_top_ = top_.load(std::memory_order_acquire);
      if (bottom - known_top_ >= owned_->room() && !grow(bottom)) return false;
    }
    owned_->at(bottom).store(item, std::memory_order_relaxed);
    // release: pairs with the load in steal(), which then sees the item, and what it points to.
    bottom_.store(bottom + 1, std::memory_order_release);
    return true;
  }

  // The newest; null if there is none.
  void* pop() noexcept {
    const std::int64_t last = bottom_.load(std::memory_order_relaxed) - 1;
    // Takes the last place first, and looks for thieves afterwards; they look in the other order. Both are in the one order
    // of all seq_cst accesses, so that at least one of two who want the same item sees the other.
    bottom_.store(last, std::memory_order_seq_cst);
    std::int64_t top = top_.load(std::memory_order_seq_cst);
    if (top > last) {
      bottom_.store(last + 1, std::memory_order_relaxed);
      return nullptr;
    }
    void* item = owned_->at(last).load(std::memory_order_relaxed);
    if (top == last) {
      // The only one left: who moves top has it.
      if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst,
                                        std::memory_order_relaxed)) {
        item = nullptr;
      }
      bottom_.store(last + 1, std::memory_order_relaxed);
    }
    return item;
  }

  // The oldest; null if there is none, or if somebody else was faster.
  void* steal() noexcept {
    std::int64_t top = top_.load(std::memory_order_seq_cst);
    const std::int64_t bottom = bottom_.load(std::memory_order_seq_cst);
    if (top >= bottom) return nullptr;
    // acquire: pairs with the release in grow().
    Buffer* const buffer = buffer_.load(std::memory_order_acquire);
    void* const item = buffer->at(top).load(std::memory_order_relaxed);
    if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst,
                                      std::memory_order_relaxed)) {
      return nullptr;
    }
    return item;
  }

  // seq_cst: of two that first write something and then look at what the other has written, one sees it.
  bool looks_empty() const noexcept {
    return top_.load(std::memory_order_seq_cst) >= bottom_.load(std::memory_order_seq_cst);
  }

 private:
  template <typename T>
  using Atomic = typename Atomics::template Atomic<T>;

  // The places follow behind it.
  struct alignas(128) Buffer {
    Buffer(std::size_t room, Buffer* before) noexcept
        : mask(static_cast<std::int64_t>(room) - 1), outgrown(before) {
      for (std::size_t i = 0; i < room; ++i) new (places() + i) Atomic<void*>();
    }
    ~Buffer() {
      for (std::int64_t i = 0; i < room(); ++i) at(i).~Atomic<void*>();
    }
    static Buffer* make(std::size_t room, Buffer* before) noexcept {
      void* const memory = ::operator new(sizeof(Buffer) + room * sizeof(Atomic<void*>),
                                          std::align_val_t(alignof(Buffer)), std::nothrow);
      return memory == nullptr ? nullptr : new (memory) Buffer(room, before);
    }
    static void destroy(Buffer* buffer) noexcept {
      buffer->~Buffer();
      ::operator delete(buffer, std::align_val_t(alignof(Buffer)));
    }

    std::int64_t room() const noexcept { return mask + 1; }
    Atomic<void*>* places() noexcept { return reinterpret_cast<Atomic<void*>*>(this + 1); }
    Atomic<void*>& at(std::int64_t index) noexcept { return places()[index & mask]; }

    const std::int64_t mask;
    Buffer* const outgrown;
  };

  bool grow(std::int64_t bottom) noexcept {
    Buffer* const larger = Buffer::make(2 * static_cast<std::size_t>(owned_->room()), owned_);
    if (larger == nullptr) return false;
    for (std::int64_t i = known_top_; i < bottom; ++i) {
      larger->at(i).store(owned_->at(i).load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    owned_ = larger;
    buffer_.store(larger, std::memory_order_release);
    return true;
  }

  // The owner's, and what it alone writes. (128: processors fetch lines in pairs.)
  alignas(128) Atomic<std::int64_t> bottom_{0};
  std::int64_t known_top_ = 0;
  Buffer* owned_;
  Atomic<Buffer*> buffer_{nullptr};
  // Written by thieves.
  alignas(128) Atomic<std::int64_t> top_{0};
};

using StealDeque = BasicStealDeque<StdAtomics>;

}  // namespace gyre
