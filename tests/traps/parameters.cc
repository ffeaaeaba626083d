// Trap: parameters that are moved into the frame: by value, move-only, references, packs, `this`
// Group: relied on
// Rule: one move per by-value parameter, no copy; the frame's copies die with the frame
#include "coro.h"

namespace trap::parameters {

Task<int> one(Owner object) {
  const int later = co_await Later{0};
  co_return object.read() + later;
}
Task<int> two(Owner first, Tracked second) {
  const int later = co_await Later{0};
  co_return first.read() + second.read() + later;
}
Task<int> constant(const Tracked object) {
  const int later = co_await Later{0};
  co_return object.read() + later;
}
Task<int> unused(Owner, Tracked, int value) {
  const int later = co_await Later{0};
  co_return value + later;
}
Task<int> mixed(Owner& changed, const Tracked& seen, Owner&& taken, Owner owned, int plain) {
  const Owner mine = std::move(taken);
  const int later = co_await Later{0};
  changed = Owner(seen.read() + mine.read() + owned.read() + plain + later);
  co_return changed.read();
}
template <typename... Objects>
Task<int> pack(Objects... objects) {
  const int later = co_await Later{0};
  co_return (objects.read() + ... + later);
}
struct Aggregate {
  Tracked first;
  Owner second;
};
Task<int> aggregate(Aggregate value) {
  const int later = co_await Later{0};
  co_return value.first.read() + value.second.read() + later;
}

Task<int> awaits_moved() {
  Owner object(1);
  const int value = co_await one(std::move(object));
  co_return object.read() == Tracked::empty ? value : -1;
}
Task<int> awaits_moved_aggregate() {
  Aggregate object{Tracked(1), Owner(2)};
  const int value = co_await aggregate(std::move(object));
  co_return value;
}
Task<int> awaits_copied() {
  const Tracked object(1);
  const int value = co_await take(object);
  co_return object.read() == 1 ? value : -1;
}
Task<int> awaits_two_moved() {
  Owner first(1);
  Tracked second(2);
  const int value = co_await two(std::move(first), std::move(second));
  co_return value;
}
Task<int> passes_down(Owner object, int depth) {
  if (depth == 0) {
    const int later = co_await Later{object.read()};
    co_return later;
  }
  const int value = co_await passes_down(std::move(object), depth - 1);
  co_return value;
}

// Calls are made and their argument objects are gone before the task runs: what is alive is the frame's.
template <typename Make>
const char* moves_once(Make make, int parameters, int expected) {
  const int moves = ledger.moves;
  const int copies = ledger.copies;
  Task<int> task = make();
  if (ledger.copies != copies) return "copied";
  if (ledger.moves - moves != parameters) return "moved more than once";
  if (ledger.alive() != static_cast<std::size_t>(parameters)) return "argument left over";
  task.handle.resume();
  resume_parked();
  // The body is done and its locals are dead; the parameters live as long as the frame.
  if (ledger.alive() != static_cast<std::size_t>(parameters)) return "parameter died early";
  return task.handle.promise().take() == expected ? nullptr : "wrong result";
}

void run_cases(Report& report) {
  report.run("move-only", [] { return moves_once([] { return one(Owner(1)); }, 1, 1); });
  report.run("two", [] { return moves_once([] { return two(Owner(1), Tracked(2)); }, 2, 3); });
  report.run("const", [] {
    Task<int> task = constant(Tracked(1));
    return run(std::move(task)) == 1;
  });
  report.run("unused", [] { return moves_once([] { return unused(Owner(1), Tracked(2), 3); }, 2, 3); });
  report.run("pack", [] { return moves_once([] { return pack(Owner(1), Tracked(2), Owner(3)); }, 3, 6); });
  report.run("empty pack", [] { return run(pack()) == 0; });
  report.run("aggregate", [] { return moves_once([] { return aggregate(Aggregate{Tracked(1), Owner(2)}); }, 2, 3); });
  report.run("references and values", [] {
    Owner changed(0);
    const Tracked seen(1);
    Owner taken(2);
    return run(mixed(changed, seen, std::move(taken), Owner(3), 4)) == 10 && changed.read() == 10 && taken.read() == Tracked::empty;
  });
  report.run("moved in an await", [] { return run(awaits_moved()) == 1; });
  report.run("aggregate moved in an await", [] { return run(awaits_moved_aggregate()) == 3; });
  report.run("copied in an await", [] { return run(awaits_copied()) == 1; });
  report.run("two moved in an await", [] { return run(awaits_two_moved()) == 3; });
  report.run("passed down", [] { return run(passes_down(Owner(1), 10)) == 1; });
  report.run("never started", [] {
    const Task<int> task = two(Owner(1), Tracked(2));
    return ledger.alive() == 2;
  });
}
const Entry entry("parameters", run_cases);

}  // namespace trap::parameters
