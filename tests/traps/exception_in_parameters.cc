// Trap: an exception while parameters are moved into the frame, or from the frame's allocation
// Group: forbidden
// Rule: what is passed by value moves without throwing; a failed allocation ends in a Result or aborts
#include "coro.h"

namespace trap::exception_in_parameters {

struct ThrowsOnMove {
  Tracked held{2};
  ThrowsOnMove() = default;
  ThrowsOnMove(ThrowsOnMove&&) { throw 1; }
};
Task<int> three(Tracked first, ThrowsOnMove second, Tracked third) {
  co_return first.read() + second.held.read() + third.read();
}

// A frame that cannot be had.
struct Failing {
  struct promise_type {
    static void* operator new(std::size_t) { throw 1; }
    static void operator delete(void*, std::size_t) { ledger.note("freed what it never got"); }
    Failing get_return_object() const noexcept { return {}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {}
  };
};
Failing never_begins(Tracked object, Owner owner) {
  ledger.note("ran without a frame");
  object.read();
  owner.read();
  co_return;
}

template <typename Call>
const char* throws(Call call) {
  try {
    call();
    return "no exception";
  } catch (int) {
    return nullptr;
  }
}

void run_cases(Report& report) {
  report.run("parameter's move throws", [] { return throws([] { (void)three(Tracked(1), ThrowsOnMove(), Tracked(3)); }); });
  report.run("operator new throws", [] { return throws([] { never_begins(Tracked(1), Owner(2)); }); });
}
const Entry entry("exception_in_parameters", run_cases);

}  // namespace trap::exception_in_parameters
