// Trap: tasks that await tasks, in depth and in number, ready and suspended
// Group: relied on
// Rule: results and exceptions come up through every level; each frame is freed once
#include "coro.h"

namespace trap::nested_tasks {

Task<int> down(int depth) {
  if (depth == 0) {
    const int later = co_await Later{1};
    co_return later;
  }
  const Tracked local(depth % 100);
  const int value = co_await down(depth - 1);
  co_return value + (local.read() == depth % 100 ? 1 : 1000);
}
Task<long> tree(int depth) {
  if (depth == 0) {
    const int later = co_await Later{1};
    co_return later;
  }
  const long left = co_await tree(depth - 1);
  const long right = co_await tree(depth - 1);
  co_return left + right;
}
Task<int> fails_at(int depth) {
  if (depth == 0) {
    co_await Later{};
    throw 7;
  }
  const Tracked local(depth);
  const int value = co_await fails_at(depth - 1);
  co_return value;
}
Task<int> recovers(int depth) {
  int caught = 0;
  try {
    const int value = co_await fails_at(depth);
    caught = value;
  } catch (int thrown) {
    caught = thrown;
  }
  const int after = co_await down(2);
  co_return caught + after;
}
Task<Owner> relay(Owner object, int depth) {
  if (depth == 0) co_return object;
  Owner back = co_await relay(std::move(object), depth - 1);
  co_await Later{};
  co_return back;
}
// Two stacks of tasks side by side, each resumed while the other waits.
Task<int> interleaved(std::coroutine_handle<>& mine, int rounds) {
  struct Park {
    std::coroutine_handle<>& place;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept { place = waiter; }
    void await_resume() const noexcept {}
  };
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    const Tracked local(i);
    co_await Park{mine};
    const int value = co_await number(local.read());
    sum += value;
  }
  co_return sum;
}
bool side_by_side() {
  std::coroutine_handle<> first_place;
  std::coroutine_handle<> second_place;
  Task<int> first = interleaved(first_place, 5);
  Task<int> second = interleaved(second_place, 5);
  first.handle.resume();
  second.handle.resume();
  for (int i = 0; i < 5; ++i) {
    first_place.resume();
    second_place.resume();
  }
  return first.handle.done() && second.handle.done() && first.handle.promise().take() == 10 && second.handle.promise().take() == 10;
}

void run_cases(Report& report) {
  report.run("100 deep", [] { return run(down(100)) == 101; });
  report.run("tree of 2047", [] { return run(tree(10)) == 1024; });
  report.run("exception through 20", [] { return run(recovers(20)) == 10; });
  report.run("move-only through 20", [] { return run(relay(Owner(3), 20)).read() == 3; });
  report.run("side by side", side_by_side);
}
const Entry entry("nested_tasks", run_cases);

}  // namespace trap::nested_tasks
