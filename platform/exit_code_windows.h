// Exit codes of Windows, which knows no signals, as Gyre's ExitStatus, and back.
#pragma once

#include <cstdint>

#include <gyre/platform/process.h>

namespace gyre::sys {

// What a process ends with that was "killed by" this signal: the system's own code where there is one (Ctrl-C, a crash),
// else one that only Gyre makes.
std::uint32_t exit_code_of_signal(int signal) noexcept;
ExitStatus exit_status_of(std::uint32_t exit_code) noexcept;

}  // namespace gyre::sys
