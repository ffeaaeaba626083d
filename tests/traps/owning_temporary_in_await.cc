// Trap: an owning temporary of a class with constructors, made in the same expression as `co_await`
// Group: forbidden
// Rule: name the object on the line above and pass `std::move(name)`
#include "coro.h"

namespace trap::owning_temporary_in_await {

Task<int> defaulted(Tracked object = Tracked(1)) {
  const int later = co_await Later{0};
  co_return object.read() + later;
}
Task<int> defaulted_reference(const Tracked& object = Tracked(1)) {
  const int later = co_await Later{0};
  co_return object.read() + later;
}
struct Converted {
  Converted(int value) : inner(value) {}  // NOLINT: the implicit conversion is the point.
  Tracked inner;
};
Task<int> converting(Converted object) {
  const int later = co_await Later{0};
  co_return object.inner.read() + later;
}
Task<int> converting_reference(const Converted& object) {
  const int later = co_await Later{0};
  co_return object.inner.read() + later;
}
Tracked operator+(const Tracked& a, const Tracked& b) { return Tracked(a.read() + b.read()); }
struct Builder {
  Tracked held{0};
  Builder&& add(int value) && {
    held = Tracked(held.read() + value);
    return std::move(*this);
  }
  Task<int> build() && { return look_at(held); }
  static Task<int> look_at(const Tracked& object) {
    const int later = co_await Later{0};
    co_return object.read() + later;
  }
};

Task<int> by_value() {
  const int value = co_await take(Tracked(1));
  co_return value;
}
Task<int> by_reference() {
  const int value = co_await look(Tracked(1));
  co_return value;
}
Task<int> move_only() {
  const int value = co_await take_owner(Owner(1));
  co_return value;
}
Task<int> default_argument() {
  const int value = co_await defaulted();
  co_return value;
}
Task<int> default_reference() {
  const int value = co_await defaulted_reference();
  co_return value;
}
Task<int> conversion() {
  const int value = co_await converting(1);
  co_return value;
}
Task<int> conversion_to_reference() {
  const int value = co_await converting_reference(1);
  co_return value;
}
Task<int> from_operator() {
  const Tracked zero(0);
  const Tracked one(1);
  const int value = co_await take(zero + one);
  co_return value;
}
Task<int> chain() {
  const int value = co_await Builder().add(1).build();
  co_return value;
}
Task<int> leaf_by_value() {
  const int value = co_await leaf_take(Tracked(1));
  co_return value;
}
Task<int> leaf_by_reference() {
  const int value = co_await leaf_look(Tracked(1));
  co_return value;
}
struct HolderWithConstructor : Holder {
  explicit HolderWithConstructor(int value) : Holder{Tracked(value)} {}
};
Task<int> awaiter() {
  const int value = co_await HolderWithConstructor(1);
  co_return value;
}
Task<> discarded() { co_await take(Tracked(1)); }

void run_cases(Report& report) {
  report.run("by value", [] { return run(by_value()) == 1; });
  report.run("by reference", [] { return run(by_reference()) == 1; });
  report.run("move-only by value", [] { return run(move_only()) == 1; });
  report.run("default argument", [] { return run(default_argument()) == 1; });
  report.run("default argument by reference", [] { return run(default_reference()) == 1; });
  report.run("implicit conversion", [] { return run(conversion()) == 1; });
  report.run("implicit conversion to a reference", [] { return run(conversion_to_reference()) == 1; });
  report.run("result of an operator", [] { return run(from_operator()) == 1; });
  report.run("chain of calls", [] { return run(chain()) == 1; });
  report.run("leaf, by value", [] { return run(leaf_by_value()) == 1; });
  report.run("leaf, by reference", [] { return run(leaf_by_reference()) == 1; });
  report.run("owned by the awaiter", [] { return run(awaiter()) == 1; });
  report.run("result discarded", [] { return run(discarded()), true; });
}
const Entry entry("owning_temporary_in_await", run_cases);

}  // namespace trap::owning_temporary_in_await
