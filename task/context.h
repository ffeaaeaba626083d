// TaskContext: what all the frames of one task share. It lies in front of the task's root frame.
//
// Invariants: 1. `leaf` is null while the task runs or is ready to run: what a task waited for has then been decided,
// and a later cancel no longer changes it (completion wins over cancel). 2. `cancel_requested` is set exactly while a
// cancelled scope covers the task and no shield lies between.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string_view>

#include <gyre/platform/error.h>
#include <gyre/task/frame_pool.h>

namespace gyre {

class CancelScope;
class Scheduler;
class TaskContext;
class TaskGroup;
struct TaskLocal;

// A kind of thing that a task can wait for; one constant per awaitable.
struct WaitKind {
  // What dump_tasks() prints: "sleep", "mutex".
  std::string_view name;
  // Asks the wait to end: it makes the task ready now or later, with whatever the wait has come to. Called at most once
  // a wait; resumes nobody itself.
  void (*cancel)(void* leaf, TaskContext& task) noexcept;
};

class TaskContext {
 public:
  TaskContext(Scheduler& home, CancelScope* base, std::uint32_t number) noexcept
      : scheduler(&home), scope(base), id(number) {}
  TaskContext(const TaskContext&) = delete;
  TaskContext& operator=(const TaskContext&) = delete;

  // Whether the next checkpoint has to report that the task is cancelled.
  bool cancel_requested() const noexcept { return (state & cancel_requested_bit) != 0; }

  // What such a checkpoint reports: timed_out directly inside the scope whose deadline has passed, else cancelled.
  // Precondition: cancel_requested().
  Error cancel_error(OperationKind operation) const noexcept;

  // The task is about to suspend in `leaf_object` and may be cancelled there.
  void wait_in(void* leaf_object, const WaitKind& kind) noexcept {
    leaf = leaf_object;
    wait_kind = &kind;
  }
  // What it waited for has been decided.
  void end_wait() noexcept { leaf = nullptr; }

  // As a cancelled scope around the whole task would.
  void cancel() noexcept;

  std::string_view name() const noexcept;

  Scheduler* scheduler;
  void* leaf = nullptr;
  const WaitKind* wait_kind = nullptr;
  CancelScope* scope;           // innermost
  TaskContext* next = nullptr;  // siblings in the group that owns the task
  TaskContext* previous = nullptr;
  const TaskLocal* locals = nullptr;  // innermost binding; immutable, shared with the spawner
  std::uint32_t state = 0;
  std::uint32_t id;

  static constexpr std::uint32_t cancel_requested_bit = 1;
  static constexpr std::uint32_t cancelled_itself_bit = 2;  // by JoinHandle::cancel
  static constexpr std::uint32_t finished_bit = 4;
  static constexpr std::uint32_t has_handle_bit = 8;  // the handle destroys the frame
  static constexpr std::uint32_t started_bit = 16;
};

static_assert(sizeof(TaskContext) <= 64);

namespace detail {

// What stands in front of a root frame.
struct TaskRecord {
  TaskContext context;
  std::coroutine_handle<> joiner;  // who waits for the task's end
  const char* name = nullptr;      // a literal, or null
};
static_assert(sizeof(TaskRecord) == root_prefix);

inline TaskRecord& record_of_root(void* frame) noexcept {
  return *reinterpret_cast<TaskRecord*>(static_cast<std::byte*>(frame) - root_prefix);
}
inline void* root_of(TaskContext& context) noexcept {
  return reinterpret_cast<std::byte*>(&context) + root_prefix;
}

// The beginning of every promise, and so at a fixed place in every frame: code that has only a frame's address finds the
// task from here. (Both compilers put a promise of ordinary alignment behind the frame's two function pointers.)
struct PromiseBase {
  // The frame that awaits this one; its low bits say what the promise holds.
  std::uintptr_t awaiting = 0;
  TaskContext* context = nullptr;

  static constexpr std::uintptr_t pending = 0;
  static constexpr std::uintptr_t has_value = 1;
  static constexpr std::uintptr_t has_exception = 2;
  static constexpr std::uintptr_t state_mask = 3;

  std::uintptr_t state() const noexcept { return awaiting & state_mask; }
  void* awaiting_frame() const noexcept {
    return reinterpret_cast<void*>(awaiting & ~state_mask);
  }
};

inline PromiseBase& promise_of(void* frame) noexcept {
  return std::coroutine_handle<PromiseBase>::from_address(frame).promise();
}

}  // namespace detail

// The task that runs on this thread, or null.
inline TaskContext* current_task() noexcept { return detail::thread_state.current; }

}  // namespace gyre
