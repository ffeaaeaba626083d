// Oneshot<T>: one value, once, from whoever holds its Promise<T>.
//
//   Oneshot<int> answer;
//   group.spawn(compute, answer.promise());
//   Result<int> value = co_await answer.receive();
//
// The value is kept in the Oneshot, so nothing is allocated. Either side may go first: a promise that dies without a
// value reports Errc::broken to the receiver, and sending to a Oneshot that is gone reports Errc::broken to the sender.
// (A coroutine's parameters live as long as its frame, which a JoinHandle keeps. A promise that is to die with the
// coroutine's body belongs into a local.)
//
// Errors of receive(): broken, what fail() was given, cancelled, timed_out; atomic: the value can still be received.
#pragma once

#include <coroutine>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

namespace detail {

// What both ends know, whatever is sent.
class OneshotCore {
 public:
  OneshotCore(const OneshotCore&) = delete;
  OneshotCore& operator=(const OneshotCore&) = delete;

  // Whether receive() would not wait.
  bool is_ready() const noexcept { return is_ready_; }

 protected:
  OneshotCore() noexcept = default;
  ~OneshotCore() = default;

  static const WaitKind wait_kind;

  WaitOutcome try_receive() const noexcept {
    GYRE_CHECK_HINT(!is_taken_, "the value of a Oneshot is received twice");
    GYRE_CHECK_HINT(waiters_.empty(), "two tasks wait for one Oneshot");
    return is_ready_ ? WaitOutcome::granted : WaitOutcome::none;
  }
  void become_ready() noexcept {
    is_ready_ = true;
    (void)waiters_.wake_first();
  }

  WaitList waiters_;
  bool is_promised_ = false;
  bool is_ready_ = false;
  bool is_taken_ = false;
};

}  // namespace detail

template <typename T>
class Oneshot;

// The sending end. Movable; at most one for each Oneshot.
template <typename T>
class [[nodiscard]] Promise {
 public:
  Promise() noexcept = default;
  Promise(Promise&& other) noexcept { take(other); }
  Promise& operator=(Promise&& other) noexcept {
    if (this != &other) {
      drop();
      take(other);
    }
    return *this;
  }
  ~Promise() { drop(); }

  // Whether somebody can still receive what is sent. False for one that is empty or used up.
  bool is_wanted() const noexcept { return oneshot_ != nullptr; }

  // Uses the promise up. Errors: broken, if nobody can receive it any more; `value` is then still the caller's.
  template <typename U = T>
    requires(!std::is_void_v<T> && std::is_convertible_v<U &&, T>)
  Result<void> send(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    if (oneshot_ == nullptr) return Error(Errc::broken, OperationKind::channel_send);
    detach()->deliver(Result<T>(std::forward<U>(value)));
    return {};
  }
  Result<void> send() noexcept
    requires std::is_void_v<T>
  {
    if (oneshot_ == nullptr) return Error(Errc::broken, OperationKind::channel_send);
    detach()->deliver(Result<T>());
    return {};
  }
  // The receiver gets `error`. Uses the promise up; no effect if nobody can receive it.
  void fail(const Error& error) noexcept {
    if (oneshot_ != nullptr) detach()->deliver(Result<T>(error));
  }

 private:
  friend class Oneshot<T>;

  explicit Promise(Oneshot<T>& oneshot) noexcept : oneshot_(&oneshot) { oneshot.promise_ = this; }
  Oneshot<T>* detach() noexcept {
    oneshot_->promise_ = nullptr;
    return std::exchange(oneshot_, nullptr);
  }
  void take(Promise& other) noexcept {
    oneshot_ = std::exchange(other.oneshot_, nullptr);
    if (oneshot_ != nullptr) oneshot_->promise_ = this;
  }
  void drop() noexcept { fail(Error(Errc::broken, OperationKind::channel_receive)); }

  Oneshot<T>* oneshot_ = nullptr;
};

// The receiving end. Does not move, since the other end points to it.
template <typename T>
class Oneshot : public detail::OneshotCore {
  static_assert(std::is_void_v<T> || std::is_nothrow_move_constructible_v<T>);

 public:
  Oneshot() noexcept = default;
  ~Oneshot() {
    if (promise_ != nullptr) promise_->oneshot_ = nullptr;
  }

  // The sending end. Precondition: called once.
  Promise<T> promise() noexcept {
    GYRE_CHECK_HINT(!is_promised_, "a second promise() of one Oneshot");
    is_promised_ = true;
    return Promise<T>(*this);
  }

  // Waits for the value, and takes it. Precondition: nobody else waits, and nobody has taken it.
  [[nodiscard]] auto receive() noexcept { return detail::WaitOperation<Awaiter, Oneshot>(*this); }

 private:
  friend class Promise<T>;

  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(Oneshot& oneshot) noexcept : oneshot_(oneshot) {}

    bool await_ready() noexcept {
      if (is_refused(oneshot_.waiters_)) [[unlikely]] return true;
      return settle(oneshot_.try_receive());
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(oneshot_.waiters_, frame, wait_kind);
    }
    Result<T> await_resume() noexcept {
      if (!is_granted()) [[unlikely]] return error(OperationKind::channel_receive);
      oneshot_.is_taken_ = true;
      return std::move(oneshot_.result_);
    }

   private:
    Oneshot& oneshot_;
  };

  void deliver(Result<T>&& result) noexcept {
    result_ = std::move(result);
    become_ready();
  }

  Promise<T>* promise_ = nullptr;
  Result<T> result_ = Errc::broken;
};

}  // namespace gyre
