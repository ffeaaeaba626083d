// Contexts of the C library, and stacks that are switched without the kernel.

// Its longjmp takes a jump to another stack for an error.
#undef _FORTIFY_SOURCE
#include <ucontext.h>

#include <csetjmp>
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

}  // namespace

void show_contexts() {
  // ThreadSanitizer knows no stacks but those of threads, and ends the program.
  if (&__tsan_init == nullptr) show("fiber: switch of stacks", fiber_switch());
  show("ucontext: swapcontext", context_switch());
}

}  // namespace tour
