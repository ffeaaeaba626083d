// Trap: a frame that cannot be allocated, with `get_return_object_on_allocation_failure`
// Group: relied on
// Rule: the call returns an empty task, arguments are destroyed once, nothing runs
#include "coro.h"

namespace trap::frame_allocation_failure {

bool out_of_memory = false;

struct Fallible {
  struct promise_type {
    static void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
      return out_of_memory ? nullptr : CountedFrame::operator new(size);
    }
    static void* operator new(std::size_t size) noexcept { return operator new(size, std::nothrow); }
    static void operator delete(void* frame, std::size_t size) noexcept { CountedFrame::operator delete(frame, size); }
    static Fallible get_return_object_on_allocation_failure() noexcept { return Fallible{nullptr}; }
    Fallible get_return_object() noexcept { return Fallible{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(int result) noexcept { value = result; }
    void unhandled_exception() const noexcept { std::terminate(); }
    int value = 0;
  };
  explicit Fallible(std::coroutine_handle<promise_type> frame) : handle(frame) {}
  Fallible(Fallible&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Fallible() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};
Fallible sum(Tracked first, Owner second, const Tracked& third) {
  const int later = co_await Later{0};
  co_return first.read() + second.read() + third.read() + later;
}

const char* fails() {
  out_of_memory = true;
  const Tracked third(3);
  const Fallible task = sum(Tracked(1), Owner(2), third);
  if (task.handle) return "made a frame of nothing";
  // A failed call neither moves nor copies what it was given into a frame.
  return ledger.made == 3 ? nullptr : "moved parameters";
}
const char* succeeds() {
  const Tracked third(3);
  const Fallible task = sum(Tracked(1), Owner(2), third);
  if (!task.handle) return "empty task";
  task.handle.resume();
  resume_parked();
  return task.handle.done() && task.handle.promise().value == 6 ? nullptr : "wrong result";
}

void run_cases(Report& report) {
  report.run("no memory", fails);
  report.run("memory", succeeds);
}
const Entry entry("frame_allocation_failure", run_cases);

}  // namespace trap::frame_allocation_failure
