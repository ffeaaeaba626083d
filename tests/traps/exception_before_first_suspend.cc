// Trap: an exception before a coroutine's first suspension: promise, return object, initial await, body
// Group: forbidden
// Rule: promise constructor, get_return_object and initial_suspend are noexcept; tasks start suspended
#include "coro.h"

namespace trap::exception_before_first_suspend {

enum class Where { nowhere, promise, return_object, initial_call, initial_ready, initial_suspend, initial_resume, body };

template <Where where>
void throw_at(Where here) {
  if (where == here) throw 1;
}

// Who frees the frame, as the standard has it by now (CWG 2935): until initial await_resume is called,
// the call itself, so that the return object must not; afterwards the coroutine counts as suspended
// at its end, and whoever has its handle frees it.
constexpr bool return_object_owns(Where where) {
  return where == Where::nowhere || where == Where::initial_resume || where == Where::body;
}

template <Where where>
struct Eager {
  struct promise_type : CountedFrame {
    Tracked in_promise{5};
    promise_type() { throw_at<where>(Where::promise); }
    Eager get_return_object() {
      throw_at<where>(Where::return_object);
      return Eager{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    struct InitialAwaiter {
      bool await_ready() const {
        throw_at<where>(Where::initial_ready);
        return where != Where::initial_suspend;
      }
      void await_suspend(std::coroutine_handle<>) const { throw_at<where>(Where::initial_suspend); }
      void await_resume() const { throw_at<where>(Where::initial_resume); }
    };
    InitialAwaiter initial_suspend() {
      throw_at<where>(Where::initial_call);
      return {};
    }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const {
      caught = true;
      throw;
    }
  };
  static inline bool caught = false;  // unhandled_exception was called.

  explicit Eager(std::coroutine_handle<promise_type> frame) : handle(frame) { ledger.born(this); }
  // clang 14 moves the return object; newer compilers make it in place.
  Eager(Eager&& other) noexcept : handle(std::exchange(other.handle, nullptr)) { ledger.born(this); }
  ~Eager() {
    ledger.died(this);
    if (handle && return_object_owns(where)) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

template <Where where>
Eager<where> start(Tracked by_value, const Tracked& by_reference) {
  const Tracked local(by_value.read() + by_reference.read());
  throw_at<where>(Where::body);
  co_return;
}

// The exception comes out of the call. `handled`: whether it went through unhandled_exception.
template <Where where, bool handled>
const char* comes_out() {
  try {
    const Eager<where> eager = start<where>(Tracked(1), Tracked(2));
    return "no exception";
  } catch (int) {
  }
  if (Eager<where>::caught != handled) return handled ? "not handled by the promise" : "handled by the promise";
  return nullptr;
}
const char* nothing_thrown() {
  const auto eager = start<Where::nowhere>(Tracked(1), Tracked(2));
  return nullptr;
}

void run_cases(Report& report) {
  report.run("nothing", nothing_thrown);
  report.run("promise constructor", comes_out<Where::promise, false>);
  report.run("get_return_object", comes_out<Where::return_object, false>);
  report.run("initial_suspend", comes_out<Where::initial_call, false>);
  report.run("initial await_ready", comes_out<Where::initial_ready, false>);
  report.run("initial await_suspend", comes_out<Where::initial_suspend, false>);
  report.run("initial await_resume", comes_out<Where::initial_resume, true>);
  report.run("body", comes_out<Where::body, true>);
}
const Entry entry("exception_before_first_suspend", run_cases);

}  // namespace trap::exception_before_first_suspend
