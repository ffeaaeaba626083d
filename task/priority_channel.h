// Channels that give values out in another order than they came: LifoChannel, the newest first, and PriorityChannel, the
// smallest first. All else is as channel.h says. A value that meets a waiting receiver goes to it at once, whatever comes
// later; senders that wait for room are let in in the order in which they asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/task/channel.h>

namespace gyre {

// The order of a channel: last in, first out.
struct Lifo {
  template <typename T>
  class Storage {
   public:
    explicit Storage(std::size_t capacity) : places_(capacity) {}
    ~Storage() { clear(); }

    std::size_t size() const noexcept { return size_; }
    void push(T&& value) noexcept { places_.construct(size_++, std::move(value)); }
    void pop(void* place) noexcept { places_.move_out(--size_, place); }
    void clear() noexcept {
      while (size_ != 0) places_.destroy(--size_);
    }

   private:
    detail::RawRing<T> places_;
    std::size_t size_ = 0;
  };
};

// Smaller values first; among equals first in, first out.
struct Less {
  template <typename T>
  bool operator()(const T& a, const T& b) const noexcept(noexcept(a < b)) {
    return a < b;
  }
};

// The order of a channel: a value for which `Before` says so comes before another. `Before` must not throw.
template <typename Before = Less>
struct Priority {
  // A binary heap: entry i comes before entries 2i + 1 and 2i + 2.
  template <typename T>
  class Storage {
   public:
    explicit Storage(std::size_t capacity) : heap_(capacity) {}
    ~Storage() { clear(); }

    std::size_t size() const noexcept { return size_; }

    void push(T&& value) noexcept {
      Entry entry{std::move(value), pushed_++};
      std::size_t hole = size_++;
      while (hole != 0 && comes_before(entry, heap_[(hole - 1) / 2])) {
        move((hole - 1) / 2, hole);
        hole = (hole - 1) / 2;
      }
      heap_.construct(hole, std::move(entry));
    }

    void pop(void* place) noexcept {
      new (place) T(std::move(heap_[0].value));
      heap_.destroy(0);
      if (--size_ == 0) return;
      // The last entry looks for its place from the top.
      std::size_t hole = 0;
      for (;;) {
        std::size_t child = 2 * hole + 1;
        if (child >= size_) break;
        if (child + 1 < size_ && comes_before(heap_[child + 1], heap_[child])) ++child;
        if (!comes_before(heap_[child], heap_[size_])) break;
        move(child, hole);
        hole = child;
      }
      move(size_, hole);
    }

    void clear() noexcept {
      while (size_ != 0) heap_.destroy(--size_);
    }

   private:
    struct Entry {
      T value;
      std::uint64_t number;  // in the order of pushing
    };

    static bool comes_before(const Entry& a, const Entry& b) noexcept {
      if (Before()(a.value, b.value)) return true;
      return !Before()(b.value, a.value) && a.number < b.number;
    }
    void move(std::size_t from, std::size_t to) noexcept {
      heap_.construct(to, std::move(heap_[from]));
      heap_.destroy(from);
    }

    detail::RawRing<Entry> heap_;
    std::size_t size_ = 0;
    std::uint64_t pushed_ = 0;
  };
};

template <typename T>
using LifoChannel = Channel<T, Lifo>;

template <typename T, typename Before = Less>
using PriorityChannel = Channel<T, Priority<Before>>;

}  // namespace gyre
