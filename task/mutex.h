// Mutex: one task at a time, in the order in which they asked.
//
//   Result<MutexLock> lock = co_await mutex.lock();
//   if (!lock) co_return lock.error();
//   ...                                          // until `lock` dies
//
// Unlocking hands the mutex over to the longest waiting task: it owns it from that moment on, before it has run. A task
// that is cancelled after that has the lock, and its next checkpoint reports the cancel. Not recursive: a task that locks
// twice waits for itself. A lock belongs to the MutexLock and not to a task; it may move to another task and be unlocked
// there.
//
// Errors of lock(): cancelled, timed_out; atomic.
#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class ConditionVariable;
class Mutex;

// Owns a locked Mutex, or nothing. The mutex must outlive it.
class [[nodiscard]] MutexLock {
 public:
  MutexLock() noexcept = default;
  MutexLock(MutexLock&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
  MutexLock& operator=(MutexLock&& other) noexcept {
    if (this != &other) {
      unlock();
      mutex_ = std::exchange(other.mutex_, nullptr);
    }
    return *this;
  }
  ~MutexLock() { unlock(); }

  bool owns_lock() const noexcept { return mutex_ != nullptr; }
  explicit operator bool() const noexcept { return owns_lock(); }
  Mutex* mutex() const noexcept { return mutex_; }

  // Before the end of the object's life. Idempotent.
  void unlock() noexcept;
  // The mutex stays locked, and somebody else has to call Mutex::unlock().
  Mutex* release() noexcept { return std::exchange(mutex_, nullptr); }

 private:
  friend class Mutex;

  explicit MutexLock(Mutex& mutex) noexcept : mutex_(&mutex) {}

  Mutex* mutex_ = nullptr;
};

class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  // Precondition: not locked.
  ~Mutex() { GYRE_CHECK_HINT(!is_locked_, "a locked Mutex dies"); }

  [[nodiscard]] auto lock() noexcept { return detail::WaitOperation<Awaiter, Mutex>(*this); }
  // An empty MutexLock if it is locked.
  MutexLock try_lock() noexcept { return try_acquire() ? MutexLock(*this) : MutexLock(); }
  // For a lock that was release()d. Precondition: it is locked.
  void unlock() noexcept {
    GYRE_CHECK_HINT(is_locked_, "unlock() of a Mutex that is not locked");
    if (waiters_.empty()) [[likely]] {
      is_locked_ = false;
    } else {
      waiters_.wake(waiters_.take_first(), WaitOutcome::granted);
    }
  }

  bool is_locked() const noexcept { return is_locked_; }
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  friend class ConditionVariable;

  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(Mutex& mutex) noexcept : mutex_(mutex) {}

    bool await_ready() noexcept {
      if (is_refused(mutex_.waiters_)) [[unlikely]] return true;
      return settle(mutex_.try_acquire() ? WaitOutcome::granted : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(mutex_.waiters_, frame, wait_kind);
    }
    Result<MutexLock> await_resume() noexcept {
      if (is_granted()) [[likely]] return MutexLock(mutex_);
      return error(OperationKind::lock);
    }

   private:
    Mutex& mutex_;
  };

  static const WaitKind wait_kind;

  bool try_acquire() noexcept {
    if (is_locked_) return false;
    is_locked_ = true;
    return true;
  }

  // Nobody waits unless it is locked: it is handed over locked.
  WaitList waiters_;
  bool is_locked_ = false;
};

inline void MutexLock::unlock() noexcept {
  if (Mutex* const mutex = std::exchange(mutex_, nullptr)) mutex->unlock();
}

}  // namespace gyre
