// Walks over the tree of tasks, scopes and groups: a task has scopes, some scopes are groups, a group has tasks.
//
// All without recursion: trees may be as deep as memory allows.
#pragma once

namespace gyre {

class CancelScope;
class TaskContext;
class TaskGroup;

// Marks `scope` and all that it covers as effectively cancelled, and calls `deliver` for every task covered: the
// children of a group in the order of their spawning, and before the task that owns the group.
void cancel_tasks(CancelScope& scope, void (*deliver)(TaskContext&) noexcept) noexcept;

// The same for everything inside one task, and the task.
void cancel_task(TaskContext& task, void (*deliver)(TaskContext&) noexcept) noexcept;

// Calls `visit(argument, task)` for every unfinished task of `group`, and of the groups inside those, a parent before
// its children. `visit` must not spawn or finish a task.
void visit_tasks(const TaskGroup& group, void (*visit)(void* argument, TaskContext& task),
                 void* argument);

}  // namespace gyre
