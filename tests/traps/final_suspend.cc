// Trap: who frees a finished coroutine: its parent, its awaiter, or itself
// Group: relied on
// Rule: at the final suspension the frame may be destroyed by anyone, also inside await_suspend
#include "coro.h"

namespace trap::final_suspend {

enum class End { never_suspends, destroys_itself, destroys_and_transfers };

int ended = 0;
template <End end>
struct Detached {
  struct promise_type : CountedFrame {
    Tracked in_promise{5};
    std::coroutine_handle<> next;
    Detached get_return_object() noexcept {
      const auto handle = std::coroutine_handle<promise_type>::from_promise(*this);
      check_handle(handle.address());
      return {handle};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct Destroying {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> self) const noexcept {
        self.destroy();
        ++ended;
      }
      void await_resume() const noexcept {}
    };
    struct Transferring {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        const std::coroutine_handle<> target = self.promise().next;
        self.destroy();
        ++ended;
        return target ? target : std::noop_coroutine();
      }
      void await_resume() const noexcept {}
    };
    auto final_suspend() const noexcept {
      if constexpr (end == End::never_suspends) return ++ended, std::suspend_never{};
      else if constexpr (end == End::destroys_itself) return Destroying{};
      else return Transferring{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

template <End end>
Detached<end> work(Owner argument, int rounds) {
  const Tracked local(argument.read());
  for (int i = 0; i < rounds; ++i) {
    const int value = co_await take(Tracked(i));
    if (value != i) ledger.note("wrong result");
  }
}

template <End end>
bool frees_itself() {
  for (int rounds = 0; rounds < 3; ++rounds) {
    work<end>(Owner(1), opaque(rounds)).handle.resume();
    resume_parked();
  }
  CountedFrame::check_all_untouched();
  return ended == 3;
}
bool transfers_on() {
  const auto second = work<End::destroys_and_transfers>(Owner(2), 1);
  const auto first = work<End::destroys_and_transfers>(Owner(1), 1);
  first.handle.promise().next = second.handle;
  first.handle.resume();
  resume_parked();
  CountedFrame::check_all_untouched();
  return ended == 2;
}

// The awaiter frees the child as soon as the child is done, before it takes the result on.
struct Freeing {
  std::coroutine_handle<Task<int>::promise_type> child;
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) const noexcept {
    child.promise().continuation = parent;
    return child;
  }
  int await_resume() const {
    const int value = child.promise().take();
    child.destroy();
    return value;
  }
};
Task<int> frees_children() {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    Task<int> task = take(Tracked(1));
    const int value = co_await Freeing{std::exchange(task.handle, nullptr)};
    sum += value;
  }
  co_return sum;
}
// The task object dies in the same full expression that awaited it, or at the end of the block.
Task<int> freed_by_owner() {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    Task<int> kept = number(0);
    const int value = co_await take(Tracked(1));
    const int nothing = co_await std::move(kept);
    sum += value + nothing;
  }
  co_return sum;
}

void run_cases(Report& report) {
  report.run("never suspends", frees_itself<End::never_suspends>);
  report.run("destroys itself", frees_itself<End::destroys_itself>);
  report.run("destroys itself and transfers", frees_itself<End::destroys_and_transfers>);
  report.run("transfers to another", transfers_on);
  report.run("freed by its awaiter", [] { return run(frees_children()) == 3; });
  report.run("freed by its owner", [] { return run(freed_by_owner()) == 3; });
}
const Entry entry("final_suspend", run_cases);

}  // namespace trap::final_suspend
