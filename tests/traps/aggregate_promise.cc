// Trap: a promise type without a constructor: it is initialised from the coroutine's parameters
// Group: forbidden
// Rule: a promise type declares its constructor
#include "coro.h"

namespace trap::aggregate_promise {

template <bool declares>
struct Fields {
  int value = -1;
  int other = -2;
};
template <>
struct Fields<true> {
  Fields() {}
  int value = -1;
  int other = -2;
};
template <bool declares>
struct Coroutine {
  struct promise_type : Fields<declares> {
    Coroutine get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
struct Flat {
  struct promise_type {
    int value = -1;
    int other = -2;
    Flat get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
Flat flat(int, int) { co_return; }
Coroutine<false> derived(Fields<false>, int) { co_return; }
Coroutine<true> declared(Fields<true>, int) { co_return; }

template <typename Kind>
const char* untouched(Kind coroutine) {
  const auto& promise = coroutine.handle.promise();
  const bool right = promise.value == -1 && promise.other == -2;
  coroutine.handle.destroy();
  return right ? nullptr : "initialised from the parameters";
}

void run_cases(Report& report) {
  report.run("no constructor", [] { return untouched(flat(7, 8)); });
  report.run("no constructor, in a base", [] {
    Fields<false> fields;
    fields.value = 7;
    return untouched(derived(fields, 8));
  });
  report.run("constructor in a base", [] {
    Fields<true> fields;
    fields.value = 7;
    return untouched(declared(fields, 8));
  });
}
const Entry entry("aggregate_promise", run_cases);

}  // namespace trap::aggregate_promise
