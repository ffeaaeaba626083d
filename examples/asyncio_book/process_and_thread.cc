// A program is a process with one thread, and an event loop does not change that.
#include <cstdio>

#include <gyre/reactor/run.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "this_process.h"

void tell(const char* when) {
  const std::size_t threads = book::count_threads();
  std::printf("%s: process %ld has %zu thread%s; this one is called %s\n", when, book::process_id(), threads,
              threads == 1 ? "" : "s", book::thread_name().c_str());
}

gyre::Task<gyre::Result<void>> rest() { co_return co_await gyre::sleep(std::chrono::milliseconds(10)); }

// A thousand tasks at once.
gyre::Task<gyre::Result<void>> run_many() {
  gyre::TaskGroup group;
  for (int i = 0; i < 1000; ++i) group.spawn(rest);
  tell("in a loop with 1000 tasks");
  co_return co_await group.join();
}

int main() {
  tell("at the beginning");
  const std::size_t threads = book::count_threads();
  const gyre::Result<void> ended = gyre::run(run_many());
  tell("at the end");
  return ended && book::count_threads() == threads ? 0 : 1;
}
