// Trap: a local, a parameter, an awaiter or a promise that asks for more alignment than 16
// Group: forbidden
// Rule: nothing in a frame is aligned to more than 16; what needs it lives elsewhere
#include <cstdint>

#include "coro.h"

namespace trap::overaligned_in_frame {

struct alignas(64) Line {
  char bytes[64] = {};
};
struct alignas(32) Half {
  char bytes[32] = {};
};
template <typename T>
const char* aligned(const T& object) {
  return opaque(reinterpret_cast<std::uintptr_t>(&object)) % alignof(T) == 0 ? nullptr : "misaligned";
}

// Blocks at 16 modulo 64, as malloc may give them: C++20 compilers never ask for more.
struct Blocks {
  static void* operator new(std::size_t size) {
    return static_cast<char*>(std::aligned_alloc(64, (size + 16 + 63) / 64 * 64)) + 16;
  }
  static void operator delete(void* frame, std::size_t) { std::free(static_cast<char*>(frame) - 16); }
};
template <std::size_t alignment>
struct Coroutine {
  struct alignas(alignment) promise_type : Blocks {
    const char* seen = nullptr;
    Coroutine get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this), this};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(const char* result) noexcept { seen = result; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
  promise_type* promise;
};
using Plain = Coroutine<8>;

[[gnu::noinline]] Plain local() {
  Line line;
  const char* seen = aligned(line);
  co_await Later{};
  line.bytes[0] = 1;
  co_return seen;
}
[[gnu::noinline]] Plain half_local() {
  Half half;
  const char* seen = aligned(half);
  co_await Later{};
  half.bytes[0] = 1;
  co_return seen;
}
[[gnu::noinline]] Plain local_before_await() {
  const char* seen = nullptr;
  {
    Line line;
    seen = aligned(line);
  }
  co_await Later{};
  co_return seen;
}
[[gnu::noinline]] Plain parameter(Line line) {
  co_await Later{};
  co_return aligned(line);
}
struct LineAwaiter {
  Line line;
  const char* seen = nullptr;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    seen = aligned(line);
    parked = waiter;
  }
  const char* await_resume() const noexcept { return seen; }
};
[[gnu::noinline]] Plain awaiter() {
  const char* seen = co_await LineAwaiter{};
  co_return seen;
}
[[gnu::noinline]] Coroutine<64> in_promise() {
  co_await Later{};
  co_return nullptr;
}

const char* judge(Plain coroutine) {
  parked = coroutine.handle;
  resume_parked();
  const char* seen = coroutine.handle.promise().seen;
  coroutine.handle.destroy();
  return seen;
}
const char* judge_promise() {
  const auto coroutine = in_promise();
  if (&coroutine.handle.promise() != coroutine.promise) return "promise elsewhere";
  return aligned(*coroutine.promise);
}

void run_cases(Report& report) {
  report.run("local of 64", [] { return judge(local()); });
  report.run("local of 32", [] { return judge(half_local()); });
  report.run("local not alive across an await", [] { return judge(local_before_await()); });
  report.run("parameter", [] { return judge(parameter(Line())); });
  report.run("awaiter", [] { return judge(awaiter()); });
  report.run("promise", judge_promise);
}
const Entry entry("overaligned_in_frame", run_cases);

}  // namespace trap::overaligned_in_frame
