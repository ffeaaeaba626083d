// Trap: symmetric transfer that is not a tail call: the stack grows with each ready child
// Group: forbidden
// Rule: count transfers against a budget and return to the loop when it is empty
#include "thread.h"

namespace trap::symmetric_transfer_stack {

constexpr int children = 1'000'000;
constexpr std::size_t stack_bytes = 256 * 1024;
constexpr std::ptrdiff_t growth_max = 64 * 1024;

const char* lowest = nullptr;
const char* highest = nullptr;
int transfers = 0;

// Notes where the stack is; ends the case before it overflows.
[[gnu::noinline]] void look_at_stack() {
  const char* here = static_cast<const char*>(__builtin_frame_address(0));
  if (lowest == nullptr || here < lowest) lowest = here;
  if (highest == nullptr || here > highest) highest = here;
  ++transfers;
  if (highest - lowest <= growth_max) return;
  static char seen[64];
  std::snprintf(seen, sizeof seen, "the stack grows by %ld bytes per await", (highest - lowest) / (transfers - 1));
  give_up(seen);
}

Task<int> ready_child(int value) {
  look_at_stack();
  co_return value;
}
Task<long> await_many() {
  long sum = 0;
  for (int i = 0; i < children; ++i) {
    const int value = co_await ready_child(1);
    sum += value;
  }
  co_return sum;
}
Task<int> recurse(int depth) {
  look_at_stack();
  if (depth == 0) co_return 0;
  const int value = co_await recurse(depth - 1);
  co_return value + 1;
}

void run_cases(Report& report) {
  report.run("1,000,000 ready children", [] {
    long sum = 0;
    on_thread(stack_bytes, [&sum] { sum = run(await_many()); });
    return sum == children;
  });
  report.run("recursion 100,000 deep", [] {
    int depth = 0;
    on_thread(stack_bytes, [&depth] { depth = run(recurse(100'000)); });
    return depth == 100'000;
  });
}
const Entry entry("symmetric_transfer_stack", run_cases);

}  // namespace trap::symmetric_transfer_stack
