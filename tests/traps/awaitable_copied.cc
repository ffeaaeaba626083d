// Trap: awaiting an awaitable that has a name: it is copied, and the copy is waited on
// Group: forbidden
// Rule: what is awaited gives its awaiter by value from operator co_await; an awaiter is not copyable
#include "coro.h"

namespace trap::awaitable_copied {

// Copyable, and an awaiter itself: a copy has another address, which is what the counts show.
struct Copyable {
  Tracked held{1};
  const void* suspended = nullptr;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    suspended = this;
    parked = waiter;
  }
  const void* await_resume() const noexcept { return held.read() == 1 && suspended == this ? this : nullptr; }
};
struct WithOperator {
  Tracked held{1};
  Later operator co_await() const noexcept { return Later{held.read()}; }
};
struct Transforming {
  struct promise_type;
  std::coroutine_handle<promise_type> handle;
};
struct Transforming::promise_type : Result<int> {
  Transforming get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
  template <typename Awaitable>
  Awaitable&& await_transform(Awaitable&& awaitable) noexcept {
    return std::forward<Awaitable>(awaitable);
  }
};

// What was really waited on, seen from outside.
const char* judge(const void* waited, const void* named) {
  if (ledger.copies + ledger.moves != 0) return "copied";
  return waited == named ? nullptr : "copied as bytes";
}

Task<const char*> local() {
  Copyable awaitable;
  const void* waited = co_await awaitable;
  co_return judge(waited, &awaitable);
}
Task<const char*> reference_parameter(Copyable& awaitable) {
  const void* waited = co_await awaitable;
  co_return judge(waited, &awaitable);
}
Task<const char*> value_parameter(Copyable awaitable) {
  const void* waited = co_await awaitable;
  co_return waited == &awaitable ? nullptr : "copied as bytes";
}
Task<const char*> pointer(Copyable* awaitable) {
  const void* waited = co_await *awaitable;
  co_return judge(waited, awaitable);
}
struct Object {
  Copyable member;
  Task<const char*> await_member() {
    const void* waited = co_await member;
    co_return judge(waited, &member);
  }
  Task<const char*> await_this_member() {
    const void* waited = co_await this->member;
    co_return judge(waited, &member);
  }
};
Task<const char*> array() {
  Copyable awaitables[2];
  const void* waited = co_await awaitables[1];
  co_return judge(waited, &awaitables[1]);
}
Task<const char*> moved() {
  Copyable awaitable;
  const void* waited = co_await std::move(awaitable);
  co_return judge(waited, &awaitable);
}
Task<int> with_operator(const WithOperator& awaitable) {
  const int value = co_await awaitable;
  co_return value;
}
Copyable& pass(Copyable& awaitable) { return awaitable; }
Task<const char*> returned_reference() {
  Copyable awaitable;
  const void* waited = co_await pass(awaitable);
  co_return judge(waited, &awaitable);
}
Transforming transformed(const void** waited, Copyable* awaitable) {
  *waited = co_await *awaitable;
  co_return 1;
}

const char* captured_by_reference() {
  Copyable awaitable;
  auto coroutine = [&awaitable]() -> Task<const char*> {
    const void* waited = co_await awaitable;
    co_return judge(waited, &awaitable);
  };
  return run(coroutine());
}
const char* captured_by_default() {
  Copyable awaitable;
  auto coroutine = [&]() -> Task<const char*> {
    const void* waited = co_await awaitable;
    co_return judge(waited, &awaitable);
  };
  return run(coroutine());
}
const char* captured_with_parameter() {
  Copyable awaitable;
  auto coroutine = [&](int rounds) -> Task<const char*> {
    const void* waited = nullptr;
    for (int i = 0; i < rounds; ++i) waited = co_await awaitable;
    co_return judge(waited, &awaitable);
  };
  return run(coroutine(2));
}
const char* captured_by_copy() {
  Copyable awaitable;
  auto coroutine = [awaitable]() mutable -> Task<const char*> {
    const void* waited = co_await awaitable;
    co_return waited == &awaitable ? nullptr : "copied as bytes";
  };
  return run(coroutine());
}
const char* through_transform() {
  Copyable awaitable;
  const void* waited = nullptr;
  Transforming coroutine = transformed(&waited, &awaitable);
  coroutine.handle.resume();
  resume_parked();
  coroutine.handle.destroy();
  return judge(waited, &awaitable);
}

void run_cases(Report& report) {
  report.run("local", [] { return run(local()); });
  report.run("reference parameter", [] {
    Copyable awaitable;
    return run(reference_parameter(awaitable));
  });
  report.run("value parameter", [] { return run(value_parameter(Copyable())); });
  report.run("through a pointer", [] {
    Copyable awaitable;
    return run(pointer(&awaitable));
  });
  report.run("member", [] {
    Object object;
    return run(object.await_member());
  });
  report.run("member of this", [] {
    Object object;
    return run(object.await_this_member());
  });
  report.run("array element", [] { return run(array()); });
  report.run("moved", [] { return run(moved()); });
  report.run("has operator co_await", [] {
    const WithOperator awaitable;
    const bool right = run(with_operator(awaitable)) == 1;
    return ledger.made == 1 && right ? nullptr : "copied";
  });
  report.run("returned reference", [] { return run(returned_reference()); });
  report.run("captured by reference", captured_by_reference);
  report.run("captured by default", captured_by_default);
  report.run("captured, lambda with a parameter", captured_with_parameter);
  report.run("captured by copy", captured_by_copy);
  report.run("through await_transform", through_transform);
}
const Entry entry("awaitable_copied", run_cases);

}  // namespace trap::awaitable_copied
