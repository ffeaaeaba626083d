// JoinHandle<T>: a view of a spawned task, to wait for its result, or to cancel it.
//
// The handle does not own the task, its group does: dropping the handle changes nothing. Waiting for it never cancels
// the task; a cancelled wait reports `cancelled`, and the task goes on.
#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/task.h>

namespace gyre {

namespace detail {

// Result<T> stays what it is; T becomes Result<T>.
template <typename T>
struct AsResult {
  using type = Result<T>;
};
template <typename T>
struct AsResult<Result<T>> {
  using type = Result<T>;
};
template <typename T>
using as_result = typename AsResult<T>::type;

extern const WaitKind join_wait;

}  // namespace detail

template <typename T>
class JoinHandle {
 public:
  JoinHandle() noexcept = default;
  JoinHandle(JoinHandle&& other) noexcept
      : frame_(std::exchange(other.frame_, {})), refused_(std::exchange(other.refused_, false)) {}
  JoinHandle& operator=(JoinHandle&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = std::exchange(other.frame_, {});
      refused_ = std::exchange(other.refused_, false);
    }
    return *this;
  }
  ~JoinHandle() { drop(); }

  // Whether there is a task: false for a default one, after the result was taken, and for a task that was refused.
  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }
  // The group was cancelled already: the task was destroyed unstarted, and waiting for it reports `cancelled`.
  bool was_refused() const noexcept { return refused_; }
  bool is_finished() const noexcept {
    return refused_ || (context().state & TaskContext::finished_bit) != 0;
  }
  std::uint32_t id() const noexcept { return context().id; }

  // Promises to take the result, so that the failure of a detached task is not reported elsewhere as well.
  void want_result() noexcept {
    if (!refused_) context().state |= TaskContext::result_wanted_bit;
  }

  // The task's next checkpoint, and all after it, report `cancelled`. Idempotent; no effect on a finished task.
  void cancel() noexcept {
    if (!refused_) context().cancel();
  }

  // The result of a finished task; the handle is empty afterwards. Rethrows what the task threw.
  detail::as_result<T> take() {
    GYRE_CHECK_HINT(is_finished(), "take() before the task has finished");
    return take_finished();
  }

  // Waits for the task's end and takes its result (once; a second wait finds the handle empty). Rethrows what the task
  // threw. One waiter at a time.
  auto operator co_await() & noexcept { return Awaiter(*this); }
  auto operator co_await() && noexcept { return Awaiter(*this); }

 private:
  friend class TaskGroup;

  // has_handle_bit is set already.
  explicit JoinHandle(std::coroutine_handle<detail::TaskPromise<T>> frame) noexcept
      : frame_(frame) {}
  struct Refused {};
  explicit JoinHandle(Refused) noexcept : refused_(true) {}

  class [[nodiscard]] Awaiter {
   public:
    explicit Awaiter(JoinHandle& handle) noexcept : handle_(handle) {
      GYRE_CHECK_HINT(handle.frame_ || handle.refused_,
                      "awaited an empty JoinHandle: it was moved from, or its result was taken");
    }
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return handle_.is_finished(); }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      TaskContext& task = *frame.promise().context;
      if (task.cancel_requested()) return false;
      detail::TaskRecord& record = handle_.record();
      GYRE_CHECK_HINT(record.joiner == nullptr, "two tasks wait for one JoinHandle");
      GYRE_CHECK_HINT(&record.context != &task, "a task waits for itself");
      record.joiner = &task;
      task.wait_in(&record, detail::join_wait, frame.address());
      return true;
    }
    detail::as_result<T> await_resume() {
      if (!handle_.is_finished()) [[unlikely]] {
        return current_task()->cancel_error(OperationKind::join);
      }
      return handle_.take_finished();
    }

   private:
    JoinHandle& handle_;
  };

  struct DestroyFrame {
    std::coroutine_handle<detail::TaskPromise<T>> frame;
    ~DestroyFrame() { frame.destroy(); }
  };
  detail::as_result<T> take_finished() {
    if (std::exchange(refused_, false)) [[unlikely]] return Error::cancelled(OperationKind::join);
    const DestroyFrame finished{std::exchange(frame_, {})};
    if constexpr (std::is_void_v<T>) {
      finished.frame.promise().take();
      return {};
    } else {
      return finished.frame.promise().take();
    }
  }

  detail::TaskRecord& record() const noexcept { return detail::record_of_root(frame_.address()); }
  TaskContext& context() const noexcept {
    GYRE_DCHECK(frame_);
    return record().context;
  }
  void drop() noexcept {
    if (!frame_) return;
    const auto frame = std::exchange(frame_, {});
    TaskContext& task = detail::record_of_root(frame.address()).context;
    if ((task.state & TaskContext::finished_bit) != 0) {
      frame.destroy();
    } else {
      task.state &= ~(TaskContext::has_handle_bit | TaskContext::result_wanted_bit);
    }
  }

  std::coroutine_handle<detail::TaskPromise<T>> frame_;
  bool refused_ = false;
};

}  // namespace gyre
