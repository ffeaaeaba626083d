// RwLock: many readers or one writer, in the order in which they asked.
//
//   Result<ReadLock> lock = co_await rw_lock.read();
//   Result<WriteLock> lock = co_await rw_lock.write();
//
// Fair: who asks goes behind those who wait. So a waiting writer keeps new readers out, and neither side starves.
// Unlocking hands over at once: to the next writer, or to all the readers in front of it. Not recursive, also not for
// readers: a task that holds a read lock and asks for another may wait for a writer that waits for it.
//
// Errors of read() and write(): cancelled, timed_out; atomic.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class RwLock;

// Owns an RwLock's share of a reader, or nothing. The RwLock must outlive it.
class [[nodiscard]] ReadLock {
 public:
  ReadLock() noexcept = default;
  ReadLock(ReadLock&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
  ReadLock& operator=(ReadLock&& other) noexcept {
    if (this != &other) {
      unlock();
      lock_ = std::exchange(other.lock_, nullptr);
    }
    return *this;
  }
  ~ReadLock() { unlock(); }

  explicit operator bool() const noexcept { return lock_ != nullptr; }
  // Idempotent.
  void unlock() noexcept;

 private:
  friend class RwLock;
  friend class WriteLock;

  explicit ReadLock(RwLock& lock) noexcept : lock_(&lock) {}

  RwLock* lock_ = nullptr;
};

// Owns an RwLock alone, or nothing. The RwLock must outlive it.
class [[nodiscard]] WriteLock {
 public:
  WriteLock() noexcept = default;
  WriteLock(WriteLock&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
  WriteLock& operator=(WriteLock&& other) noexcept {
    if (this != &other) {
      unlock();
      lock_ = std::exchange(other.lock_, nullptr);
    }
    return *this;
  }
  ~WriteLock() { unlock(); }

  explicit operator bool() const noexcept { return lock_ != nullptr; }
  // Idempotent.
  void unlock() noexcept;
  // Becomes a reader; no other writer comes between. Readers that wait in front come in too. Precondition: it owns.
  ReadLock downgrade() && noexcept;

 private:
  friend class RwLock;

  explicit WriteLock(RwLock& lock) noexcept : lock_(&lock) {}

  RwLock* lock_ = nullptr;
};

class RwLock {
 public:
  RwLock() noexcept = default;
  RwLock(const RwLock&) = delete;
  RwLock& operator=(const RwLock&) = delete;
  // Precondition: not locked.
  ~RwLock() { GYRE_CHECK_HINT(!has_writer_ && readers_ == 0, "a locked RwLock dies"); }

  [[nodiscard]] auto read() noexcept { return detail::WaitOperation<Awaiter<ReadLock>, RwLock>(*this); }
  [[nodiscard]] auto write() noexcept { return detail::WaitOperation<Awaiter<WriteLock>, RwLock>(*this); }
  // Empty if the lock is not to be had, or if somebody waits.
  ReadLock try_read() noexcept { return enter(as_reader) ? ReadLock(*this) : ReadLock(); }
  WriteLock try_write() noexcept { return enter(as_writer) ? WriteLock(*this) : WriteLock(); }

  std::uint32_t readers() const noexcept { return readers_; }
  bool has_writer() const noexcept { return has_writer_; }
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  friend class ReadLock;
  friend class WriteLock;

  static constexpr std::uint32_t as_reader = 0;
  static constexpr std::uint32_t as_writer = 1;

  class Pending : public Waiter {
   protected:
    Pending(RwLock& lock, std::uint32_t role) noexcept : Waiter(role), lock_(lock) {}

    friend class RwLock;
    RwLock& lock_;
  };

  template <typename Lock>
  class [[nodiscard]] Awaiter : public Pending {
   public:
    explicit Awaiter(RwLock& lock) noexcept
        : Pending(lock, std::is_same_v<Lock, WriteLock> ? as_writer : as_reader) {}

    bool await_ready() noexcept {
      if (is_refused(lock_.waiters_)) [[unlikely]] return true;
      return settle(lock_.enter(number()) ? WaitOutcome::granted : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(lock_.waiters_, frame, wait_kind);
    }
    Result<Lock> await_resume() noexcept {
      if (is_granted()) [[likely]] return Lock(lock_);
      return error(OperationKind::lock);
    }
  };

  static const WaitKind wait_kind;
  static void on_cancel(void* leaf, TaskContext& task) noexcept;

  bool has_room_for(std::uint32_t role) const noexcept {
    return !has_writer_ && (role == as_reader || readers_ == 0);
  }
  void take(std::uint32_t role) noexcept {
    if (role == as_reader) {
      ++readers_;
    } else {
      has_writer_ = true;
    }
  }
  bool enter(std::uint32_t role) noexcept {
    if (!waiters_.empty() || !has_room_for(role)) return false;
    take(role);
    return true;
  }
  void leave_as_reader() noexcept {
    GYRE_DCHECK(readers_ > 0);
    if (--readers_ == 0 && !waiters_.empty()) admit();
  }
  void leave_as_writer() noexcept {
    GYRE_DCHECK(has_writer_);
    has_writer_ = false;
    if (!waiters_.empty()) admit();
  }
  void downgrade() noexcept {
    GYRE_DCHECK(has_writer_);
    has_writer_ = false;
    readers_ = 1;
    admit();
  }
  // Lets in whoever can come in, from the front.
  void admit() noexcept;

  WaitList waiters_;
  std::uint32_t readers_ = 0;
  bool has_writer_ = false;
};

inline void ReadLock::unlock() noexcept {
  if (RwLock* const lock = std::exchange(lock_, nullptr)) lock->leave_as_reader();
}
inline void WriteLock::unlock() noexcept {
  if (RwLock* const lock = std::exchange(lock_, nullptr)) lock->leave_as_writer();
}
inline ReadLock WriteLock::downgrade() && noexcept {
  GYRE_CHECK_HINT(lock_ != nullptr, "downgrade() of a WriteLock that owns nothing");
  RwLock* const lock = std::exchange(lock_, nullptr);
  lock->downgrade();
  return ReadLock(*lock);
}

}  // namespace gyre
