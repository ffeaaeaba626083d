// TimerQueue: fires timers at their deadlines, in the order of (deadline, arming): never early, to the nanosecond.
//
// A hierarchical wheel of intrusive nodes: nine levels of 64 slots, each level 64 times as coarse as the one below, the
// finest with 2^10 ns a slot; together they span every Instant, so there is no overflow list. arm() and cancel() are O(1)
// and nothing allocates. A timer moves down a level when its slot begins, at most eight times, and last is sorted
// among the few of its 1.024 µs slot. (With 2^16 ns, sorting the many of a slot took longer than the further level.)
// No work is done per tick that passes: an hour is skipped as fast as a microsecond.
//
// Invariants (`cursor` is the tick up to which slots have been emptied):
// 1. A timer is in the wheel exactly if its tick is later than the cursor's; its level is then the highest of the 6-bit
//    digits in which its tick and the cursor differ, and its slot is that digit. So all timers of one deadline are in
//    one list, in the order in which they were armed: emptying a slot keeps the order, and happens before anything can
//    be armed below it.
// 2. `current_` is sorted by (deadline, arming) and holds what the cursor has passed; `fresh_` holds, unsorted, what was
//    armed after the cursor had passed its tick.
// 3. The bit of a slot is set exactly if the slot is not empty; the bit of a level, if the level is not.
// 4. No armed timer has a deadline before `not_before_`, so that a turn in which nothing is due costs one comparison.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>
#include <gyre/platform/clock.h>

namespace gyre {

namespace detail {

// A link of a ring that goes through the head of one of the queue's lists.
struct TimerLink {
  TimerLink* next = nullptr;
  TimerLink* prev = nullptr;
};

}  // namespace detail

// One deadline and what to do then. Lives in what it wakes; must not be armed when it dies.
class Timer : private detail::TimerLink {
 public:
  // Called by TimerQueue::fire_due with the timer disarmed. It may arm and cancel any timer, this one too, and may
  // destroy it. It must not call fire_due or next_deadline.
  using Fire = void (*)(Timer& timer) noexcept;

  explicit Timer(Fire fire) noexcept : fire_(fire) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { GYRE_CHECK_HINT(!is_armed(), "cancel a timer before its memory goes away"); }

  bool is_armed() const noexcept { return next != nullptr; }
  // What it was armed with last.
  Instant deadline() const noexcept { return deadline_; }

 private:
  friend class TimerQueue;
  friend struct TimerQueueTester;

  Instant deadline_;
  Fire fire_;
};

static_assert(sizeof(Timer) == 4 * sizeof(void*) || sizeof(void*) != 8);

// Must be empty when it dies.
class TimerQueue {
 public:
  // `now` only saves work: timers armed before the first fire_due are sorted relative to it.
  explicit TimerQueue(Instant now = Instant()) noexcept;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue();

  // Arms `timer`, or moves it if it is armed, which puts it behind others of the same deadline. A deadline that has
  // passed fires at the next fire_due; `never` does not fire, but is armed.
  void arm(Timer& timer, Instant deadline) noexcept {
    cancel(timer);
    timer.deadline_ = deadline;
    ++size_;
    const std::uint64_t key = key_of(deadline);
    if (key < not_before_) not_before_ = key;
    if (key <= horizon_) [[unlikely]] {
      append(fresh_, timer);
    } else {
      insert_into_wheel(timer, key);
    }
  }

  // False if it was not armed.
  bool cancel(Timer& timer) noexcept {
    if (!timer.is_armed()) return false;
    remove(timer);
    return true;
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  // When to call fire_due next: `never` if nothing is armed. Exact if that is cheap to know; else, when the earliest
  // timers share a coarse slot with many others, the beginning of that slot, which is not later than any of them.
  // Sleeping until then is no spin: fire_due at that time moves the slot's timers down a level, so that the next answer
  // is later, and there are only nine levels.
  Instant next_deadline() noexcept;

  // Fires, in order, at most `at_most` of the timers whose deadlines are not after `now`, and returns how many. Timers
  // armed meanwhile (by the timers that fire) with a deadline not after `now` wait for the next call, so that a timer
  // that rearms itself cannot hold the loop. `now` should not run backwards; nothing breaks if it does.
  std::size_t fire_due(Instant now, std::size_t at_most) noexcept {
    return key_of(now) < not_before_ ? 0 : fire_what_may_be_due(now, at_most);
  }

 private:
  friend struct TimerQueueTester;

  using Link = detail::TimerLink;

  static constexpr int tick_bits = 10;  // a slot of level 0 is 1.024 µs
  static constexpr int digit_bits = 6;
  static constexpr int levels_count = (64 - tick_bits) / digit_bits;
  static constexpr int slots_count = 1 << digit_bits;
  static constexpr std::uint64_t tick_mask = (std::uint64_t{1} << tick_bits) - 1;
  static constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

  static_assert(tick_bits + levels_count * digit_bits == 64, "the wheel spans every Instant");

  // Instants as unsigned numbers of the same order.
  static std::uint64_t key_of(Instant instant) noexcept {
    return static_cast<std::uint64_t>(instant.nanoseconds()) ^ sign_bit;
  }
  static Instant instant_of(std::uint64_t key) noexcept {
    return Instant(Duration(static_cast<std::int64_t>(key ^ sign_bit)));
  }
  static Timer& timer_of(Link* link) noexcept { return *static_cast<Timer*>(link); }
  static std::uint64_t key_of(Link* link) noexcept { return key_of(timer_of(link).deadline_); }

  static void clear(Link& head) noexcept { head.next = head.prev = &head; }
  static bool is_empty(const Link& head) noexcept { return head.next == &head; }
  static void append(Link& head, Timer& timer) noexcept {
    Link* const link = &timer;
    link->next = &head;
    link->prev = head.prev;
    head.prev->next = link;
    head.prev = link;
  }
  static void splice_back(Link& to, Link& from) noexcept;

  // The key must be later than the cursor's tick, or in it: then the slot is emptied before anything else happens.
  void insert_into_wheel(Timer& timer, std::uint64_t key) noexcept {
    // The lowest bit outside the tick: a key in the cursor's own tick belongs to level 0.
    const std::uint64_t difference = (key ^ cursor_) | (tick_mask + 1);
    const int level = (63 - std::countl_zero(difference) - tick_bits) / digit_bits;
    const std::uint64_t slot = key >> (tick_bits + level * digit_bits) & (slots_count - 1);
    append(slots_[level][slot], timer);
    slots_occupied_[level] |= std::uint64_t{1} << slot;
    levels_occupied_ |= std::uint32_t{1} << level;
  }

  void remove(Timer& timer) noexcept {
    Link* const next = timer.next;
    Link* const prev = timer.prev;
    prev->next = next;
    next->prev = prev;
    timer.next = nullptr;
    --size_;
    if (next == prev) note_empty(next);  // It was the only one: both are the head of its list.
  }
  void note_empty(const Link* head) noexcept;
  void clear_bit(int level, int slot) noexcept {
    slots_occupied_[level] &= ~(std::uint64_t{1} << slot);
    if (slots_occupied_[level] == 0) levels_occupied_ &= ~(std::uint32_t{1} << level);
  }

  // The occupied slot that begins first.
  struct Position {
    int level;
    int slot;
    std::uint64_t begin;  // key
  };
  Position first_slot() const noexcept;

  Instant earliest() noexcept;
  std::size_t fire_what_may_be_due(Instant now, std::size_t at_most) noexcept;
  void set_cursor(std::uint64_t key) noexcept;
  bool advance(std::uint64_t now) noexcept;
  void cascade(Link& slot) noexcept;
  void add_to_current(Link& list) noexcept;
  static void sort(Link& list) noexcept;
  static void assign_chain(Link& head, Link* chain) noexcept;
  static Link* merge_chains(Link* older, Link* newer) noexcept;
  static Link* sort_chain(Link* chain) noexcept;
  void finish_firing(std::uint64_t now, bool all_fired) noexcept;

  std::uint64_t cursor_ = 0;      // key; the bits below the tick are zero
  std::uint64_t horizon_ = 0;     // keys up to this go to fresh_: the cursor's tick, and all that is due while firing
  std::uint64_t firing_now_ = 0;  // key; 0 outside fire_due
  std::uint64_t not_before_ = 0;  // key; no timer is due before it
  std::size_t size_ = 0;
  std::uint32_t levels_occupied_ = 0;
  bool firing_ = false;
  std::uint64_t slots_occupied_[levels_count] = {};
  Link current_;
  Link fresh_;
  Link slots_[levels_count][slots_count];
};

}  // namespace gyre
