// gyre::run(task): a whole program's main loop in one line.
//
//   int main() { return gyre::run(serve(gyre::Endpoint::any_v6(7000))) ? 0 : 1; }
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include <gyre/platform/result.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/task.h>

namespace gyre {

struct RunOptions {
  ReactorOptions reactor;
  // Whether SIGINT and SIGTERM are taken over while the task runs, where their dispositions are the default ones. The
  // first cancels the task, which may clean up, or ignore it and return a value; the second ends the process at once,
  // as if it had never been caught.
  bool handle_signals = true;
  // Whether SIGQUIT prints all tasks to standard error, as dump_tasks() has them, instead of ending the process. It is
  // the reactor that prints, between two tasks: one that never waits is not shown at work.
  bool dump_on_quit = false;
};

// What main() returns: 0 after success and after Ctrl-C; else 1, and the error is printed to standard error.
int exit_status(const Result<void>& ended);
// The same for a task that says the status itself.
template <std::same_as<int> Status>
int exit_status(const Result<Status>& ended) {
  return ended ? *ended : exit_status(Result<void>(ended.error()));
}

namespace detail {

// Lets SIGINT and SIGTERM cancel one task, and SIGQUIT print all. At most one of them at a time in a process: others do
// nothing.
class InterruptGuard {
 public:
  InterruptGuard(Reactor& reactor, const RunOptions& options);
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();

  // Which task. It must outlive the guard, or be taken back by watch(nullptr).
  void watch(TaskContext* task) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <typename T>
Task<T> watched(InterruptGuard& guard, Task<T> task) {
  struct Unwatch {
    InterruptGuard& guard;
    ~Unwatch() { guard.watch(nullptr); }
  };
  guard.watch(current_task());
  const Unwatch unwatch{guard};
  co_return co_await std::move(task);
}

}  // namespace detail

// Makes a reactor, runs `task` in it to its end, shuts the reactor down (which cancels what is left) and returns the
// task's result. Rethrows what the task threw. Errors: those of Reactor::create(), and the task's.
template <typename T>
detail::as_result<T> run(Task<T> task, RunOptions options = {}) {
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(options.reactor));
  if (!reactor) return reactor.error();
  detail::InterruptGuard guard(**reactor, options);
  detail::as_result<T> result = (*reactor)->run_until(detail::watched(guard, std::move(task)));
  (*reactor)->shutdown();
  return result;
}

}  // namespace gyre
