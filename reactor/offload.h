// offload(): runs a function on another thread, and comes back with what it returned.
//
//   Result<std::string> text = co_await offload(read_whole_file, std::string("/etc/hosts"));
//
// The callable and its arguments move into the job. Its value, Error or exception comes back on the reactor that awaits.
// A callable that can take a std::stop_token as its first argument gets one. It must not be a Task, which needs a reactor;
// if it is a Work (task/work.h), it runs on a CpuPool, which by default is the reactor's.
//
// Cancelling: a job that has not begun never does, and the wait reports `cancelled` at once. One that runs is asked to
// stop by its token; then
//   OnCancel::wait     (the default) the wait lasts until the job has ended, and its result is delivered: no thread works
//                      on behind the back of the task that started it, and the job may use what its caller owns.
//   OnCancel::abandon  the wait reports `cancelled` at once; the job works on, and its result is dropped. It must own all
//                      that it uses.
// asyncio's to_thread always abandons; trio waits unless it is told otherwise, as here.
//
// A capturing lambda must be named before the line with the co_await (docs/COMPILER_TRAPS.md).
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/pools.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/invoke.h>
#include <gyre/task/job.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/task.h>
#include <gyre/task/work.h>

namespace gyre {

enum class OnCancel : unsigned char { wait, abandon };

namespace detail {

// A job of one task. Created, started, waited for, and (but for one that was abandoned) destroyed in the task.
class OffloadJob : public Job, public Inbox::Message {
 public:
  OffloadJob(const OffloadJob&) = delete;
  OffloadJob& operator=(const OffloadJob&) = delete;
  virtual ~OffloadJob() = default;

  class [[nodiscard]] Awaiter {
   public:
    Awaiter(OffloadJob& job, JobRunner& runner) noexcept : job_(job), runner_(runner) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    bool await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      return job_.start(*frame.promise().context, frame.address(), runner_);
    }
    // The job has worked; else why not.
    Result<void> await_resume() const noexcept { return job_.outcome(); }

   private:
    OffloadJob& job_;
    JobRunner& runner_;
  };

  Awaiter run_on(JobRunner& runner) noexcept { return Awaiter(*this, runner); }
  // The task needs it no longer. It goes now, or, if it still works, when it has ended.
  void leave() noexcept {
    has_left_ = true;
    if (!is_abandoned_ || is_delivered_) delete this;
  }

 protected:
  explicit OffloadJob(OnCancel on_cancel) noexcept;
  std::stop_source stop_{std::nostopstate};

 private:
  enum class End : unsigned char { none, worked, cancelled, stopped, full, no_thread };

  // On the runner's thread.
  virtual void call() noexcept = 0;

  bool start(TaskContext& task, void* frame, JobRunner& runner) noexcept;
  Result<void> outcome() const noexcept;
  static void cancel(void* leaf, TaskContext& task) noexcept;
  static void on_end(Job& job, bool worked) noexcept;
  static void on_delivery(Inbox::Message& message, bool wanted) noexcept;
  static const WaitKind wait_kind;

  RemoteReactor home_;
  JobRunner* runner_ = nullptr;
  TaskContext* waiter_ = nullptr;
  OnCancel on_cancel_;
  // The reactor's thread only.
  bool is_abandoned_ = false;
  bool is_delivered_ = false;
  bool has_left_ = false;
  // The runner's between submit() and end().
  End end_ = End::none;
};

template <typename Callable, typename... Arguments>
concept takes_stop_token = std::is_invocable_v<Callable, std::stop_token, Arguments...>;

template <typename Callable, typename... Arguments>
struct OffloadResult {
  using type = std::invoke_result_t<Callable, Arguments...>;
};
template <typename Callable, typename... Arguments>
  requires takes_stop_token<Callable, Arguments...>
struct OffloadResult<Callable, Arguments...> {
  using type = std::invoke_result_t<Callable, std::stop_token, Arguments...>;
};
template <typename Callable, typename... Arguments>
using offload_result = typename OffloadResult<Callable, Arguments...>::type;

// What offload() makes of it: Result<T> of a T, of a Work<T>, and of a Result<T>.
template <typename T>
struct OffloadOutcome {
  using type = as_result<T>;
};
template <typename T>
struct OffloadOutcome<Work<T>> {
  using type = as_result<T>;
};
template <typename Callable, typename... Arguments>
using offload_outcome = typename OffloadOutcome<offload_result<Callable, Arguments...>>::type;

template <typename Callable, typename... Arguments>
class CallJob final : public OffloadJob {
 public:
  using Value = offload_result<Callable, Arguments...>;
  static_assert(!is_task<Value>, "a Task needs a reactor: offload() takes a plain function, or one that returns a Work");
  static_assert(!std::is_reference_v<Value>, "what the reference names may be gone: return a value or a pointer");

  CallJob(OnCancel on_cancel, Callable&& callable, Arguments&&... arguments)
      : OffloadJob(on_cancel),
        callable_(std::move(callable)),
        arguments_(std::move(arguments)...) {
    if constexpr (takes_stop_token<Callable, Arguments...>) stop_ = std::stop_source();
  }

  as_result<Value> take() {
    if (exception_ != nullptr) std::rethrow_exception(std::exchange(exception_, nullptr));
    if constexpr (std::is_void_v<Value>) {
      return {};
    } else {
      return std::move(*value_);
    }
  }

 private:
  void call() noexcept override {
    GYRE_TRY(std::apply([this](Arguments&... arguments) { store(std::move(arguments)...); }, arguments_);)
    GYRE_CATCH(..., exception_ = std::current_exception();)
  }
  void store(Arguments&&... arguments) {
    if constexpr (std::is_void_v<Value>) {
      run(std::move(arguments)...);
    } else {
      value_.emplace(run(std::move(arguments)...));
    }
  }
  Value run(Arguments&&... arguments) {
    if constexpr (takes_stop_token<Callable, Arguments...>) {
      return detail::invoke(std::move(callable_), stop_.get_token(), std::move(arguments)...);
    } else {
      return detail::invoke(std::move(callable_), std::move(arguments)...);
    }
  }

  Callable callable_;
  std::tuple<Arguments...> arguments_;
  std::optional<std::conditional_t<std::is_void_v<Value>, Nothing, Value>> value_;
  std::exception_ptr exception_;
};

// The coroutine is made where offload() is awaited; it starts, and ends, in the pool.
template <typename Callable, typename... Arguments>
class WorkOffload final : public OffloadJob {
 public:
  using WorkType = offload_result<Callable, Arguments...>;
  using Value = typename WorkType::value_type;

  explicit WorkOffload(OnCancel on_cancel, Callable&& callable, Arguments&&... arguments)
      : OffloadJob(on_cancel),
        work_(make(*this, std::move(callable), std::move(arguments)...)),
        start_(*this, work_.promise(), work_.address(), &slot_.value) {}
  ~WorkOffload() override {
    if constexpr (!std::is_void_v<Value>) {
      if (has_begun_ && work_.promise().failure == nullptr) slot_.value.~Value();
    }
  }

  as_result<Value> take() {
    if (work_.promise().failure != nullptr) std::rethrow_exception(*work_.promise().failure);
    if constexpr (std::is_void_v<Value>) {
      return {};
    } else {
      return std::move(slot_.value);
    }
  }

 private:
  static WorkType make(WorkOffload& self, Callable&& callable, Arguments&&... arguments) {
    if constexpr (takes_stop_token<Callable, Arguments...>) {
      self.stop_ = std::stop_source();
      return detail::invoke(std::move(callable), self.stop_.get_token(), std::move(arguments)...);
    } else {
      return detail::invoke(std::move(callable), std::move(arguments)...);
    }
  }
  void call() noexcept override {
    has_begun_ = true;
    start_.begin();
  }

  WorkType work_;
  WorkSlot<Value> slot_;
  WorkStart start_;
  bool has_begun_ = false;
};

struct LeaveJob {
  void operator()(OffloadJob* job) const noexcept { job->leave(); }
};

}  // namespace detail

struct OffloadOptions {
  // Null: the reactor's pool for blocking calls; for a Work, its CpuPool (and it must be a CpuPool).
  JobRunner* runner = nullptr;
  OnCancel on_cancel = OnCancel::wait;
};

// Errors: those of the callable; cancelled, timed_out (see above); limit_exceeded: too many jobs wait in the pool;
// stopped: the pool was stopped before the job began; resource_unavailable_try_again: the system gives no thread.
template <typename Callable, typename... Arguments>
  requires(std::is_invocable_v<Callable, Arguments...> || detail::takes_stop_token<Callable, Arguments...>)
[[nodiscard]] Task<detail::offload_outcome<Callable, Arguments...>> offload(
    OffloadOptions options, Callable callable, Arguments... arguments) {
  constexpr bool is_split = is_work<detail::offload_result<Callable, Arguments...>>;
  using JobType = std::conditional_t<is_split, detail::WorkOffload<Callable, Arguments...>,
                                     detail::CallJob<Callable, Arguments...>>;
  std::unique_ptr<JobType, detail::LeaveJob> job;
  JobRunner* runner = options.runner;
  if constexpr (is_split) {
    CpuPool& pool = runner != nullptr ? *runner->as_cpu_pool() : this_reactor().pools().cpu();
    job.reset(new JobType(options.on_cancel, std::move(callable), std::move(arguments)...));
    runner = &pool;
  } else {
    job.reset(new JobType(options.on_cancel, std::move(callable), std::move(arguments)...));
    if (runner == nullptr) runner = &this_reactor().pools().blocking();
  }
  const Result<void> worked = co_await job->run_on(*runner);
  if (!worked) co_return worked.error();
  co_return job->take();
}
template <typename Callable, typename... Arguments>
  requires(std::is_invocable_v<Callable, Arguments...> || detail::takes_stop_token<Callable, Arguments...>)
[[nodiscard]] auto offload(Callable callable, Arguments... arguments) {
  return offload(OffloadOptions{}, std::move(callable), std::move(arguments)...);
}
template <typename Callable, typename... Arguments>
  requires(std::is_invocable_v<Callable, Arguments...> || detail::takes_stop_token<Callable, Arguments...>)
[[nodiscard]] auto offload(JobRunner& runner, Callable callable, Arguments... arguments) {
  return offload(OffloadOptions{.runner = &runner}, std::move(callable), std::move(arguments)...);
}

}  // namespace gyre
