// Trap: an initializer list in the same expression as `co_await`
// Group: forbidden
// Rule: name the list (an array) on the line above; await each element into a local first
#include <initializer_list>

#include "coro.h"

namespace trap::initializer_list_in_await {

int sum_of(std::initializer_list<int> values) {
  int sum = 0;
  for (const int value : values) sum += value;
  return sum;
}
int sum_of(std::initializer_list<Tracked> values) {
  int sum = 0;
  for (const Tracked& value : values) sum += value.read();
  return sum;
}
Task<int> plain_list(std::initializer_list<int> values) {
  const int later = co_await Later{0};
  co_return sum_of(values) + later;
}
Task<int> owning_list(std::initializer_list<Tracked> values) {
  const int later = co_await Later{0};
  co_return sum_of(values) + later;
}
struct Vector {
  Vector(std::initializer_list<Tracked> values) : first(*values.begin()), sum(sum_of(values)) {}
  Tracked first;
  int sum;
};
Task<int> take_vector(Vector vector) {
  const int later = co_await Later{0};
  co_return vector.sum + later;
}
struct Three {
  int a, b, c;
};
struct TwoTracked {
  Tracked a, b;
};

Task<int> plain() {
  const int value = co_await plain_list({1, 2, 3});
  co_return value;
}
Task<int> owning() {
  const int value = co_await owning_list({Tracked(1), Tracked(2), Tracked(3)});
  co_return value;
}
Task<int> container() {
  const int value = co_await take_vector({Tracked(1), Tracked(2), Tracked(3)});
  co_return value;
}
Task<int> awaits_in_list() {
  const int value = sum_of({co_await number_later(1), co_await number_later(2), co_await number_later(3)});
  co_return value;
}
Task<int> awaits_in_owning_list() {
  const int value = sum_of({co_await give(1), co_await give(2), co_await give(3)});
  co_return value;
}
Task<int> awaits_in_array() {
  const int values[] = {co_await number_later(1), co_await number_later(2), co_await number_later(3)};
  co_return values[0] + values[1] + values[2];
}
Task<int> awaits_in_aggregate() {
  const Three values{.a = co_await number_later(1), .b = co_await number_later(2), .c = co_await number_later(3)};
  co_return values.a + values.b + values.c;
}
Task<int> awaits_in_owning_array() {
  const Tracked values[] = {co_await give(1), co_await give(2), co_await give(3)};
  co_return values[0].read() + values[1].read() + values[2].read();
}
Task<int> awaits_in_owning_aggregate() {
  const TwoTracked values{co_await give(1), co_await give(5)};
  co_return values.a.read() + values.b.read();
}

void run_cases(Report& report) {
  report.run("of ints", [] { return run(plain()) == 6; });
  report.run("of owning objects", [] { return run(owning()) == 6; });
  report.run("makes a container", [] { return run(container()) == 6; });
  report.run("awaits in a list", [] { return run(awaits_in_list()) == 6; });
  report.run("awaits in an owning list", [] { return run(awaits_in_owning_list()) == 6; });
  report.run("awaits in an array", [] { return run(awaits_in_array()) == 6; });
  report.run("awaits in an aggregate", [] { return run(awaits_in_aggregate()) == 6; });
  report.run("awaits in an owning array", [] { return run(awaits_in_owning_array()) == 6; });
  report.run("awaits in an owning aggregate", [] { return run(awaits_in_owning_aggregate()) == 6; });
}
const Entry entry("initializer_list_in_await", run_cases);

}  // namespace trap::initializer_list_in_await
