// The cost of going from one thing to another and back, from a coroutine to a process. One item is one switch, so a round
// trip counts two. GYRE_BENCH_BOOST_CONTEXT: built with Boost.Context beside it.
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <gyre/platform/clock.h>
#include <gyre/platform/thread.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#if defined(GYRE_BENCH_BOOST_CONTEXT)
#include <boost/context/fiber.hpp>
#endif

namespace gyre {
namespace {

void count_switches(benchmark::State& state, std::int64_t per_iteration) {
  state.SetItemsProcessed(state.iterations() * per_iteration);
  state.counters["per_switch"] =
      benchmark::Counter(static_cast<double>(state.iterations() * per_iteration),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// --- Coroutines -----------------------------------------------------------------------------------------------------

// A bare coroutine that goes back to whoever resumed it, again and again: the floor.
struct Bare {
  struct promise_type {
    Bare get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};
Bare come_back() {
  for (;;) co_await std::suspend_always();
}

void BM_Switch_Coroutine(benchmark::State& state) {
  Bare coroutine = come_back();
  for (auto _ : state) coroutine.frame.resume();
  coroutine.frame.destroy();
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_Coroutine);

// Tasks that yield to each other through the ready deque.
Task<void> yield_often(std::int64_t times) {
  for (std::int64_t i = 0; i < times; ++i) {
    static_cast<void>(co_await yield());
  }
}

void BM_Switch_TaskYield(benchmark::State& state) {
  constexpr std::int64_t times = 1000;
  Scheduler scheduler(steady_clock());
  for (auto _ : state) {
    for (int i = 0; i < 2; ++i) scheduler.detached().spawn(yield_often, times);
    while (scheduler.tasks() != 0) scheduler.run_ready(1'000'000);
  }
  count_switches(state, 2 * times);
}
BENCHMARK(BM_Switch_TaskYield);

// --- Stacks ---------------------------------------------------------------------------------------------------------

#if defined(GYRE_BENCH_BOOST_CONTEXT)
void BM_Switch_BoostFiber(benchmark::State& state) {
  bool over = false;
  boost::context::fiber other([&over](boost::context::fiber&& main) {
    while (!over) main = std::move(main).resume();
    return std::move(main);
  });
  for (auto _ : state) other = std::move(other).resume();
  over = true;
  other = std::move(other).resume();
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_BoostFiber);
#endif

ucontext_t main_context;
ucontext_t other_context;
void swap_back() {
  for (;;) ::swapcontext(&other_context, &main_context);
}

void BM_Switch_Swapcontext(benchmark::State& state) {
  std::vector<char> stack(64 * 1024);
  ::getcontext(&other_context);
  other_context.uc_stack.ss_sp = stack.data();
  other_context.uc_stack.ss_size = stack.size();
  other_context.uc_link = nullptr;
  ::makecontext(&other_context, swap_back, 0);
  for (auto _ : state) ::swapcontext(&main_context, &other_context);
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_Swapcontext);

// --- Threads --------------------------------------------------------------------------------------------------------

void BM_Switch_ThreadByFutex(benchmark::State& state) {
  std::atomic<std::uint32_t> turn{0};  // even: ours
  std::atomic<bool> over{false};
  const auto wait_for = [&turn](std::uint32_t mine) {
    for (std::uint32_t now = turn.load(); now != mine; now = turn.load()) sleep_on(turn, now);
  };
  const auto pass_on = [&turn](std::uint32_t next) {
    turn.store(next);
    wake_threads(turn);
  };
  std::thread other([&] {
    for (std::uint32_t mine = 1;; mine += 2) {
      wait_for(mine);
      if (over) return;
      pass_on(mine + 1);
    }
  });
  std::uint32_t mine = 0;
  for (auto _ : state) {
    pass_on(mine + 1);
    wait_for(mine += 2);
  }
  over = true;
  pass_on(mine + 1);
  other.join();
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_ThreadByFutex)->UseRealTime();

void BM_Switch_ThreadByConditionVariable(benchmark::State& state) {
  std::mutex mutex;
  std::condition_variable changed;
  bool ours = true;
  bool over = false;
  std::thread other([&] {
    std::unique_lock lock(mutex);
    while (!over) {
      changed.wait(lock, [&] { return !ours || over; });
      ours = true;
      changed.notify_one();
    }
  });
  for (auto _ : state) {
    std::unique_lock lock(mutex);
    ours = false;
    changed.notify_one();
    changed.wait(lock, [&] { return ours; });
  }
  {
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_one();
  }
  other.join();
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_ThreadByConditionVariable)->UseRealTime();

// Two pipes; the other end echoes bytes until the first is closed.
struct Pipes {
  int there[2];
  int back[2];
  bool open() { return ::pipe(there) == 0 && ::pipe(back) == 0; }
  void echo() const {
    char byte = 0;
    while (::read(there[0], &byte, 1) == 1 && ::write(back[1], &byte, 1) == 1) {
    }
  }
  void ping(benchmark::State& state) const {
    char byte = 0;
    for (auto _ : state) {
      if (::write(there[1], &byte, 1) != 1 || ::read(back[0], &byte, 1) != 1) state.SkipWithError("broken pipe");
    }
  }
};

void BM_Switch_ThreadByPipe(benchmark::State& state) {
  Pipes pipes;
  if (!pipes.open()) return;
  std::thread other([&pipes] { pipes.echo(); });
  pipes.ping(state);
  ::close(pipes.there[1]);
  other.join();
  for (const int fd : {pipes.there[0], pipes.back[0], pipes.back[1]}) ::close(fd);
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_ThreadByPipe)->UseRealTime();

void BM_Switch_ProcessByPipe(benchmark::State& state) {
  Pipes pipes;
  if (!pipes.open()) return;
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::close(pipes.there[1]);
    pipes.echo();
    ::_exit(0);
  }
  pipes.ping(state);
  for (const int fd : {pipes.there[0], pipes.there[1], pipes.back[0], pipes.back[1]}) ::close(fd);
  ::waitpid(child, nullptr, 0);
  count_switches(state, 2);
}
BENCHMARK(BM_Switch_ProcessByPipe)->UseRealTime();

}  // namespace
}  // namespace gyre
