// Assertions and the build's three switches.
//
// GYRE_CHECK(condition) stays in every build: preconditions of public functions, ownership, "this cannot happen".
// GYRE_DCHECK(condition) is for hot paths and O(n) invariants: on where `debug_checks` is.
// Both print file, line and condition and abort. The condition must have no side effect.
#pragma once

// The one place that looks at the build (with poller.cc, which lists the backends). Everything else uses the constants
// below, so that both branches of every decision are always compiled.
#if defined(GYRE_DEBUG) || !defined(NDEBUG)
#define GYRE_DEBUG_CHECKS 1
#else
#define GYRE_DEBUG_CHECKS 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GYRE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define GYRE_SANITIZED 1
#endif
#endif
#if !defined(GYRE_SANITIZED)
#define GYRE_SANITIZED 0
#endif

#if !defined(GYRE_FAULT_INJECTION)
#define GYRE_FAULT_INJECTION 0
#endif

// try and catch for the few places that look into an exception of user code. Where exceptions are off there are none, and
// the handler is left out: GYRE_TRY(statements) GYRE_CATCH(declaration, statements).
#if defined(__cpp_exceptions)
#define GYRE_TRY(...) try { __VA_ARGS__ }
#define GYRE_CATCH(declaration, ...) catch (declaration) { __VA_ARGS__ }
#else
#define GYRE_TRY(...) { __VA_ARGS__ }
#define GYRE_CATCH(declaration, ...)
#endif

namespace gyre {

// Whether GYRE_DCHECK and the other debug-only checks are on. Never changes the layout of a type.
inline constexpr bool debug_checks = GYRE_DEBUG_CHECKS != 0;

// Whether a sanitizer watches this translation unit: frames then come from the heap, system calls go through libc.
inline constexpr bool sanitized = GYRE_SANITIZED != 0;

// Whether the seam in platform/syscalls_* lets tests inject failures. Off, and free, in release builds.
inline constexpr bool fault_injection = GYRE_FAULT_INJECTION != 0;

namespace detail {

// Prints "file:line: check failed: condition (hint)" to standard error and aborts. Any thread.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const char* hint) noexcept;

}  // namespace detail
}  // namespace gyre

#define GYRE_CHECK(condition) GYRE_CHECK_HINT(condition, nullptr)

// As GYRE_CHECK, and says what to do about it: `hint` is a string literal.
#define GYRE_CHECK_HINT(condition, hint)                                         \
  do {                                                                           \
    if (!(condition)) [[unlikely]] {                                             \
      ::gyre::detail::check_failed(__FILE__, __LINE__, #condition, hint);        \
    }                                                                            \
  } while (false)

#define GYRE_DCHECK(condition)                                                   \
  do {                                                                           \
    if (::gyre::debug_checks && !(condition)) [[unlikely]] {                     \
      ::gyre::detail::check_failed(__FILE__, __LINE__, #condition, nullptr);     \
    }                                                                            \
  } while (false)
