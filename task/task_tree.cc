#include <gyre/task/task_tree.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/task_group.h>

namespace gyre {

namespace {

TaskContext* first_child(const CancelScope& scope) noexcept {
  return scope.group() != nullptr ? scope.group()->first_child() : nullptr;
}

// The innermost scope of `task` that a cancellation from outside reaches; `end` is the first scope that is not to be
// looked at. Shields keep it out of everything inside them.
CancelScope* innermost_reached(TaskContext& task, const CancelScope* end) noexcept {
  CancelScope* reached = task.scope;
  for (CancelScope* scope = task.scope; scope != end && scope->task() == &task;
       scope = scope->parent()) {
    if (scope->is_shielded()) reached = scope->parent();
  }
  return reached;
}

}  // namespace

// Walks outwards through the scopes of a task, and at each scope that is a group into its children first. `end` is where
// the walk through the first task stops.
struct TreeCancel {
  static void run(TaskContext* first, CancelScope* scope, const CancelScope* end,
                  void (*deliver)(TaskContext&) noexcept) noexcept {
    TaskContext* task = first;
    for (;;) {
      TaskContext* child = nullptr;
      while (scope != end && scope->task() == task && child == nullptr) {
        if (!scope->effective_) {
          scope->effective_ = true;
          scope->call_hook();
          child = first_child(*scope);
        }
        if (child == nullptr) scope = scope->parent();
      }
      if (child == nullptr) {
        if (task == first) return;
        // `task` is done, and `scope` is that of the group that owns it.
        child = task->next;
        if (task->scope->is_effective()) deliver(*task);
        if (child == nullptr) {
          GYRE_DCHECK(scope != nullptr);
          task = scope->task();
          scope = scope->parent();
          continue;
        }
      }
      task = child;
      scope = innermost_reached(*task, nullptr);
    }
  }
};

void cancel_tasks(CancelScope& scope, void (*deliver)(TaskContext&) noexcept) noexcept {
  TaskContext* const task = scope.task();
  CancelScope* const reached = task != nullptr ? innermost_reached(*task, &scope) : &scope;
  TreeCancel::run(task, reached, scope.parent(), deliver);
  if (task != nullptr && reached == task->scope) deliver(*task);
}

void cancel_task(TaskContext& task, void (*deliver)(TaskContext&) noexcept) noexcept {
  CancelScope* end = task.scope;
  while (end != nullptr && end->task() == &task) end = end->parent();
  CancelScope* const reached = innermost_reached(task, end);
  TreeCancel::run(&task, reached, end, deliver);
  if (reached == task.scope) deliver(task);
}

void visit_tasks(const TaskGroup& group, void (*visit)(void* argument, TaskContext& task),
                 void* argument) {
  TaskContext* task = group.first_child();
  const CancelScope* scope = nullptr;
  if (task == nullptr) return;
  visit(argument, *task);
  scope = task->scope;
  for (;;) {
    TaskContext* child = nullptr;
    while (scope->task() == task && child == nullptr) {
      child = first_child(*scope);
      if (child == nullptr) scope = scope->parent();
    }
    if (child == nullptr) {
      child = task->next;
      while (child == nullptr) {
        // The last child of its group: on with the task that owns the group.
        if (scope == &group.scope()) return;
        task = scope->task();
        scope = scope->parent();
        while (scope->task() == task && child == nullptr) {
          child = first_child(*scope);
          if (child == nullptr) scope = scope->parent();
        }
        if (child == nullptr) child = task->next;
      }
    }
    task = child;
    visit(argument, *task);
    scope = task->scope;
  }
}

}  // namespace gyre
