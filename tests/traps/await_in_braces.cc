// Trap: `co_await` among the elements of an array or the members of an aggregate
// Group: forbidden
// Rule: await each element into a named local first
#include "coro.h"

namespace trap::await_in_braces {

struct Three {
  int a, b, c;
};
struct TwoTracked {
  Tracked a, b;
};
class TwoByConstructor {
 public:
  TwoByConstructor(Tracked a, Tracked b) : a_(std::move(a)), b_(std::move(b)) {}
  int sum() const { return a_.read() + b_.read(); }

 private:
  Tracked a_, b_;
};

Task<int> array() {
  const int values[] = {co_await number_later(1), co_await number_later(2), co_await number_later(3)};
  co_return values[0] + values[1] + values[2];
}
Task<int> aggregate() {
  const Three values{.a = co_await number_later(1), .b = co_await number_later(2), .c = co_await number_later(3)};
  co_return values.a + values.b + values.c;
}
Task<int> owning_array() {
  const Tracked values[] = {co_await give(1), co_await give(2), co_await give(3)};
  co_return values[0].read() + values[1].read() + values[2].read();
}
Task<int> owning_aggregate() {
  const TwoTracked values{co_await give(1), co_await give(5)};
  co_return values.a.read() + values.b.read();
}
Task<int> constructor() {
  const TwoByConstructor values{co_await give(1), co_await give(5)};
  co_return values.sum();
}
Task<int> returned_aggregate() {
  const TwoTracked values = co_await []() -> Task<TwoTracked> {
    Tracked a = co_await give(1);
    Tracked b = co_await give(5);
    co_return TwoTracked{std::move(a), std::move(b)};
  }();
  co_return values.a.read() + values.b.read();
}

void run_cases(Report& report) {
  report.run("array", [] { return run(array()) == 6; });
  report.run("aggregate", [] { return run(aggregate()) == 6; });
  report.run("owning array", [] { return run(owning_array()) == 6; });
  report.run("owning aggregate", [] { return run(owning_aggregate()) == 6; });
  report.run("arguments of a constructor in braces", [] { return run(constructor()) == 6; });
  report.run("aggregate in co_return", [] { return run(returned_aggregate()) == 6; });
}
const Entry entry("await_in_braces", run_cases);

}  // namespace trap::await_in_braces
