// Trap: awaiting a noncopyable awaiter that a lambda captured, an array holds or a function refers to
// Group: forbidden
// Rule: give the object an operator co_await that returns an awaiter by value
#include "coro.h"

namespace trap::awaiter_noncopyable {

struct Noncopyable : Later {
  Noncopyable() = default;
  Noncopyable(const Noncopyable&) = delete;
};

void run_cases(Report& report) {
  report.run("captured by reference", [] {
    Noncopyable awaiter;
    auto coroutine = [&awaiter]() -> Task<int> {
      const int value = co_await awaiter;
      co_return value;
    };
    return run(coroutine()) == 0;
  });
}
const Entry entry("awaiter_noncopyable", run_cases);

}  // namespace trap::awaiter_noncopyable
