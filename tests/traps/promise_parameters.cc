// Trap: a promise that sees the coroutine's parameters, in its constructor and in operator new
// Group: relied on
// Rule: both see the parameters; the constructor sees those in the frame, operator new the caller's
#include "coro.h"

namespace trap::promise_parameters {

struct Pool {
  int allocations = 0;
  int frees = 0;
};

template <typename First>
struct Pooled {
  struct promise_type {
    // `First` is Pool& for a function, the object for a member function, the closure for a lambda.
    template <typename... Rest>
    static void* operator new(std::size_t size, First&, Pool& pool, Rest&...) {
      return allocate(size, pool);
    }
    template <typename... Rest>
    static void* operator new(std::size_t size, Pool& pool, Rest&...) {
      return allocate(size, pool);
    }
    static void* allocate(std::size_t size, Pool& pool) {
      ++pool.allocations;
      constexpr std::size_t header_bytes = 16;
      char* block = static_cast<char*>(std::malloc(size + header_bytes));
      *reinterpret_cast<Pool**>(block) = &pool;
      return block + header_bytes;
    }
    static void operator delete(void* frame, std::size_t) {
      char* block = static_cast<char*>(frame) - 16;
      ++(*reinterpret_cast<Pool**>(block))->frees;
      std::free(block);
    }
    promise_type(Pool& pool_, Tracked& object) : pool(&pool_), seen(&object), seen_value(object.read()) {}
    promise_type(First&, Pool& pool_, Tracked& object) : promise_type(pool_, object) {}

    Pooled get_return_object() noexcept { return Pooled(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(const Tracked* object) noexcept { same = object == seen; }
    void unhandled_exception() const noexcept { std::terminate(); }
    Pool* pool;
    const Tracked* seen;
    int seen_value;
    bool same = false;
  };
  explicit Pooled(std::coroutine_handle<promise_type> frame) : handle(frame) {}
  Pooled(Pooled&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Pooled() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

struct None {};
// noinline keeps clang from eliding the frame, which would spare both calls.
[[gnu::noinline]] Pooled<None> function(Pool&, Tracked object) {
  co_await Later{};
  co_return &object;
}
struct Object {
  int value = 5;
  [[gnu::noinline]] Pooled<Object> member(Pool&, Tracked object) {
    co_await Later{};
    if (value != 5) ledger.note("this is wrong");
    co_return &object;
  }
};

template <typename Make>
const char* sees_parameters(Make make) {
  Pool pool;
  {
    const auto task = make(pool);
    if (task.handle.promise().pool != &pool) return "another pool";
    if (task.handle.promise().seen_value != 1) return "another value";
    task.handle.resume();
    resume_parked();
    if (!task.handle.promise().same) return "the promise saw an object outside the frame";
  }
  return pool.allocations == 1 && pool.frees == 1 ? nullptr : "allocations do not match";
}

void run_cases(Report& report) {
  report.run("function", [] { return sees_parameters([](Pool& pool) { return function(pool, Tracked(1)); }); });
  report.run("member function", [] {
    Object object;
    return sees_parameters([&object](Pool& pool) { return object.member(pool, Tracked(1)); });
  });
}
const Entry entry("promise_parameters", run_cases);

}  // namespace trap::promise_parameters
