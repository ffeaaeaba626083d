// Trap: values, nothing, and exceptions as the result of a coroutine; `co_return` of locals and parameters
// Group: relied on
// Rule: a local or a parameter is moved, never copied; an exception arrives unchanged
#include "coro.h"

namespace trap::results {

Task<Owner> local_owner() {
  Owner owner(1);
  co_await Later{};
  co_return owner;
}
Task<Owner> moved_owner() {
  Owner owner(1);
  co_return std::move(owner);
}
Task<Owner> parameter_owner(Owner owner) {
  co_await Later{};
  co_return owner;
}
Task<Owner> made_owner() { co_return Owner(1); }
Task<Tracked> local_tracked() {
  Tracked object(1);
  const int later = co_await Later{0};
  if (later == 0) co_return object;
  co_return Tracked(2);
}
Task<Tracked> parameter_tracked(Tracked object) {
  co_await Later{};
  co_return object;
}
Task<Tracked> in_inner_block() {
  for (int i = 0;; ++i) {
    Tracked object(i);
    const int later = co_await Later{i};
    if (later == 1) co_return object;
  }
}

// A result that converts from both a value and an error, as Gyre's Result does.
struct Outcome {
  Outcome(Owner value) : owner(std::move(value)) {}  // NOLINT: implicit as Gyre's is.
  Outcome(int code) : error(code) {}                 // NOLINT
  Owner owner{-7};
  int error = 0;
};
Task<Outcome> outcome_from_local(bool fails) {
  if (fails) co_return 5;
  Owner owner(1);
  co_await Later{};
  co_return owner;
}
Task<Outcome> outcome_moved() {
  Owner owner(1);
  co_return std::move(owner);
}
Task<Outcome> outcome_passed_on(bool fails) {
  Outcome inner = co_await outcome_from_local(fails);
  if (inner.error != 0) co_return inner.error;
  co_return std::move(inner.owner);
}

struct Failure {
  int code;
  Tracked payload;
};
Task<int> fails_early(int code) {
  const Tracked local(code);
  if (code != 0) throw Failure{code, Tracked(code)};
  co_return 0;
}
Task<int> fails_late(int code) {
  const Tracked local(code);
  co_await Later{};
  if (code != 0) throw Failure{code, Tracked(code)};
  co_return 0;
}
Task<> fails_with_nothing() {
  co_await Later{};
  throw Failure{3, Tracked(3)};
}
Task<int> passes_through(bool late) {
  const Tracked local(1);
  Task<int> task = late ? fails_late(3) : fails_early(3);
  const int value = co_await std::move(task);
  co_return value;
}
Task<int> catches(bool late) {
  int code = 0;
  try {
    const int value = co_await passes_through(late);
    code = value;
  } catch (const Failure& failure) {
    code = failure.payload.read();
  }
  // To wait inside a handler is not allowed; after it, it is.
  const int later = co_await Later{code};
  co_return later;
}

template <typename T>
const char* moved_once_more(Task<T> task) {
  const int copies = ledger.copies;
  const T result = run(std::move(task));
  if (ledger.copies != copies) return "copied";
  return result.read() == 1 ? nullptr : "wrong result";
}

void run_cases(Report& report) {
  report.run("move-only local", [] { return moved_once_more(local_owner()); });
  report.run("move-only local, moved", [] { return moved_once_more(moved_owner()); });
  report.run("move-only parameter", [] { return moved_once_more(parameter_owner(Owner(1))); });
  report.run("move-only temporary", [] { return moved_once_more(made_owner()); });
  report.run("local", [] { return moved_once_more(local_tracked()); });
  report.run("parameter", [] { return moved_once_more(parameter_tracked(Tracked(1))); });
  report.run("local of an inner block", [] { return moved_once_more(in_inner_block()); });
  report.run("local converted", [] { return run(outcome_from_local(opaque(false))).owner.read() == 1; });
  report.run("error converted", [] { return run(outcome_from_local(opaque(true))).error == 5; });
  report.run("moved and converted", [] { return run(outcome_moved()).owner.read() == 1; });
  report.run("passed on", [] { return run(outcome_passed_on(opaque(false))).owner.read() == 1 && run(outcome_passed_on(opaque(true))).error == 5; });
  report.run("exception before an await", [] { return run(catches(opaque(false))) == 3; });
  report.run("exception after an await", [] { return run(catches(opaque(true))) == 3; });
  report.run("exception leaves the outermost task", [] {
    try {
      run(fails_with_nothing());
    } catch (const Failure& failure) {
      return failure.payload.read() == 3;
    }
    return false;
  });
}
const Entry entry("results", run_cases);

}  // namespace trap::results
