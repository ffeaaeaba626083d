// What compilers spell differently and the standard lacks: so that nothing outside platform/ is GNU's only.
//
// (__builtin_FILE, __builtin_LINE and __builtin_FUNCTION are the same in GCC, clang and Visual C++, and an attribute of
// another compiler's is ignored. Only GCC and clang have compiled Gyre so far.)
#pragma once

#include <source_location>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define GYRE_FRAME_ADDRESS() _AddressOfReturnAddress()
#define GYRE_PREFETCH(address) static_cast<void>(address)
#define GYRE_FUNCTION_SIGNATURE __FUNCSIG__
#define GYRE_CALLERS_PLACE() nullptr
#else
// An address in the stack frame of the function that this stands in.
#define GYRE_FRAME_ADDRESS() __builtin_frame_address(0)
// `address` will be read soon; it may be any.
#define GYRE_PREFETCH(address) __builtin_prefetch(address)
// The name of the function that this stands in, with its template's arguments.
#define GYRE_FUNCTION_SIGNATURE __PRETTY_FUNCTION__
// As a default argument: where the call stands, as the one word that a std::source_location is. (That itself as an argument
// costs g++ 12 two more words of a coroutine's frame.)
#define GYRE_CALLERS_PLACE() __builtin_source_location()
static_assert(sizeof(std::source_location) == sizeof(const void*));
#endif

// For an await_suspend that publishes its coroutine and does not end with that: clang would inline it, and keep its locals
// in the frame, which another thread may resume by then (docs/COMPILER_TRAPS.md, suspend_after_publication).
#if defined(__clang__)
#define GYRE_PUBLISHING [[gnu::noinline]]
#else
#define GYRE_PUBLISHING
#endif
