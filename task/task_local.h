// TaskLocal<T>: a value that belongs to a task and to the tasks it spawns (asyncio's contextvars).
//
//   inline constinit TaskLocal<RequestId> request_id;
//   TaskLocalScope<RequestId> bound(request_id, id);    // to the end of the block; tasks spawned meanwhile see it too
//   const RequestId* id = request_id.get();             // null if nothing is bound
//
// A child sees the bindings that its spawner had when it was spawned; neither sees what the other binds later. Spawning
// copies one pointer: bindings are a list of immutable nodes, shared and counted.
#pragma once

#include <cstdint>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/task/context.h>

namespace gyre {

namespace detail {

// One binding. Its counter counts the scopes, tasks and inner bindings that refer to it, all of one thread.
struct LocalBinding {
  const void* key;
  const LocalBinding* outer;
  void (*destroy)(const LocalBinding* binding) noexcept;
  mutable std::uint32_t references = 1;
};

inline const LocalBinding* retain(const LocalBinding* binding) noexcept {
  if (binding != nullptr) ++binding->references;
  return binding;
}
// Destroys the binding, and those further out, as far as nothing else refers to them. Null is fine.
void release(const LocalBinding* binding) noexcept;

}  // namespace detail

// The key. Define it once, at namespace scope.
template <typename T>
class TaskLocal {
 public:
  constexpr TaskLocal() noexcept = default;
  TaskLocal(const TaskLocal&) = delete;
  TaskLocal& operator=(const TaskLocal&) = delete;

  // What the current task has bound, or inherited; null if nothing, and outside a task.
  const T* get() const noexcept;
};

// Binds a value in the current task for the life of this object, which must end in the same task, innermost first.
template <typename T>
class TaskLocalScope {
 public:
  TaskLocalScope(const TaskLocal<T>& key, T value) : task_(current_task()) {
    GYRE_CHECK_HINT(task_ != nullptr, "a TaskLocal can only be bound inside a task");
    node_ = new Node({&key, detail::retain(task_->locals), destroy}, std::move(value));
    detail::release(std::exchange(task_->locals, node_));
    detail::retain(node_);
  }
  TaskLocalScope(const TaskLocalScope&) = delete;
  TaskLocalScope& operator=(const TaskLocalScope&) = delete;
  ~TaskLocalScope() {
    GYRE_CHECK_HINT(task_->locals == node_, "bindings of TaskLocals must end innermost first");
    task_->locals = detail::retain(node_->outer);
    detail::release(node_);
    detail::release(node_);
  }

 private:
  friend class TaskLocal<T>;

  struct Node : detail::LocalBinding {
    Node(const detail::LocalBinding& base, T&& bound) : LocalBinding(base), value(std::move(bound)) {}
    T value;
  };
  static void destroy(const detail::LocalBinding* binding) noexcept {
    delete static_cast<const Node*>(binding);
  }

  TaskContext* task_;
  const Node* node_;
};

template <typename T>
const T* TaskLocal<T>::get() const noexcept {
  const TaskContext* const task = current_task();
  if (task == nullptr) return nullptr;
  for (const detail::LocalBinding* at = task->locals; at != nullptr; at = at->outer) {
    if (at->key == this) return &static_cast<const typename TaskLocalScope<T>::Node*>(at)->value;
  }
  return nullptr;
}

}  // namespace gyre
