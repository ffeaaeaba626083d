// Trap: awaits inside loops and nested scopes that are left by break, continue, return or exception
// Group: relied on
// Rule: every local is destroyed once, in reverse order of construction, when its scope is left
#include <initializer_list>

#include "coro.h"

namespace trap::loops_and_scopes {

// Writes down the order in which the locals of a coroutine die.
int order[16];
int ended = 0;
struct Ordered {
  explicit Ordered(int number_) : object(number_) {}
  ~Ordered() { order[ended++] = object.read(); }
  Tracked object;
};
bool died(std::initializer_list<int> expected) {
  if (ended != static_cast<int>(expected.size())) return false;
  const int* next = order;
  for (const int number : expected) {
    if (*next++ != number) return false;
  }
  return true;
}

Task<int> nested_scopes(int leave) {
  const Ordered first(1);
  {
    const Ordered second(2);
    co_await Later{};
    {
      const Ordered third(3);
      const int later = co_await Later{leave};
      if (later == 1) co_return 1;
      if (later == 2) throw 2;
    }
    const Ordered fourth(4);
    co_await Later{};
  }
  const Ordered fifth(5);
  co_await Later{};
  co_return 0;
}
Task<int> loop(int breaks_at, int continues_at) {
  int sum = 0;
  for (int i = 0; i < 4; ++i) {
    const Tracked object(i);
    const int value = co_await take(object);
    if (value == continues_at) continue;
    const Tracked more(value);
    const int later = co_await Later{value};
    if (later == breaks_at) break;
    sum += more.read();
  }
  co_return sum;
}
Task<int> nested_loops() {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    for (Tracked object(i); object.read() < 3; object = Tracked(object.read() + 1)) {
      const int value = co_await look(object);
      sum += value;
    }
  }
  co_return sum;
}
Task<int> range() {
  const Tracked values[] = {Tracked(1), Tracked(2), Tracked(3)};
  int sum = 0;
  for (const Tracked& value : values) {
    const int later = co_await look(value);
    sum += later;
  }
  co_return sum;
}
Task<int> range_by_value() {
  const Tracked values[] = {Tracked(1), Tracked(2), Tracked(3)};
  int sum = 0;
  for (Tracked value : values) {
    const int later = co_await take_owner(Owner(value.read()));
    sum += later;
  }
  co_return sum;
}
// Names that hide each other must be different objects in the frame.
Task<int> hidden_names() {
  const Tracked object(1);
  int sum = object.read();
  {
    const Tracked object(2);
    const int later = co_await Later{object.read()};
    sum += later;
    {
      const Tracked object(3);
      co_await Later{};
      sum += object.read();
    }
    sum += object.read();
  }
  co_return sum + object.read();
}
Task<int> switched(int which) {
  int result = 0;
  switch (which) {
    case 1: {
      const Tracked object(1);
      const int later = co_await take(object);
      result = later;
      break;
    }
    case 2: {
      const Tracked object(2);
      co_await Later{};
      co_return object.read();
    }
    default: break;
  }
  co_return result;
}
Task<int> retries() {
  int tries = 0;
  for (;;) {
    const Tracked object(tries);
    try {
      const Tracked inner(tries);
      co_await Later{};
      if (++tries < 3) throw tries;
      co_return tries;
    } catch (int) {
    }
    co_await Later{};
  }
}

void run_cases(Report& report) {
  report.run("scopes", [] { return run(nested_scopes(opaque(0))) == 0 && died({3, 4, 2, 5, 1}); });
  report.run("scopes left by co_return", [] { return run(nested_scopes(opaque(1))) == 1 && died({3, 2, 1}); });
  report.run("scopes left by an exception", [] {
    try {
      run(nested_scopes(opaque(2)));
    } catch (int) {
      return died({3, 2, 1});
    }
    return false;
  });
  report.run("loop", [] { return run(loop(opaque(9), opaque(9))) == 6; });
  report.run("loop with break", [] { return run(loop(opaque(2), opaque(9))) == 1; });
  report.run("loop with continue", [] { return run(loop(opaque(9), opaque(2))) == 4; });
  report.run("nested loops", [] { return run(nested_loops()) == 8; });
  report.run("range", [] { return run(range()) == 6; });
  report.run("range by value", [] { return run(range_by_value()) == 6; });
  report.run("hidden names", [] { return run(hidden_names()) == 9; });
  report.run("switch", [] { return run(switched(opaque(1))) == 1 && run(switched(opaque(2))) == 2 && run(switched(opaque(3))) == 0; });
  report.run("try in a loop", [] { return run(retries()) == 3; });
}
const Entry entry("loops_and_scopes", run_cases);

}  // namespace trap::loops_and_scopes
