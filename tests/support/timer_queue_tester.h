// What tests of TimerQueue share: a look inside.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>
#include <gyre/task/timer_queue.h>

namespace gyre {

// Looks inside: every timer where invariant 1 wants it, every list linked both ways, every bit right.
struct TimerQueueTester {
  static testing::AssertionResult check(const TimerQueue& queue) {
    std::size_t count = count_ring(queue.current_) + count_ring(queue.fresh_);
    std::uint64_t before = 0;
    for (const auto* link = queue.current_.next; link != &queue.current_; link = link->next) {
      const std::uint64_t key = key_of(link);
      if (key < before) return testing::AssertionFailure() << "current_ is not sorted";
      if (key > (queue.cursor_ | TimerQueue::tick_mask)) {
        return testing::AssertionFailure() << "current_ holds what is ahead of the cursor";
      }
      before = key;
      if (key < queue.not_before_) return testing::AssertionFailure() << "would not fire in time";
    }
    std::uint32_t levels = 0;
    for (int level = 0; level < TimerQueue::levels_count; ++level) {
      std::uint64_t slots = 0;
      for (int slot = 0; slot < TimerQueue::slots_count; ++slot) {
        const auto& head = queue.slots_[level][slot];
        const std::size_t here = count_ring(head);
        count += here;
        if (here == 0) continue;
        slots |= std::uint64_t{1} << slot;
        levels |= std::uint32_t{1} << level;
        for (const auto* link = head.next; link != &head; link = link->next) {
          const std::uint64_t key = key_of(link);
          if (key < queue.not_before_) return testing::AssertionFailure() << "would not fire in time";
          const int top = 63 - std::countl_zero(key ^ queue.cursor_);
          if (key <= (queue.cursor_ | TimerQueue::tick_mask) || (top - 10) / 6 != level ||
              static_cast<int>(key >> (10 + 6 * level) & 63) != slot) {
            return testing::AssertionFailure() << "wrong place: level " << level << " slot " << slot;
          }
        }
      }
      if (slots != queue.slots_occupied_[level]) {
        return testing::AssertionFailure() << "wrong slot bits at level " << level;
      }
    }
    if (levels != queue.levels_occupied_) return testing::AssertionFailure() << "wrong level bits";
    if (count != queue.size_) return testing::AssertionFailure() << count << " linked, " << queue.size_;
    return testing::AssertionSuccess();
  }

 private:
  static std::uint64_t key_of(const detail::TimerLink* link) {
    return TimerQueue::key_of(static_cast<const Timer*>(link)->deadline());
  }
  static std::size_t count_ring(const detail::TimerLink& head) {
    std::size_t count = 0;
    for (const auto* link = head.next; link != &head; link = link->next) {
      if (link->next->prev != link) std::abort();
      ++count;
    }
    return count;
  }
};

namespace test {

inline constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
inline constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
constexpr Instant at(std::int64_t ns) { return Instant(Duration(ns)); }

}  // namespace test
}  // namespace gyre
