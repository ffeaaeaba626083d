// What tasks cost: calls, switches, spawns. Each beside its floor: the same movement of frames with nothing around it, a
// plain call, a std::deque of function pointers, and a jump of Boost.Context where that library is installed.
//
// Every figure is per operation (a child, a switch, a spawn), however many of them an iteration does. Ping-pong over
// channels is in sync_bench.
#include <dlfcn.h>

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <gyre/platform/clock.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#include "bare_coroutine.h"

namespace gyre {
namespace {

using bench::Bare;
using bench::BareChild;
using bench::BareSpawned;
using bench::bare_ring;

constexpr auto batch = [](std::size_t count) { return static_cast<benchmark::IterationCount>(count); };

// Runs what has been spawned to its end.
void run_all(Scheduler& scheduler) {
  while (scheduler.has_ready()) (void)scheduler.run_ready(1'000'000);
}

template <typename... Arguments>
void run_task(Arguments&&... arguments) {
  Scheduler scheduler(steady_clock());
  scheduler.detached().spawn(std::forward<Arguments>(arguments)...);
  run_all(scheduler);
}

// --- A child that is done at once -----------------------------------------------------------------------------------

[[gnu::noinline]] int call(int value) {
  benchmark::DoNotOptimize(value);
  return value;
}

void BM_Call(benchmark::State& state) {
  int sum = 0;
  for (auto _ : state) sum += call(1);
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(BM_Call);

BareChild bare_child(int value) { co_return value; }

Bare await_bare_children(benchmark::State& state) {
  int sum = 0;
  for (auto _ : state) {
    const int got = co_await bare_child(1);
    sum += got;
  }
  benchmark::DoNotOptimize(sum);
}

void BM_Bare_Child(benchmark::State& state) { await_bare_children(state).frame.destroy(); }
BENCHMARK(BM_Bare_Child);

Task<int> child(int value) { co_return value; }

Task<void> await_children(benchmark::State& state) {
  int sum = 0;
  for (auto _ : state) {
    const int got = co_await child(1);
    sum += got;
  }
  benchmark::DoNotOptimize(sum);
}

void BM_Task_Child(benchmark::State& state) { run_task(await_children, std::ref(state)); }
BENCHMARK(BM_Task_Child);

// --- A chain of children, each awaiting the next --------------------------------------------------------------------

[[gnu::noinline]] int call_chain(int depth) {
  benchmark::DoNotOptimize(depth);
  return depth == 0 ? 0 : 1 + call_chain(depth - 1);
}

void BM_Call_Chain(benchmark::State& state) {
  const auto depth = static_cast<int>(state.range(0));
  while (state.KeepRunningBatch(depth)) {
    int reached = call_chain(depth);
    benchmark::DoNotOptimize(reached);
  }
}

BareChild bare_chain(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await bare_chain(depth - 1);
  co_return below + 1;
}

Bare await_bare_chains(benchmark::State& state) {
  const auto depth = static_cast<int>(state.range(0));
  while (state.KeepRunningBatch(depth)) {
    int reached = co_await bare_chain(depth);
    benchmark::DoNotOptimize(reached);
  }
}

void BM_Bare_Chain(benchmark::State& state) { await_bare_chains(state).frame.destroy(); }

Task<int> chain(int depth) {
  if (depth == 0) co_return 0;
  const int below = co_await chain(depth - 1);
  co_return below + 1;
}

Task<void> await_chains(benchmark::State& state) {
  const auto depth = static_cast<int>(state.range(0));
  while (state.KeepRunningBatch(depth)) {
    int reached = co_await chain(depth);
    benchmark::DoNotOptimize(reached);
  }
}

void BM_Task_Chain(benchmark::State& state) { run_task(await_chains, std::ref(state)); }

BENCHMARK(BM_Call_Chain)->ArgName("depth")->Arg(10)->Arg(1000);
BENCHMARK(BM_Bare_Chain)->ArgName("depth")->Arg(10)->Arg(1000);
BENCHMARK(BM_Task_Chain)->ArgName("depth")->Arg(10)->Arg(1000);

// --- Resume and suspend ---------------------------------------------------------------------------------------------

Bare suspend_for_ever() {
  for (;;) co_await std::suspend_always{};
}

void BM_Bare_Resume(benchmark::State& state) {
  Bare suspended = suspend_for_ever();
  for (auto _ : state) suspended.frame.resume();
  suspended.frame.destroy();
}
BENCHMARK(BM_Bare_Resume);

Task<void> take_permits(Semaphore& permits, const bool& stop) {
  while (!stop) {
    Result<Permits> got = co_await permits.acquire();
    if (!got) break;
    (void)got->disown();
  }
}

// From outside any task: a waiting task is woken, and one turn of the scheduler runs it.
void BM_Task_Resume(benchmark::State& state) {
  Scheduler scheduler(steady_clock());
  Semaphore permits({.permits_max = 1, .available = 0});
  bool stop = false;
  scheduler.detached().spawn(take_permits, std::ref(permits), std::cref(stop));
  run_all(scheduler);
  for (auto _ : state) {
    permits.release();
    (void)scheduler.run_ready(1);
  }
  stop = true;
  permits.release();
  run_all(scheduler);
}
BENCHMARK(BM_Task_Resume);

// --- Yield ----------------------------------------------------------------------------------------------------------

Bare bare_yield_timed(benchmark::State& state, bool& stop) {
  while (state.KeepRunningBatch(batch(static_cast<std::size_t>(state.range(0))))) co_await bare_ring.yield();
  stop = true;
}

Bare bare_yield(const bool& stop) {
  while (!stop) co_await bare_ring.yield();
}

void BM_Bare_Yield(benchmark::State& state) {
  const auto tasks = static_cast<std::size_t>(state.range(0));
  bool stop = false;
  std::vector<Bare> all;
  for (std::size_t i = 1; i < tasks; ++i) all.push_back(bare_yield(stop));
  all.push_back(bare_yield_timed(state, stop));
  bare_ring.run();
  for (Bare& bare : all) bare.frame.destroy();
}

struct Callback {
  void (*call)(std::deque<Callback>& queue, void* argument);
  void* argument;
};

// What a loop of callbacks does: pops a function and its argument, which queues itself again.
void BM_FunctionDeque_Yield(benchmark::State& state) {
  const auto tasks = static_cast<std::size_t>(state.range(0));
  std::deque<Callback> queue;
  const auto again = [](std::deque<Callback>& to, void* argument) {
    ++*static_cast<std::uint64_t*>(argument);
    to.push_back({to.front().call, argument});
    to.pop_front();
  };
  std::vector<std::array<std::uint64_t, 8>> counters(tasks);
  for (auto& counter : counters) queue.push_back({again, counter.data()});
  while (state.KeepRunningBatch(batch(tasks))) {
    for (std::size_t i = 0; i < tasks; ++i) queue.front().call(queue, queue.front().argument);
  }
}

Task<void> yield_timed(benchmark::State& state, bool& stop) {
  while (state.KeepRunningBatch(batch(static_cast<std::size_t>(state.range(0))))) {
    Result<void> turn = co_await yield();
    benchmark::DoNotOptimize(turn);
  }
  stop = true;
}

Task<void> yield_until(const bool& stop) {
  while (!stop) {
    Result<void> turn = co_await yield();
    benchmark::DoNotOptimize(turn);
  }
}

void BM_Task_Yield(benchmark::State& state) {
  Scheduler scheduler(steady_clock());
  bool stop = false;
  for (std::int64_t i = 1; i < state.range(0); ++i) {
    scheduler.detached().spawn(yield_until, std::cref(stop));
  }
  scheduler.detached().spawn(yield_timed, std::ref(state), std::ref(stop));
  run_all(scheduler);
}

BENCHMARK(BM_Bare_Yield)->ArgName("tasks")->Arg(1)->Arg(100)->Arg(10000);
BENCHMARK(BM_FunctionDeque_Yield)->ArgName("tasks")->Arg(1)->Arg(100)->Arg(10000);
BENCHMARK(BM_Task_Yield)->ArgName("tasks")->Arg(1)->Arg(100)->Arg(10000);

// --- Two tasks that wake each other ---------------------------------------------------------------------------------

struct BareGate {
  struct Awaiter {
    BareGate& gate;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> frame) const noexcept { gate.waiter = frame; }
    void await_resume() const noexcept {}
  };
  Awaiter wait() noexcept { return {*this}; }

  std::coroutine_handle<> waiter;
};

Bare bare_hand_over_timed(benchmark::State& state, BareGate& mine, BareGate& theirs, bool& stop) {
  for (auto _ : state) {
    bare_ring.push(theirs.waiter);
    co_await mine.wait();
  }
  stop = true;
  bare_ring.push(theirs.waiter);
}

Bare bare_hand_over(BareGate& mine, BareGate& theirs, const bool& stop) {
  for (;;) {
    co_await mine.wait();
    if (stop) break;
    bare_ring.push(theirs.waiter);
  }
}

// A round trip: two hand-overs through the ring.
void BM_Bare_HandOver(benchmark::State& state) {
  BareGate a;
  BareGate b;
  bool stop = false;
  Bare back = bare_hand_over(b, a, stop);
  Bare there = bare_hand_over_timed(state, a, b, stop);
  bare_ring.run();
  there.frame.destroy();
  back.frame.destroy();
}
BENCHMARK(BM_Bare_HandOver);

Task<void> hand_over_timed(benchmark::State& state, Semaphore& mine, Semaphore& theirs, bool& stop) {
  for (auto _ : state) {
    theirs.release();
    Result<Permits> turn = co_await mine.acquire();
    if (!turn) break;
    (void)turn->disown();
  }
  stop = true;
  theirs.release();
}

Task<void> hand_over(Semaphore& mine, Semaphore& theirs, const bool& stop) {
  for (;;) {
    Result<Permits> turn = co_await mine.acquire();
    if (!turn) break;
    (void)turn->disown();
    if (stop) break;
    theirs.release();
  }
}

// A round trip: each wakes the other by a permit.
void BM_Semaphore_PingPong(benchmark::State& state) {
  Scheduler scheduler(steady_clock());
  Semaphore a({.permits_max = 1, .available = 0});
  Semaphore b({.permits_max = 1, .available = 0});
  bool stop = false;
  scheduler.detached().spawn(hand_over, std::ref(b), std::ref(a), std::cref(stop));
  scheduler.detached().spawn(hand_over_timed, std::ref(state), std::ref(a), std::ref(b), std::ref(stop));
  run_all(scheduler);
}
BENCHMARK(BM_Semaphore_PingPong);

// Boost.Context by its binary interface, so that neither header nor library is needed to compile.
struct JumpResult {
  void* from;
  void* data;
};
struct BoostContext {
  void* library = nullptr;
  void* (*make)(void* stack_top, std::size_t size, void (*entry)(JumpResult)) = nullptr;
  JumpResult (*jump)(void* to, void* data) = nullptr;
};

BoostContext boost_context() {
  for (const char* name : {"libboost_context.so", "libboost_context.so.1.74.0", "libboost_context.so.1.83.0"}) {
    void* const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    BoostContext found{.library = library};
    found.make = reinterpret_cast<decltype(found.make)>(dlsym(library, "make_fcontext"));
    found.jump = reinterpret_cast<decltype(found.jump)>(dlsym(library, "jump_fcontext"));
    if (found.make != nullptr && found.jump != nullptr) return found;
  }
  return {};
}

// There and back: two jumps between stacks.
void BM_BoostContext_HandOver(benchmark::State& state) {
  static const BoostContext boost = boost_context();
  if (boost.library == nullptr) {
    state.SkipWithError("libboost_context.so is not installed");
    return;
  }
  constexpr std::size_t stack_size = 64 * 1024;
  const auto stack = std::make_unique<std::byte[]>(stack_size);
  void* other = boost.make(stack.get() + stack_size, stack_size, [](JumpResult caller) {
    for (;;) caller = boost.jump(caller.from, nullptr);
  });
  for (auto _ : state) other = boost.jump(other, nullptr).from;
}
BENCHMARK(BM_BoostContext_HandOver);

// --- Spawn and join -------------------------------------------------------------------------------------------------

BareSpawned bare_spawned(int value) { co_return value; }

// Makes a frame, queues it, runs it from the queue, takes its value, destroys it.
void BM_Bare_Spawn(benchmark::State& state) {
  int sum = 0;
  for (auto _ : state) {
    const BareSpawned spawned = bare_spawned(1);
    bare_ring.push(spawned.frame);
    bare_ring.pop().resume();
    sum += spawned.frame.promise().value;
    spawned.frame.destroy();
  }
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(BM_Bare_Spawn);

// The same a thousand at a time.
void BM_Bare_SpawnMany(benchmark::State& state) {
  const auto tasks = static_cast<std::size_t>(state.range(0));
  std::vector<BareSpawned> all;
  all.reserve(tasks);
  int sum = 0;
  while (state.KeepRunningBatch(batch(tasks))) {
    all.clear();
    for (std::size_t i = 0; i < tasks; ++i) {
      all.push_back(bare_spawned(1));
      bare_ring.push(all.back().frame);
    }
    bare_ring.run();
    for (const BareSpawned& spawned : all) {
      sum += spawned.frame.promise().value;
      spawned.frame.destroy();
    }
  }
  benchmark::DoNotOptimize(sum);
}
BENCHMARK(BM_Bare_SpawnMany)->ArgName("tasks")->Arg(1000);

Task<void> spawn_and_join(benchmark::State& state) {
  TaskGroup group;
  int sum = 0;
  for (auto _ : state) {
    JoinHandle<int> spawned = group.spawn(child, 1);
    Result<int> value = co_await spawned;
    sum += *value;
  }
  benchmark::DoNotOptimize(sum);
  Result<void> joined = co_await group.join();
  benchmark::DoNotOptimize(joined);
}

// One at a time, by its handle, with its value. The parent suspends, and is queued when the child ends.
void BM_Task_SpawnJoin(benchmark::State& state) { run_task(spawn_and_join, std::ref(state)); }
BENCHMARK(BM_Task_SpawnJoin);

Task<void> spawn_and_join_group(benchmark::State& state) {
  for (auto _ : state) {
    TaskGroup group;
    group.spawn(child, 1);
    Result<void> joined = co_await group.join();
    benchmark::DoNotOptimize(joined);
  }
}

// A group of its own for each.
void BM_Task_SpawnJoinGroup(benchmark::State& state) { run_task(spawn_and_join_group, std::ref(state)); }
BENCHMARK(BM_Task_SpawnJoinGroup);

Task<void> spawn_many(benchmark::State& state) {
  const auto tasks = static_cast<std::size_t>(state.range(0));
  while (state.KeepRunningBatch(batch(tasks))) {
    TaskGroup group;
    for (std::size_t i = 0; i < tasks; ++i) group.spawn(child, 1);
    Result<void> joined = co_await group.join();
    benchmark::DoNotOptimize(joined);
  }
}

void BM_Task_SpawnMany(benchmark::State& state) { run_task(spawn_many, std::ref(state)); }
BENCHMARK(BM_Task_SpawnMany)->ArgName("tasks")->Arg(1000);

}  // namespace
}  // namespace gyre

BENCHMARK_MAIN();
