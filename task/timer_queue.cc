#include <gyre/task/timer_queue.h>

#include <algorithm>
#include <utility>

namespace gyre {
namespace {

// next_deadline looks at so many timers of a slot before it is content with the slot's beginning.
constexpr int scan_max = 8;

// add_to_current moves timers one by one until it has taken so many steps, then sorts.
constexpr int insertion_steps_max = 64;

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

void TimerQueue::take_all(Link& from, Link& to) noexcept {
  if (is_empty(from)) {
    clear(to);
    return;
  }
  to = from;
  to.next->prev = &to;
  to.prev->next = &to;
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
  if (!is_empty(fresh_)) add_to_current(fresh_);
  if (!is_empty(current_)) return timer_of(current_.next).deadline_;
  if (levels_occupied_ == 0) return never;

  const Position first = first_slot();
  Link* const head = &slots_[first.level][first.slot];
  Instant earliest = never;
  Link* link = head->next;
  for (int i = 0; link != head && i < scan_max; ++i, link = link->next) {
    earliest = std::min(earliest, timer_of(link).deadline_);
  }
  return link == head ? earliest : instant_of(first.begin);
}

std::size_t TimerQueue::fire_due(Instant now_instant, std::size_t at_most) noexcept {
  GYRE_CHECK_HINT(!firing_, "fire_due inside a timer");
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
  take_all(fresh_, armed);
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

// Moves the cursor to the first occupied slot and empties that, if it has begun. Precondition: current_ is empty.
bool TimerQueue::advance(std::uint64_t now) noexcept {
  if (levels_occupied_ == 0) return false;
  const Position first = first_slot();
  if (first.begin > now) return false;

  set_cursor(first.begin);
  Link list;
  take_all(slots_[first.level][first.slot], list);
  clear_bit(first.level, first.slot);
  if (first.level == 0) {
    add_to_current(list);
  } else {
    cascade(list);
  }
  return true;
}

// Distributes a slot's timers over the levels below, in order.
void TimerQueue::cascade(Link& list) noexcept {
  // With many timers each node is a cache miss, and the next address comes only with it. A second walk from the other
  // end halves the wait: it only loads.
  Link* back = list.prev;
  for (Link *link = list.next, *next = nullptr; link != &list; link = next) {
    next = link->next;
    back = back->prev;
    __builtin_prefetch(back);
    Timer& timer = timer_of(link);
    insert_into_wheel(timer, key_of(timer.deadline_));
  }
}

// Moves the timers of `list` to their places in current_; all of them were armed after their equals there.
void TimerQueue::add_to_current(Link& list) noexcept {
  int steps = 0;
  Link* link = list.next;
  while (link != &list) {
    const std::uint64_t key = key_of(link);
    Link* after = current_.prev;
    while (after != &current_ && key_of(after) > key && steps < insertion_steps_max) {
      after = after->prev;
      ++steps;
    }
    if (steps == insertion_steps_max) break;
    Link* const next = link->next;
    link->prev = after;
    link->next = after->next;
    after->next->prev = link;
    after->next = link;
    link = next;
  }
  if (link != &list) {
    list.prev->next = nullptr;
    merge_into_current(link);
  }
  clear(list);
}

// Sorts a null-terminated chain and merges it with current_.
void TimerQueue::merge_into_current(Link* chain) noexcept {
  chain = sort_chain(chain);
  if (!is_empty(current_)) {
    current_.prev->next = nullptr;
    chain = merge_chains(current_.next, chain);
  }
  Link* last = &current_;
  for (; chain != nullptr; chain = chain->next) {
    last->next = chain;
    chain->prev = last;
    last = chain;
  }
  last->next = &current_;
  current_.prev = last;
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
