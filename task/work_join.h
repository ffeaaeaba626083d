// WorkJoin: how a Work waits for what it has forked. Costs nothing as long as no other thread has taken part.
//
// Each time another thread takes the rest of the parent, one child stays behind that ends elsewhere, and will say so:
// `taken_` counts them, and belongs to whoever runs the parent. `left_` begins high; every child that ended elsewhere
// takes 1, and the parent, when it begins to wait, takes what makes it the number of children that it still waits for.
// Whoever takes the last of it goes on with the parent. (F. Schmaus et al. call it wait-free join; libfork has it too.)
//
// Threads: note_taken(), are_done(), wait(), restart(), rethrow(), has_taken(): whoever runs the parent; the rest any.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <utility>

#include <gyre/platform/atomics.h>

namespace gyre::detail {

template <typename Atomics>
class BasicWorkJoin {
 public:
  // Whoever runs the parent from now on has taken it from the thread that runs the child.
  void note_taken() noexcept { ++taken_; }
  bool has_taken() const noexcept { return taken_ != 0; }

  bool are_done() const noexcept {
    // acquire: pairs with the release in end_child(), whose results the parent reads now.
    return taken_ == 0 || many - left_.load(std::memory_order_acquire) == taken_;
  }
  // False: the parent waits, and may already run elsewhere. True: there is nothing to wait for any more.
  [[nodiscard]] bool wait() noexcept {
    const std::uint32_t rest = many - taken_;
    return left_.fetch_sub(rest, std::memory_order_acq_rel) == rest;
  }
  // A child has ended whose parent runs elsewhere. True: the parent waited for this, and the caller runs it from now on.
  [[nodiscard]] bool end_child() noexcept { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  // After are_done() or the wait.
  void restart() noexcept {
    if (taken_ == 0) return;
    taken_ = 0;
    left_.store(many, std::memory_order_relaxed);
  }

  // A child's exception, before its end_child(), or its return to the parent. Only the first is kept.
  void fail(std::exception_ptr* failure) noexcept {
    std::exception_ptr* none = nullptr;
    if (!failure_.compare_exchange_strong(none, failure, std::memory_order_acq_rel,
                                          std::memory_order_relaxed)) {
      delete failure;
    }
  }
  void rethrow() {
    if (failure_.load(std::memory_order_relaxed) == nullptr) [[likely]] return;
    std::exception_ptr* const failure = failure_.exchange(nullptr, std::memory_order_acquire);
    const std::exception_ptr exception = std::move(*failure);
    delete failure;
    std::rethrow_exception(exception);
  }

  BasicWorkJoin() noexcept = default;
  BasicWorkJoin(const BasicWorkJoin&) = delete;
  BasicWorkJoin& operator=(const BasicWorkJoin&) = delete;
  ~BasicWorkJoin() { delete failure_.load(std::memory_order_relaxed); }

 private:
  // More than a Work forks before it joins.
  static constexpr std::uint32_t many = 1U << 30;

  std::uint32_t taken_ = 0;
  typename Atomics::template Atomic<std::uint32_t> left_{many};
  typename Atomics::template Atomic<std::exception_ptr*> failure_{nullptr};
};

using WorkJoin = BasicWorkJoin<StdAtomics>;

}  // namespace gyre::detail
