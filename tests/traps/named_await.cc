// Trap: `co_await` as a statement or as the whole initialiser of a named local; `co_return co_await`
// Group: relied on
// Rule: one construction, one destruction; moves, never copies
#include "coro.h"

namespace trap::named_await {

Task<Owner> give_owner(int value) {
  const int later = co_await Later{value};
  co_return Owner(later);
}
Task<> nothing(int& count) {
  co_await Later{};
  ++count;
}

Task<int> number_into_local() {
  const int first = co_await number(1);
  const int second = co_await number_later(2);
  co_return first + second;
}
Task<int> object_into_local() {
  const Tracked object = co_await give(3);
  const int later = co_await Later{0};
  co_return object.read() + later;
}
Task<int> owner_into_local() {
  const Owner owner = co_await give_owner(3);
  const int later = co_await Later{0};
  co_return owner.read() + later;
}
Task<int> deduced() {
  auto owner = co_await give_owner(1);
  const auto other = co_await give_owner(2);
  co_return owner.read() + other.read();
}
Task<int> statement() {
  int count = 0;
  co_await nothing(count);
  co_await nothing(count);
  co_await number_later(7);
  co_await give(7);
  co_return count + 1;
}
Task<Owner> returned() { co_return co_await give_owner(3); }
Task<int> returned_number() { co_return co_await number_later(3); }
Task<> returned_nothing(int& count) { co_return co_await nothing(count); }
Task<int> into_declared_local() {
  int value = 0;
  value = co_await number_later(3);
  co_return value;
}
Task<int> kept_task() {
  Task<int> task = number_later(3);
  const int value = co_await std::move(task);
  co_return value;
}
Task<int> several_kept() {
  Task<int> first = number_later(1);
  Task<int> second = take(Tracked(2));
  const int b = co_await std::move(second);
  const int a = co_await std::move(first);
  co_return a + b;
}

void run_cases(Report& report) {
  report.run("number", [] { return run(number_into_local()) == 3; });
  report.run("object", [] {
    const bool right = run(object_into_local()) == 3;
    return ledger.copies != 0 ? "copied" : right ? nullptr : "wrong result";
  });
  report.run("move-only object", [] { return run(owner_into_local()) == 3; });
  report.run("auto", [] { return run(deduced()) == 3; });
  report.run("statement", [] { return run(statement()) == 3; });
  report.run("co_return co_await", [] { return run(returned()).read() == 3; });
  report.run("co_return co_await of a number", [] { return run(returned_number()) == 3; });
  report.run("co_return co_await of nothing", [] {
    int count = 0;
    run(returned_nothing(count));
    return count == 1;
  });
  report.run("assignment to a number", [] { return run(into_declared_local()) == 3; });
  report.run("task kept in a local", [] { return run(kept_task()) == 3; });
  report.run("several tasks kept", [] { return run(several_kept()) == 3; });
}
const Entry entry("named_await", run_cases);

}  // namespace trap::named_await
