// Trap: `co_await` in the argument of a macro such as `EXPECT_*`
// Group: forbidden
// Rule: await into a named local, then check that
#include "coro.h"

namespace trap::await_in_macro {

int runs = 0;
Task<int> counted(Tracked object) {
  ++runs;
  const int value = co_await Later{object.read()};
  co_return value;
}

// The shapes of the macros that projects use, reduced to what matters.
struct Outcome {
  Tracked message;
  bool success = false;
  explicit operator bool() const { return success; }
};
template <typename A, typename B>
Outcome compare(const char*, const char*, const A& a, const B& b) {
  return Outcome{Tracked(3), a == b};
}
struct Reporter {
  void operator=(const Tracked& message) const { ledger.used(&message); }
};

// As GoogleTest's EXPECT_EQ.
#define TRAP_EXPECT_EQ(a, b)                        \
  switch (0)                                        \
  case 0:                                           \
  default:                                          \
    if (const Outcome outcome = compare(#a, #b, a, b)) \
      ;                                             \
    else                                            \
      Reporter() = Tracked(4)
// As the older Catch2's CHECK: the expression stands in __builtin_constant_p too, which promises
// not to evaluate it.
#define TRAP_CHECK(...)                          \
  do {                                           \
    (void)__builtin_constant_p(__VA_ARGS__);     \
    if (!static_cast<bool>(__VA_ARGS__)) ledger.note("wrong result"); \
  } while (false)
// As a careless maximum: the language itself evaluates it twice.
#define TRAP_TWICE(a, b) ((a) < (b) ? (b) : (a))

Task<int> expect_equal() {
  TRAP_EXPECT_EQ(co_await counted(Tracked(1)), 1);
  co_return runs;
}
Task<int> expect_unequal() {
  TRAP_EXPECT_EQ(co_await counted(Tracked(1)), 2);
  co_return runs;
}
Task<int> expect_between_locals() {
  const Tracked before(1);
  TRAP_EXPECT_EQ(co_await counted(before), 1);
  co_return runs;
}
Task<int> constant_query() {
  TRAP_CHECK(co_await counted(Tracked(1)) == 1);
  co_return runs;
}
Task<int> constant_query_after_local() {
  const int one = 1;
  TRAP_CHECK(co_await counted(Tracked(1)) == one);
  co_return runs;
}
Task<int> maximum() {
  const int value = TRAP_TWICE(0, co_await counted(Tracked(1)));
  co_return value == 1 ? runs : 0;
}

template <Task<int> (*trap)()>
const char* once() {
  const int times = run(trap());
  return times == 1 ? nullptr : times == 2 ? "runs twice" : "wrong result";
}

void run_cases(Report& report) {
  report.run("EXPECT_EQ holds", once<expect_equal>);
  report.run("EXPECT_EQ fails", once<expect_unequal>);
  report.run("EXPECT_EQ of a copied local", once<expect_between_locals>);
  report.run("beside __builtin_constant_p", once<constant_query>);
  report.run("beside __builtin_constant_p, after a local", once<constant_query_after_local>);
  report.run("expanded twice", once<maximum>);
}
const Entry entry("await_in_macro", run_cases);

}  // namespace trap::await_in_macro
