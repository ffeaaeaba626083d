#include <gyre/task/timer_queue.h>

#include <algorithm>
#include <utility>

#include <gyre/platform/compiler.h>

namespace gyre {
namespace {

using Link = detail::TimerLink;

// next_deadline looks at so many timers of a slot before it is content with the slot's beginning.
constexpr int scan_max = 8;

// sort() inserts one by one while that takes no more steps than these, then merges.
constexpr int insertion_steps_min = 64;
constexpr int insertion_steps_each = 2;

void insert_after(Link* after, Link* link) noexcept {
  link->prev = after;
  link->next = after->next;
  after->next->prev = link;
  after->next = link;
}

}  // namespace

TimerQueue::TimerQueue(Instant now) noexcept {
  clear(current_);
  clear(fresh_);
  for (auto& level : slots_) {
    for (Link& slot : level) clear(slot);
  }
  set_cursor(key_of(now));
}

TimerQueue::~TimerQueue() {
  GYRE_CHECK_HINT(empty(), "timers are still armed");
}

// Moves all of `from`, which is not empty, to the end of `to`.
void TimerQueue::splice_back(Link& to, Link& from) noexcept {
  from.next->prev = to.prev;
  to.prev->next = from.next;
  from.prev->next = &to;
  to.prev = from.prev;
  clear(from);
}

void TimerQueue::note_empty(const Link* head) noexcept {
  const auto offset = reinterpret_cast<std::uintptr_t>(head) - reinterpret_cast<std::uintptr_t>(slots_);
  if (offset >= sizeof(slots_)) return;  // current_, fresh_, or a list of add_to_current
  const auto index = static_cast<int>(offset / sizeof(Link));
  clear_bit(index / slots_count, index % slots_count);
}

void TimerQueue::set_cursor(std::uint64_t key) noexcept {
  cursor_ = key & ~tick_mask;
  horizon_ = std::max(firing_now_, key | tick_mask);
}

// Slots of a lower level begin before those of a higher one, and within a level the digit counts: both by invariant 1.
TimerQueue::Position TimerQueue::first_slot() const noexcept {
  const int level = std::countr_zero(levels_occupied_);
  const int slot = std::countr_zero(slots_occupied_[level]);
  const int shift = tick_bits + level * digit_bits;
  const std::uint64_t digit_and_below = (std::uint64_t{slots_count} << shift) - 1;
  return {level, slot, (cursor_ & ~digit_and_below) | static_cast<std::uint64_t>(slot) << shift};
}

Instant TimerQueue::next_deadline() noexcept {
  GYRE_DCHECK(!firing_);
  const Instant next = earliest();
  not_before_ = key_of(next);
  return next;
}

Instant TimerQueue::earliest() noexcept {
  if (!is_empty(fresh_)) add_to_current(fresh_);
  if (!is_empty(current_)) return timer_of(current_.next).deadline_;
  if (levels_occupied_ == 0) return never;

  const Position first = first_slot();
  Link* const head = &slots_[first.level][first.slot];
  Instant of_slot = never;
  Link* link = head->next;
  for (int i = 0; link != head && i < scan_max; ++i, link = link->next) {
    of_slot = std::min(of_slot, timer_of(link).deadline_);
  }
  return link == head ? of_slot : instant_of(first.begin);
}

std::size_t TimerQueue::fire_what_may_be_due(Instant now_instant, std::size_t at_most) noexcept {
  GYRE_CHECK_HINT(!firing_, "fire_due inside a timer");
  not_before_ = 0;  // nobody knows until next_deadline() looks
  // The key of `never` itself is never due.
  const std::uint64_t now = std::min(key_of(now_instant), key_of(never) - 1);
  if (!is_empty(fresh_)) add_to_current(fresh_);
  firing_ = true;
  firing_now_ = now;
  horizon_ = std::max(horizon_, now);

  std::size_t fired = 0;
  bool all_fired = false;
  for (;;) {
    Link* const first = current_.next;
    if (first == &current_) {
      if (advance(now)) continue;
      all_fired = true;
      break;
    }
    Timer& timer = timer_of(first);
    if (key_of(timer.deadline_) > now) {
      all_fired = true;
      break;
    }
    if (fired == at_most) break;
    current_.next = first->next;
    first->next->prev = &current_;
    first->next = nullptr;
    --size_;
    ++fired;
    timer.fire_(timer);
  }
  finish_firing(now, all_fired);
  return fired;
}

// Timers armed while firing are in fresh_ if they are due. If all has fired, the cursor may follow the time, and there
// they belong. If not, the cursor stays, and those later than its tick go to the wheel, behind their equals.
void TimerQueue::finish_firing(std::uint64_t now, bool all_fired) noexcept {
  firing_ = false;
  firing_now_ = 0;
  set_cursor(all_fired ? std::max(cursor_, now) : cursor_);
  if (all_fired || is_empty(fresh_)) return;

  Link armed;
  clear(armed);
  splice_back(armed, fresh_);
  for (Link *link = armed.next, *next = nullptr; link != &armed; link = next) {
    next = link->next;
    Timer& timer = timer_of(link);
    const std::uint64_t key = key_of(timer.deadline_);
    if (key <= horizon_) {
      append(fresh_, timer);
    } else {
      insert_into_wheel(timer, key);
    }
  }
}

// Empties the slots that come next and have begun, as far as one list of current_ is worth it. False if there is none.
// Precondition: current_ is empty.
bool TimerQueue::advance(std::uint64_t now) noexcept {
  if (levels_occupied_ == 0) return false;
  Position first = first_slot();
  if (first.begin > now) return false;

  if (first.level != 0) {
    set_cursor(first.begin);
    clear_bit(first.level, first.slot);
    cascade(slots_[first.level][first.slot]);
    return true;
  }
  // All of the level that has begun at once: the processor predicts one long loop, not many of one or two timers.
  Link list;
  clear(list);
  do {
    set_cursor(first.begin);
    splice_back(list, slots_[0][first.slot]);
    clear_bit(0, first.slot);
    if ((levels_occupied_ & 1) == 0) break;
    first = first_slot();
  } while (first.begin <= now);
  add_to_current(list);
  return true;
}

// Distributes a slot's timers over the levels below, in order.
void TimerQueue::cascade(Link& slot) noexcept {
  Link* link = slot.next;
  // With many timers each node is a cache miss, and the next address comes only with it. A second walk, from the other
  // end, halves the wait. It only looks ahead; where it strays into lists made meanwhile does not matter.
  Link* back = slot.prev;
  back->next = nullptr;
  clear(slot);
  while (link != nullptr) {
    Link* const next = link->next;
    back = back->prev;
    GYRE_PREFETCH(back);
    Timer& timer = timer_of(link);
    insert_into_wheel(timer, key_of(timer.deadline_));
    link = next;
  }
}

// Moves the timers of `list` to their places in current_; all of them were armed after their equals there.
void TimerQueue::add_to_current(Link& list) noexcept {
  sort(list);
  if (is_empty(current_) || key_of(current_.prev) <= key_of(list.next)) {
    splice_back(current_, list);
    return;
  }
  list.prev->next = nullptr;
  current_.prev->next = nullptr;
  assign_chain(current_, merge_chains(current_.next, list.next));
  clear(list);
}

// Sorts a list that is not empty: stable, and O(n) if it is almost sorted, as the slots of a level in a row are.
void TimerQueue::sort(Link& list) noexcept {
  int steps_left = insertion_steps_min;
  for (Link *link = list.next->next, *next = nullptr; link != &list; link = next) {
    next = link->next;
    Link* after = link->prev;
    const std::uint64_t key = key_of(link);
    if (key_of(after) <= key) {
      steps_left += insertion_steps_each;
      continue;
    }
    after->next = next;
    next->prev = after;
    do {
      after = after->prev;
      --steps_left;
    } while (after != &list && key_of(after) > key);
    insert_after(after, link);
    if (steps_left < 0) {
      list.prev->next = nullptr;
      assign_chain(list, sort_chain(list.next));
      return;
    }
  }
}

// Makes a ring with `head` of a null-terminated chain.
void TimerQueue::assign_chain(Link& head, Link* chain) noexcept {
  Link* last = &head;
  for (; chain != nullptr; chain = chain->next) {
    last->next = chain;
    chain->prev = last;
    last = chain;
  }
  last->next = &head;
  head.prev = last;
}

// Null-terminated chains, of which only `next` counts. Equals of `older` come first.
TimerQueue::Link* TimerQueue::merge_chains(Link* older, Link* newer) noexcept {
  Link head;
  Link* last = &head;
  while (older != nullptr && newer != nullptr) {
    Link*& first = key_of(newer) < key_of(older) ? newer : older;
    last->next = first;
    last = first;
    first = first->next;
  }
  last->next = older != nullptr ? older : newer;
  return head.next;
}

// A bottom-up merge sort: stable, O(n log n), no memory, O(n) if sorted already. Pile i holds 2^i runs; each is older
// than what is in the piles before it.
TimerQueue::Link* TimerQueue::sort_chain(Link* chain) noexcept {
  Link* piles[48] = {};
  while (chain != nullptr) {
    Link* run = chain;
    Link* last = run;
    while (last->next != nullptr && key_of(last->next) >= key_of(last)) last = last->next;
    chain = last->next;
    last->next = nullptr;
    std::size_t i = 0;
    for (; piles[i] != nullptr; ++i) run = merge_chains(std::exchange(piles[i], nullptr), run);
    piles[i] = run;
  }
  Link* sorted = nullptr;
  for (Link* const pile : piles) {
    if (pile != nullptr) sorted = merge_chains(pile, sorted);
  }
  return sorted;
}

}  // namespace gyre
