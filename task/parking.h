// Parking: lets the workers of a pool sleep when there is nothing to do, and loses no wake-up.
//
// A worker is active, searching, or sleeping. The word `state_` counts the searching (low half) and the sleeping (high
// half). Whoever adds work makes it visible first and then calls notify(): that wakes one sleeper, unless somebody is
// searching, who will find it. Whoever is about to sleep says so in `state_` first, and then looks once more at all places
// where work may be. Both sides use seq_cst, so one of them sees the other. A searcher who finds work and is the last
// one wakes the next: where there was some, there may be more.
//
// A wake-up is a ticket: notify() moves one worker from sleeping to searching and adds a ticket, and one sleeper takes
// it. It may be any: tickets are alike.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/atomics.h>
#include <gyre/platform/clock.h>

namespace gyre {

template <typename Atomics>
class BasicParking {
 public:
  // At most `searching_max` search at a time; at least 1.
  explicit BasicParking(std::uint32_t searching_max) noexcept : searching_max_(searching_max) {}
  BasicParking(const BasicParking&) = delete;
  BasicParking& operator=(const BasicParking&) = delete;

  // There is work that any worker may take. It must have been made visible by a seq_cst access, or under a lock that
  // whoever looks for it takes.
  void notify() noexcept {
    std::uint32_t state = state_.load(std::memory_order_seq_cst);
    while (searching(state) == 0 && state >= sleeper) {
      if (state_.compare_exchange_weak(state, state - sleeper + 1, std::memory_order_seq_cst,
                                       std::memory_order_seq_cst)) {
        issue(1);
        return;
      }
    }
  }
  // As notify(), for work that the caller would do himself otherwise: costs one relaxed load if nobody sleeps, and may
  // overlook a worker that is just falling asleep. (Sleepers look once more a little later: see sleep().)
  void offer() noexcept {
    const std::uint32_t state = state_.load(std::memory_order_relaxed);
    if (searching(state) == 0 && state >= sleeper) [[unlikely]] notify();
  }
  // Wakes everybody.
  void notify_all() noexcept {
    std::uint32_t state = state_.load(std::memory_order_seq_cst);
    while (state >= sleeper) {
      const std::uint32_t count = state / sleeper;
      if (state_.compare_exchange_weak(state, searching(state) + count, std::memory_order_seq_cst,
                                       std::memory_order_seq_cst)) {
        issue(count);
        return;
      }
    }
  }

  // A worker without work: whether it may search. If not, enough others do: it sleeps.
  [[nodiscard]] bool begin_search() noexcept {
    std::uint32_t state = state_.load(std::memory_order_relaxed);
    while (searching(state) < searching_max_) {
      if (state_.compare_exchange_weak(state, state + 1, std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  // A searcher has found work, and must not be the last to have looked.
  void found() noexcept {
    if (searching(state_.fetch_sub(1, std::memory_order_seq_cst)) == 1) notify();
  }

  // Sleeps, unless `has_work()` says that there is something to do after all. The caller is searching if `was_searching`,
  // and is afterwards. `second_look`: when to ask has_work() again, once, for what offer() may have overlooked.
  template <typename HasWork>
  void sleep(bool was_searching, Instant second_look, const HasWork& has_work) noexcept {
    state_.fetch_add(was_searching ? sleeper - 1 : sleeper, std::memory_order_seq_cst);
    if (has_work() && get_up()) return;
    if (second_look != never) {
      if (take_ticket()) return;
      Atomics::sleep_on(tickets_, 0, second_look);
      if (take_ticket()) return;
      if (has_work() && get_up()) return;
    }
    while (!take_ticket()) Atomics::sleep_on(tickets_, 0, never);
  }

  std::uint32_t count_sleeping() const noexcept { return state_.load(std::memory_order_seq_cst) / sleeper; }
  std::uint32_t count_searching() const noexcept { return searching(state_.load(std::memory_order_seq_cst)); }

 private:
  static constexpr std::uint32_t sleeper = 1U << 16;
  static std::uint32_t searching(std::uint32_t state) noexcept { return state % sleeper; }

  // From sleeping to searching by oneself. False: all who sleep have been woken already, so there is a ticket.
  bool get_up() noexcept {
    std::uint32_t state = state_.load(std::memory_order_seq_cst);
    while (state >= sleeper) {
      if (state_.compare_exchange_weak(state, state - sleeper + 1, std::memory_order_seq_cst,
                                       std::memory_order_seq_cst)) {
        return true;
      }
    }
    return false;
  }
  void issue(std::uint32_t count) noexcept {
    tickets_.fetch_add(count, std::memory_order_release);
    Atomics::wake(tickets_, static_cast<int>(count));
  }
  bool take_ticket() noexcept {
    std::uint32_t tickets = tickets_.load(std::memory_order_relaxed);
    while (tickets != 0) {
      if (tickets_.compare_exchange_weak(tickets, tickets - 1, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  const std::uint32_t searching_max_;
  alignas(128) typename Atomics::template Atomic<std::uint32_t> state_{0};
  alignas(128) typename Atomics::template Atomic<std::uint32_t> tickets_{0};
};

using Parking = BasicParking<StdAtomics>;

}  // namespace gyre
