// Trap: `await_transform` that hands the promise to an awaiter
// Group: relied on
// Rule: the awaiter is returned by value and never copied; the awaitable is reached by reference
#include "coro.h"

namespace trap::await_transform {

struct Context {
  int id = 0;
};
// An operation that needs to know on whose behalf it runs. Noncopyable.
class Operation {
 public:
  explicit Operation(int value) : value_(value) { ledger.born(this); }
  Operation(const Operation&) = delete;
  ~Operation() { ledger.died(this); }
  int value() const { return ledger.used(this) ? value_ : Tracked::dead; }

 private:
  int value_;
};
class Awaiter {
 public:
  Awaiter(Context& context, const Operation& operation) : self_(this), context_(context), operation_(operation) {}
  Awaiter(const Awaiter&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    if (self_ != this) ledger.note("awaiter moved");
    parked = waiter;
  }
  int await_resume() const noexcept {
    if (self_ != this) ledger.note("awaiter moved");
    return operation_.value() + context_.id;
  }

 private:
  Awaiter* self_;
  Context& context_;
  const Operation& operation_;
};

struct Coroutine {
  struct promise_type : Result<int> {
    Context context{100};
    Coroutine get_return_object() noexcept {
      const auto handle = std::coroutine_handle<promise_type>::from_promise(*this);
      check_handle(handle.address());
      return {handle};
    }
    Awaiter await_transform(const Operation& operation) noexcept { return Awaiter(context, operation); }
    template <typename T>
    typename Task<T>::Awaiter await_transform(Task<T>&& task) noexcept {
      return std::move(task).operator co_await();
    }
  };
  std::coroutine_handle<promise_type> handle;
};

Coroutine temporary() {
  const int value = co_await Operation(1);
  co_return value;
}
Coroutine named() {
  const Operation operation(1);
  const int value = co_await operation;
  co_return value;
}
Coroutine parameter(const Operation& operation) {
  const int value = co_await operation;
  co_return value;
}
Coroutine in_loop(int rounds) {
  int last = 0;
  for (int i = 0; i < rounds; ++i) {
    const int value = co_await Operation(i);
    last = value;
  }
  co_return last - 1;
}
Coroutine child() {
  Owner owner(101);
  const int value = co_await take_owner(std::move(owner));
  co_return value;
}

bool gives_101(Coroutine coroutine) {
  parked = coroutine.handle;
  resume_parked();
  const bool right = coroutine.handle.done() && coroutine.handle.promise().take() == 101;
  coroutine.handle.destroy();
  return right;
}

void run_cases(Report& report) {
  report.run("temporary", [] { return gives_101(temporary()); });
  report.run("named", [] { return gives_101(named()); });
  report.run("parameter", [] {
    const Operation operation(1);
    return gives_101(parameter(operation));
  });
  report.run("in a loop", [] { return gives_101(in_loop(opaque(3))); });
  report.run("child", [] { return gives_101(child()); });
}
const Entry entry("await_transform", run_cases);

}  // namespace trap::await_transform
