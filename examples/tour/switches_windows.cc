// Contexts (called fibers) and pipes as Windows has them.
#include <windows.h>

#include <thread>

#include "switches.h"

namespace tour {
namespace {

struct Fibers {
  void* ours = nullptr;
  void* other = nullptr;
};

void WINAPI swing(void* argument) {
  const auto& fibers = *static_cast<Fibers*>(argument);
  for (;;) ::SwitchToFiber(fibers.ours);
}

double fiber_switch() {
  Fibers fibers;
  fibers.ours = ::ConvertThreadToFiber(nullptr);
  fibers.other = ::CreateFiber(64 * 1024, swing, &fibers);
  if (fibers.ours == nullptr || fibers.other == nullptr) return HUGE_VAL;
  const double cost = measure(20'000, 2, [&](int rounds) {
    for (int i = 0; i < rounds; ++i) ::SwitchToFiber(fibers.other);
  });
  ::DeleteFiber(fibers.other);
  ::ConvertFiberToThread();
  return cost;
}

// A ball goes through one pipe and comes back through another, until the first is closed.
struct Pipes {
  HANDLE there[2] = {};
  HANDLE back[2] = {};
  bool open() { return ::CreatePipe(&there[0], &there[1], nullptr, 0) && ::CreatePipe(&back[0], &back[1], nullptr, 0); }
  static bool take(HANDLE from) {
    char ball = 0;
    DWORD count = 0;
    return ::ReadFile(from, &ball, 1, &count, nullptr) && count == 1;
  }
  static bool give(HANDLE to) {
    DWORD count = 0;
    return ::WriteFile(to, "", 1, &count, nullptr) && count == 1;
  }
};

double thread_by_pipe() {
  Pipes pipes;
  if (!pipes.open()) return HUGE_VAL;
  std::thread other([&pipes] {
    while (Pipes::take(pipes.there[0]) && Pipes::give(pipes.back[1])) {
    }
  });
  const double cost = measure(2'000, 2, [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      if (!Pipes::give(pipes.there[1]) || !Pipes::take(pipes.back[0])) return;
    }
  });
  ::CloseHandle(pipes.there[1]);
  other.join();
  for (const HANDLE end : {pipes.there[0], pipes.back[0], pipes.back[1]}) ::CloseHandle(end);
  return cost;
}

}  // namespace

void show_contexts() { show("fiber", fiber_switch()); }

void show_pipes() { show("thread: pipe", thread_by_pipe()); }

}  // namespace tour
