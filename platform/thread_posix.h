// What the threads of POSIX systems leave to each of them.
#pragma once

namespace gyre::detail {

// To the n-th of the processors that this process may use, modulo their number; where that cannot be had the thread runs
// where the system likes.
void pin_this_thread(int processor) noexcept;

}  // namespace gyre::detail
