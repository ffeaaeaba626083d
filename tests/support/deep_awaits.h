// Awaits without end on a small stack: for stack_depth_test, which runs them as they are built with it, and for
// stack_depth_posix_test, which has them compiled by other compilers, at other levels.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdlib>

#include <gyre/platform/clock.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre::test {

constexpr std::size_t stack_bytes = 256 * 1024;
constexpr int children = 1'000'000;
constexpr int depth_max = 100'000;

struct Awaited {
  long children = 0;
  long depth = 0;
  long depth_with_wait = 0;
  long chained = 0;
  bool is_right() const {
    return children == test::children && depth == depth_max && depth_with_wait == depth_max && chained == test::children;
  }
};

inline Task<int> ready_child(int value) { co_return value; }
inline Task<long> await_children(int count) {
  long sum = 0;
  for (int i = 0; i < count; ++i) {
    const int value = co_await ready_child(1);
    sum += value;
  }
  co_return sum;
}
// Its end is ten frames further in.
inline Task<long> chain(int links) {
  if (links == 0) co_return 0;
  const long rest = co_await chain(links - 1);
  co_return rest + 1;
}
inline Task<long> await_chains(int count) {
  long sum = 0;
  while (sum < count) {
    const long links = co_await chain(10);
    sum += links;
  }
  co_return sum;
}
inline Task<long> recurse(int depth) {
  if (depth == 0) co_return 0;
  const long rest = co_await recurse(depth - 1);
  co_return rest + 1;
}
inline Task<long> recurse_and_wait(int depth) {
  if (depth == 0) {
    const Result<void> turn = co_await yield();
    co_return turn ? 0 : -1;
  }
  const long rest = co_await recurse_and_wait(depth - 1);
  co_return rest + 1;
}
inline Task<void> await_all(Awaited& awaited) {
  awaited.children = co_await await_children(children);
  awaited.chained = co_await await_chains(children);
  awaited.depth = co_await recurse(depth_max);
  awaited.depth_with_wait = co_await recurse_and_wait(depth_max);
}

inline void* await_all_in_scheduler(void* awaited) {
  Scheduler scheduler(steady_clock());
  scheduler.detached().spawn(await_all, *static_cast<Awaited*>(awaited));
  while (scheduler.has_ready()) static_cast<void>(scheduler.run_ready(1000));
  return nullptr;
}
inline Awaited await_on_small_stack() {
  Awaited awaited;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_t thread;
  if (pthread_attr_setstacksize(&attributes, stack_bytes) != 0) std::abort();
  if (pthread_create(&thread, &attributes, await_all_in_scheduler, &awaited) != 0) std::abort();
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  return awaited;
}

}  // namespace gyre::test
