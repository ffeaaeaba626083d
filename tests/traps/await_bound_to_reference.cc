// Trap: a reference, or the range of a `for`, bound to the result of `co_await`
// Group: forbidden
// Rule: await into a named local object
#include "coro.h"

namespace trap::await_bound_to_reference {

struct Range {
  Tracked first;
  Tracked second;
  const Tracked* begin() const { return &first; }
  const Tracked* end() const { return &second + 1; }
};
Task<Range> range() {
  const int later = co_await Later{1};
  co_return Range{Tracked(later), Tracked(2)};
}

Task<int> const_reference() {
  const Tracked& value = co_await give(1);
  const int later = co_await Later{0};
  co_return value.read() + later;
}
Task<int> rvalue_reference() {
  Tracked&& value = co_await give(1);
  const int later = co_await Later{0};
  co_return value.read() + later;
}
Task<int> deduced_reference() {
  auto&& value = co_await give(1);
  const int later = co_await Later{0};
  co_return value.read() + later;
}
Task<int> range_for() {
  int sum = 0;
  for (const Tracked& value : co_await range()) sum += value.read();
  co_return sum;
}
Task<int> range_for_with_await() {
  int sum = 0;
  for (const Tracked& value : co_await range()) {
    const int later = co_await Later{0};
    sum += value.read() + later;
  }
  co_return sum;
}

void run_cases(Report& report) {
  report.run("const reference", [] { return run(const_reference()) == 1; });
  report.run("rvalue reference", [] { return run(rvalue_reference()) == 1; });
  report.run("auto&&", [] { return run(deduced_reference()) == 1; });
  report.run("range of a for", [] { return run(range_for()) == 3; });
  report.run("range of a for that awaits", [] { return run(range_for_with_await()) == 3; });
}
const Entry entry("await_bound_to_reference", run_cases);

}  // namespace trap::await_bound_to_reference
