// Trap: when the return object becomes what the call returns, if the types differ
// Group: fact
// Rule: get_return_object returns the task itself, so that the question does not arise
#include "coro.h"

namespace trap::return_object_conversion {

bool body_ran = false;
bool converted_after_body = false;
struct Converted;
struct Early {
  int value = 1;
};
struct Converted {
  struct promise_type {
    promise_type() {}
    Early get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  Converted(Early) { converted_after_body = body_ran; }  // NOLINT: implicit is the point.
};
Converted coroutine() {
  body_ran = true;
  co_return;
}

void run_cases(Report& report) {
  report.run("converted", [] {
    coroutine();
    return converted_after_body ? "after the first suspension" : "before the body";
  });
}
const Entry entry("return_object_conversion", run_cases);

}  // namespace trap::return_object_conversion
