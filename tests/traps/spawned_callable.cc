// Trap: a callable and its arguments moved into the frame of a child, as `spawn(f, args...)` does
// Group: relied on
// Rule: callable and arguments live until the child is done; nothing is copied that was moved
#include <type_traits>

#include "coro.h"

namespace trap::spawned_callable {

// The child's frame owns callable and arguments; the callable gets them as they were given.
template <typename F, typename... Arguments>
Task<int> hold(F function, Arguments... arguments) {
  const int value = co_await function(std::move(arguments)...);
  co_return value;
}
template <typename F, typename... Arguments>
Task<int> spawn(F&& function, Arguments&&... arguments) {
  return hold<std::decay_t<F>, std::decay_t<Arguments>...>(std::forward<F>(function), std::forward<Arguments>(arguments)...);
}

Task<int> two(Owner first, Tracked second) {
  const int later = co_await Later{0};
  co_return first.read() + second.read() + later;
}
Task<int> reference(Owner&& object) {
  const int later = co_await Later{0};
  co_return object.read() + later;
}
struct Functor {
  Owner state;
  Task<int> operator()(Tracked object) {
    const int later = co_await Later{0};
    co_return state.read() + object.read() + later;
  }
};
Task<int> nothing() {
  const int later = co_await Later{3};
  co_return later;
}

// Starts only when everything of the spawning expression is dead.
template <typename Make>
bool runs_later(Make make, int expected) {
  Task<int> task = make();
  return run(std::move(task)) == expected;
}

void run_cases(Report& report) {
  report.run("function", [] { return runs_later([] { return spawn(two, Owner(1), Tracked(2)); }, 3); });
  report.run("function pointer", [] { return runs_later([] { return spawn(&two, Owner(1), Tracked(2)); }, 3); });
  report.run("no arguments", [] { return runs_later([] { return spawn(nothing); }, 3); });
  report.run("reference to the frame's argument", [] { return runs_later([] { return spawn(reference, Owner(3)); }, 3); });
  report.run("functor with state", [] { return runs_later([] { return spawn(Functor{Owner(1)}, Tracked(2)); }, 3); });
  report.run("named functor moved", [] {
    Functor functor{Owner(1)};
    return runs_later([&] { return spawn(std::move(functor), Tracked(2)); }, 3);
  });
  report.run("named argument copied", [] {
    const Tracked object(3);
    return runs_later([&] { return spawn(take, object); }, 3) && object.read() == 3;
  });
  report.run("captureless lambda", [] {
    return runs_later([] {
      return spawn([](Owner object) -> Task<int> {
        const int later = co_await Later{0};
        co_return object.read() + later;
      }, Owner(3));
    }, 3);
  });
  // Safe here, because the frame owns the closure; our spawn still refuses it.
  report.run("capturing lambda kept in the frame", [] {
    return runs_later([] {
      return spawn([owner = Owner(1)](Tracked object) -> Task<int> {
        const int later = co_await Later{0};
        co_return owner.read() + object.read() + later;
      }, Tracked(2));
    }, 3);
  });
  report.run("never started", [] {
    const Task<int> task = spawn(two, Owner(1), Tracked(2));
    return ledger.alive() == 2 && ledger.copies == 0;
  });
}
const Entry entry("spawned_callable", run_cases);

}  // namespace trap::spawned_callable
