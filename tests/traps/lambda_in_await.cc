// Trap: a capturing lambda in the same expression as `co_await`
// Group: forbidden
// Rule: name the lambda on the line above
#include "coro.h"

namespace trap::lambda_in_await {

template <typename F>
Task<int> call(F function) {
  const int later = co_await Later{0};
  co_return function() + later;
}
template <typename F>
Task<int> call_reference(const F& function) {
  const int later = co_await Later{0};
  co_return function() + later;
}
template <typename F>
Task<int> call_forwarded(F&& function) {
  const int later = co_await Later{0};
  co_return function() + later;
}
template <typename F>
Later call_now(F function) {
  return Later{function()};
}
template <typename F>
struct Calling : Later {
  explicit Calling(F f) : function(std::move(f)) {}
  int await_resume() const { return function(); }
  F function;
};

Task<int> copied() {
  const Tracked object(1);
  const int value = co_await call([object] { return object.read(); });
  co_return value;
}
Task<int> moved() {
  Owner object(1);
  const int value = co_await call([object = std::move(object)] { return object.read(); });
  co_return value;
}
Task<int> made_in_capture() {
  const int value = co_await call([object = Tracked(1)] { return object.read(); });
  co_return value;
}
Task<int> by_const_reference() {
  const Tracked object(1);
  const int value = co_await call_reference([object] { return object.read(); });
  co_return value;
}
Task<int> forwarded() {
  const Tracked object(1);
  const int value = co_await call_forwarded([object] { return object.read(); });
  co_return value;
}
Task<int> captured_by_reference() {
  const Tracked object(1);
  const int value = co_await call([&object] { return object.read(); });
  co_return value;
}
Task<int> to_plain_function() {
  const Tracked object(1);
  const int value = co_await call_now([object] { return object.read(); });
  co_return value;
}
Task<int> in_awaiter() {
  const Tracked object(1);
  const int value = co_await Calling([object] { return object.read(); });
  co_return value;
}
Task<int> called_in_argument() {
  const Tracked object(1);
  const int value = co_await number_later([object] { return object.read(); }());
  co_return value;
}
Task<int> parameter_captured(Tracked object) {
  const int value = co_await call([object] { return object.read(); });
  co_return value;
}

void run_cases(Report& report) {
  report.run("captured copy", [] { return run(copied()) == 1; });
  report.run("captured by move", [] { return run(moved()) == 1; });
  report.run("made in the capture", [] { return run(made_in_capture()) == 1; });
  report.run("passed by const reference", [] { return run(by_const_reference()) == 1; });
  report.run("passed by forwarding reference", [] { return run(forwarded()) == 1; });
  report.run("captures a reference", [] { return run(captured_by_reference()) == 1; });
  report.run("passed to a plain function", [] { return run(to_plain_function()) == 1; });
  report.run("kept by the awaiter", [] { return run(in_awaiter()) == 1; });
  report.run("called in an argument", [] { return run(called_in_argument()) == 1; });
  report.run("captures a parameter", [] { return run(parameter_captured(Tracked(1))) == 1; });
}
const Entry entry("lambda_in_await", run_cases);

}  // namespace trap::lambda_in_await
