// A thread that gives tasks to an event loop: they wait in its queue, and the loop's thread runs them, one at a time.
#include <cstdio>
#include <memory>
#include <string>

#include <gyre/reactor/run.h>
#include <gyre/reactor/runtime.h>
#include <gyre/task/event.h>
#include <gyre/task/sleep.h>

#include "this_process.h"

struct Loop {
  int done = 0;  // the loop's thread only
  gyre::Event is_done;
  std::string thread;  // written before the first task is submitted
};

gyre::Task<void> work(Loop* loop, int number, bool* is_right) {
  *is_right &= loop->thread == book::thread_id();
  std::printf("thread %s begins task %d\n", book::thread_id().c_str(), number);
  const gyre::Result<void> slept = co_await gyre::sleep(std::chrono::milliseconds(10));
  std::printf("thread %s ends task %d\n", book::thread_id().c_str(), number);
  *is_right &= slept.has_value();
  if (++loop->done == 3) loop->is_done.set();
}

// The other thread has a reactor of its own, but needs none to submit.
gyre::Task<void> submit(unsigned, gyre::RemoteReactor where, Loop* loop, bool* is_right) {
  for (int number = 1; number <= 3; ++number) {
    std::printf("thread %s submits task %d\n", book::thread_id().c_str(), number);
    where.post([loop, number, is_right] {
      const int copy = number;
      gyre::this_reactor().detach(work, loop, copy, is_right);
    });
  }
  co_return;
}

gyre::Task<gyre::Result<void>> run_loop() {
  Loop loop;
  loop.thread = book::thread_id();
  bool is_right = true;
  const gyre::Result<std::unique_ptr<gyre::Runtime>> other = gyre::Runtime::create({.reactors = 1});
  if (!other) co_return other.error();
  const gyre::Result<void> started = (*other)->start(submit, gyre::this_reactor().remote(), &loop, &is_right);
  if (!started) co_return started;
  const gyre::Result<void> done = co_await loop.is_done.wait();
  if (!done) co_return done;
  const gyre::Result<void> ended = (*other)->join();
  co_return is_right ? ended : gyre::Errc::broken;
}

int main() { return gyre::exit_status(gyre::run(run_loop())); }
