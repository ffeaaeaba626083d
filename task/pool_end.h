// How a pool ends: JobCounts tells its threads when there will be nothing more to do, ThreadCount tells whoever stops it
// when they have gone.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <gyre/platform/atomics.h>
#include <gyre/platform/clock.h>

namespace gyre {

// A job counts as waiting, then for a moment as both, then as running: while one is to be done, one of the two counts is
// not zero. Who looks reads them in the same order, all seq_cst, and so never misses a job that goes from one to the other.
template <typename Atomics>
class BasicJobCounts {
 public:
  void add_waiting() noexcept { waiting_.fetch_add(1, std::memory_order_seq_cst); }
  // One that waited never begins.
  void take_back() noexcept { waiting_.fetch_sub(1, std::memory_order_seq_cst); }
  void begin() noexcept {
    running_.fetch_add(1, std::memory_order_seq_cst);
    waiting_.fetch_sub(1, std::memory_order_seq_cst);
  }
  // True: it was the last of a pool that is being stopped. All threads that sleep must be woken.
  [[nodiscard]] bool finish() noexcept {
    running_.fetch_sub(1, std::memory_order_seq_cst);
    return is_over();
  }

  // No job is added from now on.
  void stop() noexcept { stopping_.store(1, std::memory_order_seq_cst); }
  bool is_stopping() const noexcept { return stopping_.load(std::memory_order_seq_cst) != 0; }
  // The pool is being stopped, and nothing is left of it to be done.
  bool is_over() const noexcept {
    return is_stopping() && waiting_.load(std::memory_order_seq_cst) == 0 &&
           running_.load(std::memory_order_seq_cst) == 0;
  }
  // Now.
  std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_seq_cst); }
  std::size_t running() const noexcept { return running_.load(std::memory_order_seq_cst); }
  // A hint, for who looks again later.
  bool has_waiting() const noexcept { return waiting_.load(std::memory_order_relaxed) != 0; }

 private:
  typename Atomics::template Atomic<std::size_t> waiting_{0};
  typename Atomics::template Atomic<std::size_t> running_{0};
  typename Atomics::template Atomic<std::uint32_t> stopping_{0};
};

template <typename Atomics>
class BasicThreadCount {
 public:
  // Before the thread is started.
  void add() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  // It was not started after all, or is about to end, and touches nothing of the pool any more.
  void remove() noexcept {
    // release: pairs with the acquire in wait(), after which what the thread has used is destroyed.
    count_.fetch_sub(1, std::memory_order_release);
    Atomics::wake(count_, std::numeric_limits<int>::max());
  }
  // Until all have ended. False: some have not at `deadline`.
  [[nodiscard]] bool wait(Instant deadline) const noexcept {
    for (;;) {
      const std::uint32_t count = count_.load(std::memory_order_acquire);
      if (count == 0) return true;
      if (deadline != never && steady_clock().now() >= deadline) return false;
      Atomics::sleep_on(count_, count, deadline);
    }
  }

 private:
  typename Atomics::template Atomic<std::uint32_t> count_{0};
};

using JobCounts = BasicJobCounts<StdAtomics>;
using ThreadCount = BasicThreadCount<StdAtomics>;

}  // namespace gyre
