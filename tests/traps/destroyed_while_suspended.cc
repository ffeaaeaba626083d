// Trap: destroying a coroutine that is suspended in the middle of its body
// Group: forbidden
// Rule: a started frame runs to its end; a lazy one that never started may be dropped
#include "coro.h"

namespace trap::destroyed_while_suspended {

Task<int> with_locals() {
  const Tracked first(1);
  {
    const Tracked second(2);
    co_await Later{};
    const Tracked third(3);
  }
  co_return 0;
}
Task<int> with_temporaries() {
  const int value = co_await look(Tracked(1));
  co_return value;
}
Task<int> with_argument() {
  Owner owner(1);
  const int value = co_await take_owner(std::move(owner));
  co_return value;
}
Task<int> with_pending_operands() {
  const int value = (co_await give(1)).read() + (co_await give(2)).read();
  co_return value;
}
struct HolderWithConstructor : Holder {
  explicit HolderWithConstructor(int value) : Holder{Tracked(value)} {}
};
Task<int> with_awaiter() {
  const int value = co_await HolderWithConstructor(1);
  co_return value;
}
Task<int> in_try() {
  int value = 0;
  try {
    const Tracked inside(1);
    value = co_await take(inside);
  } catch (int thrown) {
    value = thrown;
  }
  co_return value;
}
Task<int> in_loop() {
  for (int i = 0; i < 5; ++i) {
    const Tracked object(i);
    const int value = co_await take(object);
    if (value < 0) break;
  }
  co_return 0;
}
Task<int> never_started(Owner owner) {
  const int later = co_await Later{owner.read()};
  co_return later;
}

// Starts, stops at the given suspension, and drops everything.
template <Task<int> (*trap)(), int resumptions>
const char* dropped() {
  {
    const Task<int> task = trap();
    task.handle.resume();
    for (int i = 0; i < resumptions; ++i) std::exchange(parked, nullptr).resume();
    if (task.handle.done()) return "done too early";
  }
  CountedFrame::check_all_untouched();
  return nullptr;
}

void run_cases(Report& report) {
  report.run("locals", dropped<with_locals, 0>);
  report.run("temporary bound to a reference", dropped<with_temporaries, 0>);
  report.run("argument", dropped<with_argument, 0>);
  report.run("first operand", dropped<with_pending_operands, 0>);
  report.run("second operand", dropped<with_pending_operands, 1>);
  report.run("owning awaiter", dropped<with_awaiter, 0>);
  report.run("in try", dropped<in_try, 0>);
  report.run("in a loop", dropped<in_loop, 2>);
  report.run("never started", [] {
    const Task<int> task = never_started(Owner(1));
    return true;
  });
}
const Entry entry("destroyed_while_suspended", run_cases);

}  // namespace trap::destroyed_while_suspended
