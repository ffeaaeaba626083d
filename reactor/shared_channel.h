// SharedChannel<T>: a bounded FIFO between the tasks of different reactors, and plain threads. (Channel<T>, in task/, is for
// the tasks of one reactor: no lock, no wake-up.)
//
// Items are handed over directly: who waits longest gets the next item, or room. Cancel-safety: atomic. A receiver that was
// cancelled after an item was handed to it has the item; a sender that was cancelled has not sent, or has.
//
// Threads: any. Must outlive all who use it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/intrusive_list.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/mailbox.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {

// A task that waits at something that other threads use, too. Lives in its frame.
class SharedWaiter : public ListLink, public Inbox::Message {
 public:
  SharedWaiter(const SharedWaiter&) = delete;
  SharedWaiter& operator=(const SharedWaiter&) = delete;

  enum class Outcome : unsigned char { none, done, closed, cancelled };

  // Taken off its list, and its outcome set, under the mutex; the mutex let go: wakes the task. Nothing may be done to the
  // waiter afterwards.
  void wake() noexcept;

  // Guarded by the mutex while it waits.
  Outcome outcome = Outcome::none;

 protected:
  explicit SharedWaiter(std::mutex& mutex) noexcept;
  ~SharedWaiter() = default;

  // Under the mutex, before the waiter goes into a list: the task waits from now on.
  void wait(TaskContext& task, void* frame) noexcept;

 private:
  static void cancel(void* leaf, TaskContext& task) noexcept;
  static const WaitKind wait_kind;

  std::mutex& mutex_;
  RemoteReactor home_;
  TaskContext* task_ = nullptr;
};

// What a wait that was not `done` reports.
Error shared_error(SharedWaiter::Outcome outcome, OperationKind operation) noexcept;

}  // namespace detail

template <typename T>
class SharedChannel {
 public:
  // Room for `items_max` items; at least 1.
  explicit SharedChannel(std::size_t items_max) : items_max_(items_max) { GYRE_CHECK(items_max > 0); }
  SharedChannel(const SharedChannel&) = delete;
  SharedChannel& operator=(const SharedChannel&) = delete;
  ~SharedChannel() {
    GYRE_CHECK_HINT(senders_.empty() && receivers_.empty(), "a task still waits for this channel");
  }

  // Waits for room. Errors: closed, cancelled, timed_out; the item is then gone. See send_from().
  [[nodiscard]] Task<Result<void>> send(T item) { co_return co_await send_from(item); }
  // As send(), but after an error `item` is still the caller's.
  [[nodiscard]] Task<Result<void>> send_from(T& item) {
    Waiter waiter(*this, Side::send);
    waiter.sent = &item;
    const Outcome outcome = co_await waiter;
    if (outcome != Outcome::done) co_return detail::shared_error(outcome, OperationKind::channel_send);
    co_return Result<void>{};
  }
  // Waits for an item. Errors: closed, once nothing is left; cancelled, timed_out.
  [[nodiscard]] Task<Result<T>> receive() {
    Waiter waiter(*this, Side::receive);
    const Outcome outcome = co_await waiter;
    if (outcome != Outcome::done) co_return detail::shared_error(outcome, OperationKind::channel_receive);
    co_return std::move(*waiter.received);
  }

  // Without waiting, also outside reactors. Errors: would_block, closed; `item` is then still the caller's.
  Result<void> try_send(T& item) {
    Waiter waiter(*this, Side::send);
    waiter.sent = &item;
    return answer(waiter, OperationKind::channel_send);
  }
  Result<T> try_receive() {
    Waiter waiter(*this, Side::receive);
    const Result<void> received = answer(waiter, OperationKind::channel_receive);
    if (!received) return received.error();
    return std::move(*waiter.received);
  }

  // No more is sent; what is left is still received. Idempotent.
  void close() {
    Waiter* woken = nullptr;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      // Receivers wait only if nothing is left.
      for (IntrusiveList<Waiter>* list : {&senders_, &receivers_}) {
        while (Waiter* const waiter = list->pop_front()) {
          waiter->outcome = Outcome::closed;
          waiter->next_woken = std::exchange(woken, waiter);
        }
      }
    }
    while (woken != nullptr) std::exchange(woken, woken->next_woken)->wake();
  }

 private:
  using Outcome = detail::SharedWaiter::Outcome;
  enum class Side : bool { send, receive };

  struct Waiter : detail::SharedWaiter {
    Waiter(SharedChannel& owner, Side which) noexcept
        : SharedWaiter(owner.mutex_), channel(owner), side(which) {}

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> frame) {
      TaskContext& task = *frame.promise().context;
      if (task.cancel_requested()) {
        outcome = Outcome::cancelled;
        return false;
      }
      Waiter* partner = nullptr;
      {
        const std::lock_guard lock(channel.mutex_);
        partner = channel.attempt(*this);
        if (outcome == Outcome::none) {
          this->wait(task, frame.address());
          (side == Side::send ? channel.senders_ : channel.receivers_).push_back(*this);
          return true;
        }
      }
      if (partner != nullptr) partner->wake();
      return false;
    }
    Outcome await_resume() const noexcept { return outcome; }

    SharedChannel& channel;
    const Side side;
    T* sent = nullptr;
    std::optional<T> received;
    Waiter* next_woken = nullptr;
  };

  // Under the mutex. Sets the outcome if there is one; returns whom that wakes, or null.
  Waiter* attempt(Waiter& waiter) {
    Waiter* partner = nullptr;
    if (waiter.side == Side::send) {
      if (closed_) {
        waiter.outcome = Outcome::closed;
        return nullptr;
      }
      partner = receivers_.pop_front();
      if (partner != nullptr) {
        partner->received.emplace(std::move(*waiter.sent));
      } else if (items_.size() < items_max_) {
        items_.push_back(std::move(*waiter.sent));
      } else {
        return nullptr;
      }
    } else {
      if (items_.empty()) {
        if (closed_) waiter.outcome = Outcome::closed;
        return nullptr;
      }
      waiter.received.emplace(std::move(items_.front()));
      items_.pop_front();
      partner = senders_.pop_front();
      if (partner != nullptr) items_.push_back(std::move(*partner->sent));
    }
    waiter.outcome = Outcome::done;
    if (partner != nullptr) partner->outcome = Outcome::done;
    return partner;
  }
  Result<void> answer(Waiter& waiter, OperationKind operation) {
    Waiter* partner = nullptr;
    {
      const std::lock_guard lock(mutex_);
      partner = attempt(waiter);
    }
    if (partner != nullptr) partner->wake();
    if (waiter.outcome == Outcome::done) return {};
    return Error(waiter.outcome == Outcome::closed ? Errc::closed : Errc::would_block, operation);
  }

  const std::size_t items_max_;
  std::mutex mutex_;
  // Guarded by the mutex.
  std::deque<T> items_;
  IntrusiveList<Waiter> senders_;
  IntrusiveList<Waiter> receivers_;
  bool closed_ = false;
};

}  // namespace gyre
