// Trap: what our rules say to write instead of the forbidden forms
// Group: relied on
// Rule: each rewritten form is right
#include "coro.h"

namespace trap::rewritten_as_asked {

Task<Tracked> instead_of_conditional(bool flag) {
  if (flag) {
    Tracked value = co_await give(1);
    co_return value;
  }
  Tracked value = co_await give(2);
  co_return value;
}
Task<int> instead_of_conditional_task(bool flag) {
  Task<int> task = flag ? take(Tracked(1)) : take(Tracked(2));
  const int value = co_await std::move(task);
  co_return value;
}
Task<bool> instead_of_and(int a, int b) {
  const int first = co_await take(Tracked(a));
  if (first == 0) co_return false;
  const int second = co_await take(Tracked(b));
  co_return second != 0;
}
Task<int> instead_of_if(int a) {
  const int value = co_await number_later(a);
  if (value) co_return 1;
  co_return 2;
}
Task<int> instead_of_while() {
  int rounds = 0;
  for (;;) {
    const int value = co_await number_later(rounds);
    if (value == 3) break;
    ++rounds;
  }
  co_return rounds;
}
Task<int> instead_of_switch(int a) {
  const int value = co_await number_later(a);
  switch (value) {
    case 1: co_return 10;
    default: co_return 20;
  }
}
struct Pair {
  Tracked first;
  Tracked second;
};
Task<Pair> pair() {
  const int later = co_await Later{1};
  Pair result{Tracked(later), Tracked(2)};
  co_return result;
}
Task<int> instead_of_binding() {
  const Pair both = co_await pair();
  const auto& [first, second] = both;
  const int later = co_await Later{0};
  co_return first.read() + second.read() + later;
}
template <typename F>
Task<int> call(F function) {
  const int later = co_await Later{0};
  co_return function() + later;
}
template <typename F>
Task<int> call_reference(const F& function) {
  const int later = co_await Later{0};
  co_return function() + later;
}
Task<int> instead_of_lambda() {
  Owner object(1);
  auto function = [object = std::move(object)] { return object.read(); };
  const int value = co_await call(std::move(function));
  co_return value;
}
Task<int> instead_of_lambda_by_reference() {
  const Tracked object(1);
  const auto function = [object] { return object.read(); };
  const int value = co_await call_reference(function);
  const int again = co_await call(function);
  co_return value + again;
}
struct Options {
  Tracked name{7};
  int count = 1;
};
Task<int> take_options(Options options) {
  const int later = co_await Later{0};
  co_return options.name.read() + options.count + later;
}
Task<int> look_at_options(const Options& options) {
  const int later = co_await Later{0};
  co_return options.name.read() + options.count + later;
}
Task<int> instead_of_aggregate() {
  Options options{.name = Tracked(1), .count = 2};
  const int seen = co_await look_at_options(options);
  const int taken = co_await take_options(std::move(options));
  co_return seen + taken;
}
Task<int> sum_of(const Tracked* values, int count) {
  int sum = co_await Later{0};
  for (int i = 0; i < count; ++i) sum += values[i].read();
  co_return sum;
}
Task<int> instead_of_list() {
  const Tracked values[] = {Tracked(1), Tracked(2), Tracked(3)};
  const int sum = co_await sum_of(values, 3);
  co_return sum;
}
Task<int> instead_of_owning_temporary() {
  Owner owner(1);
  const int value = co_await take_owner(std::move(owner));
  co_return value;
}

void run_cases(Report& report) {
  report.run("?: of objects", [] { return run(instead_of_conditional(opaque(true))).read() == 1 && run(instead_of_conditional(opaque(false))).read() == 2; });
  report.run("?: of tasks", [] { return run(instead_of_conditional_task(opaque(true))) == 1 && run(instead_of_conditional_task(opaque(false))) == 2; });
  report.run("&&", [] { return run(instead_of_and(opaque(1), opaque(1))) && !run(instead_of_and(opaque(0), 1)) && !run(instead_of_and(1, opaque(0))); });
  report.run("if", [] { return run(instead_of_if(opaque(1))) == 1 && run(instead_of_if(opaque(0))) == 2; });
  report.run("while", [] { return run(instead_of_while()) == 3; });
  report.run("switch", [] { return run(instead_of_switch(opaque(1))) == 10 && run(instead_of_switch(opaque(5))) == 20; });
  report.run("structured binding", [] { return run(instead_of_binding()) == 3; });
  report.run("lambda moved", [] { return run(instead_of_lambda()) == 1; });
  report.run("lambda by reference and copy", [] { return run(instead_of_lambda_by_reference()) == 2; });
  report.run("aggregate", [] { return run(instead_of_aggregate()) == 6; });
  report.run("list", [] { return run(instead_of_list()) == 6; });
  report.run("owning temporary", [] { return run(instead_of_owning_temporary()) == 1; });
}
const Entry entry("rewritten_as_asked", run_cases);

}  // namespace trap::rewritten_as_asked
