// pause_instruction: tells the processor that this is a loop that waits for another one.
//
// Threads: any.
#pragma once

namespace gyre::sys {

// As raw_syscall_linux.h, this knows processors; one that it does not know only goes on.
#if defined(__x86_64__)
inline void pause_instruction() noexcept { asm volatile("pause" ::: "memory"); }
#elif defined(__aarch64__)
inline void pause_instruction() noexcept { asm volatile("yield" ::: "memory"); }
#else
inline void pause_instruction() noexcept {}
#endif

}  // namespace gyre::sys
