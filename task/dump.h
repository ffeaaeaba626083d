// A picture of all tasks, for people: what each waits for, and where.
#pragma once

#include <string>

#include <gyre/task/scheduler.h>

namespace gyre {

// Every live task of `scheduler`, a parent before its children: number, name, state ("runs", "ready", "waits in sleep"),
// the chain of awaits from the task's root to where it stands, with file and line, and the scopes with their deadlines.
// For one that is ready or runs the innermost place is where it last waited.
std::string dump_tasks(Scheduler& scheduler);

}  // namespace gyre
