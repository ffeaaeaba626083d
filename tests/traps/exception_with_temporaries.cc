// Trap: an exception from `co_await` while arguments and earlier objects of the statement are alive
// Group: relied on
// Rule: everything that was constructed is destroyed once; the exception goes on
#include "coro.h"

namespace trap::exception_with_temporaries {

Task<int> fails(Owner object) {
  co_await Later{};
  if (object.read() == 1) throw 7;
  co_return 0;
}
Task<int> fails_looking(const Tracked& object) {
  co_await Later{};
  if (object.read() == 1) throw 7;
  co_return 0;
}
Task<Owner> fails_to_give(int value) {
  Owner owner(value);
  co_await Later{};
  if (value == 1) throw 7;
  co_return owner;
}
struct FailsOnResume : Later {
  int await_resume() const { throw 7; }
};

Task<int> moved_argument() {
  Owner owner(1);
  const int value = co_await fails(std::move(owner));
  co_return value;
}
Task<int> named_argument() {
  const Tracked object(1);
  const int value = co_await fails_looking(object);
  co_return value;
}
Task<int> result() {
  const Owner first(2);
  const Owner second = co_await fails_to_give(1);
  const Owner third(3);
  co_return second.read();
}
Task<int> second_of_two() {
  const Owner first = co_await fails_to_give(2);
  const Owner second = co_await fails_to_give(1);
  co_return first.read() + second.read();
}
Task<int> leaf() {
  const Tracked object(1);
  const int value = co_await FailsOnResume{};
  co_return value + object.read();
}
Task<int> in_loop() {
  for (int i = 3;; --i) {
    const Tracked object(i);
    Owner owner(i);
    const int value = co_await fails(std::move(owner));
    if (value != 0) co_return value;
  }
}
Task<int> kept_task() {
  Task<int> task = fails(Owner(1));
  const Tracked object(1);
  const int value = co_await std::move(task);
  co_return value;
}

template <Task<int> (*trap)()>
Task<int> parent() {
  int value = 0;
  try {
    const Tracked object(1);
    const int result = co_await trap();
    value = result;
  } catch (int thrown) {
    value = thrown;
  }
  co_return value;
}
template <Task<int> (*trap)()>
bool gives_7() {
  return run(parent<trap>()) == 7;
}

void run_cases(Report& report) {
  report.run("moved argument", gives_7<moved_argument>);
  report.run("named argument", gives_7<named_argument>);
  report.run("result", gives_7<result>);
  report.run("second of two", gives_7<second_of_two>);
  report.run("leaf", gives_7<leaf>);
  report.run("in a loop", gives_7<in_loop>);
  report.run("task kept in a local", gives_7<kept_task>);
}
const Entry entry("exception_with_temporaries", run_cases);

}  // namespace trap::exception_with_temporaries
