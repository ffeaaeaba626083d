// Whether this process is a forked child: of what its parent shares with the kernel it must leave its hands off.
#pragma once

#include <cstdint>

namespace gyre {

// A number that is another one in a forked child than in its parent. A load and a test; any thread. (Children that were
// made by a bare system call instead of fork() are not told apart.)
std::uint32_t fork_generation() noexcept;

}  // namespace gyre
