// Contexts and pipes as POSIX has them.

// Its longjmp takes a jump to another stack for an error.
#undef _FORTIFY_SOURCE
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <csetjmp>
#include <thread>
#include <vector>

#include "switches.h"

// Null but in a program of ThreadSanitizer.
extern "C" [[gnu::weak]] void __tsan_init();

namespace tour {
namespace {

ucontext_t main_context;
ucontext_t other_context;

void prepare(std::vector<char>& stack, void (*body)()) {
  ::getcontext(&other_context);
  other_context.uc_stack.ss_sp = stack.data();
  other_context.uc_stack.ss_size = stack.size();
  ::makecontext(&other_context, body, 0);
}

// Stacks that are switched without the kernel, as libraries of fibers do: a context is only entered by swapcontext.
std::jmp_buf main_place;
std::jmp_buf fiber_place;

void switch_stacks(std::jmp_buf& from, std::jmp_buf& to) {
  if (_setjmp(from) == 0) std::longjmp(to, 1);
}

void enter_fiber() {
  if (_setjmp(main_place) == 0) ::swapcontext(&main_context, &other_context);
}

double fiber_switch() {
  std::vector<char> stack(64 * 1024);
  prepare(stack, [] {
    for (;;) switch_stacks(fiber_place, main_place);
  });
  enter_fiber();
  return measure(20'000, 2, [](int rounds) {
    for (int i = 0; i < rounds; ++i) switch_stacks(main_place, fiber_place);
  });
}

double context_switch() {
  std::vector<char> stack(64 * 1024);
  prepare(stack, [] {
    for (;;) ::swapcontext(&other_context, &main_context);
  });
  return measure(20'000, 2, [](int rounds) {
    for (int i = 0; i < rounds; ++i) ::swapcontext(&main_context, &other_context);
  });
}

// A ball goes through one pipe and comes back through another, until the first is closed.
struct Pipes {
  int there[2];
  int back[2];
  bool open() { return ::pipe(there) == 0 && ::pipe(back) == 0; }
  void echo() const {
    char ball = 0;
    while (::read(there[0], &ball, 1) == 1 && ::write(back[1], &ball, 1) == 1) {
    }
  }
  double play() const {
    return measure(2'000, 2, [this](int rounds) {
      char ball = 0;
      for (int i = 0; i < rounds; ++i) {
        if (::write(there[1], &ball, 1) != 1 || ::read(back[0], &ball, 1) != 1) return;
      }
    });
  }
};

double thread_by_pipe() {
  Pipes pipes;
  if (!pipes.open()) return HUGE_VAL;
  std::thread other([&pipes] { pipes.echo(); });
  const double cost = pipes.play();
  ::close(pipes.there[1]);
  other.join();
  for (const int fd : {pipes.there[0], pipes.back[0], pipes.back[1]}) ::close(fd);
  return cost;
}

double process_by_pipe() {
  Pipes pipes;
  if (!pipes.open()) return HUGE_VAL;
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipes.there[1]);
    pipes.echo();
    ::_exit(0);
  }
  const double cost = pipes.play();
  for (const int fd : {pipes.there[0], pipes.there[1], pipes.back[0], pipes.back[1]}) ::close(fd);
  ::waitpid(child, nullptr, 0);
  return cost;
}

}  // namespace

void show_contexts() {
  // ThreadSanitizer knows no stacks but those of threads, and ends the program.
  if (&__tsan_init == nullptr) show("fiber: switch of stacks", fiber_switch());
  show("ucontext: swapcontext", context_switch());
}

void show_pipes() {
  show("thread: pipe", thread_by_pipe());
  show("process: pipe", process_by_pipe());
}

}  // namespace tour
