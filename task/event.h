// Event: a flag that tasks can wait for. set() wakes all who wait, also if clear() follows at once.
//
// Errors of wait(): cancelled, timed_out; atomic.
#pragma once

#include <coroutine>
#include <cstddef>

#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class Event {
 public:
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Idempotent.
  void set() noexcept {
    is_set_ = true;
    waiters_.wake_all();
  }
  void clear() noexcept { is_set_ = false; }
  bool is_set() const noexcept { return is_set_; }

  // Until the event is set; at once if it is.
  [[nodiscard]] auto wait() noexcept { return detail::WaitOperation<Awaiter, Event>(*this); }

  std::size_t count_waiters() const noexcept { return waiters_.count_waiters(); }

 private:
  class [[nodiscard]] Awaiter : public Waiter {
   public:
    explicit Awaiter(Event& event) noexcept : event_(event) {}

    bool await_ready() noexcept {
      if (is_refused(event_.waiters_)) [[unlikely]] return true;
      return settle(event_.is_set_ ? WaitOutcome::granted : WaitOutcome::none);
    }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
      suspend(event_.waiters_, frame, wait_kind);
    }
    Result<void> await_resume() noexcept {
      if (is_granted()) [[likely]] return {};
      return error(OperationKind::wait);
    }

   private:
    Event& event_;
  };

  static const WaitKind wait_kind;

  WaitList waiters_;
  bool is_set_ = false;
};

}  // namespace gyre
