// Channel<T>: values from tasks to tasks of one scheduler, through a bounded buffer.
//
//   Channel<Job> jobs(16);                                    // 0: rendezvous, each send() meets its receive()
//   Result<void> sent = co_await jobs.send(std::move(job));   // after an error `job` is still the caller's
//   while (Result<Job> next = co_await jobs.receive()) ...    // Errc::closed at the end
//
// Both ends wait in the order in which they asked. A value goes straight to the receiver that has waited longest, which
// has it from that moment on, before it has run. So nothing is lost, whoever is cancelled: a receiver that is cancelled
// afterwards has the value, and its next checkpoint reports the cancel.
//
// close() ends the sending: whoever sends or waits to send gets Errc::closed; receivers get what is left, and then
// Errc::closed. CloseMode::immediate throws away what is left.
//
// The buffer is allocated once, by the constructor. In what order it gives values out is a policy: Channel is first in,
// first out; priority_channel.h has others. T must be nothrow move constructible.
//
// Errors of send(), reserve(), receive(): closed, cancelled, timed_out; atomic. try_ functions: would_block, closed.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/channel_core.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

// The order of a channel: first in, first out.
struct Fifo {
  template <typename T>
  class Storage {
   public:
    explicit Storage(std::size_t capacity) : ring_(capacity) {}
    ~Storage() { clear(); }

    std::size_t size() const noexcept { return tail_ - head_; }
    // Precondition: size() < capacity.
    void push(T&& value) noexcept { ring_.construct(tail_++, std::move(value)); }
    // Moves the next value to `place`. Precondition: there is one.
    void pop(void* place) noexcept { ring_.move_out(head_++, place); }
    void clear() noexcept {
      while (head_ != tail_) ring_.destroy(head_++);
    }

   private:
    detail::RawRing<T> ring_;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
  };
};

// Any thread must not: see wait_list.h.
template <typename T, typename Order = Fifo>
class Channel : private detail::ChannelCore {
  static_assert(std::is_nothrow_move_constructible_v<T>, "a value must not be lost on its way");
  static_assert(std::is_nothrow_destructible_v<T>);

 public:
  using value_type = T;
  class Permit;

  // Throws bad_alloc.
  explicit Channel(std::size_t capacity) : ChannelCore(capacity), storage_(capacity) {}

  // Waits for room. `value` must live until then; it is moved from only if it is sent.
  [[nodiscard]] auto send(T&& value) noexcept { return detail::WaitOperation<SendAwaiter, Channel, T&>(*this, value); }
  [[nodiscard]] auto send(const T& value) noexcept
    requires std::is_trivially_copyable_v<T>
  {
    return detail::WaitOperation<SendAwaiter, Channel, T&>(*this, const_cast<T&>(value));
  }
  // As send(), without waiting.
  Result<void> try_send(T&& value) noexcept {
    return try_result(begin_send(value), OperationKind::channel_send);
  }
  Result<void> try_send(const T& value) noexcept
    requires std::is_trivially_copyable_v<T>
  {
    return try_send(const_cast<T&&>(value));
  }

  // Waits for room and keeps it for a value that need not exist yet. Precondition: capacity() > 0.
  [[nodiscard]] auto reserve() noexcept {
    GYRE_CHECK_HINT(capacity_ > 0, "a rendezvous channel has no room to reserve");
    return detail::WaitOperation<ReserveAwaiter, Channel>(*this);
  }

  // Waits for a value.
  [[nodiscard]] auto receive() noexcept { return detail::WaitOperation<ReceiveAwaiter, Channel>(*this); }
  Result<T> try_receive() noexcept {
    Slot slot;
    const WaitOutcome outcome = begin_receive(slot);
    if (outcome == WaitOutcome::granted) return slot.take();
    return try_result(outcome, OperationKind::channel_receive).error();
  }

  // Idempotent; a channel that was closed to drain can still be closed at once.
  void close(CloseMode mode = CloseMode::drain) noexcept {
    if (mode == CloseMode::immediate) {
      const std::size_t dropped = storage_.size();
      storage_.clear();
      close_at_once(dropped);
    } else {
      close_to_drain();
    }
  }

  std::size_t size() const noexcept { return storage_.size(); }
  bool empty() const noexcept { return size() == 0; }
  using ChannelCore::capacity;
  using ChannelCore::is_closed;
  using ChannelCore::join;
  using ChannelCore::task_done;
  using ChannelCore::unfinished;
  using ChannelCore::count_receivers;
  using ChannelCore::count_senders;

 private:
  struct Slot;
  class SendAwaiter;
  class ReserveAwaiter;
  class ReceiveAwaiter;

  bool has_room() const noexcept { return storage_.size() + reserved_ < capacity_; }
  bool has_ended() const noexcept { return is_closed_ && (reserved_ == 0 || is_immediate_); }

  // Sends without waiting if it can: granted, closed, or none, which means that it would have to wait.
  WaitOutcome begin_send(T& value) noexcept {
    if (is_closed_) [[unlikely]] return WaitOutcome::closed;
    if (!receivers_.empty()) {
      hand_over(value);
    } else if (has_room()) [[likely]] {
      storage_.push(std::move(value));
    } else {
      return WaitOutcome::none;
    }
    ++unfinished_;
    return WaitOutcome::granted;
  }

  WaitOutcome begin_reserve() noexcept {
    if (is_closed_) return WaitOutcome::closed;
    if (!has_room()) return WaitOutcome::none;
    ++reserved_;
    return WaitOutcome::granted;
  }

  // Receives without waiting if it can.
  WaitOutcome begin_receive(Slot& slot) noexcept {
    if (storage_.size() != 0) [[likely]] {
      storage_.pop(slot.place());
      if (!senders_.empty()) admit();
      return WaitOutcome::granted;
    }
    if (!senders_.empty() && capacity_ == 0) {
      meet(slot);
      return WaitOutcome::granted;
    }
    if (!is_closed_) [[likely]] return WaitOutcome::none;
    return has_ended() ? WaitOutcome::closed : WaitOutcome::none;
  }

  // Takes the value of the sender that waits at a rendezvous. (Nobody reserves room there: who waits has a value.)
  void meet(Slot& slot) noexcept {
    Waiter& sender = senders_.take_first();
    slot.put(std::move(static_cast<SendAwaiter&>(sender).value_));
    ++unfinished_;
    senders_.wake(sender, WaitOutcome::granted);
  }

  // Precondition: a receiver waits.
  void hand_over(T& value) noexcept {
    Waiter& receiver = receivers_.take_first();
    static_cast<ReceiveAwaiter&>(receiver).slot_.put(std::move(value));
    receivers_.wake(receiver, WaitOutcome::granted);
  }

  // Gives room that has become free to those who wait for it.
  [[gnu::noinline]] void admit() noexcept {
    while (!senders_.empty() && has_room()) {
      Waiter& sender = senders_.take_first();
      if (sender.number() == for_permit) {
        ++reserved_;
      } else {
        T& value = static_cast<SendAwaiter&>(sender).value_;
        if (receivers_.empty()) {
          storage_.push(std::move(value));
        } else {
          hand_over(value);
        }
        ++unfinished_;
      }
      senders_.wake(sender, WaitOutcome::granted);
    }
  }

  // A permit ends, with a value (null: without).
  Result<void> end_permit(T* value) noexcept {
    GYRE_DCHECK(reserved_ > 0);
    --reserved_;
    if (value != nullptr) {
      if (is_immediate_) return Error(Errc::closed, OperationKind::channel_send);
      if (receivers_.empty()) {
        storage_.push(std::move(*value));
      } else {
        hand_over(*value);
      }
      ++unfinished_;
    }
    admit();
    if (has_ended()) receivers_.wake_all(WaitOutcome::closed);
    return {};
  }

  typename Order::template Storage<T> storage_;
};

// Room in the channel that belongs to whoever holds this. Gives it back when it dies unused. The channel must outlive it.
template <typename T, typename Order>
class [[nodiscard]] Channel<T, Order>::Permit {
 public:
  Permit() noexcept = default;
  Permit(Permit&& other) noexcept : channel_(std::exchange(other.channel_, nullptr)) {}
  Permit& operator=(Permit&& other) noexcept {
    if (this != &other) {
      release();
      channel_ = std::exchange(other.channel_, nullptr);
    }
    return *this;
  }
  ~Permit() { release(); }

  explicit operator bool() const noexcept { return channel_ != nullptr; }

  // Sends, without waiting; also through a channel that was closed to drain meanwhile. Uses the permit up. Precondition:
  // it is not used up. Errors: closed, if the channel was closed at once; `value` is then still the caller's.
  Result<void> send(T&& value) noexcept {
    GYRE_CHECK_HINT(channel_ != nullptr, "send() by a Permit that is used up");
    return std::exchange(channel_, nullptr)->end_permit(&value);
  }
  Result<void> send(const T& value) noexcept
    requires std::is_trivially_copyable_v<T>
  {
    return send(const_cast<T&&>(value));
  }
  // Idempotent.
  void release() noexcept {
    if (Channel* const channel = std::exchange(channel_, nullptr)) (void)channel->end_permit(nullptr);
  }

 private:
  friend class ReserveAwaiter;

  explicit Permit(Channel& channel) noexcept : channel_(&channel) {}

  Channel* channel_ = nullptr;
};

// Where a receiver finds its value.
template <typename T, typename Order>
struct Channel<T, Order>::Slot {
  Slot() noexcept {}
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() {}

  void* place() noexcept { return &value; }
  void put(T&& from) noexcept { new (place()) T(std::move(from)); }
  // Precondition: there is a value; it is gone afterwards.
  Result<T> take() noexcept {
    Result<T> result(std::move(value));
    value.~T();
    return result;
  }

  union {
    T value;
  };
};

template <typename T, typename Order>
class [[nodiscard]] Channel<T, Order>::SendAwaiter : public Waiter {
 public:
  SendAwaiter(Channel& channel, T& value) noexcept
      : channel_(channel), value_(value) {}

  bool await_ready() noexcept {
    if (is_refused(channel_.senders_)) [[unlikely]] return true;
    return settle(channel_.begin_send(value_));
  }
  void await_suspend(std::coroutine_handle<> frame) noexcept {
    set_number(for_value);
    suspend(channel_.senders_, frame, send_wait);
  }
  Result<void> await_resume() noexcept {
    if (is_granted()) [[likely]] return {};
    return error(OperationKind::channel_send);
  }

 private:
  friend class Channel;

  Channel& channel_;
  T& value_;
};

template <typename T, typename Order>
class [[nodiscard]] Channel<T, Order>::ReserveAwaiter : public Waiter {
 public:
  explicit ReserveAwaiter(Channel& channel) noexcept : channel_(channel) {}

  bool await_ready() noexcept {
    if (is_refused(channel_.senders_)) [[unlikely]] return true;
    return settle(channel_.begin_reserve());
  }
  void await_suspend(std::coroutine_handle<> frame) noexcept {
    set_number(for_permit);
    suspend(channel_.senders_, frame, reserve_wait);
  }
  Result<Permit> await_resume() noexcept {
    if (is_granted()) [[likely]] return Permit(channel_);
    return error(OperationKind::channel_send);
  }

 private:
  Channel& channel_;
};

template <typename T, typename Order>
class [[nodiscard]] Channel<T, Order>::ReceiveAwaiter : public Waiter {
 public:
  explicit ReceiveAwaiter(Channel& channel) noexcept : channel_(channel) {}

  bool await_ready() noexcept {
    if (is_refused(channel_.senders_)) [[unlikely]] return true;
    return settle(channel_.begin_receive(slot_));
  }
  void await_suspend(std::coroutine_handle<> frame) noexcept {
    suspend(channel_.receivers_, frame, receive_wait);
  }
  Result<T> await_resume() noexcept {
    if (is_granted()) [[likely]] return slot_.take();
    return error(OperationKind::channel_receive);
  }

 private:
  friend class Channel;

  Channel& channel_;
  Slot slot_;
};

}  // namespace gyre
