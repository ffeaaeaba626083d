// Trap: an exception thrown by `await_ready` or `await_suspend`, or by an awaiter that owns something
// Group: forbidden
// Rule: await_ready and await_suspend are noexcept; only await_resume may throw
#include "coro.h"

namespace trap::exception_from_awaiter {

enum class Where { ready, suspend, suspend_handle, suspend_bool };

template <Where where>
struct Throwing {
  bool await_ready() const {
    if (where == Where::ready) throw 1;
    return false;
  }
  auto await_suspend(std::coroutine_handle<> waiter) const {
    if (where != Where::ready) throw 1;
    if constexpr (where == Where::suspend_handle) return waiter;
    if constexpr (where == Where::suspend_bool) return false;
  }
  void await_resume() const noexcept {}
};

// The exception belongs to the coroutine: it counts as resumed, catches it, and goes on.
template <Where where>
Task<int> caught_inside() {
  const Tracked before(1);
  int value = 0;
  try {
    co_await Throwing<where>{};
  } catch (int thrown) {
    value = thrown;
  }
  const int later = co_await Later{0};
  co_return value + later;
}
template <Where where>
Task<int> leaves() {
  const Tracked before(1);
  co_await Throwing<where>{};
  co_return 0;
}
template <Where where>
Task<int> caught_by_parent() {
  const Tracked before(1);
  int value = 0;
  try {
    value = co_await leaves<where>();
  } catch (int thrown) {
    value = thrown;
  }
  co_return value;
}

template <Where where>
void run_both(Report& report, const char* inside, const char* outside) {
  report.run(inside, [] { return run(caught_inside<where>()) == 1; });
  report.run(outside, [] { return run(caught_by_parent<where>()) == 1; });
}
void run_cases(Report& report) {
  run_both<Where::ready>(report, "await_ready", "await_ready, to the parent");
  run_both<Where::suspend>(report, "await_suspend", "await_suspend, to the parent");
  run_both<Where::suspend_handle>(report, "await_suspend of a handle", "await_suspend of a handle, to the parent");
  run_both<Where::suspend_bool>(report, "await_suspend of bool", "await_suspend of bool, to the parent");
}
const Entry entry("exception_from_awaiter", run_cases);

}  // namespace trap::exception_from_awaiter
