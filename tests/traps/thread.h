// Threads for traps: plain pthreads, because <thread> costs more to compile than a whole trap.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdlib>

#include "coro.h"

namespace trap {

// Runs `body` on a new thread with `stack_bytes` of stack (0: the default) and waits for its end.
template <typename Body>
void on_thread(std::size_t stack_bytes, Body body) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_bytes != 0 && pthread_attr_setstacksize(&attributes, stack_bytes) != 0) std::abort();
  pthread_t thread;
  const auto start = [](void* argument) -> void* {
    (*static_cast<Body*>(argument))();
    return nullptr;
  };
  if (pthread_create(&thread, &attributes, start, &body) != 0) std::abort();
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

// As run(), but each turn is on a thread of its own: a task migrates at each await. The threads of
// odd turns hold on until the end, so that a later thread is not given the same thread_local block.
template <typename T>
T run_migrating(Task<T> task) {
  parked = task.handle;
  struct Turn {
    static void take() {
      std::exchange(parked, nullptr).resume();
      if (parked) on_thread(0, take);  // This thread waits inside, and keeps its block.
    }
  };
  on_thread(0, Turn::take);
  if (!task.handle.done()) ledger.note("never finished");
  return task.handle.promise().take();
}

}  // namespace trap
