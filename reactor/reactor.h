// Reactor: joins a poller, timers and tasks on one thread.
//
// One turn: 1. drain the inbox of other threads; 2. run ready tasks, bounded by number and by time; 3. fire the timers
// that are due; 4. poll: without waiting if tasks are ready, else until the next deadline.
//
// The defaults of the whole library, stated once:
// 1. Sizes are bytes; times are Duration or Instant. 2. An object is used only on its reactor's thread, unless its
// comment says "Any thread". 3. Spans and references passed to an operation stay valid until it completes. 4. Every
// started operation completes exactly once, and nobody is resumed inside the call that starts or cancels it.
// 5. Operating errors come back in Result; a broken precondition aborts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gyre/platform/clock.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/inbox.h>
#include <gyre/reactor/mailbox.h>
#include <gyre/reactor/pools.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace gyre {

class Reactor;

struct ReactorOptions {
  // Tasks that one turn runs at most before it polls, and posts that it takes in. A poll costs as much as 50 to 100 short
  // tasks, and more of them than one poll reports should not be cut in two.
  std::uint32_t tasks_per_turn = 512;
  // And for how long; looked at every 64 tasks.
  Duration time_per_turn = std::chrono::microseconds(500);
  // Timers that come thick fire in batches: after a wait that n > 1 timers followed, the loop does not wake for further
  // timers until n times this have passed, or time_per_turn: as late as a busy turn is. (A wake costs as much as a hundred
  // timers.) Nothing is early or out of order. Zero: each fires as soon as the system lets it.
  Duration gap_per_timer = std::chrono::microseconds(4);
  // How long shutdown waits for cancelled tasks to end.
  Duration shutdown_grace = std::chrono::seconds(10);
  SchedulerOptions scheduler;
  PollerOptions poller;
  // Instead of the default choice of poller, and of the steady clock: for tests and simulations.
  // Virtual time is a clock that `before_wait` moves to next_deadline(), unless that is `never`: then a sleep of an hour takes
  // none. It needs tasks that talk in memory (make_duplex(), channels): for what comes from elsewhere nobody would wait.
  std::unique_ptr<Poller> with_poller;
  Clock* clock = nullptr;
  // Threads to offload work to; null: the reactor makes its own when they are first asked for.
  std::shared_ptr<Pools> pools;
  // Called on the reactor's thread with `hook_owner`: around each wait, and when a turn found nothing to do. May be null. What
  // they make ready runs at once.
  void (*before_wait)(void* owner) noexcept = nullptr;
  void (*after_wait)(void* owner) noexcept = nullptr;
  void (*on_idle)(void* owner) noexcept = nullptr;
  void* hook_owner = nullptr;
};

// Counters since the reactor was made.
struct ReactorStats {
  std::uint64_t turns = 0;
  std::uint64_t tasks_run = 0;     // frames resumed from the ready queue
  std::uint64_t timers_fired = 0;
  std::uint64_t posts = 0;         // messages taken from other threads
};

// In a forked child the reactors of the parent must not be used: the poller is one and the same for both. Running one
// aborts; destroying one without tasks is harmless, and leaves the parent's alone. A child that goes on makes its own.
class Reactor {
 public:
  // Errors: those of open_poller().
  static Result<std::unique_ptr<Reactor>> create(ReactorOptions options = {});
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  // Shuts down if that has not been done. Aborts if tasks refuse to end.
  ~Reactor();

  // Runs `task` and everything else until it has ended, and returns its result; rethrows what it threw. If stop() comes
  // first, Errc::stopped, and the task stays with the reactor. Errors: device_or_resource_busy inside a task, or after
  // shutdown; the task is then dropped.
  template <typename T>
  detail::as_result<T> run_until(Task<T> task);
  // Runs until stop(), or until no task is left.
  void run();
  // One turn. Waits at most until `deadline` (and no longer than the next timer). Returns whether anything was done.
  bool run_once(Instant deadline = never);
  // Ends run() and run_until() after the turn; before they begin, their first turn is also the last. Any thread, also
  // in a signal handler.
  void stop() noexcept;
  bool is_running() const noexcept { return running_; }

  // Starts a task that nobody joins: the reactor owns it, reports its failure to the sink, and cancels it at shutdown.
  template <typename Callable, typename... Arguments>
  auto detach(Callable callable, Arguments&&... arguments) {
    return scheduler_.detached().spawn(std::move(callable), std::forward<Arguments>(arguments)...);
  }
  template <typename T>
  JoinHandle<T> detach(Task<T> task) {
    return scheduler_.detached().spawn(std::move(task));
  }

  // Queues `callable()` behind what is ready. The handle's cancel() keeps it from running. What it throws goes to the
  // failure sink.
  template <typename Callable>
  JoinHandle<void> call_soon(Callable callable) {
    return scheduler_.detached().spawn(call<Callable>, std::move(callable));
  }
  // Calls it once `when` has passed.
  template <typename Callable>
  JoinHandle<void> call_at(Instant when, Callable callable);

  // Any thread: as call_soon(), in the next turn. Posts of one thread keep their order. Wakes the reactor if it sleeps, by
  // one system call a sleep. False if the reactor has shut down: `callable` is then destroyed uncalled. Throws bad_alloc.
  template <typename Callable>
  bool post(Callable callable) {
    return remote_.post(std::move(callable));
  }
  // Any thread: the bare message; it is delivered on the reactor's thread, between two tasks. False if the reactor has
  // shut down; the message then stays the caller's.
  [[nodiscard]] bool post_message(Inbox::Message& message) noexcept { return remote_.post_message(message); }
  // Any thread: a reference that may outlive the reactor, which then refuses. (Posting through the reactor itself is safe
  // as long as the call begins before the reactor is destroyed.)
  const RemoteReactor& remote() const noexcept { return remote_; }

  // Cancels all tasks, runs until they have ended, closes the generators that outlive them, and then the inbox. Tasks that
  // do not end within the grace are printed by name and place, and the program aborts. Idempotent.
  void shutdown();

  // For use inside a foreign loop: when `native_handle()` polls readable, or next_deadline() has passed, call
  // run_once(now).
  NativeDescriptor native_handle() const noexcept { return poller_->native_handle(); }
  Instant next_deadline() noexcept;

  Pools& pools();

  Scheduler& scheduler() noexcept { return scheduler_; }
  Poller& poller() noexcept { return *poller_; }
  Clock& clock() noexcept { return scheduler_.clock(); }
  // Why this poller was chosen.
  std::string_view poller_reason() const noexcept { return poller_reason_; }
  const ReactorStats& stats() const noexcept { return stats_; }

 private:
  template <typename Callable>
  static Task<void> call(Callable callable) {
    // A handle that is cancelled before its turn never runs.
    if (current_task()->cancel_requested()) co_return;
    callable();
  }
  template <typename Callable>
  static Task<void> call_later(Instant when, Callable callable);

  Reactor(ReactorOptions&& options, std::unique_ptr<Poller> poller, std::string_view reason);

  // Whether this thread may run turns now: not inside a task, not after shutdown.
  bool begin_run() noexcept;
  // The process has forked since, this is the child, and the poller is shared with the parent.
  bool is_forked() const noexcept;
  // When to stop running turns.
  struct Until {
    bool (*is_reached)(const void* argument) noexcept;
    const void* argument;
    bool operator()() const noexcept { return is_reached(argument); }
  };
  // Runs turns until `done`. False if stop() came first.
  bool run_turns(const Until& done);
  bool turn(Instant deadline, const Until& done);
  // When the next timer shall wake the loop.
  Instant next_timer_wake() noexcept;
  void call_hook(void (*hook)(void*) noexcept, Instant& wait_until) noexcept;
  void drain_inbox() noexcept;
  [[gnu::noinline]] void deliver_messages() noexcept;
  // Aborts if they have not ended by then.
  void run_last_tasks(Instant give_up);
  void close_generators();

  ReactorOptions options_;
  std::unique_ptr<Poller> poller_;
  std::string_view poller_reason_;
  Scheduler scheduler_;
  ReactorStats stats_;
  std::uint64_t timers_before_wait_ = 0;  // that had fired when the loop last waited
  bool running_ = false;
  bool shut_down_ = false;
  std::uint32_t fork_generation_;
  Inbox::Message* taken_in_ = nullptr;  // a list: out of the inbox, and to be delivered in the coming turns

  // Any thread.
  std::shared_ptr<Mailbox> mailbox_;
  RemoteReactor remote_;
  std::atomic<bool> stop_{false};
};

template <typename T>
detail::as_result<T> Reactor::run_until(Task<T> task) {
  if (!begin_run()) {
    task.forget();
    return Error::system(static_cast<int>(std::errc::device_or_resource_busy));
  }
  JoinHandle<T> main = detach(std::move(task));
  main.want_result();
  const bool finished = run_turns({[](const void* handle) noexcept {
                                     return static_cast<const JoinHandle<T>*>(handle)->is_finished();
                                   },
                                   &main});
  if (!finished) return Errc::stopped;
  return main.take();
}

template <typename Callable>
Task<void> Reactor::call_later(Instant when, Callable callable) {
  const Result<void> slept = co_await sleep_until(when);
  if (slept) callable();
}

template <typename Callable>
JoinHandle<void> Reactor::call_at(Instant when, Callable callable) {
  return detach(call_later<Callable>, when, std::move(callable));
}

namespace detail {

template <typename Callable>
struct PostedCall : Inbox::Message {
  PostedCall(Mailbox& home, Callable&& what) : mailbox(home), callable(std::move(what)) {
    deliver = [](Inbox::Message& message, bool wanted) noexcept {
      const std::unique_ptr<PostedCall> self(static_cast<PostedCall*>(&message));
      if (wanted) self->mailbox.reactor->call_soon(std::move(self->callable));
    };
  }
  Mailbox& mailbox;
  Callable callable;
};

}  // namespace detail

template <typename Callable>
bool RemoteReactor::post(Callable callable) const {
  auto message = std::make_unique<detail::PostedCall<Callable>>(*mailbox_, std::move(callable));
  if (!post_message(*message)) return false;
  static_cast<void>(message.release());
  return true;
}

// The reactor that runs the current task. Must be called inside a task or callback of a reactor.
inline Reactor& this_reactor() noexcept {
  const Scheduler* const scheduler = detail::thread_state.scheduler;
  GYRE_CHECK_HINT(scheduler != nullptr && scheduler->host() != nullptr,
                  "this needs a running reactor: call it inside a task");
  return *static_cast<Reactor*>(scheduler->host());
}

}  // namespace gyre
