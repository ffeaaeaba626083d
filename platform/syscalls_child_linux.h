// A child process on its way to its program: the system calls between clone and execve.
//
// The child is cloned with CLONE_VM but without CLONE_VFORK: it runs in the parent's memory, on a stack of its own, while
// the parent goes on. So a start costs the same whatever the parent's size, and a program file that is slow to open
// (on a network, say) keeps no loop waiting. The price: until the child has reported, the plan and the stack are the
// child's, and the child may do nothing but enter the kernel: no libc, no allocation, no thread-local storage.
//
// The report is the end of a pipe: its reader sees either the end of the stream (execve closed the pipe, the program
// runs) or one ChildReport. At the end of the stream the child has left the parent's memory; after a report only once it
// has ended.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/unique_fd.h>

namespace gyre::sys {

enum class ChildStep : std::int32_t { none, redirect, placement, change_directory, execute };

struct ChildReport {
  ChildStep step = ChildStep::none;
  std::int32_t error = 0;   // errno
  std::int32_t detail = 0;  // redirect: which target
};

// In the child, `target` becomes another name of what is `source` in the parent.
struct ChildRedirect {
  std::int32_t target = 0;
  std::int32_t source = 0;
  bool is_inherited = false;    // only if it is open and not close-on-exec; else the target is closed
  std::int32_t moved = -1;      // the child's own
};

// All pointers stay valid, and all memory unchanged, until the child has left.
struct ChildPlan {
  const char* const* paths = nullptr;  // tried in order; ends with null
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;     // null: the parent's
  ChildRedirect* redirects = nullptr;  // in the order of their targets; every other descriptor is closed
  std::size_t redirects_count = 0;
  std::int32_t report = -1;            // the pipe's writing end, in the parent
  enum class Placement : std::uint8_t { with_parent, own_group, own_session } placement = Placement::with_parent;
  std::int64_t dies_with = 0;          // not 0: the parent's number; the child is killed when the parent's thread ends
  // The child's stack.
  alignas(16) std::byte stack[16384];
};

// Starts the child with all signals blocked; it resets every disposition and the mask before it executes its program.
// Returns its number and sets `pidfd`, or a negated errno.
// Returned: EAGAIN (the limit on processes), ENOMEM, EMFILE, ENFILE, EPERM; EINVAL or ENOSYS before Linux 5.2.
std::int64_t start_child(ChildPlan& plan, UniqueFd& pidfd, const Site& site = Site::current()) noexcept;

}  // namespace gyre::sys
