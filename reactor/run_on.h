// run_on(): awaits a task of another reactor.
//
//   Result<int> count = co_await run_on(other, count_sessions, std::string("lobby"));   // other: a RemoteReactor
//
// The callable and its arguments travel there; the task runs on that reactor's thread, and its value, Error or exception
// comes back. Cancelling the wait cancels the task, and lasts until it has ended: what it then returns is the result.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/mailbox.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre {

namespace detail {

// What both reactors share of one call. Each party, and each message under way, holds it.
class RemoteCall {
 public:
  RemoteCall(RemoteReactor there, RemoteReactor home) noexcept;
  RemoteCall(const RemoteCall&) = delete;
  RemoteCall& operator=(const RemoteCall&) = delete;
  virtual ~RemoteCall() = default;

  void release() noexcept {
    // acq_rel: the last one sees what all others have done.
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  class [[nodiscard]] Awaiter {
   public:
    explicit Awaiter(RemoteCall& call) noexcept : call_(call) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      return call_.start(*frame.promise().context, frame.address());
    }
    // Whether there is a result.
    Result<void> await_resume() const noexcept { return call_.outcome(); }

   private:
    RemoteCall& call_;
  };
  Awaiter run() noexcept { return Awaiter(*this); }

 protected:
  // There: the task that runs the callable and keeps its result; it calls begin() first and end() last.
  virtual Task<void> task() = 0;
  void begin() noexcept;
  void end(bool has_result) noexcept;

 private:
  enum class Message : std::uint8_t { start, cancel, end };
  struct Letter : Inbox::Message {
    RemoteCall* call = nullptr;
  };

  bool start(TaskContext& task, void* frame) noexcept;
  Result<void> outcome() const noexcept;
  static void cancel(void* leaf, TaskContext& task) noexcept;
  static void on_start(Inbox::Message& message, bool wanted) noexcept;
  static void on_cancel(Inbox::Message& message, bool wanted) noexcept;
  static void on_end(Inbox::Message& message, bool wanted) noexcept;
  static const WaitKind wait_kind;

  const RemoteReactor there_;
  const RemoteReactor home_;
  Letter start_;
  Letter cancel_;
  Letter end_;
  std::atomic<int> holders_{1};

  // At home only.
  TaskContext* waiter_ = nullptr;
  bool is_refused_ = false;
  bool was_cancelled_ = false;
  // There only; has_result_ at home after the end.
  TaskContext* running_ = nullptr;
  bool cancel_asked_ = false;
  bool has_result_ = false;
};

template <typename Callable, typename... Arguments>
class RemoteCallOf final : public RemoteCall {
 public:
  using TaskType = std::invoke_result_t<Callable, Arguments...>;
  static_assert(is_task<TaskType>, "the callable must return a Task");
  using Outcome = as_result<typename TaskType::value_type>;

  RemoteCallOf(RemoteReactor there, RemoteReactor home, Callable&& callable, Arguments&&... arguments)
      : RemoteCall(std::move(there), std::move(home)),
        callable_(std::move(callable)),
        arguments_(std::move(arguments)...) {}

  Outcome take() {
    if (exception_ != nullptr) std::rethrow_exception(std::exchange(exception_, nullptr));
    return std::move(*outcome_);
  }

 private:
  Task<void> task() override { return serve(*this); }
  static Task<void> serve(RemoteCallOf& self) {
    self.begin();
    TaskGroup group(OnFailure::keep_going);
    JoinHandle<typename TaskType::value_type> handle = self.spawn(group);
    static_cast<void>(co_await group.join());
    GYRE_TRY(self.outcome_.emplace(handle.take());)
    GYRE_CATCH(..., self.exception_ = std::current_exception();)
    self.end(true);
  }
  JoinHandle<typename TaskType::value_type> spawn(TaskGroup& group) {
    return std::apply(
        [&](Arguments&... arguments) { return group.spawn(std::move(callable_), std::move(arguments)...); },
        arguments_);
  }

  Callable callable_;
  std::tuple<Arguments...> arguments_;
  std::optional<Outcome> outcome_;
  std::exception_ptr exception_;
};

struct ReleaseCall {
  void operator()(RemoteCall* call) const noexcept { call->release(); }
};

}  // namespace detail

// Errors: those of the callable; Errc::stopped: the other reactor has shut down, or does so before the task begins.
template <typename Callable, typename... Arguments>
[[nodiscard]] Task<typename detail::RemoteCallOf<Callable, Arguments...>::Outcome> run_on(RemoteReactor there,
                                                                                         Callable callable,
                                                                                         Arguments... arguments) {
  static_assert(std::is_pointer_v<Callable> || std::is_empty_v<Callable> || std::is_member_pointer_v<Callable>,
                "captures die with the closure: pass them as arguments");
  using Call = detail::RemoteCallOf<Callable, Arguments...>;
  const std::unique_ptr<Call, detail::ReleaseCall> call(
      new Call(std::move(there), this_reactor().remote(), std::move(callable), std::move(arguments)...));
  const Result<void> ended = co_await call->run();
  if (!ended) co_return ended.error();
  co_return call->take();
}

}  // namespace gyre
