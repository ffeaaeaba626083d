// What all channels share, whatever they carry: see channel.h.
//
// Invariants: 1. Receivers wait only while the buffer is empty. 2. Senders wait only while buffered values and reserved
// places together fill the capacity, or, in a rendezvous channel, while no receiver waits. 3. Nobody waits to send
// through a closed channel.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

enum class CloseMode : std::uint8_t { drain, immediate };

namespace detail {

// Places for values, in a ring that does not know which of them are filled. Positions count on for ever.
template <typename T>
class RawRing {
 public:
  explicit RawRing(std::size_t capacity) {
    if (capacity == 0) return;
    std::size_t places = 1;
    while (places < capacity) places *= 2;
    values_ = std::allocator<T>().allocate(places);
    mask_ = places - 1;
  }
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;
  ~RawRing() {
    if (values_ != nullptr) std::allocator<T>().deallocate(values_, mask_ + 1);
  }

  T& operator[](std::size_t position) noexcept { return values_[position & mask_]; }
  template <typename... Arguments>
  void construct(std::size_t position, Arguments&&... arguments) {
    new (static_cast<void*>(values_ + (position & mask_))) T(std::forward<Arguments>(arguments)...);
  }
  void destroy(std::size_t position) noexcept { (*this)[position].~T(); }
  void move_out(std::size_t position, void* to) noexcept {
    new (to) T(std::move((*this)[position]));
    destroy(position);
  }

 private:
  T* values_ = nullptr;
  std::size_t mask_ = 0;
};

class ChannelCore {
 public:
  ChannelCore(const ChannelCore&) = delete;
  ChannelCore& operator=(const ChannelCore&) = delete;

  std::size_t capacity() const noexcept { return capacity_; }
  bool is_closed() const noexcept { return is_closed_; }

  // Of all values that were sent, those for which task_done() has not been called yet.
  std::uint64_t unfinished() const noexcept { return unfinished_; }
  // A value that was received has been dealt with. Precondition: unfinished() > 0.
  void task_done() noexcept {
    GYRE_CHECK_HINT(unfinished_ > 0, "task_done() more often than values were sent");
    if (--unfinished_ == 0 && !joiners_.empty()) joiners_.wake_all();
  }
  // Until unfinished() is 0; at once if it is. Errors: cancelled, timed_out; atomic.
  [[nodiscard]] auto join() noexcept { return WaitOperation<JoinAwaiter, ChannelCore>(*this); }

  std::size_t count_receivers() const noexcept { return receivers_.count_waiters(); }
  std::size_t count_senders() const noexcept { return senders_.count_waiters(); }

 protected:
  explicit ChannelCore(std::size_t capacity) noexcept : capacity_(capacity) {}
  ~ChannelCore() { GYRE_CHECK_HINT(reserved_ == 0, "a Channel dies before its Permits"); }

  // What a sender in senders_ wants.
  static constexpr std::uint32_t for_value = 0;
  static constexpr std::uint32_t for_permit = 1;

  static const WaitKind send_wait;
  static const WaitKind reserve_wait;
  static const WaitKind receive_wait;
  static const WaitKind join_wait;

  static Result<void> try_result(WaitOutcome outcome, OperationKind operation) noexcept {
    if (outcome == WaitOutcome::granted) return {};
    return Error(outcome == WaitOutcome::closed ? Errc::closed : Errc::would_block, operation);
  }

  void close_to_drain() noexcept;
  // `dropped` values were buffered and are gone.
  void close_at_once(std::size_t dropped) noexcept;

  class [[nodiscard]] JoinAwaiter : public Waiter {
   public:
    explicit JoinAwaiter(ChannelCore& channel) noexcept : channel_(channel) {}

    bool await_ready() noexcept {
      if (is_refused(channel_.joiners_)) [[unlikely]] return true;
      return settle(channel_.unfinished_ == 0 ? WaitOutcome::granted : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(channel_.joiners_, frame, join_wait);
    }
    Result<void> await_resume() noexcept {
      if (is_granted()) [[likely]] return {};
      return error(OperationKind::join);
    }

   private:
    ChannelCore& channel_;
  };

  const std::size_t capacity_;
  std::size_t reserved_ = 0;      // places that Permits hold
  std::uint64_t unfinished_ = 0;
  bool is_closed_ = false;
  bool is_immediate_ = false;     // closed at once
  WaitList receivers_;
  WaitList senders_;
  WaitList joiners_;
};

}  // namespace detail
}  // namespace gyre
