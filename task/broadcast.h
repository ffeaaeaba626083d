// Broadcast<T>: every receiver gets every message, from the time on when it subscribed.
//
//   Broadcast<News>::Receiver news = broadcast.subscribe();
//   Result<News> item = co_await news.receive();
//   if (!item && item.error() == Errc::lagged) { news.missed() ... }
//
// Sending never waits. The last `capacity` messages are kept; a receiver that falls behind further is told so once, with
// the number of messages that it has missed, and goes on with the oldest one that is left. Messages are copied out.
//
// Errors of receive(): lagged; closed, once the Broadcast is closed and all was received; cancelled, timed_out; atomic.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/channel_core.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

namespace detail {

// Positions of messages and who waits for the next one. Untyped.
class BroadcastCore {
 public:
  BroadcastCore(const BroadcastCore&) = delete;
  BroadcastCore& operator=(const BroadcastCore&) = delete;

  // No more messages. Receivers get what is left, and then Errc::closed. Idempotent.
  void close() noexcept;
  bool is_closed() const noexcept { return is_closed_; }
  std::size_t capacity() const noexcept { return capacity_; }
  // Receivers that live.
  std::size_t receivers() const noexcept { return receivers_; }
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 protected:
  explicit BroadcastCore(std::size_t capacity) noexcept : capacity_(capacity) {
    GYRE_CHECK_HINT(capacity > 0, "a Broadcast that keeps nothing");
  }
  ~BroadcastCore() { GYRE_CHECK_HINT(receivers_ == 0, "a Broadcast dies before its Receivers"); }

  // Where a receiver stands.
  class Cursor {
   public:
    explicit Cursor(BroadcastCore& broadcast) noexcept
        : broadcast_(&broadcast), next_(broadcast.tail_) {
      ++broadcast.receivers_;
    }
    Cursor(Cursor&& other) noexcept
        : broadcast_(std::exchange(other.broadcast_, nullptr)),
          next_(other.next_),
          missed_(other.missed_) {}
    Cursor& operator=(Cursor&& other) noexcept {
      if (this != &other) {
        leave();
        broadcast_ = std::exchange(other.broadcast_, nullptr);
        next_ = other.next_;
        missed_ = other.missed_;
      }
      return *this;
    }
    ~Cursor() { leave(); }

    BroadcastCore& broadcast() const noexcept { return *broadcast_; }
    std::uint64_t missed() const noexcept { return missed_; }
    // granted: a message (or the news that some were missed) is there.
    WaitOutcome look() const noexcept {
      if (next_ != broadcast_->tail_) return WaitOutcome::granted;
      return broadcast_->is_closed_ ? WaitOutcome::closed : WaitOutcome::none;
    }
    // Whether messages have been missed; then it goes on with the oldest. Precondition: look() has granted.
    bool skip_missed() noexcept;
    std::uint64_t next() const noexcept { return next_; }
    void advance() noexcept { ++next_; }

   private:
    void leave() noexcept {
      if (broadcast_ != nullptr) --broadcast_->receivers_;
    }

    BroadcastCore* broadcast_;
    std::uint64_t next_;
    std::uint64_t missed_ = 0;
  };

  static const WaitKind wait_kind;

  const std::size_t capacity_;
  std::uint64_t head_ = 0;  // the oldest message that is kept ...
  std::uint64_t tail_ = 0;  // ... and the next to come
  std::size_t receivers_ = 0;
  bool is_closed_ = false;
  WaitList waiters_;
};

}  // namespace detail

template <typename T>
class Broadcast : public detail::BroadcastCore {
 public:
  using value_type = T;

  // One reader's place in the stream. Movable, but not while a task waits in it; the Broadcast must outlive it.
  class Receiver {
   public:
    // Waits for the next message.
    [[nodiscard]] auto receive() noexcept {
      return detail::WaitOperation<ReceiveAwaiter, Receiver>(*this);
    }
    // Errors: would_block, lagged, closed.
    Result<T> try_receive() {
      const WaitOutcome outcome = cursor_.look();
      if (outcome == WaitOutcome::granted) return take();
      return Error(outcome == WaitOutcome::closed ? Errc::closed : Errc::would_block,
                   OperationKind::channel_receive);
    }
    // How many messages the last Errc::lagged was about.
    std::uint64_t missed() const noexcept { return cursor_.missed(); }

   private:
    friend class Broadcast;

    explicit Receiver(Broadcast& broadcast) noexcept : cursor_(broadcast) {}
    Broadcast& broadcast() const noexcept { return static_cast<Broadcast&>(cursor_.broadcast()); }
    Result<T> take() {
      if (cursor_.skip_missed()) return Error(Errc::lagged, OperationKind::channel_receive);
      Result<T> message(std::as_const(broadcast().ring_[cursor_.next()]));
      cursor_.advance();
      return message;
    }

    Cursor cursor_;
  };

  // Throws bad_alloc. Precondition: capacity > 0.
  explicit Broadcast(std::size_t capacity) : BroadcastCore(capacity), ring_(capacity) {}
  ~Broadcast() {
    while (head_ != tail_) ring_.destroy(head_++);
  }

  // A receiver of all that is sent from now on.
  Receiver subscribe() noexcept { return Receiver(*this); }

  // Returns the number of receivers; nothing is kept for none. Precondition: not closed.
  std::size_t send(T message) {
    GYRE_CHECK_HINT(!is_closed_, "send() through a closed Broadcast");
    if (receivers_ == 0) return 0;
    if (tail_ - head_ == capacity_) ring_.destroy(head_++);
    ring_.construct(tail_, std::move(message));
    ++tail_;
    waiters_.wake_all();
    return receivers_;
  }

 private:
  class [[nodiscard]] ReceiveAwaiter : public Waiter {
   public:
    explicit ReceiveAwaiter(Receiver& receiver) noexcept : receiver_(receiver) {}

    bool await_ready() noexcept {
      if (is_refused(receiver_.broadcast().waiters_)) [[unlikely]] return true;
      return settle(receiver_.cursor_.look());
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(receiver_.broadcast().waiters_, frame, wait_kind);
    }
    Result<T> await_resume() {
      if (is_granted()) [[likely]] return receiver_.take();
      return error(OperationKind::channel_receive);
    }

   private:
    Receiver& receiver_;
  };

  detail::RawRing<T> ring_;
};

}  // namespace gyre
