#include <gyre/task/dump.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/context.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>
#include <gyre/task/task_tree.h>

namespace gyre {

namespace {

struct Dump {
  Scheduler& scheduler;
  std::string text;
};

void append_format(std::string& text, const char* format, auto... arguments) {
  char line[256];
  const int length = std::snprintf(line, sizeof(line), format, arguments...);
  if (length > 0) text.append(line, std::min(static_cast<std::size_t>(length), sizeof(line) - 1));
}

std::size_t depth_of(const TaskContext& task) {
  std::size_t depth = 0;
  const TaskContext* owner = &task;
  for (const CancelScope* scope = task.scope; scope != nullptr; scope = scope->parent()) {
    if (scope->task() != owner) {
      owner = scope->task();
      if (owner != nullptr) ++depth;
    }
  }
  return depth;
}

// Root first.
std::vector<detail::AwaitPlace> await_chain(void* innermost) {
  std::vector<detail::AwaitPlace> places;
  for (void* frame = innermost; frame != nullptr; frame = detail::promise_of(frame).awaiting) {
    places.push_back(detail::place_of(detail::promise_of(frame)));
  }
  return {places.rbegin(), places.rend()};
}

void append_scopes(Dump& dump, const TaskContext& task, const std::string& indent) {
  for (const CancelScope* scope = task.scope; scope != nullptr && scope->task() == &task;
       scope = scope->parent()) {
    dump.text += indent + (scope->group() != nullptr ? "  group" : "  scope");
    if (scope->is_shielded()) dump.text += ", shielded";
    if (scope->is_cancelled()) dump.text += ", cancelled";
    if (scope->deadline() != never) {
      const Duration left = scope->deadline() - dump.scheduler.now();
      append_format(dump.text, ", deadline in %.3f s", static_cast<double>(left.count()) / 1e9);
    }
    dump.text += '\n';
  }
}

void visit(void* argument, TaskContext& task) {
  Dump& dump = *static_cast<Dump*>(argument);
  const std::string indent(2 * depth_of(task), ' ');
  append_format(dump.text, "%stask %u", indent.c_str(), task.id);
  if (!task.name().empty()) {
    dump.text += " \"" + std::string(task.name()) + '"';
  }
  if (&task == current_task()) {
    dump.text += " runs";
  } else if (task.leaf != nullptr || task.frame != nullptr) {
    dump.text += task.leaf != nullptr ? " waits in " + std::string(task.wait_kind->name) : " ready";
  } else {
    dump.text += " not started or ready";
  }
  if (task.cancel_requested()) dump.text += ", cancelled";
  dump.text += '\n';
  if (task.leaf != nullptr) {
    for (const detail::AwaitPlace& place : await_chain(task.frame)) {
      append_format(dump.text, "%s  at %s:%u\n", indent.c_str(), place.file(), place.line());
    }
  }
  append_scopes(dump, task, indent);
}

}  // namespace

std::string dump_tasks(Scheduler& scheduler) {
  Dump dump{scheduler, {}};
  visit_tasks(scheduler.detached(), visit, &dump);
  return dump.text;
}

}  // namespace gyre
