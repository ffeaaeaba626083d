// Trap: a coroutine that takes a reference and outlives the expression that called it
// Group: forbidden
// Rule: parameters by value, unless the caller awaits the call at once
#include "coro.h"

namespace trap::reference_parameter {

Task<int> look_at_rvalue(Owner&& object) {
  const int first = object.read();
  const int second = co_await Later{first};
  co_return object.read() == second ? second : Tracked::dead;
}

bool kept_task() {
  Task<int> task = look(Tracked(1));
  return run(std::move(task)) == 1;
}
bool kept_task_rvalue() {
  Task<int> task = look_at_rvalue(Owner(1));
  return run(std::move(task)) == 1;
}
bool by_value() {
  Task<int> task = take(Tracked(1));
  return run(std::move(task)) == 1;
}
Task<int> kept_then_awaited() {
  Task<int> task = look(Tracked(1));
  const int value = co_await std::move(task);
  co_return value;
}
Task<int> named() {
  const Tracked object(1);
  const int value = co_await look(object);
  co_return value;
}

void run_cases(Report& report) {
  report.run("temporary by const reference", kept_task);
  report.run("temporary by rvalue reference", kept_task_rvalue);
  report.run("kept, then awaited", [] { return run(kept_then_awaited()) == 1; });
  report.run("by value", by_value);
  report.run("named object by reference", [] { return run(named()) == 1; });
}
const Entry entry("reference_parameter", run_cases);

}  // namespace trap::reference_parameter
