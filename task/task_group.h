// TaskGroup: the default way to spawn. It joins its children, always.
//
//   TaskGroup sessions;
//   sessions.spawn(session, std::move(stream));        // callable and arguments move into the child's frame
//   Result<void> ended = co_await sessions.join();     // or drain(10s): finish, then cancel, then join
//
// A child fails when it returns a Result that holds an error, or throws. The first failure cancels the other children
// and the body of the group (a server that must outlive its sessions makes the group with OnFailure::keep_going). All
// failures are kept, in the order of completion. A child that returns `cancelled` because it was cancelled has not failed.
//
// The group is a CancelScope: it covers the code between its construction and the end of join(), and its children. A
// child inherits the scopes of the group, not those of whoever spawned it.
// A group that has been cancelled starts no more children: spawn() destroys the task unstarted.
// A group whose children have not ended must not be destroyed: every way out of its block leads through join() or
// drain(); with_group() sees to that where exceptions fly.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/platform/result.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/invoke.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/signal.h>
#include <gyre/task/task.h>

namespace gyre {

template <typename V>
class Started;

enum class OnFailure : std::uint8_t { cancel_siblings, keep_going };

// When a child takes its first step: later, in turn, or inside spawn() until it first waits (unless eager spawns nest too
// deep for the stack).
enum class Start : std::uint8_t { queued, eager };

struct SpawnOptions {
  const char* name = nullptr;  // a literal
  Start start = Start::queued;
};

class TaskGroup {
 public:
  // A group of the current task.
  TaskGroup() : TaskGroup(OnFailure::cancel_siblings) {}
  explicit TaskGroup(OnFailure on_failure);
  // A group outside any task; join it from one before the scheduler goes.
  explicit TaskGroup(Scheduler& scheduler, OnFailure on_failure = OnFailure::keep_going);
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Starts `callable(arguments...)`, which returns a Task. Precondition: the group has not been joined. A callable must
  // not capture: what it needs is passed as arguments, which move into the frame. Throws bad_alloc.
  template <typename Callable, typename... Arguments>
    requires std::is_invocable_v<Callable, Arguments...>
  auto spawn(Callable callable, Arguments&&... arguments) {
    return spawn(SpawnOptions{}, std::move(callable), std::forward<Arguments>(arguments)...);
  }
  template <typename Callable, typename... Arguments>
    requires std::is_invocable_v<Callable, Arguments...>
  auto spawn(const SpawnOptions& options, Callable callable, Arguments&&... arguments) {
    static_assert(std::is_pointer_v<Callable> || std::is_empty_v<Callable> ||
                      std::is_member_pointer_v<Callable>,
                  "captures die with the closure: pass them to spawn() as arguments");
    using TaskType = std::invoke_result_t<Callable, Arguments...>;
    static_assert(is_task<TaskType>, "the callable must return a Task");
    const detail::RootAllocation allocation;
    TaskType task = detail::invoke(std::move(callable), std::forward<Arguments>(arguments)...);
    return launch(options, std::move(task));
  }
  // Starts a task that exists already (one allocation more).
  template <typename T>
  JoinHandle<T> spawn(Task<T> task) {
    return spawn(SpawnOptions{}, std::move(task));
  }
  template <typename T>
  JoinHandle<T> spawn(const SpawnOptions& options, Task<T> task) {
    const detail::RootAllocation allocation;
    return launch(options, adopt(std::move(task)));
  }

  // Starts `callable(Started<V>, arguments...)` and waits until the child has said that it is ready, by
  // `started.set(value)`. If it ends first, its error is the result (broken if it has none). Cancelling the wait cancels
  // that child, and waits for its word all the same.
  template <typename V, typename Callable, typename... Arguments>
  [[nodiscard]] Task<Result<V>> start(Callable callable, Arguments... arguments);

  // Waits until the group has less than `children_max` children: for a bound on concurrency. Only for the task that
  // owns the group. Errors: cancelled, timed_out.
  [[nodiscard]] Task<Result<void>> room(std::size_t children_max);

  // Cancels the children and the body. Idempotent.
  void cancel() noexcept { scope_.cancel(); }

  // Waits for all children, then leaves the scope. The first failure is the result, or `cancelled` if a scope around
  // the group was cancelled and no child failed. Cancelling the waiting task cancels the children, and goes on waiting.
  [[nodiscard]] auto join() noexcept { return JoinAwaiter(*this); }
  // As join(), but cancels what is left after `grace`.
  [[nodiscard]] Task<Result<void>> drain(Duration grace);

  std::size_t size() const noexcept { return children_; }
  CancelScope& scope() noexcept { return scope_; }
  const CancelScope& scope() const noexcept { return scope_; }
  // In the order of completion.
  std::span<const TaskFailure> failures() const noexcept { return failures_; }
  // Rethrows the first exception among the failures, if there is one.
  void rethrow_exception() const;

  // For walks over the tree of tasks.
  TaskContext* first_child() const noexcept { return first_; }

 private:
  friend void detail::finish_root(TaskContext&, const Error*, const std::exception_ptr*) noexcept;
  friend void detail::finish_root(TaskContext&) noexcept;

  class [[nodiscard]] JoinAwaiter {
   public:
    explicit JoinAwaiter(TaskGroup& group) noexcept : group_(group) {}
    JoinAwaiter(const JoinAwaiter&) = delete;
    JoinAwaiter& operator=(const JoinAwaiter&) = delete;

    bool await_ready() const noexcept { return group_.children_ == 0; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      group_.wait(frame.address(), *frame.promise().context);
    }
    Result<void> await_resume() noexcept { return group_.end(); }

   private:
    TaskGroup& group_;
  };

  template <typename T>
  static Task<T> adopt(Task<T> task) {
    co_return co_await std::move(task);
  }

  // A child of start(). Its Started is a parameter of the inner frame, which goes when the child has ended; the outer
  // one stays as long as start() holds the handle.
  template <typename V, typename Callable, typename... Arguments>
  static auto run_starting(typename Started<V>::State& state, Callable callable, Arguments... arguments)
      -> std::invoke_result_t<Callable, Started<V>, Arguments...> {
    auto child = detail::invoke(std::move(callable), Started<V>(state), std::move(arguments)...);
    co_return co_await std::move(child);
  }

  // Makes `task` a child, and lets it start.
  template <typename T>
  JoinHandle<T> launch(SpawnOptions options, Task<T> task) {
    GYRE_CHECK_HINT(static_cast<bool>(task), "spawned an empty Task");
    const auto frame = task.release();
    // Not if the callable has only passed on a task that there was.
    if (!detail::is_root_frame(frame.address())) [[unlikely]] {
      return spawn(SpawnOptions(options), Task<T>::from_frame(frame));
    }
    TaskContext* const child = add_child(frame.address(), options.name);
    if (child == nullptr) [[unlikely]] {
      const detail::Unstarted::Quietly quietly;
      frame.destroy();
      return JoinHandle<T>(typename JoinHandle<T>::Refused{});
    }
    frame.promise().awaiting = nullptr;
    frame.promise().context = child;
    JoinHandle<T> handle(frame);
    scope_.scheduler_.begin(frame.address(), options.start == Start::eager);
    return handle;
  }

  // Makes the root frame a child, with one reference for a handle. Null if the group has been cancelled: then it starts
  // nothing more. Aborts if the group has ended. Throws bad_alloc.
  TaskContext* add_child(void* root, const char* name);
  [[gnu::cold, gnu::noinline]] TaskContext* add_child_slow(void* root, const char* name);
  void take_out(TaskContext& child) noexcept;
  template <bool plain>
  void wake_waiting(TaskContext& child) noexcept;
  [[gnu::noinline]] void end_child_slow(TaskContext& child, const Error* error,
                                        const std::exception_ptr* exception) noexcept;
  [[gnu::cold, gnu::noinline]] void child_failed(const TaskContext& child, const Error* error,
                                                 const std::exception_ptr* exception) noexcept;
  void wait(void* frame, TaskContext& task) noexcept;
  Result<void> end() noexcept;

  CancelScope scope_;
  TaskContext* first_ = nullptr;
  TaskContext* last_ = nullptr;
  std::size_t children_ = 0;
  TaskContext* waiting_ = nullptr;  // in join()
  detail::Signal* room_ = nullptr;  // in room(): set when a child has ended
  std::vector<TaskFailure> failures_;
  OnFailure on_failure_;
  bool ended_ = false;
};

// What a child that was started by TaskGroup::start() says "ready" with. Move-only; the child may pass it on.
template <typename V>
class Started {
 public:
  Started(Started&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Started& operator=(Started&&) = delete;
  ~Started() {
    if (state_ != nullptr) state_->signal.set();  // ended without a word
  }
  // Once.
  void set(V value) {
    GYRE_CHECK_HINT(state_ != nullptr, "a child said twice that it has started");
    State* const state = std::exchange(state_, nullptr);
    state->value = std::move(value);
    state->signal.set();
  }

 private:
  friend class TaskGroup;

  struct State {
    Result<V> value = Errc::broken;
    detail::Signal signal;
  };
  explicit Started(State& state) noexcept : state_(&state) {}

  State* state_;
};

template <typename V, typename Callable, typename... Arguments>
Task<Result<V>> TaskGroup::start(Callable callable, Arguments... arguments) {
  typename Started<V>::State state;
  auto child = spawn(run_starting<V, Callable, Arguments...>, state, std::move(callable), std::move(arguments)...);
  if (child.was_refused()) {
    const TaskContext& task = *current_task();
    if (task.cancel_requested()) co_return task.cancel_error(OperationKind::join);
    co_return Error::cancelled(OperationKind::join);
  }
  const bool told = co_await state.signal.wait();
  if (!told) {
    child.cancel();
    const CancelScope shielded(CancelScopeOptions{.shielded = true});
    static_cast<void>(co_await state.signal.wait());
  }
  if (!state.value && child.is_finished()) {
    // Its failure, if it has one, is more to the point.
    auto result = child.take();
    if (!result) co_return result.error();
  }
  co_return std::move(state.value);
}

// Runs `body(group, arguments...)` with a group that is joined on every way out, exceptions included.
template <typename Body, typename... Arguments>
[[nodiscard]] Task<Result<void>> with_group(Body body, Arguments... arguments) {
  TaskGroup group;
  group.spawn(std::move(body), group, std::move(arguments)...);
  const Result<void> joined = co_await group.join();
  group.rethrow_exception();
  co_return joined;
}

}  // namespace gyre
