// What the systems with posix_spawn() and kqueue leave to each of them. (current_program() of process.h is in the same files.)
//
// Threads: any.
#pragma once

#include <spawn.h>

#include <vector>

namespace gyre::detail {

// Of posix_spawnattr_setflags(): always, and for a session of the child's own; 0: there is no such thing.
extern const int spawn_flags;
extern const int spawn_session;

// Adds what keeps every other descriptor out of the child, after its own have got their numbers. `keeps`: which numbers it
// has, or inherits; what is above their number is closed, too.
void close_others(posix_spawn_file_actions_t& actions, const std::vector<bool>& keeps);

}  // namespace gyre::detail
