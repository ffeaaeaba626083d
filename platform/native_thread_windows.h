// Threads as the compiler's library starts them, which must know of each.
//
// The library of mingw-w64 ("posix" threads) takes a thread that is not its own for one of its own as soon as it touches
// a thread_local, and gives the record back under the loader's lock. Its own, on their way out, want the loader's lock
// while they hold the lock of those records: one that ends beside such a stranger hangs, and so does the process.
#pragma once

#include <windows.h>

#include <process.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>  // tells whose threads the standard library's are
#include <new>

namespace gyre::detail {

#if defined(_GLIBCXX_GCC_GTHR_POSIX_H)

using NativeThreadEnd = void*;

// pthread_detach() from elsewhere never meets the thread's end: winpthreads 10 then seems to give the thread's record back
// twice, so that two later threads share it (seen once: a thread of the pool began with a null argument). The thread itself
// detaches, or who finds it ended joins it.
struct NativeThread {
  enum State : int { runs, is_detached, has_ended };

  NativeThreadEnd (*begin)(void*);
  void* argument;
  pthread_t thread{};
  std::atomic<int> state{runs};

  static void* run(void* of) {
    NativeThread* const self = static_cast<NativeThread*>(of);
    void* const result = self->begin(self->argument);
    if (self->state.exchange(has_ended) == is_detached) {
      delete self;
      ::pthread_detach(::pthread_self());
    }
    return result;
  }
};

// 0: it could not be started.
inline std::uintptr_t start_native_thread(NativeThreadEnd (*begin)(void*), void* argument) noexcept {
  std::unique_ptr<NativeThread> thread(new (std::nothrow) NativeThread{begin, argument});
  if (thread == nullptr || ::pthread_create(&thread->thread, nullptr, &NativeThread::run, thread.get()) != 0) return 0;
  return reinterpret_cast<std::uintptr_t>(thread.release());
}
inline void join_native_thread(std::uintptr_t thread) noexcept {
  const std::unique_ptr<NativeThread> joined(reinterpret_cast<NativeThread*>(thread));
  ::pthread_join(joined->thread, nullptr);
}
inline void detach_native_thread(std::uintptr_t thread) noexcept {
  if (reinterpret_cast<NativeThread*>(thread)->state.exchange(NativeThread::is_detached) == NativeThread::has_ended) {
    join_native_thread(thread);
  }
}

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
