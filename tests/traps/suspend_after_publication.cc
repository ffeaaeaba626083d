// Trap: `await_suspend` goes on after the coroutine was resumed or destroyed elsewhere
// Group: forbidden
// Rule: publishing the handle is the last act of await_suspend, and such an await_suspend returns void or bool, not a handle
#include "thread.h"

namespace trap::suspend_after_publication {

// What await_suspend keeps in local variables must survive the end of the coroutine's frame, which
// is overwritten when it is freed. Compilers may put such locals into the frame after inlining.
struct Payload {
  long words[4] = {11, 22, 33, 44};
};
long total(const Payload& payload) { return payload.words[0] + payload.words[1] + payload.words[2] + payload.words[3]; }
long seen = 0;
[[gnu::noinline]] void escape(Payload& payload) { asm volatile("" : : "r"(&payload) : "memory"); }

// A fire-and-forget coroutine: its frame frees itself at its end.
struct Detached {
  struct promise_type : CountedFrame {
    Detached get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

struct ResumesInside {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept {
    Payload payload;
    escape(payload);
    waiter.resume();  // Runs the coroutine to its end: its frame is gone.
    seen = total(payload);
  }
  void await_resume() const noexcept {}
};
struct DestroysInside {
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) const noexcept {
    Payload payload;
    escape(payload);
    waiter.destroy();
    seen = total(payload);
    return true;
  }
  void await_resume() const noexcept {}
};
struct TransfersAfterDestroying {
  std::coroutine_handle<> next;
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
    Payload payload;
    escape(payload);
    const std::coroutine_handle<> target = next;  // The last look at *this.
    waiter.destroy();
    seen = total(payload);
    return target;
  }
  void await_resume() const noexcept {}
};
struct ResumesOnThread {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept {
    Payload payload;
    escape(payload);
    on_thread(0, [waiter] { waiter.resume(); });
    seen = total(payload);
  }
  void await_resume() const noexcept {}
};
// The usual shape: a guard object lives in await_suspend beyond the publication.
struct Guard {
  Payload payload;
  Guard() { escape(payload); }
  ~Guard() { seen = total(payload); }
};
struct GuardBeyond {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const noexcept {
    const Guard guard;
    waiter.resume();
  }
  void await_resume() const noexcept {}
};
struct NotInlined {
  bool await_ready() const noexcept { return false; }
  [[gnu::noinline]] void await_suspend(std::coroutine_handle<> waiter) const noexcept {
    Payload payload;
    escape(payload);
    waiter.resume();
    seen = total(payload);
  }
  void await_resume() const noexcept {}
};

// A function that nobody can see into gets the handle and says who is next.
[[gnu::noinline]] std::coroutine_handle<> register_waiter(std::coroutine_handle<> waiter, std::coroutine_handle<> next) {
  waiter.destroy();
  asm volatile("" : "+r"(next) : : "memory");
  return next;
}
struct AsksWhoIsNext {
  std::coroutine_handle<> next;
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(const std::coroutine_handle<> waiter) const {
    const auto target = register_waiter(waiter, next);
    return target ? target : waiter;
  }
  void await_resume() const noexcept {}
};
// The same for each kind of await_suspend; none does anything but to give the handle away.
struct GivesAway {
  std::coroutine_handle<> next;
  bool await_ready() const noexcept { return false; }
  void await_resume() const noexcept {}
};
struct ReturnsHandle : GivesAway {
  [[gnu::noinline]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
    return register_waiter(waiter, next);
  }
};
struct ReturnsBool : GivesAway {
  [[gnu::noinline]] bool await_suspend(std::coroutine_handle<> waiter) const noexcept {
    const std::coroutine_handle<> target = next;
    register_waiter(waiter, nullptr);
    parked = target;
    return true;
  }
};
struct ReturnsVoid : GivesAway {
  [[gnu::noinline]] void await_suspend(std::coroutine_handle<> waiter) const noexcept {
    const std::coroutine_handle<> target = next;
    register_waiter(waiter, nullptr);
    parked = target;
  }
};

template <typename Awaiter>
Detached wait() {
  co_await Awaiter{};
}
Detached transfer(std::coroutine_handle<> next) { co_await TransfersAfterDestroying{next}; }
Detached ask(std::coroutine_handle<> next) { co_await AsksWhoIsNext{next}; }
template <typename Awaiter>
Detached give_away(std::coroutine_handle<> next) {
  co_await Awaiter{{next}};
}
template <typename Awaiter>
Detached give_away_in_loop(std::coroutine_handle<> next) {
  for (;;) co_await Awaiter{{next}};
}
template <typename Awaiter>
Detached give_away_second(std::coroutine_handle<> next) {
  co_await Later{0, true};
  co_await Awaiter{{next}};
}
// Destroyed by its awaiter at its final suspend, as a joined task may be.
struct Joined {
  struct promise_type : CountedFrame {
    std::coroutine_handle<> next;
    Joined get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    struct FinalAwaiter {
      bool await_ready() const noexcept { return false; }
      [[gnu::noinline]] std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return register_waiter(self, self.promise().next);
      }
      void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
Joined joined() { co_return; }
Joined joined_in_loop(int rounds) {
  for (int i = 0; i < rounds; ++i) co_await Later{0, true};
}
Detached nothing() { co_return; }

template <typename Awaiter>
const char* locals_survive() {
  wait<Awaiter>().handle.resume();
  CountedFrame::check_all_untouched();
  return seen == 110 ? nullptr : "local of await_suspend was in the frame";
}
const char* transfers() {
  const Detached target = nothing();
  transfer(target.handle).handle.resume();
  CountedFrame::check_all_untouched();
  return seen == 110 ? nullptr : "local of await_suspend was in the frame";
}
const char* asks() {
  ask(nothing().handle).handle.resume();
  CountedFrame::check_all_untouched();
  return nullptr;
}
template <Detached (*trap)(std::coroutine_handle<>)>
const char* gives_away() {
  trap(nothing().handle).handle.resume();
  resume_parked();
  CountedFrame::check_all_untouched();
  return nullptr;
}
const char* joins(Joined task) {
  task.handle.promise().next = nothing().handle;
  task.handle.resume();
  CountedFrame::check_all_untouched();
  return nullptr;
}

void run_cases(Report& report) {
  report.run("resumed inside", locals_survive<ResumesInside>);
  report.run("destroyed inside", locals_survive<DestroysInside>);
  report.run("destroyed, then transfer", transfers);
  report.run("resumed on a thread", locals_survive<ResumesOnThread>);
  report.run("guard outlives the publication", locals_survive<GuardBeyond>);
  report.run("asks who is next", asks);
  report.run("returns a handle", gives_away<give_away<ReturnsHandle>>);
  report.run("returns a handle, in a loop", gives_away<give_away_in_loop<ReturnsHandle>>);
  report.run("returns a handle, second await", gives_away<give_away_second<ReturnsHandle>>);
  report.run("returns bool", gives_away<give_away<ReturnsBool>>);
  report.run("returns bool, in a loop", gives_away<give_away_in_loop<ReturnsBool>>);
  report.run("returns bool, second await", gives_away<give_away_second<ReturnsBool>>);
  report.run("returns void", gives_away<give_away<ReturnsVoid>>);
  report.run("returns void, in a loop", gives_away<give_away_in_loop<ReturnsVoid>>);
  report.run("returns void, second await", gives_away<give_away_second<ReturnsVoid>>);
  report.run("destroyed at its final suspend", [] { return joins(joined()); });
  report.run("destroyed at its final suspend, after a loop", [] { return joins(joined_in_loop(opaque(3))); });
  report.run("noinline", locals_survive<NotInlined>);
}
const Entry entry("suspend_after_publication", run_cases);

}  // namespace trap::suspend_after_publication
