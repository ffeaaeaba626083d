// Trap: `await_suspend` that returns void, bool or a handle
// Group: relied on
// Rule: void and true suspend; false and one's own handle go on; another handle runs next
#include "coro.h"

namespace trap::await_suspend_kinds {

struct Void {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept { parked = waiter; }
  int await_resume() const noexcept { return 1; }
};
struct Bool {
  bool suspends;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) const noexcept {
    if (suspends) parked = waiter;
    return suspends;
  }
  int await_resume() const noexcept { return 1; }
};
struct Handle {
  std::coroutine_handle<> next;  // Null: go on with the waiter.
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
    if (!next) return waiter;
    parked = waiter;
    return next;
  }
  int await_resume() const noexcept { return 1; }
};
template <typename Promise>
struct TypedHandle {
  std::coroutine_handle<Promise> next;
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<Promise> await_suspend(std::coroutine_handle<> waiter) const noexcept {
    parked = waiter;
    return next;
  }
  int await_resume() const noexcept { return 1; }
};

Task<int> with_void() {
  const Tracked local(3);
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    const int value = co_await Void{};
    sum += value;
  }
  co_return sum == local.read() ? sum : -1;
}
Task<int> with_bool(bool suspends) {
  const Tracked local(3);
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    const int value = co_await Bool{suspends};
    sum += value;
  }
  co_return sum == local.read() ? sum : -1;
}
Task<int> with_alternating_bool() {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    const int value = co_await Bool{(i & 1) != 0};
    sum += value;
  }
  co_return sum;
}
Task<int> with_handle(std::coroutine_handle<> next) {
  const Tracked local(3);
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    const int value = co_await Handle{next};
    sum += value;
  }
  co_return sum == local.read() ? sum : -1;
}
Task<int> sibling(int& runs) {
  for (;;) {
    ++runs;
    co_await std::suspend_always{};
  }
}
Task<int> with_typed_handle(Task<int>& next) {
  const int value = co_await TypedHandle<Task<int>::promise_type>{next.handle};
  co_return value + 2;
}

void run_cases(Report& report) {
  report.run("void", [] { return run(with_void()) == 3; });
  report.run("true", [] { return run(with_bool(true)) == 3; });
  report.run("false", [] { return run(with_bool(false)) == 3; });
  report.run("true and false", [] { return run(with_alternating_bool()) == 3; });
  report.run("own handle", [] { return run(with_handle(nullptr)) == 3; });
  report.run("noop handle", [] { return run(with_handle(std::noop_coroutine())) == 3; });
  report.run("another's handle", [] {
    int runs = 0;
    const Task<int> next = sibling(runs);
    return run(with_handle(next.handle)) == 3 && runs == 3;
  });
  report.run("typed handle", [] {
    int runs = 0;
    Task<int> next = sibling(runs);
    return run(with_typed_handle(next)) == 3 && runs == 1;
  });
}
const Entry entry("await_suspend_kinds", run_cases);

}  // namespace trap::await_suspend_kinds
