// HandlerWatch: a list that signal handlers walk, on any thread, while others change it.
//
// A handler counts itself before it looks at the list; who has taken something off the list then waits until no handler is
// left. Both sides write one and then read the other, all seq_cst, so either the handler finds it gone, or the remover
// sees the handler.
//
// Threads: enter() and leave() any, in signal handlers too; the rest one at a time.
#pragma once

#include <atomic>

#include <gyre/platform/atomics.h>

namespace gyre {

template <typename Atomics, typename Item>
class BasicHandlerWatch {
 public:
  using Place = typename Atomics::template Atomic<Item*>;

  // The first of the list. It stays, and what follows it, until leave().
  [[nodiscard]] Item* enter() noexcept {
    running_.fetch_add(1, std::memory_order_seq_cst);
    return first_.load(std::memory_order_seq_cst);
  }
  void leave() noexcept { running_.fetch_sub(1, std::memory_order_seq_cst); }

  Place& first() noexcept { return first_; }
  // What was taken off before is nobody's any more. If not, a handler runs, which does nothing that waits: ask again.
  bool is_left_alone() const noexcept { return running_.load(std::memory_order_seq_cst) == 0; }
  // In a forked process, which has none of the handlers that ran in its parent.
  void begin_anew() noexcept {
    first_.store(nullptr, std::memory_order_seq_cst);
    running_.store(0, std::memory_order_seq_cst);
  }

 private:
  Place first_{nullptr};
  typename Atomics::template Atomic<int> running_{0};
};

}  // namespace gyre
