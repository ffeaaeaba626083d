// Trap: coroutines that are member functions, virtual, templates, operators, or lambdas without captures
// Group: relied on
// Rule: `this` is kept as it was; a captureless lambda is as good as a function
#include "coro.h"

namespace trap::member_coroutines {

struct Base {
  virtual ~Base() = default;
  virtual Task<int> overridden(Owner object) = 0;
};
struct Object final : Base {
  explicit Object(int value) : held(value) {}
  Object(const Object&) = delete;

  Task<int> plain() {
    const Object* before = this;
    const int later = co_await Later{held.read()};
    co_return before == this ? later : -1;
  }
  Task<int> constant() const {
    const int later = co_await Later{0};
    co_return held.read() + later;
  }
  Task<int> temporary_only() && {
    const int later = co_await Later{0};
    co_return held.read() + later;
  }
  static Task<int> unattached(Owner object) {
    const int later = co_await Later{0};
    co_return object.read() + later;
  }
  Task<int> overridden(Owner object) override {
    const int later = co_await Later{0};
    co_return held.read() + object.read() + later;
  }
  template <typename T>
  Task<int> generic(T object, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
      const int value = co_await look(object);
      sum += value;
    }
    co_return sum + held.read();
  }
  Task<int> operator()(Owner object) {
    const int later = co_await Later{0};
    co_return held.read() + object.read() + later;
  }
  Task<int> calls_others() {
    const int first = co_await plain();
    const int second = co_await this->constant();
    const int third = co_await generic(Tracked(1), 1);
    held = Tracked(first + second + third);
    const int all = co_await plain();
    co_return all;
  }
  Tracked held;
};
Task<int> by_pointer(Task<int> (Object::*function)(Owner), Object* object) {
  Owner owner(2);
  const int value = co_await (object->*function)(std::move(owner));
  co_return value;
}

void run_cases(Report& report) {
  report.run("member", [] {
    Object object(3);
    return run(object.plain()) == 3;
  });
  report.run("const member", [] {
    const Object object(3);
    return run(object.constant()) == 3;
  });
  report.run("rvalue member", [] {
    Object object(3);
    return run(std::move(object).temporary_only()) == 3;
  });
  report.run("static member", [] { return run(Object::unattached(Owner(3))) == 3; });
  report.run("virtual member", [] {
    Object object(1);
    Base& base = object;
    return run(base.overridden(Owner(2))) == 3;
  });
  report.run("member template", [] {
    Object object(1);
    return run(object.generic(Tracked(1), 2)) == 3;
  });
  report.run("call operator", [] {
    Object object(1);
    return run(object(Owner(2))) == 3;
  });
  report.run("members await members", [] {
    Object object(1);
    return run(object.calls_others()) == 4;
  });
  report.run("pointer to member", [] {
    Object object(1);
    return run(by_pointer(&Object::operator(), &object)) == 3;
  });
  report.run("captureless lambda", [] {
    const auto coroutine = [](Owner object) -> Task<int> {
      const int later = co_await Later{0};
      co_return object.read() + later;
    };
    return run(coroutine(Owner(3))) == 3;
  });
  report.run("captureless lambda whose closure dies", [] {
    Task<int> task = [](Owner object) -> Task<int> {
      const int later = co_await Later{0};
      co_return object.read() + later;
    }(Owner(3));
    return run(std::move(task)) == 3;
  });
  report.run("generic captureless lambda", [] {
    const auto coroutine = [](auto... objects) -> Task<int> {
      const int later = co_await Later{0};
      co_return (objects.read() + ... + later);
    };
    return run(coroutine(Owner(1), Tracked(2))) == 3;
  });
  report.run("captureless lambda as a pointer", [] {
    Task<int> (*coroutine)(Owner) = [](Owner object) -> Task<int> {
      const int later = co_await Later{0};
      co_return object.read() + later;
    };
    return run(coroutine(Owner(3))) == 3;
  });
}
const Entry entry("member_coroutines", run_cases);

}  // namespace trap::member_coroutines
