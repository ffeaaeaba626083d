// Who runs here: this process, its parent, its threads.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace gyre {

std::int64_t process_id() noexcept;
std::int64_t parent_process_id() noexcept;
// The calling thread's; empty if it has none. (See ThreadOptions::name.)
std::string thread_name();
// Of this process, whoever has started them; a sanitizer may have one of its own. 0: the system does not tell.
std::size_t count_threads();
// Bytes that this process has had in memory at most. 0: the system does not tell.
std::uint64_t peak_memory();
// Whether somebody looks at the standard output.
bool is_terminal_output() noexcept;

}  // namespace gyre
