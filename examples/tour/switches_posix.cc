// Pipes as POSIX has them.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <thread>

#include "switches.h"

namespace tour {
namespace {

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
  std::fflush(nullptr);  // or a sanitizer prints what is buffered once more at the child's end
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

void show_pipes() {
  show("thread: pipe", thread_by_pipe());
  show("process: pipe", process_by_pipe());
}

}  // namespace tour
