// Trap: a coroutine that is a capturing lambda: captures live in the closure, not in the frame
// Group: forbidden
// Rule: a coroutine is a function; what it needs is a parameter, moved into the frame
#include "coro.h"

namespace trap::lambda_coroutine {

Task<int> closure_dies() {
  const Tracked object(1);
  return [object]() -> Task<int> {
    const int first = object.read();
    const int second = co_await Later{first};
    co_return object.read() == second ? second : Tracked::dead;
  }();
}
int closure_lives() {
  const Tracked object(1);
  auto coroutine = [object]() -> Task<int> {
    const int first = object.read();
    const int second = co_await Later{first};
    co_return object.read() == second ? second : Tracked::dead;
  };
  return run(coroutine());
}
// The closure lives to the end of the full expression, which is the end of the await.
Task<int> awaited_at_once() {
  const Tracked object(1);
  const int value = co_await [object]() -> Task<int> {
    const int later = co_await Later{0};
    co_return object.read() + later;
  }();
  co_return value;
}
Task<int> reference_capture_awaited_at_once() {
  const Tracked object(1);
  const int value = co_await [&object]() -> Task<int> {
    const int later = co_await Later{0};
    co_return object.read() + later;
  }();
  co_return value;
}
// Right: no capture, a parameter.
int captureless() {
  auto coroutine = [](Tracked object) -> Task<int> {
    const int first = object.read();
    const int second = co_await Later{first};
    co_return object.read() == second ? second : Tracked::dead;
  };
  return run(coroutine(Tracked(1)));
}
int captureless_generic() {
  auto coroutine = [](auto... objects) -> Task<int> {
    const int later = co_await Later{0};
    co_return (objects.read() + ... + later);
  };
  return run(coroutine(Tracked(1), Owner(2))) - 2;
}

void run_cases(Report& report) {
  report.run("closure dies", [] { return run(closure_dies()) == 1; });
  report.run("closure lives", [] { return closure_lives() == 1; });
  report.run("awaited at once", [] { return run(awaited_at_once()) == 1; });
  report.run("awaited at once, captures a reference", [] { return run(reference_capture_awaited_at_once()) == 1; });
  report.run("captureless", [] { return captureless() == 1; });
  report.run("captureless and generic", [] { return captureless_generic() == 1; });
}
const Entry entry("lambda_coroutine", run_cases);

}  // namespace trap::lambda_coroutine
