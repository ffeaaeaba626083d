// Trap: frames whose allocation the compiler elides: operator new and delete are not called
// Group: fact
// Rule: never count frames by their allocations; the promise of an elided frame is where it always is
#include "coro.h"

namespace trap::frame_elision {

// Inlined where it is awaited or run.
inline Task<int> child(int value) { co_return value; }
[[gnu::noinline]] Task<int> outlined_child(int value) { co_return value; }
Task<int> parent(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    const int value = co_await child(i);
    sum += value;
  }
  co_return sum;
}
[[gnu::noinline]] Task<int> parent_of_outlined(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    const int value = co_await outlined_child(i);
    sum += value;
  }
  co_return sum;
}

const char* allocations(long expected) {
  if (ledger.frames_made == expected) return "allocated";
  static char text[32];
  std::snprintf(text, sizeof text, "%ld of %ld allocated", ledger.frames_made, expected);
  return text;
}

void run_cases(Report& report) {
  report.run("run at once", [] {
    Task<int> task = child(1);
    task.handle.resume();
    return allocations(1);
  });
  report.run("10 children in a loop", [] {
    Task<int> task = parent(10);
    task.handle.resume();
    return allocations(11);
  });
  report.run("10 noinline children in a loop", [] {
    Task<int> task = parent_of_outlined(10);
    task.handle.resume();
    return allocations(11);
  });
}
const Entry entry("frame_elision", run_cases);

}  // namespace trap::frame_elision
