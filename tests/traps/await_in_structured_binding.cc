// Trap: a structured binding initialised by `co_await`
// Group: forbidden
// Rule: await into a named local, then bind to that
#include "coro.h"

namespace trap::await_in_structured_binding {

struct Pair {
  Tracked first;
  Tracked second;
};
struct Plain {
  int first;
  int second;
};
struct OwnerPair {
  Owner first;
  Owner second;
};
Task<Pair> pair() {
  const int later = co_await Later{1};
  co_return Pair{Tracked(later), Tracked(2)};
}
Task<OwnerPair> owners() {
  const int later = co_await Later{1};
  co_return OwnerPair{Owner(later), Owner(2)};
}
Task<Plain> plain() {
  const int later = co_await Later{1};
  co_return Plain{later, 2};
}

Task<int> by_value() {
  auto [first, second] = co_await pair();
  co_return first.read() + second.read();
}
Task<int> by_reference() {
  auto&& [first, second] = co_await pair();
  co_return first.read() + second.read();
}
Task<int> by_const_reference() {
  const auto& [first, second] = co_await pair();
  co_return first.read() + second.read();
}
Task<int> across() {
  auto [first, second] = co_await pair();
  const int later = co_await Later{1};
  co_return first.read() == later ? first.read() + second.read() : 0;
}
Task<int> move_only() {
  auto [first, second] = co_await owners();
  const Owner kept = std::move(first);
  co_return kept.read() + second.read();
}
Task<int> plain_across() {
  auto [first, second] = co_await plain();
  const int later = co_await Later{0};
  co_return first + second + later;
}
Task<int> in_loop() {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    auto [first, second] = co_await pair();
    if (i == 1) continue;
    sum += first.read();
  }
  co_return sum + 1;
}
// The binding is left by an early return while a second one is alive.
Task<int> early_return() {
  auto [first, second] = co_await pair();
  if (first.read() == 1) co_return 3;
  auto [third, fourth] = co_await pair();
  co_return third.read();
}
// A tuple-like type: each name is a variable that the compiler adds.
Task<std::pair<Tracked, Tracked>> tuple_like() {
  const int later = co_await Later{1};
  co_return std::pair<Tracked, Tracked>(later, 2);
}
Task<int> from_pair() {
  auto [first, second] = co_await tuple_like();
  co_return first.read() + second.read();
}
Task<int> from_pair_across() {
  auto [first, second] = co_await tuple_like();
  const int later = co_await Later{1};
  co_return first.read() == later ? first.read() + second.read() : 0;
}
Task<int> from_pair_by_reference() {
  const auto& [first, second] = co_await tuple_like();
  const int later = co_await Later{1};
  co_return first.read() == later ? first.read() + second.read() : 0;
}
Task<int> in_nested_block(int a) {
  if (a == 1) {
    auto [first, second] = co_await tuple_like();
    const int later = co_await Later{1};
    if (first.read() == later) co_return first.read() + second.read();
  }
  co_return 0;
}
// g++ 15 and 16 were reported to skip the destructor of a binding that is alive when the frame is destroyed.
bool dropped() {
  {
    const Task<int> task = from_pair_across();
    task.handle.resume();
    std::exchange(parked, nullptr).resume();
  }
  CountedFrame::check_all_untouched();
  return true;
}
// What the rule asks for.
Task<int> bound_to_local() {
  const Pair both = co_await pair();
  const auto& [first, second] = both;
  const int later = co_await Later{1};
  co_return first.read() == later ? first.read() + second.read() : 0;
}

void run_cases(Report& report) {
  report.run("by value", [] { return run(by_value()) == 3; });
  report.run("by reference", [] { return run(by_reference()) == 3; });
  report.run("by const reference", [] { return run(by_const_reference()) == 3; });
  report.run("alive across an await", [] { return run(across()) == 3; });
  report.run("move-only", [] { return run(move_only()) == 3; });
  report.run("plain, across an await", [] { return run(plain_across()) == 3; });
  report.run("in a loop", [] { return run(in_loop()) == 3; });
  report.run("std::pair", [] { return run(from_pair()) == 3; });
  report.run("std::pair, across an await", [] { return run(from_pair_across()) == 3; });
  report.run("std::pair by reference", [] { return run(from_pair_by_reference()) == 3; });
  report.run("dropped while it is alive", dropped);
  report.run("in a nested block", [] { return run(in_nested_block(opaque(1))) == 3; });
  report.run("bound to a named local", [] { return run(bound_to_local()) == 3; });
  report.run("early return", [] { return run(early_return()) == 3; });
}
const Entry entry("await_in_structured_binding", run_cases);

}  // namespace trap::await_in_structured_binding
