// Trap: `co_await` in the condition of `if`, `while`, `for`, `do` or `switch`
// Group: forbidden
// Rule: await into a named local, then test that
#include "coro.h"

namespace trap::await_in_condition {

// The first group has no local variable in the outermost block, the second has one: g++ 12 keeps
// the condition in a variable of its own there, and puts it before the frame's header.
Task<int> bare_if(int a) {
  if (co_await number_later(a)) co_return 1;
  co_return 0;
}
Task<int> bare_if_leaf(int a) {
  if (co_await Later{a}) co_return 1;
  co_return 0;
}
Task<int> bare_if_negated(int a) {
  if (!co_await number_later(a)) co_return 0;
  co_return 1;
}
Task<int> bare_if_owning(int a) {
  if ((co_await give(a)).read() == 1) co_return 1;
  co_return 0;
}
Task<int> bare_if_declaration(int a) {
  if (const int value = co_await number_later(a)) co_return value;
  co_return 0;
}
Task<int> bare_if_initialiser(int a) {
  if (const int value = co_await number_later(a); value == 1) co_return 1;
  co_return 0;
}
Task<int> bare_switch(int a) {
  switch (co_await number_later(a)) {
    case 0: co_return 0;
    default: co_return 1;
  }
}
Task<int> bare_while(int a) {
  while (co_await number_later(a) < 1) ++a;
  co_return a;
}
Task<int> bare_do(int a) {
  do ++a;
  while (co_await number_later(a) < 1);
  co_return a;
}
Task<int> bare_for(int a) {
  for (; co_await number_later(a) < 1;) ++a;
  co_return a;
}
Task<int> bare_for_declared(int a) {
  for (int i = 0; co_await number_later(i) < a; ++i) {
    if (i == 1) co_return 7;
  }
  co_return a;
}

Task<int> if_after_local(int a) {
  int result = 0;
  if (co_await number_later(a)) result = 1;
  co_return result;
}
Task<int> if_owning_after_local(int a) {
  int result = 0;
  if ((co_await give(a)).read() == 1) result = 1;
  co_return result;
}
Task<int> if_in_loop(int a) {
  int result = 0;
  for (int i = 0; i < 3; ++i) {
    if (co_await take(Tracked(a))) result = 1;
  }
  co_return result;
}
Task<int> if_else_after_local(int a) {
  const Tracked local(3);
  if (co_await look(local) == 4) {
    co_return 9;
  } else if (co_await take(Tracked(a))) {
    co_return 1;
  } else {
    co_return 0;
  }
}
Task<int> while_after_local(int a) {
  int result = 0;
  while (co_await take(Tracked(result)) < a) ++result;
  co_return result;
}
Task<int> switch_after_local(int a) {
  int result = 0;
  switch (co_await take(Tracked(a))) {
    case 1: result = 1; break;
    default: break;
  }
  co_return result;
}

template <Task<int> (*trap)(int)>
bool both_ways() {
  return run(trap(opaque(1))) == 1 && run(trap(opaque(0))) == 0;
}
template <Task<int> (*trap)(int), int start>
bool counts_to_one() {
  return run(trap(opaque(start))) == 1;
}

void run_cases(Report& report) {
  report.run("if", both_ways<bare_if>);
  report.run("if, leaf", both_ways<bare_if_leaf>);
  report.run("if not", both_ways<bare_if_negated>);
  report.run("if, owning result", both_ways<bare_if_owning>);
  report.run("if with a declaration", both_ways<bare_if_declaration>);
  report.run("if with an initialiser", both_ways<bare_if_initialiser>);
  report.run("switch", both_ways<bare_switch>);
  report.run("while", counts_to_one<bare_while, 0>);
  report.run("do", counts_to_one<bare_do, 0>);
  report.run("for", counts_to_one<bare_for, 0>);
  report.run("for with a declaration", both_ways<bare_for_declared>);
  report.run("if after a local", both_ways<if_after_local>);
  report.run("if, owning result, after a local", both_ways<if_owning_after_local>);
  report.run("if in a loop", both_ways<if_in_loop>);
  report.run("else if after a local", both_ways<if_else_after_local>);
  report.run("while after a local", both_ways<while_after_local>);
  report.run("switch after a local", both_ways<switch_after_local>);
}
const Entry entry("await_in_condition", run_cases);

}  // namespace trap::await_in_condition
