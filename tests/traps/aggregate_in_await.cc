// Trap: an aggregate with owning members made in the same expression as `co_await`
// Group: forbidden
// Rule: name the aggregate on the line above, or give it a constructor
#include "coro.h"

namespace trap::aggregate_in_await {

struct Options {
  Tracked name{7};
  int count = 1;
};
struct Nested {
  Options inner;
  Owner owner{1};
};
Task<int> by_value(Options options) {
  const int later = co_await Later{0};
  co_return options.name.read() + options.count + later;
}
Task<int> by_reference(const Options& options) {
  const int later = co_await Later{0};
  co_return options.name.read() + options.count + later;
}
Task<int> nested(Nested value) {
  const int later = co_await Later{0};
  co_return value.inner.name.read() + value.owner.read() + later;
}
Later leaf(const Options& options) { return Later{options.name.read() + options.count}; }
Later leaf_by_value(Options options) { return Later{options.name.read() + options.count}; }

Task<int> braces() {
  const int value = co_await by_value(Options{Tracked(1), 2});
  co_return value;
}
Task<int> bare_braces() {
  const int value = co_await by_value({Tracked(1), 2});
  co_return value;
}
Task<int> designated() {
  const int value = co_await by_value({.name = Tracked(1), .count = 2});
  co_return value;
}
Task<int> defaults() {
  const int value = co_await by_value({.count = 2});
  co_return value - 6;
}
Task<int> reference() {
  const int value = co_await by_reference({.name = Tracked(1), .count = 2});
  co_return value;
}
Task<int> deep() {
  const int value = co_await nested({.inner = {.name = Tracked(1)}, .owner = Owner(2)});
  co_return value;
}
Task<int> to_leaf() {
  const int value = co_await leaf({.name = Tracked(1), .count = 2});
  co_return value;
}
Task<int> to_leaf_by_value() {
  const int value = co_await leaf_by_value({.name = Tracked(1), .count = 2});
  co_return value;
}
Task<int> from_local() {
  const Tracked name(1);
  const int value = co_await by_value({.name = name, .count = 2});
  co_return value;
}
Task<int> from_moved_local() {
  Tracked name(1);
  const int value = co_await by_value({.name = std::move(name), .count = 2});
  co_return value;
}
Task<int> awaiter() {
  const int value = co_await Holder{Tracked(3)};
  co_return value;
}

void run_cases(Report& report) {
  report.run("typed braces", [] { return run(braces()) == 3; });
  report.run("bare braces", [] { return run(bare_braces()) == 3; });
  report.run("designated", [] { return run(designated()) == 3; });
  report.run("default member", [] { return run(defaults()) == 3; });
  report.run("by reference", [] { return run(reference()) == 3; });
  report.run("nested", [] { return run(deep()) == 3; });
  report.run("to a leaf", [] { return run(to_leaf()) == 3; });
  report.run("to a leaf by value", [] { return run(to_leaf_by_value()) == 3; });
  report.run("the awaiter itself", [] { return run(awaiter()) == 3; });
  report.run("member copied from a local", [] { return run(from_local()) == 3; });
  report.run("member moved from a local", [] { return run(from_moved_local()) == 3; });
}
const Entry entry("aggregate_in_await", run_cases);

}  // namespace trap::aggregate_in_await
