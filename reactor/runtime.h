// Runtime: one reactor on each of several threads, which share nothing but the pools.
//
//   Task<Result<void>> serve(unsigned index, Endpoint where);   // binds with reuse_port: a listener each
//
//   Result<std::unique_ptr<Runtime>> runtime = Runtime::create({.reactors = 4});
//   Result<void> started = (*runtime)->start(serve, Endpoint::any_v6(7000));
//   Result<void> ended = (*runtime)->join();                    // until all have ended, or stop() and a drain
//
// Threads: start() and join() the one that made it; the rest any.
#pragma once

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/platform/result.h>
#include <gyre/reactor/mailbox.h>
#include <gyre/reactor/pools.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/task.h>

namespace gyre {

struct RuntimeOptions {
  unsigned reactors = 0;     // 0: one for each processor
  bool pin_threads = false;  // each to its own processor
  PoolsOptions pools{};
  // Called for each reactor before it is made, to set its options. May be null.
  void (*configure)(void* owner, unsigned index, ReactorOptions& options) = nullptr;
  void* configure_owner = nullptr;
};

class Runtime {
 public:
  // Makes the reactors; starts no thread. Errors: those of Reactor::create().
  static Result<std::unique_ptr<Runtime>> create(const RuntimeOptions& options = {});
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  // stop() and join().
  ~Runtime();

  // Runs `callable(index, arguments...)`, a Task<void> or Task<Result<void>>, on each reactor, with copies of the arguments.
  // Once. If one fails, all are stopped. Errors: resource_unavailable_try_again (no thread); what was started has then ended.
  template <typename Callable, typename... Arguments>
  Result<void> start(Callable callable, Arguments... arguments);

  // Cancels the task of each reactor: a server drains. Returns at once. Idempotent. Any thread, also in a signal handler.
  void stop() noexcept;

  // Waits until all have ended, and their threads. The first failure, if there was one. Exceptions count as child_failed.
  Result<void> join();

  unsigned size() const noexcept;
  // To post to, or run_on().
  RemoteReactor remote(unsigned index) const;
  const std::shared_ptr<Pools>& pools() const noexcept { return pools_; }
  // Counters of each reactor, by index: of one that has ended its last, else asks it and waits. Not on one of the reactors'
  // threads.
  std::vector<ReactorStats> stats() const;

 private:
  struct Member;
  // What every reactor runs; called on its thread.
  struct Main {
    virtual ~Main() = default;
    virtual Task<Result<void>> make(unsigned index) const = 0;
  };
  template <typename Callable, typename... Arguments>
  struct MainOf;

  explicit Runtime(std::shared_ptr<Pools> pools);
  Result<void> launch(std::unique_ptr<Main> main);
  static Task<Result<void>> run_main(Member& member, Task<Result<void>> main);

  const std::shared_ptr<Pools> pools_;
  std::unique_ptr<Main> main_;
  bool pin_threads_ = false;
  std::vector<std::unique_ptr<Member>> members_;
};

template <typename Callable, typename... Arguments>
struct Runtime::MainOf final : Main {
  MainOf(Callable what, Arguments... with) : callable(std::move(what)), arguments(std::move(with)...) {}
  Task<Result<void>> make(unsigned index) const override {
    return std::apply(
        [&](const Arguments&... copies) { return adopt(callable(index, Arguments(copies)...)); }, arguments);
  }
  static Task<Result<void>> adopt(Task<Result<void>> task) { return task; }
  static Task<Result<void>> adopt(Task<void> task) {
    co_await std::move(task);
    co_return Result<void>{};
  }
  Callable callable;
  std::tuple<Arguments...> arguments;
};

template <typename Callable, typename... Arguments>
Result<void> Runtime::start(Callable callable, Arguments... arguments) {
  static_assert(std::is_pointer_v<Callable> || std::is_empty_v<Callable>,
                "captures die with the closure: pass them to start() as arguments");
  return launch(std::make_unique<MainOf<Callable, Arguments...>>(std::move(callable), std::move(arguments)...));
}

}  // namespace gyre
