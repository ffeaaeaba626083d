// Threads as the compiler's library starts them, which must know of each.
//
// The library of mingw-w64 ("posix" threads) takes a thread that is not its own for one of its own as soon as it touches
// a thread_local, and gives the record back under the loader's lock. Its own, on their way out, want the loader's lock
// while they hold the lock of those records: one that ends beside such a stranger hangs, and so does the process.
#pragma once

#include <windows.h>

#include <process.h>

#include <cstdint>
#include <mutex>  // tells whose threads the standard library's are

namespace gyre::detail {

#if defined(_GLIBCXX_GCC_GTHR_POSIX_H)

using NativeThreadEnd = void*;

// 0: it could not be started.
inline std::uintptr_t start_native_thread(NativeThreadEnd (*begin)(void*), void* argument) noexcept {
  static_assert(sizeof(pthread_t) == sizeof(std::uintptr_t));
  pthread_t thread{};
  return ::pthread_create(&thread, nullptr, begin, argument) == 0 ? thread : 0;
}
inline void join_native_thread(std::uintptr_t thread) noexcept { ::pthread_join(thread, nullptr); }
inline void detach_native_thread(std::uintptr_t thread) noexcept { ::pthread_detach(thread); }

#else

using NativeThreadEnd = unsigned;

inline std::uintptr_t start_native_thread(NativeThreadEnd(__stdcall* begin)(void*), void* argument) noexcept {
  return ::_beginthreadex(nullptr, 0, begin, argument, 0, nullptr);
}
inline void detach_native_thread(std::uintptr_t thread) noexcept { ::CloseHandle(reinterpret_cast<HANDLE>(thread)); }
inline void join_native_thread(std::uintptr_t thread) noexcept {
  ::WaitForSingleObject(reinterpret_cast<HANDLE>(thread), INFINITE);
  detach_native_thread(thread);
}

#endif

}  // namespace gyre::detail
