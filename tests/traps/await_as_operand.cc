// Trap: `co_await` as an operand or an argument of a larger expression
// Group: forbidden
// Rule: one `co_await` per statement, into a named local
#include "coro.h"

namespace trap::await_as_operand {

int add(int a, int b) { return a + b; }
int add_tracked(Tracked a, const Tracked& b) { return a.read() + b.read(); }
struct Sum {
  int total = 0;
  Sum& add(int value) {
    total += value;
    return *this;
  }
};

Task<int> sum() {
  const int value = co_await number_later(1) + co_await number_later(2);
  co_return value;
}
Task<int> sum_of_owning() {
  const int value = (co_await give(1)).read() + (co_await give(2)).read();
  co_return value;
}
Task<int> compound_assignment() {
  int value = 1;
  value += co_await number_later(2);
  co_return value;
}
// The left operand is changed while the right one is awaited; since C++17 the right one comes first.
Task<int> changed_operand() {
  int value = 7;
  struct Change {
    int& target;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { parked = waiter; }
    int await_resume() const noexcept { return target = 1, 2; }
  };
  value += co_await Change{value};
  co_return value;
}
Task<int> arguments() {
  const int value = add(co_await number_later(1), co_await number_later(2));
  co_return value;
}
Task<int> owning_arguments() {
  const int value = add_tracked(co_await give(1), co_await give(2));
  co_return value;
}
Task<int> beside_owning_temporary() {
  const int value = add_tracked(Tracked(1), co_await give(2));
  co_return value;
}
Task<int> nested_await() {
  const int value = co_await number_later(co_await number_later(3));
  co_return value;
}
Task<int> nested_owning() {
  const int value = co_await take(co_await give(3));
  co_return value;
}
Task<int> method_chain() {
  Sum total;
  total.add(co_await number_later(1)).add(co_await number_later(2));
  co_return total.total;
}
Task<int> assignment() {
  Tracked value(0);
  value = co_await give(3);
  co_return value.read();
}
Task<int> array_element() {
  int values[2] = {};
  values[co_await number_later(1)] = co_await number_later(3);
  co_return values[1];
}
Task<int> comma() {
  const int value = (co_await take(Tracked(1)), co_await take(Tracked(3)));
  co_return value;
}
Task<int> in_new() {
  const Tracked* value = new Tracked(co_await number_later(3));
  const int result = value->read();
  delete value;
  co_return result;
}
Task<int> in_constructor() {
  const Tracked value(co_await number_later(3));
  co_return value.read();
}
Task<int> in_cast() {
  const long value = static_cast<long>((co_await give(3)).read());
  co_return static_cast<int>(value);
}

void run_cases(Report& report) {
  report.run("sum", [] { return run(sum()) == 3; });
  report.run("sum of owning results", [] { return run(sum_of_owning()) == 3; });
  report.run("compound assignment", [] { return run(compound_assignment()) == 3; });
  report.run("compound assignment of a changed operand", [] { return run(changed_operand()) == 3; });
  report.run("two arguments", [] { return run(arguments()) == 3; });
  report.run("two owning arguments", [] { return run(owning_arguments()) == 3; });
  report.run("beside an owning temporary", [] { return run(beside_owning_temporary()) == 3; });
  report.run("nested", [] { return run(nested_await()) == 3; });
  report.run("nested, owning", [] { return run(nested_owning()) == 3; });
  report.run("chain of calls", [] { return run(method_chain()) == 3; });
  report.run("assignment", [] { return run(assignment()) == 3; });
  report.run("index", [] { return run(array_element()) == 3; });
  report.run("comma", [] { return run(comma()) == 3; });
  report.run("in new", [] { return run(in_new()) == 3; });
  report.run("constructor argument", [] { return run(in_constructor()) == 3; });
  report.run("in a cast", [] { return run(in_cast()) == 3; });
}
const Entry entry("await_as_operand", run_cases);

}  // namespace trap::await_as_operand
