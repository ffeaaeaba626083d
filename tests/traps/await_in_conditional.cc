// Trap: `co_await` inside `?:`
// Group: forbidden
// Rule: write an `if` and await into a named local in each branch
#include "coro.h"

namespace trap::await_in_conditional {

Task<int> both_arms(bool flag) { co_return flag ? co_await take(Tracked(1)) : co_await take(Tracked(2)); }
Task<int> one_arm(bool flag) {
  const int value = flag ? co_await take(Tracked(1)) : 2;
  co_return value;
}
Task<int> references(bool flag) {
  const int value = flag ? co_await look(Tracked(1)) : co_await look(Tracked(2));
  co_return value;
}
Task<int> results(bool flag) {
  const Tracked value = flag ? co_await give(1) : co_await give(2);
  co_return value.read();
}
Task<int> result_or_local(bool flag) {
  const Tracked other(2);
  const Tracked value = flag ? co_await give(1) : other;
  co_return value.read();
}
Task<int> condition() {
  const int value = co_await take(Tracked(1)) == 1 ? 1 : 2;
  co_return value;
}
Task<int> choose_task(bool flag) {
  const int value = co_await (flag ? take(Tracked(1)) : take(Tracked(2)));
  co_return value;
}
Task<int> choose_holder(bool flag) {
  const int value = co_await (flag ? Holder{Tracked(1)} : Holder{Tracked(2)});
  co_return value;
}
Task<int> leaf(bool flag) {
  const int value = flag ? co_await leaf_take(Tracked(1)) : co_await leaf_look(Tracked(2));
  co_return value;
}
struct Built {
  Tracked object;
};
class BuiltByConstructor {
 public:
  explicit BuiltByConstructor(int value) : object_(value) {}
  int read() const { return object_.read(); }

 private:
  Tracked object_;
};
Task<int> building(bool flag) {
  const Built built = flag ? Built{Tracked(co_await number_later(1))} : Built{Tracked(2)};
  co_return built.object.read();
}
Task<int> building_by_constructor(bool flag) {
  const BuiltByConstructor built = flag ? BuiltByConstructor(co_await number_later(1)) : BuiltByConstructor(2);
  co_return built.read();
}

template <Task<int> (*trap)(bool)>
bool both_ways() {
  return run(trap(opaque(true))) == 1 && run(trap(opaque(false))) == 2;
}

void run_cases(Report& report) {
  report.run("both arms", both_ways<both_arms>);
  report.run("one arm", both_ways<one_arm>);
  report.run("reference arguments", both_ways<references>);
  report.run("owning results", both_ways<results>);
  report.run("owning result or local", both_ways<result_or_local>);
  report.run("in the condition", [] { return run(condition()) == 1; });
  report.run("choosing a task", both_ways<choose_task>);
  report.run("choosing an awaiter", both_ways<choose_holder>);
  report.run("building an aggregate", both_ways<building>);
  report.run("building an object", both_ways<building_by_constructor>);
  report.run("leaf awaiters", both_ways<leaf>);
}
const Entry entry("await_in_conditional", run_cases);

}  // namespace trap::await_in_conditional
