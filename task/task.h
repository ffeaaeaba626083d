// Task<T>: a coroutine that starts when it is awaited, or when it is spawned.
//
//   Task<int> answer() { co_return 42; }
//   Task<void> ask() { int a = co_await answer(); }
//
// A Task has one owner and is awaited at most once. A task that was never started may be dropped; its frame, with the
// arguments in it, is then destroyed; builds with debug checks report it, since most often a co_await was forgotten (drop
// on purpose with forget()). T may be void, a reference, a move-only type, or a Result. An exception that
// leaves the coroutine is rethrown where it is awaited.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/compiler.h>
#include <gyre/platform/result.h>
#include <gyre/task/context.h>
#include <gyre/task/frame_pool.h>
#include <gyre/task/scheduler.h>

namespace gyre {

template <typename T>
class Task;

namespace detail {

// Ends a root frame: see TaskGroup.
void finish_root(TaskContext& context, const Error* error,
                 const std::exception_ptr* exception) noexcept;
void finish_root(TaskContext& context) noexcept;

// What a promise holds beside its base: nothing of use while the coroutine runs (then it is where the coroutine waits,
// for dump_tasks), later the result.
template <typename T>
union PromiseSlot {
  PromiseSlot() noexcept {}
  ~PromiseSlot() {}

  AwaitPlace waits_at;
  T value;
  std::exception_ptr exception;
};

// In builds with debug checks a task that nobody has started knows the name and the place of its coroutine, and reports
// them when it is dropped: most often a co_await was forgotten.
struct Unstarted {
  // The context is not known yet: its word holds the name.
  static void note(PromiseBase& promise, const char* name) noexcept {
    promise.context = reinterpret_cast<TaskContext*>(const_cast<char*>(name));
  }
  // To standard error, unless it is inside a task that is being dropped, or Quietly.
  static void report_drop(const PromiseBase& promise) noexcept;

  // While one of these lives, whatever is dropped is not reported.
  class Quietly {
   public:
    Quietly() noexcept {
      if constexpr (debug_checks) outer_ = std::exchange(thread_state.drops_quietly, true);
    }
    Quietly(const Quietly&) = delete;
    Quietly& operator=(const Quietly&) = delete;
    ~Quietly() {
      if constexpr (debug_checks) thread_state.drops_quietly = outer_;
    }

   private:
    bool outer_ = false;
  };
};

struct Nothing {};

template <typename T>
using StoredResult = std::conditional_t<
    std::is_void_v<T>, Nothing,
    std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<std::remove_reference_t<T>>, T>>;

template <typename T>
class TaskAwaiter;

template <typename T>
class TaskPromise;

// An awaiter that stands elsewhere: in the co_await expression, which outlives the wait.
template <typename Awaiter>
class [[nodiscard]] AwaiterReference {
 public:
  explicit AwaiterReference(Awaiter& awaiter) noexcept : awaiter_(awaiter) {}
  AwaiterReference(const AwaiterReference&) = delete;
  AwaiterReference& operator=(const AwaiterReference&) = delete;

  bool await_ready() noexcept { return awaiter_.await_ready(); }
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    return awaiter_.await_suspend(frame);
  }
  decltype(auto) await_resume() { return awaiter_.await_resume(); }

 private:
  Awaiter& awaiter_;
};

// The end of every coroutine: on to who awaits it, or to the group that owns the task.
template <typename T>
struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(
      std::coroutine_handle<TaskPromise<T>> finished) const noexcept {
    TaskPromise<T>& promise = finished.promise();
    if (promise.awaiting != nullptr) [[likely]] return transfer(promise.awaiting);
    promise.finish(record_of_root(finished.address()).context);
    return std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

template <typename T>
class TaskPromiseCommon : public PromiseBase {
 public:
  using Stored = StoredResult<T>;
  // Of more, compilers would place the promise where context_of() does not look for it.
  static_assert(alignof(Stored) <= 2 * sizeof(void*), "a task's value is aligned to 16 bytes at most: return a std::unique_ptr");

  TaskPromiseCommon() noexcept = default;
  ~TaskPromiseCommon() {
    if (state() == has_exception) [[unlikely]] {
      slot_.exception.~exception_ptr();
    } else if constexpr (!std::is_trivially_destructible_v<Stored>) {
      if (state() == has_value) slot_.value.~Stored();
    }
  }

  static void* operator new(std::size_t size) noexcept {
    void* const frame = allocate_frame(size);
    if constexpr (debug_checks) thread_state.last_frame = frame;
    return frame;
  }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter<T> final_suspend() const noexcept { return {}; }

  void unhandled_exception() noexcept {
    // A value whose destructor of a local threw is replaced.
    if (state() == has_value) slot_.value.~Stored();
    new (&slot_.exception) std::exception_ptr(std::current_exception());
    set_state(has_exception);
  }

  // Every await passes here, and leaves its place for dump_tasks(). What comes back is always a value: g++ 12 copies an
  // awaiter that it is given a reference to.
  template <typename Awaitable>
  auto await_transform(Awaitable&& awaitable, const void* place = GYRE_CALLERS_PLACE()) noexcept {
    slot_.waits_at = AwaitPlace(place);
    if constexpr (requires { static_cast<Awaitable&&>(awaitable).operator co_await(); }) {
      return static_cast<Awaitable&&>(awaitable).operator co_await();
    } else {
      return AwaiterReference<std::remove_reference_t<Awaitable>>(awaitable);
    }
  }

  // Precondition: the coroutine has finished.
  decltype(auto) take() {
    if (state() == has_exception) [[unlikely]] std::rethrow_exception(slot_.exception);
    GYRE_DCHECK(state() == has_value);
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*slot_.value);
    } else if constexpr (!std::is_void_v<T>) {
      return T(std::move(slot_.value));
    }
  }

  // A root has ended: tells its group, with what went wrong if anything did.
  void finish(TaskContext& task) noexcept {
    if constexpr (!is_result<std::remove_cv_t<T>>) {
      if (state() == has_value) [[likely]] return finish_root(task);
    }
    finish_root(task, error(), exception());
  }

 protected:
  // g++ 12 puts a hidden flag in front of the frame of a coroutine with an await in a condition and no local variable,
  // and then finds neither the promise nor the frame. (Compilers may also leave the allocation out: then nothing is known.)
  static void check_frame(const void* frame) noexcept {
    if constexpr (debug_checks) {
      const void* const allocated = std::exchange(thread_state.last_frame, nullptr);
      GYRE_CHECK_HINT(allocated == nullptr || allocated == frame,
                      "the compiler has misplaced a coroutine frame: await into a named local, not inside a condition");
    }
  }

  void note_creation(AwaitPlace place, const char* name) noexcept {
    if constexpr (debug_checks) {
      slot_.waits_at = place;
      Unstarted::note(*this, name);
    }
  }

  // What went wrong in a finished coroutine; null if nothing did.
  const Error* error() const noexcept {
    if constexpr (is_result<std::remove_cv_t<T>>) {
      if (state() == has_value && !slot_.value) return &slot_.value.error();
    }
    return nullptr;
  }
  const std::exception_ptr* exception() const noexcept {
    return state() == has_exception ? &slot_.exception : nullptr;
  }

  template <typename... Args>
  void store(Args&&... args) {
    new (&slot_.value) Stored(std::forward<Args>(args)...);
    set_state(has_value);
  }

  PromiseSlot<Stored> slot_;
};

template <typename T>
class TaskPromise final : public TaskPromiseCommon<T> {
 public:
  Task<T> get_return_object(const void* place = GYRE_CALLERS_PLACE(), const char* name = __builtin_FUNCTION()) noexcept;
  static Task<T> get_return_object_on_allocation_failure();

  template <typename U = T>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    if constexpr (std::is_reference_v<T>) {
      this->store(std::addressof(value));
    } else {
      this->store(std::forward<U>(value));
    }
  }
};

template <>
class TaskPromise<void> final : public TaskPromiseCommon<void> {
 public:
  Task<void> get_return_object(const void* place = GYRE_CALLERS_PLACE(), const char* name = __builtin_FUNCTION()) noexcept;
  static Task<void> get_return_object_on_allocation_failure();

  void return_void() noexcept { set_state(has_value); }
};

// Throws bad_alloc.
[[noreturn]] void out_of_frame_memory();

}  // namespace detail

template <typename T = void>
class [[nodiscard("a task does nothing until it is awaited or spawned")]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;

  Task() noexcept = default;
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  ~Task() { drop(); }

  explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

  // Starts the task and waits for its result. Only of an rvalue: `co_await std::move(task)`.
  detail::TaskAwaiter<T> operator co_await() && noexcept;

  // Drops a task that was not started, on purpose. Idempotent.
  void forget() noexcept {
    const detail::Unstarted::Quietly quietly;
    drop();
  }

  // For combinators: the frame, which the caller then owns; and back.
  [[nodiscard]] std::coroutine_handle<promise_type> release() noexcept {
    return std::exchange(frame_, {});
  }
  static Task from_frame(std::coroutine_handle<promise_type> frame) noexcept { return Task(frame); }

 private:
  friend promise_type;

  explicit Task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  void drop() noexcept {
    if (!frame_) return;
    const std::coroutine_handle<promise_type> frame = std::exchange(frame_, {});
    if constexpr (debug_checks) detail::Unstarted::report_drop(frame.promise());
    // What it holds is dropped for the same reason.
    const detail::Unstarted::Quietly quietly;
    frame.destroy();
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

// Awaiting a child: it runs at once, in the same task; the child's frame lives until its result has been taken.
template <typename T>
class [[nodiscard]] TaskAwaiter {
 public:
  explicit TaskAwaiter(std::coroutine_handle<TaskPromise<T>> child) noexcept : child_(child) {
    GYRE_CHECK_HINT(child, "awaited an empty Task: it was moved from, or awaited twice");
  }
  TaskAwaiter(const TaskAwaiter&) = delete;
  TaskAwaiter& operator=(const TaskAwaiter&) = delete;
  ~TaskAwaiter() { child_.destroy(); }

  bool await_ready() const noexcept { return false; }

  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
    PromiseBase& child = child_.promise();
    child.awaiting = parent.address();
    child.context = parent.promise().context;
    return transfer(child_.address());
  }

  T await_resume() { return child_.promise().take(); }

 private:
  std::coroutine_handle<TaskPromise<T>> child_;
};

template <typename T>
Task<T> TaskPromise<T>::get_return_object(const void* place, const char* name) noexcept {
  const auto frame = std::coroutine_handle<TaskPromise>::from_promise(*this);
  TaskPromise::check_frame(frame.address());
  this->note_creation(AwaitPlace(place), name);
  return Task<T>(frame);
}
template <typename T>
Task<T> TaskPromise<T>::get_return_object_on_allocation_failure() {
  out_of_frame_memory();
}
inline Task<void> TaskPromise<void>::get_return_object(const void* place, const char* name) noexcept {
  const auto frame = std::coroutine_handle<TaskPromise>::from_promise(*this);
  check_frame(frame.address());
  note_creation(AwaitPlace(place), name);
  return Task<void>(frame);
}
inline Task<void> TaskPromise<void>::get_return_object_on_allocation_failure() {
  out_of_frame_memory();
}

}  // namespace detail

template <typename T>
detail::TaskAwaiter<T> Task<T>::operator co_await() && noexcept {
  return detail::TaskAwaiter<T>(release());
}

template <typename T>
inline constexpr bool is_task = false;
template <typename T>
inline constexpr bool is_task<Task<T>> = true;

}  // namespace gyre
