// Trap: the bytes of a frame
// Group: fact
// Rule: g++ gives every local and every awaiter bytes of its own, whether it is alive across an await or not: keep awaiters small
#include "coro.h"

namespace trap::frame_size {

std::size_t newest = 0;
// A promise of 32 bytes: two words, a handle and an int.
struct Sized {
  struct promise_type {
    void* words[2] = {};
    std::coroutine_handle<> continuation;
    int value = 0;
    static void* operator new(std::size_t size) {
      newest = size;
      return std::malloc(size);
    }
    static void operator delete(void* frame, std::size_t) { std::free(frame); }
    promise_type() {}
    Sized get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(int result) noexcept { value = result; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  struct Awaiter {
    std::coroutine_handle<promise_type> child;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) const noexcept {
      child.promise().continuation = parent;
      return child;
    }
    int await_resume() const noexcept { return child.promise().value; }
  };
  Awaiter operator co_await() && noexcept { return {handle}; }
  std::coroutine_handle<promise_type> handle;
};
static_assert(sizeof(Sized::promise_type) == 32);
struct Leaf {
  long words[2] = {};
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept { parked = waiter; }
  long await_resume() const noexcept { return words[0]; }
};
[[gnu::noinline]] void use(char* bytes) { asm volatile("" : : "r"(bytes) : "memory"); }

[[gnu::noinline]] Sized no_await() { co_return 1; }
[[gnu::noinline]] Sized one_leaf() {
  co_await Leaf{};
  co_return 1;
}
[[gnu::noinline]] Sized five_leaves() {
  co_await Leaf{};
  co_await Leaf{};
  co_await Leaf{};
  co_await Leaf{};
  co_await Leaf{};
  co_return 1;
}
[[gnu::noinline]] Sized loop_of_children(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    const int value = co_await no_await();
    sum += value;
  }
  co_return sum;
}
[[gnu::noinline]] Sized buffers_not_across() {
  {
    char first[256] = {};
    use(first);
  }
  {
    char second[256] = {};
    use(second);
  }
  co_await Leaf{};
  co_return 1;
}
[[gnu::noinline]] Sized buffers_across() {
  {
    char first[256] = {};
    co_await Leaf{};
    use(first);
  }
  {
    char second[256] = {};
    co_await Leaf{};
    use(second);
  }
  co_return 1;
}

template <typename... Arguments>
const char* measure(Sized (*function)(Arguments...), Arguments... arguments) {
  function(arguments...).handle.destroy();
  static char text[32];
  std::snprintf(text, sizeof text, "%zu", newest);
  return text;
}

void run_cases(Report& report) {
  report.run("no await", [] { return measure(no_await); });
  report.run("an await of a 16-byte leaf", [] { return measure(one_leaf); });
  report.run("five such awaits", [] { return measure(five_leaves); });
  report.run("a loop that awaits a child", [] { return measure(loop_of_children, 3); });
  report.run("two blocks with 256 bytes, not across an await", [] { return measure(buffers_not_across); });
  report.run("two blocks with 256 bytes, each across an await", [] { return measure(buffers_across); });
}
const Entry entry("frame_size", run_cases);

}  // namespace trap::frame_size
