// Trap: an awaiter that is made in the `co_await` expression and remembers its own address
// Group: relied on
// Rule: it is never copied or moved: the address at construction is the one that suspends and resumes
#include "coro.h"

namespace trap::awaiter_address {

// Noncopyable, as Gyre's are; it has a constructor and a destructor, so it is no aggregate.
class Intrusive {
 public:
  explicit Intrusive(int value) : self_(this), value_(value) { ledger.born(this); }
  Intrusive(const Intrusive&) = delete;
  ~Intrusive() {
    ledger.died(this);
    if (self_ != this) ledger.note("awaiter moved");
  }
  bool await_ready() const noexcept { return value_ == 0; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    if (self_ != this) ledger.note("awaiter moved");
    parked = waiter;
  }
  int await_resume() const noexcept {
    if (self_ != this) ledger.note("awaiter moved");
    ledger.used(this);
    return value_;
  }

 private:
  Intrusive* self_;
  int value_;
};
// A trivial aggregate: it learns its address when it is asked for the first time.
struct Plain {
  int value;
  const Plain* self = nullptr;
  bool await_ready() noexcept {
    self = this;
    return value == 0;
  }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept {
    if (self != this) ledger.note("awaiter moved");
    parked = waiter;
  }
  int await_resume() const noexcept {
    if (self != this) ledger.note("awaiter moved");
    return value;
  }
};

class Operation {
 public:
  explicit Operation(int value) : value_(value) {}
  Operation(const Operation&) = delete;
  Intrusive operator co_await() && noexcept { return Intrusive(value_); }
  Intrusive operator co_await() & noexcept { return Intrusive(value_ + 1); }

 private:
  int value_;
};
struct Free {
  int value;
};
Intrusive operator co_await(Free free) noexcept { return Intrusive(free.value); }
Intrusive read_some(int value) { return Intrusive(value); }
Plain read_plain(int value) { return Plain{value}; }
Operation operation(int value) { return Operation(value); }

struct Stream {
  int value;
  Intrusive read() { return Intrusive(value); }
};

Task<int> constructed() {
  const int value = co_await Intrusive(3);
  co_return value;
}
Task<int> ready() {
  const int value = co_await Intrusive(0);
  co_return value + 3;
}
Task<int> from_function() {
  const int value = co_await read_some(3);
  co_return value;
}
Task<int> from_member_function(Stream stream) {
  const int value = co_await stream.read();
  co_return value;
}
Task<int> from_operator() {
  const int value = co_await Operation(3);
  co_return value;
}
Task<int> from_returned_operation() {
  const int value = co_await operation(3);
  co_return value;
}
Task<int> from_named_operation() {
  Operation operation(1);
  const int first = co_await operation;
  const int second = co_await std::move(operation);
  co_return first + second;
}
Operation& pass(Operation& operation) { return operation; }
Task<int> from_references(Operation& parameter, Operation* pointer) {
  Operation array[2] = {Operation(0), Operation(0)};
  const int first = co_await parameter;
  const int second = co_await *pointer;
  const int third = co_await array[1];
  const int fourth = co_await pass(parameter);
  co_return first + second + third + fourth - 1;
}
int from_captured_operation() {
  Operation operation(2);
  auto coroutine = [&operation]() -> Task<int> {
    const int value = co_await operation;
    co_return value;
  };
  return run(coroutine());
}
Task<int> from_free_operator() {
  const int value = co_await Free{3};
  co_return value;
}
Task<int> plain() {
  const int value = co_await Plain{3};
  co_return value;
}
Task<int> plain_from_function() {
  const int value = co_await read_plain(3);
  co_return value;
}
Task<int> in_loop() {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    const int value = co_await read_some(i);
    sum += value;
  }
  co_return sum;
}
Task<int> discarded() {
  co_await read_some(1);
  co_await operation(2);
  co_return 3;
}

void run_cases(Report& report) {
  report.run("constructed", [] { return run(constructed()) == 3; });
  report.run("ready", [] { return run(ready()) == 3; });
  report.run("from a function", [] { return run(from_function()) == 3; });
  report.run("from a member function", [] { return run(from_member_function(Stream{3})) == 3; });
  report.run("from operator co_await &&", [] { return run(from_operator()) == 3; });
  report.run("from a returned operation", [] { return run(from_returned_operation()) == 3; });
  report.run("from a named operation", [] { return run(from_named_operation()) == 3; });
  report.run("from references", [] {
    Operation parameter(0);
    Operation pointed(0);
    return run(from_references(parameter, &pointed)) == 3;
  });
  report.run("from a captured operation", [] { return from_captured_operation() == 3; });
  report.run("from a free operator co_await", [] { return run(from_free_operator()) == 3; });
  report.run("trivial aggregate", [] { return run(plain()) == 3; });
  report.run("trivial aggregate from a function", [] { return run(plain_from_function()) == 3; });
  report.run("in a loop", [] { return run(in_loop()) == 3; });
  report.run("result discarded", [] { return run(discarded()) == 3; });
}
const Entry entry("awaiter_address", run_cases);

}  // namespace trap::awaiter_address
