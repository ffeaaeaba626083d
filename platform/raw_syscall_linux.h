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

// For what runs in a child that still shares its parent's memory: a sanitizer would take it for the parent's thread, and
// a stack protector would look into that thread's storage.
#if defined(__clang__)
#define GYRE_BARE __attribute__((disable_sanitizer_instrumentation, no_stack_protector))
#else
#define GYRE_BARE __attribute__((no_sanitize("address", "thread", "undefined"), no_stack_protector))
#endif

// The one place that knows processors (like check.h knows builds).
#if defined(__x86_64__)

// Starts a process as clone() does with these flags: it shares the descriptors' numbers but not the stack, and begins in
// `run(argument)`, which never returns, on the stack that ends at `stack_end` (16-aligned). Returns in the parent only,
// and stores the pidfd (CLONE_PIDFD).
inline long raw_clone(unsigned long flags, void* stack_end, int* pidfd, void (*run)(void*),
                      void* argument) noexcept {
  long result;
  // Named registers: the frame pointer, say, would be lost before it is used.
  register long r10 asm("r10") = 0;
  register long r8 asm("r8") = 0;
  register void (*r9)(void*) asm("r9") = run;
  register void* r12 asm("r12") = argument;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"  // the end of the child's frames, for debuggers
      "mov %%r12, %%rdi\n\t"
      "call *%%r9\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "0"(56L), "D"(flags), "S"(stack_end), "d"(pidfd), "r"(r10), "r"(r8), "r"(r9), "r"(r12)
      : "rcx", "r11", "memory", "cc");
  return result;
}

// The kernel overwrites rcx and r11. "memory": it may read and write whatever the arguments point to.
GYRE_BARE inline long raw_syscall(long number) noexcept {
  long result;
  asm volatile("syscall" : "=a"(result) : "0"(number) : "rcx", "r11", "memory");
  return result;
}
GYRE_BARE inline long raw_syscall(long number, long a) noexcept {
  long result;
  asm volatile("syscall" : "=a"(result) : "0"(number), "D"(a) : "rcx", "r11", "memory");
  return result;
}
GYRE_BARE inline long raw_syscall(long number, long a, long b) noexcept {
  long result;
  asm volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return result;
}
GYRE_BARE inline long raw_syscall(long number, long a, long b, long c) noexcept {
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}
GYRE_BARE inline long raw_syscall(long number, long a, long b, long c, long d) noexcept {
  long result;
  register long r10 asm("r10") = d;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}
GYRE_BARE inline long raw_syscall(long number, long a, long b, long c, long d, long e) noexcept {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}
GYRE_BARE inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
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

#elif defined(__aarch64__)

inline long raw_clone(unsigned long flags, void* stack_end, int* pidfd, void (*run)(void*),
                      void* argument) noexcept {
  register long x8 asm("x8") = 220;
  register long x0 asm("x0") = static_cast<long>(flags);
  register void* x1 asm("x1") = stack_end;
  register int* x2 asm("x2") = pidfd;
  register long x3 asm("x3") = 0;
  register long x4 asm("x4") = 0;
  register void (*x5)(void*) asm("x5") = run;
  register void* x6 asm("x6") = argument;
  asm volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x6\n\t"
      "blr x5\n\t"
      "brk #1\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x6)
      : "memory", "cc");
  return x0;
}

GYRE_BARE inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
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

#else
#error "platform/raw_syscall_linux.h needs the system call instruction of this processor"
#endif

}  // namespace gyre::sys
