// OnceCell<T>: a value that is made once, by the first task that needs it, while the others wait for it.
//
//   Result<Config*> config = co_await cell.get_or_init(load_config, path);
//
// If the task that makes the value fails, or is cancelled, the error is its own: the task that has waited longest tries
// next. There is never more than one at it.
//
// Errors of get_or_init(): those of the initialiser that this task ran; cancelled, timed_out; atomic.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/invoke.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/task.h>
#include <gyre/task/wait_list.h>

namespace gyre {

namespace detail {

// Who may make the value. Untyped.
class OnceGate {
 public:
  OnceGate() noexcept = default;
  OnceGate(const OnceGate&) = delete;
  OnceGate& operator=(const OnceGate&) = delete;

  // True: the caller has to make the value, and then to call finish() or fail(). False: there is one.
  [[nodiscard]] auto enter() noexcept { return WaitOperation<Awaiter, OnceGate>(*this); }
  void finish() noexcept;
  void fail() noexcept;

  bool is_done() const noexcept { return state_ == State::done; }
  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  enum class State : std::uint8_t { idle, busy, done };
  static constexpr std::uint32_t must_make = 1;
  static constexpr std::uint32_t is_made = 0;

  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(OnceGate& gate) noexcept : gate_(gate) {}

    bool await_ready() noexcept {
      if (is_refused(gate_.waiters_)) [[unlikely]] return true;
      return settle(gate_.try_enter(*this));
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(gate_.waiters_, frame, wait_kind);
    }
    Result<bool> await_resume() noexcept {
      if (is_granted()) [[likely]] return number() == must_make;
      return error(OperationKind::wait);
    }

   private:
    OnceGate& gate_;
  };

  static const WaitKind wait_kind;
  WaitOutcome try_enter(Waiter& waiter) noexcept {
    if (state_ == State::busy) return WaitOutcome::none;
    waiter.set_number(state_ == State::idle ? must_make : is_made);
    if (state_ == State::idle) state_ = State::busy;
    return WaitOutcome::granted;
  }

  WaitList waiters_;
  State state_ = State::idle;
};

}  // namespace detail

template <typename T>
class OnceCell {
 public:
  OnceCell() noexcept = default;
  OnceCell(const OnceCell&) = delete;
  OnceCell& operator=(const OnceCell&) = delete;

  // Null until the value has been made.
  T* get() noexcept { return value_ ? &*value_ : nullptr; }
  const T* get() const noexcept { return value_ ? &*value_ : nullptr; }

  // The value; if there is none yet it is made by `callable(arguments...)`, which returns a Task<T> or a
  // Task<Result<T>>. Rethrows what that throws. The result points into the cell.
  template <typename Callable, typename... Arguments>
  Task<Result<T*>> get_or_init(Callable callable, Arguments... arguments) {
    Result<bool> must_make = co_await gate_.enter();
    if (!must_make) co_return must_make.error();
    if (*must_make) {
      Attempt attempt(gate_);
      auto task = detail::invoke(std::move(callable), std::move(arguments)...);
      using Made = detail::as_result<typename decltype(task)::value_type>;
      Made made = co_await std::move(task);
      if (!made) co_return made.error();
      value_.emplace(std::move(*made));
      attempt.succeed();
    }
    co_return &*value_;
  }

  std::size_t count_waiters() const noexcept { return gate_.count_waiters(); }

 private:
  // However the attempt ends, the next task learns of it.
  class Attempt {
   public:
    explicit Attempt(detail::OnceGate& gate) noexcept : gate_(gate) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt() {
      if (!gate_.is_done()) gate_.fail();
    }
    void succeed() noexcept { gate_.finish(); }

   private:
    detail::OnceGate& gate_;
  };

  detail::OnceGate gate_;
  std::optional<T> value_;
};

}  // namespace gyre
