// TaskContext: what all the frames of one task share. It ends where the task's root frame begins, so that `state` is in
// the cache line that a switch to the task touches anyway.
//
// Invariants: 1. `leaf` is null while the task runs or is ready to run: what a task waited for has then been decided,
// and a later cancel no longer changes it (completion wins over cancel). 2. `cancel_requested` is set exactly while a
// cancelled scope covers the task and no shield lies between.
#pragma once

#include <bit>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string_view>

#include <gyre/platform/error.h>
#include <gyre/task/frame_pool.h>

namespace gyre {

class CancelScope;
class Scheduler;
class TaskContext;
class TaskGroup;
namespace detail {
struct LocalBinding;
}

// A kind of thing that a task can wait for; one constant per awaitable.
struct WaitKind {
  // What dump_tasks() prints: "sleep", "mutex".
  std::string_view name;
  // Asks the wait to end: it calls end_wait() now or later, with whatever the wait has come to. Called at most once a
  // wait; resumes nobody itself.
  void (*cancel)(void* leaf, TaskContext& task) noexcept;
};

class TaskContext {
 public:
  // The last child of its group so far, with a handle.
  TaskContext(CancelScope* base, std::uint32_t number, TaskContext* sibling) noexcept
      : scope(base), previous(sibling), state(has_handle_bit), id(number) {}
  TaskContext(const TaskContext&) = delete;
  TaskContext& operator=(const TaskContext&) = delete;

  // Whether the next checkpoint has to report that the task is cancelled.
  bool cancel_requested() const noexcept { return (state & cancel_requested_bit) != 0; }

  // What such a checkpoint reports: timed_out directly inside the scope whose deadline has passed, else cancelled.
  // Precondition: cancel_requested().
  Error cancel_error(OperationKind operation) const noexcept;

  // `frame`, one of the task's, is about to suspend in `leaf_object` and may be cancelled there.
  void wait_in(void* leaf_object, const WaitKind& kind, void* suspended) noexcept {
    leaf = leaf_object;
    wait_kind = &kind;
    frame = suspended;
  }
  // What it waits for has been decided: makes the task ready. Thread of the scheduler only.
  inline void end_wait() noexcept;

  inline Scheduler& scheduler() const noexcept;

  // As a cancelled scope around the whole task would.
  void cancel() noexcept;

  std::string_view name() const noexcept;

  void* leaf = nullptr;  // what it waits in; null if it runs or is ready
  const WaitKind* wait_kind;  // with `leaf`
  void* frame = nullptr;        // who suspended there
  CancelScope* scope;           // innermost
  TaskContext* next = nullptr;  // siblings in the group that owns the task
  TaskContext* previous;
  const detail::LocalBinding* locals = nullptr;  // innermost; counted, shared with the spawner
  std::uint32_t state;
  std::uint32_t id;

  static constexpr std::uint32_t cancel_requested_bit = 1;
  static constexpr std::uint32_t cancelled_itself_bit = 2;  // by JoinHandle::cancel
  static constexpr std::uint32_t finished_bit = 4;
  static constexpr std::uint32_t has_handle_bit = 8;  // the handle destroys the frame
  // Whoever holds the handle will take the result: the failure of a detached task is then not for the failure sink.
  static constexpr std::uint32_t result_wanted_bit = 16;
};

static_assert(sizeof(TaskContext) <= 64);

namespace detail {

// Where a coroutine waits, in one word, so that it fits where the result will be.
class AwaitPlace {
 public:
  AwaitPlace() noexcept = default;
  // Of GYRE_CALLERS_PLACE().
  explicit AwaitPlace(const void* place) noexcept : place_(place) {}

  const char* file() const noexcept { return place_ != nullptr ? location().file_name() : "?"; }
  std::uint32_t line() const noexcept { return place_ != nullptr ? location().line() : 0; }

 private:
  std::source_location location() const noexcept { return std::bit_cast<std::source_location>(place_); }

  const void* place_ = nullptr;
};

// What stands in front of a root frame.
struct TaskRecord {
  TaskContext* joiner = nullptr;  // who waits for the task's end
  const char* name = nullptr;     // a literal, or null
  TaskContext context;
};
static_assert(sizeof(TaskRecord) == root_prefix);

inline TaskRecord& record_of_root(void* frame) noexcept {
  return *reinterpret_cast<TaskRecord*>(static_cast<std::byte*>(frame) - root_prefix);
}
inline void* root_of(TaskContext& context) noexcept { return &context + 1; }
inline TaskRecord& record_of(TaskContext& context) noexcept {
  return record_of_root(root_of(context));
}
inline const TaskRecord& record_of(const TaskContext& context) noexcept {
  return record_of(const_cast<TaskContext&>(context));
}

// The beginning of every promise, and so at a fixed place in every frame: code that has only a frame's address finds the
// task from here. (Both compilers put a promise of ordinary alignment behind the frame's two function pointers.)
struct PromiseBase {
  PromiseBase() noexcept : context(nullptr) {}

  // The frame that awaits this one, null for a root. Whoever starts the coroutine sets both before.
  void* awaiting;
  // The task; after the end of the coroutine one of the constants below, which say what the promise then holds.
  TaskContext* context;

  static constexpr std::uintptr_t has_value = 1;
  static constexpr std::uintptr_t has_exception = 2;

  std::uintptr_t state() const noexcept { return reinterpret_cast<std::uintptr_t>(context); }
  void set_state(std::uintptr_t state) noexcept { context = reinterpret_cast<TaskContext*>(state); }
};

inline PromiseBase& promise_of(void* frame) noexcept {
  return std::coroutine_handle<PromiseBase>::from_address(frame).promise();
}

// Where a suspended coroutine waits. Every promise keeps its AwaitPlace right behind the base, where later its result is.
inline AwaitPlace place_of(const PromiseBase& promise) noexcept {
  AwaitPlace place;
  std::memcpy(static_cast<void*>(&place), static_cast<const void*>(&promise + 1), sizeof(place));
  return place;
}

}  // namespace detail

// The task that runs on this thread, or null.
inline TaskContext* current_task() noexcept { return detail::thread_state.current; }

}  // namespace gyre
