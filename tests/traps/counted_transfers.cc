// Trap: symmetric transfers that are counted; the one that finds the budget empty returns to the loop
// Group: relied on
// Rule: 1,000,000 ready children and a recursion 100,000 deep pass on a stack of 256 KiB
#include "thread.h"

namespace trap::counted_transfers {

constexpr std::size_t stack_bytes = 256 * 1024;
constexpr int budget_full = 128;
int budget = budget_full;
std::coroutine_handle<> next;  // What the loop runs next.

// The one way from coroutine to coroutine.
std::coroutine_handle<> transfer(std::coroutine_handle<> target) noexcept {
  if (budget-- > 0) return target;
  next = target;
  return std::noop_coroutine();
}
void loop(std::coroutine_handle<> first) {
  next = first;
  while (next) {
    budget = budget_full;
    std::exchange(next, nullptr).resume();
  }
}

template <typename T>
struct Counted {
  struct promise_type : CountedFrame {
    std::coroutine_handle<> continuation;
    T value{};
    Counted get_return_object() noexcept { return Counted(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct FinalAwaiter {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        const std::coroutine_handle<> waiter = self.promise().continuation;
        return waiter ? transfer(waiter) : std::noop_coroutine();
      }
      void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void return_value(T result) noexcept { value = result; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  struct Awaiter {
    std::coroutine_handle<promise_type> child;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) const noexcept {
      child.promise().continuation = parent;
      return transfer(child);
    }
    T await_resume() const noexcept { return child.promise().value; }
  };
  Awaiter operator co_await() && noexcept { return Awaiter{handle}; }

  Counted(Counted&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Counted() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;

 private:
  explicit Counted(std::coroutine_handle<promise_type> frame) noexcept : handle(frame) {}
};

Counted<int> ready_child(int value) { co_return value; }
Counted<long> await_many(int count) {
  long sum = 0;
  for (int i = 0; i < count; ++i) {
    const int value = co_await ready_child(1);
    sum += value;
  }
  co_return sum;
}
Counted<long> recurse(int depth) {
  if (depth == 0) co_return 0;
  const long value = co_await recurse(depth - 1);
  co_return value + 1;
}
Counted<int> grandchild(int value) {
  const int result = co_await ready_child(value);
  co_return result + 1;
}
Counted<long> mixed(int count) {
  long sum = 0;
  for (int i = 0; i < count; ++i) {
    const long deep = co_await recurse(i % 10);
    const int flat = co_await grandchild(1);
    sum += deep + flat;
  }
  co_return sum;
}

template <typename T>
T on_small_stack(Counted<T> task) {
  on_thread(stack_bytes, [&task] { loop(task.handle); });
  if (!task.handle.done()) ledger.note("never finished");
  return task.handle.promise().value;
}

void run_cases(Report& report) {
  report.run("1,000,000 ready children", [] { return on_small_stack(await_many(1'000'000)) == 1'000'000; });
  report.run("recursion 100,000 deep", [] { return on_small_stack(recurse(100'000)) == 100'000; });
  report.run("recursion in a loop", [] { return on_small_stack(mixed(10'000)) == 65'000; });
}
const Entry entry("counted_transfers", run_cases);

}  // namespace trap::counted_transfers
