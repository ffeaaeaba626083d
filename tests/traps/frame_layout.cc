// Trap: reaching the promise from a bare frame address, through a base of the promise
// Group: relied on
// Rule: the promise is 16 bytes into the frame if it asks for no more alignment than 16; frames may lie at 16 modulo 64
#include <cstdint>

#include "coro.h"

namespace trap::frame_layout {

struct Base {
  void* first = nullptr;
  long mark = 0x1234;
};

// Blocks at 16 modulo 64: the least that a pool with 16-byte classes promises.
struct Blocks {
  static void* operator new(std::size_t size) {
    ++ledger.frames_made;
    const std::size_t room = (size + 16 + 63) / 64 * 64;
    char* block = static_cast<char*>(std::aligned_alloc(64, room)) + 16;
    newest_size = size;
    return block;
  }
  static void operator delete(void* frame, std::size_t size) {
    ++ledger.frames_freed;
    if (size != newest_size) ledger.note("another size is freed than was allocated");
    std::free(static_cast<char*>(frame) - 16);
  }
  static inline std::size_t newest_size = 0;
};

template <typename T, std::size_t alignment>
struct Coroutine {
  struct alignas(alignment) promise_type : Base, Blocks {
    T value{};
    Coroutine get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(T result) noexcept { value = result; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
struct Big {
  long words[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
};
struct alignas(16) Wide {
  long words[2] = {1, 2};
};

template <typename Kind, typename T>
[[gnu::noinline]] Kind simple() {  // Not inlined, so that clang cannot elide the frame.
  co_return T{};
}
template <typename Kind, typename T>
[[gnu::noinline]] Kind with_parameters(Owner owner, char c, Wide wide) {
  const Wide local = wide;
  co_await Later{};
  if (reinterpret_cast<std::uintptr_t>(&local) % 16 != 0) ledger.note("a local is misaligned");
  if (reinterpret_cast<std::uintptr_t>(&wide) % 16 != 0) ledger.note("a parameter is misaligned");
  if (owner.read() != 1 || c != 'c') ledger.note("wrong result");
  co_return T{};
}
template <typename Kind, typename T>
[[gnu::noinline]] Kind with_branches(int a) {
  int sum = 0;
  for (int i = 0; i < a; ++i) {
    const int value = co_await Later{i};
    if (value == 1) sum += value;
  }
  co_return T{};
}

template <typename Kind>
const char* judge(Kind coroutine) {
  const auto handle = coroutine.handle;
  char* frame = static_cast<char*>(handle.address());
  Base* base = &handle.promise();
  const char* seen = nullptr;
  if (reinterpret_cast<char*>(base) - frame != 16) seen = "promise elsewhere";
  if (reinterpret_cast<std::uintptr_t>(frame) % 64 != 16) seen = "frame elsewhere";
  // What Gyre does: the frame's address is all that the ready deque holds.
  Base& reached = std::coroutine_handle<Base>::from_address(frame).promise();
  if (&reached != base || reached.mark != 0x1234) seen = "the base is not reached";
  if (std::coroutine_handle<Base>::from_promise(*base).address() != frame) seen = "the frame is not reached";
  parked = handle;
  resume_parked();
  if (!handle.done()) seen = "never finished";
  handle.destroy();
  return seen;
}
template <typename T, std::size_t alignment>
const char* judge_all() {
  using Kind = Coroutine<T, alignment>;
  if (const char* seen = judge(simple<Kind, T>())) return seen;
  if (const char* seen = judge(with_branches<Kind, T>(opaque(3)))) return seen;
  return judge(with_parameters<Kind, T>(Owner(1), 'c', Wide()));
}

struct Empty {};
struct EmptyPolicyAwaiter {
  [[no_unique_address]] Empty policy;
  std::coroutine_handle<> waiter;
};

void run_cases(Report& report) {
  report.run("int", judge_all<int, 8>);
  report.run("72 bytes", judge_all<Big, 8>);
  report.run("promise aligned to 16", judge_all<int, 16>);
  report.run("result aligned to 16", judge_all<Wide, 16>);
  report.run("no_unique_address", [] { return sizeof(EmptyPolicyAwaiter) == sizeof(void*); });
}
const Entry entry("frame_layout", run_cases);

}  // namespace trap::frame_layout
