// Trap: `co_await` inside `&&` or `||`
// Group: forbidden
// Rule: await each operand into a named local, one after the other
#include "coro.h"

namespace trap::await_in_logical {

Task<int> both(int a, int b) { co_return co_await take(Tracked(a)) && co_await take(Tracked(b)); }
Task<int> either(int a, int b) { co_return co_await take(Tracked(a)) || co_await take(Tracked(b)); }
// Without the local, g++ 12 fails for the `if` alone: see await_in_condition.
Task<int> in_if(int a, int b) {
  int result = 0;
  if (a && co_await look(Tracked(b))) result = 1;
  co_return result;
}
Task<int> into_local(int a, int b) {
  const bool value = a != 0 && co_await take(Tracked(b)) != 0;
  co_return value;
}
Task<int> owning_results(int a, int b) {
  const bool value = (co_await give(a)).read() && (co_await give(b)).read();
  co_return value;
}
Task<int> leaf(int a, int b) {
  const bool value = co_await leaf_take(Tracked(a)) && co_await leaf_look(Tracked(b));
  co_return value;
}
// The value is thrown away; what counts is how often the right side runs.
int right_sides = 0;
Task<int> right_side(Tracked object) {
  ++right_sides;
  const int value = co_await Later{object.read()};
  co_return value;
}
Task<> statement(int a) { (void)(co_await take(Tracked(a)) && co_await right_side(Tracked(1))); }
Task<int> statement_counted(int a, int b) {
  right_sides = 0;
  co_await statement(a);
  co_return right_sides == a ? a && b : -1;
}
Task<int> nested(int a, int b) {
  const bool value = (co_await take(Tracked(a)) || co_await look(Tracked(0))) && !(co_await look(Tracked(1 - b)) && a);
  co_return value;
}
Task<int> as_argument(int a, int b) {
  const int value = co_await number_later(co_await take(Tracked(a)) && co_await take(Tracked(b)));
  co_return value;
}
Task<int> in_loop(int a, int b) {
  int result = 0;
  for (int i = 0; i < 2 && co_await take(Tracked(a)); ++i) result = co_await take(Tracked(b));
  co_return result;
}
Task<int> move_only(int a, int b) {
  Owner owner(b);
  const bool value = a && co_await take_owner(std::move(owner));
  co_return value;
}

template <Task<int> (*trap)(int, int)>
bool as_and() {
  bool right = true;
  for (int a = 0; a < 2; ++a) {
    for (int b = 0; b < 2; ++b) right = run(trap(opaque(a), opaque(b))) == (a && b) && right;
  }
  return right;
}
bool as_or() {
  bool right = true;
  for (int a = 0; a < 2; ++a) {
    for (int b = 0; b < 2; ++b) right = run(either(opaque(a), opaque(b))) == (a || b) && right;
  }
  return right;
}

void run_cases(Report& report) {
  report.run("&&", as_and<both>);
  report.run("||", as_or);
  report.run("&& in an if", as_and<in_if>);
  report.run("&& into a local", as_and<into_local>);
  report.run("&& of owning results", as_and<owning_results>);
  report.run("&& as a statement", as_and<statement_counted>);
  report.run("nested", as_and<nested>);
  report.run("in an argument", as_and<as_argument>);
  report.run("in a loop", as_and<in_loop>);
  report.run("move-only argument", as_and<move_only>);
  report.run("&& of leaf awaiters", as_and<leaf>);
}
const Entry entry("await_in_logical", run_cases);

}  // namespace trap::await_in_logical
