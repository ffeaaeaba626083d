// Trap: the address of a `thread_local`, of `errno`, or `pthread_self()` kept across an await
// Group: forbidden
// Rule: read it again after each await, in a function of another file or one with an asm barrier; noinline alone is not enough
#include <cerrno>

#include "thread.h"

namespace trap::thread_local_across_await {

// Every thread writes its own mark; the coroutine must find the mark of the thread it runs on.
thread_local int mark = 0;
int* inlined() { return &mark; }
[[gnu::noinline]] int* outlined() { return &mark; }
[[gnu::noinline]] int* outlined_opaque() {
  int* address = &mark;
  asm volatile("" : "+r"(address));  // Else the function may be found to be a constant one.
  return address;
}
// Who we are by a way that no optimiser knows to be constant.
[[gnu::noinline]] pthread_t really_self() {
  pthread_t self = pthread_self();
  asm volatile("" : "+r"(self) : : "memory");
  return self;
}
[[gnu::noinline]] int* really_errno() {
  int* address = &errno;
  asm volatile("" : "+r"(address) : : "memory");
  return address;
}

using Address = int* (*)();
// Uses the address on both sides of each await, which invites the compiler to keep it.
template <Address get>
Task<int> through() {
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    *get() = i + 1;
    wrong += get() != outlined_opaque();
    co_await Later{};
    wrong += get() != outlined_opaque();
    *get() = i + 2;
  }
  co_return wrong;
}
Task<int> direct() {
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    mark = i + 1;
    wrong += &mark != outlined_opaque();
    co_await Later{};
    wrong += &mark != outlined_opaque();
    mark = i + 2;
  }
  co_return wrong;
}
Task<int> straight() {
  mark = 1;
  int wrong = &mark != outlined_opaque();
  co_await Later{};
  mark = 2;
  wrong += &mark != outlined_opaque();
  co_await Later{};
  mark = 3;
  wrong += &mark != outlined_opaque();
  co_return wrong;
}
Task<int> error_number() {
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    errno = i + 1;
    wrong += &errno != really_errno();
    co_await Later{};
    wrong += &errno != really_errno();
    errno = i + 2;
  }
  co_return wrong;
}
Task<int> self() {
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    wrong += pthread_self() != really_self();
    co_await Later{};
    wrong += pthread_self() != really_self();
  }
  co_return wrong;
}
// Awaits a child in between: the child migrates, the parent goes on where the child ended.
Task<int> child() {
  int wrong = 0;
  for (int i = 0; i < 4; ++i) {
    mark = i + 1;
    wrong += &mark != outlined_opaque();
    const int later = co_await number_later(0);
    mark = later;
    wrong += &mark != outlined_opaque();
  }
  co_return wrong;
}

void run_cases(Report& report) {
  report.run("thread_local", [] { return run_migrating(direct()) == 0; });
  report.run("thread_local without a loop", [] { return run_migrating(straight()) == 0; });
  report.run("thread_local around a child", [] { return run_migrating(child()) == 0; });
  report.run("inline function", [] { return run_migrating(through<inlined>()) == 0; });
  report.run("noinline function", [] { return run_migrating(through<outlined>()) == 0; });
  report.run("noinline function with a barrier", [] { return run_migrating(through<outlined_opaque>()) == 0; });
  report.run("errno", [] { return run_migrating(error_number()) == 0; });
  report.run("pthread_self", [] { return run_migrating(self()) == 0; });
}
const Entry entry("thread_local_across_await", run_cases);

}  // namespace trap::thread_local_across_await
