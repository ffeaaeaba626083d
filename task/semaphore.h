// Semaphore: a bounded number of permits, taken and given back n at a time, in the order in which tasks asked.
//
//   Result<Permits> permits = co_await semaphore.acquire(2);
//   if (!permits) co_return permits.error();
//
// Strictly first come, first served: nobody overtakes a waiting task, also not one that wants fewer permits, so large
// requests do not starve. Released permits belong to the next waiter at once.
//
// Errors of acquire(): cancelled, timed_out; atomic.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class Semaphore;

// Owns permits of a Semaphore, or none. The semaphore must outlive it.
class [[nodiscard]] Permits {
 public:
  Permits() noexcept = default;
  Permits(Permits&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)),
        count_(std::exchange(other.count_, 0)) {}
  Permits& operator=(Permits&& other) noexcept {
    if (this != &other) {
      release();
      semaphore_ = std::exchange(other.semaphore_, nullptr);
      count_ = std::exchange(other.count_, 0);
    }
    return *this;
  }
  ~Permits() { release(); }

  std::uint32_t count() const noexcept { return count_; }
  explicit operator bool() const noexcept { return count_ != 0; }

  // Gives all of them back. Idempotent.
  void release() noexcept;
  // Takes `count` out of this object, to be given back apart. Precondition: there are so many.
  Permits split(std::uint32_t count) noexcept {
    GYRE_CHECK(count <= count_);
    count_ -= count;
    return Permits(semaphore_, count);
  }
  // Somebody else has to call Semaphore::release(). Returns their number.
  std::uint32_t disown() noexcept { return std::exchange(count_, 0); }

 private:
  friend class Semaphore;

  Permits(Semaphore* semaphore, std::uint32_t count) noexcept
      : semaphore_(semaphore), count_(count) {}

  Semaphore* semaphore_ = nullptr;
  std::uint32_t count_ = 0;
};

struct SemaphoreOptions {
  std::uint32_t permits_max = 1;
  std::uint32_t available = 1;  // at the beginning; no more than permits_max
};

class Semaphore {
 public:
  // `permits` of them, all available.
  explicit Semaphore(std::uint32_t permits) noexcept
      : Semaphore(SemaphoreOptions{.permits_max = permits, .available = permits}) {}
  explicit Semaphore(const SemaphoreOptions& options) noexcept
      : available_(options.available), permits_max_(options.permits_max) {
    GYRE_CHECK_HINT(available_ <= permits_max_, "more permits available than there are");
  }
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // Precondition: count <= permits_max().
  [[nodiscard]] auto acquire(std::uint32_t count = 1) noexcept {
    GYRE_CHECK_HINT(count <= permits_max_, "acquire() of more permits than there can ever be");
    return detail::WaitOperation<Awaiter, Semaphore, std::uint32_t>(*this, count);
  }
  // None if there are too few, or if somebody waits.
  Permits try_acquire(std::uint32_t count = 1) noexcept {
    return take(count) ? Permits(this, count) : Permits();
  }
  // For permits that were disown()ed, or were not available at the beginning. Precondition: no more are given back than
  // permits_max() allows.
  void release(std::uint32_t count = 1) noexcept {
    GYRE_CHECK_HINT(count <= permits_max_ - available_, "a Semaphore is given back more than it gave");
    available_ += count;
    if (!waiters_.empty()) [[unlikely]] admit();
  }

  std::uint32_t available() const noexcept { return available_; }
  std::uint32_t permits_max() const noexcept { return permits_max_; }
  // Whether try_acquire() would give nothing: none is left, or somebody waits.
  bool is_exhausted() const noexcept { return available_ == 0 || !waiters_.empty(); }
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  class [[nodiscard]] Awaiter : public Waiter {
   public:
    Awaiter(Semaphore& semaphore, std::uint32_t count) noexcept
        : Waiter(count), semaphore_(semaphore) {}

    bool await_ready() noexcept {
      if (is_refused(semaphore_.waiters_)) [[unlikely]] return true;
      return settle(semaphore_.take(number()) ? WaitOutcome::granted : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(semaphore_.waiters_, frame, wait_kind);
    }
    Result<Permits> await_resume() noexcept {
      if (is_granted()) [[likely]] return Permits(&semaphore_, number());
      return error(OperationKind::acquire);
    }

   private:
    friend class Semaphore;

    Semaphore& semaphore_;
  };

  static const WaitKind wait_kind;
  static void on_cancel(void* leaf, TaskContext& task) noexcept;

  bool take(std::uint32_t count) noexcept {
    if (available_ < count || !waiters_.empty()) return false;
    available_ -= count;
    return true;
  }
  // Serves the waiters as far as the permits go.
  void admit() noexcept;

  WaitList waiters_;
  std::uint32_t available_;
  std::uint32_t permits_max_;
};

inline void Permits::release() noexcept {
  if (const std::uint32_t count = std::exchange(count_, 0)) semaphore_->release(count);
}

}  // namespace gyre
