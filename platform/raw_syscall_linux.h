// raw_syscall: enters the Linux kernel without libc: no errno, no cancellation point, no wrapper.
//
// Returns what the kernel returns: >= 0, or -1 to -4095 for a negated errno. Only platform/syscalls_linux.h calls it.
#pragma once

#include <cstddef>
#include <type_traits>

namespace gyre::sys {

// An argument as the kernel wants it: one machine word.
template <typename T>
inline long word(T argument) noexcept {
  if constexpr (std::is_same_v<T, std::nullptr_t>) {
    return 0;
  } else if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(argument);
  } else {
    static_assert((std::is_integral_v<T> || std::is_enum_v<T>) && sizeof(T) <= sizeof(long));
    return static_cast<long>(argument);
  }
}

// The one place that knows processors (like check.h knows builds).
#if defined(__x86_64__)

// The kernel overwrites rcx and r11. "memory": it may read and write whatever the arguments point to.
inline long raw_syscall(long number) noexcept {
  long result;
  asm volatile("syscall" : "=a"(result) : "0"(number) : "rcx", "r11", "memory");
  return result;
}
inline long raw_syscall(long number, long a) noexcept {
  long result;
  asm volatile("syscall" : "=a"(result) : "0"(number), "D"(a) : "rcx", "r11", "memory");
  return result;
}
inline long raw_syscall(long number, long a, long b) noexcept {
  long result;
  asm volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return result;
}
inline long raw_syscall(long number, long a, long b, long c) noexcept {
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}
inline long raw_syscall(long number, long a, long b, long c, long d) noexcept {
  long result;
  register long r10 asm("r10") = d;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}
inline long raw_syscall(long number, long a, long b, long c, long d, long e) noexcept {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}
inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

// Tells the processor that this is a loop that waits for another one.
inline void pause_instruction() noexcept { asm volatile("pause" ::: "memory"); }

#elif defined(__aarch64__)

inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) noexcept {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0"
               : "+r"(x0)
               : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
               : "memory");
  return x0;
}

inline void pause_instruction() noexcept { asm volatile("yield" ::: "memory"); }

#else
#error "platform/raw_syscall_linux.h needs the system call instruction of this processor"
#endif

}  // namespace gyre::sys
