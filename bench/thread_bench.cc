// What leaving the loop costs: fork and join, offload, posts and wake-ups between threads, each beside the floor it is judged
// by. GYRE_BENCH_TBB: built with oneTBB beside it; with -fopenmp, with OpenMP's tasks too.
#include <atomic>
#include <cstdint>
#include <memory>
#include <semaphore>
#include <thread>

#include <benchmark/benchmark.h>

#include <gyre/platform/clock.h>
#include <gyre/platform/syscalls_posix.h>
#include <gyre/platform/thread.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/reactor.h>
#include <gyre/reactor/runtime.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/event.h>
#include <gyre/task/work.h>

#if defined(GYRE_BENCH_TBB)
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#endif

namespace gyre {
namespace {

// --- Fork and join: Fibonacci, a task for every call, no cut-off -----------------------------------------------------

// Long enough that waking the second thread (some 50 us) is nothing: of 27 the speed-up is 1.80, of 32 it is 2.0.
constexpr int fibonacci_of = 30;

// Calls of fib(n), that is, tasks.
constexpr std::int64_t calls_of(int n) { return n < 2 ? 1 : 1 + calls_of(n - 1) + calls_of(n - 2); }
constexpr std::int64_t plain_fib(int n) { return n < 2 ? n : plain_fib(n - 1) + plain_fib(n - 2); }

void count_calls(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * calls_of(fibonacci_of));
  state.counters["per_task"] =
      benchmark::Counter(static_cast<double>(state.iterations() * calls_of(fibonacci_of)),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// For benchmarks of 1 and of 2 threads: how much faster 2 are, as the counter `speed_up`. `alone` is kept from run to run.
class SpeedUp {
 public:
  SpeedUp(benchmark::State& state, double& alone) : state_(state), alone_(alone) {}
  SpeedUp(const SpeedUp&) = delete;
  SpeedUp& operator=(const SpeedUp&) = delete;
  ~SpeedUp() {
    const auto took = static_cast<double>((steady_clock().now() - begin_).count());
    const double each = took / static_cast<double>(state_.iterations());
    if (state_.range(0) == 1) alone_ = each;
    // Without an earlier run on 1 thread there is nothing to say.
    if (state_.range(0) == 2 && alone_ > 0) state_.counters["speed_up"] = alone_ / each;
  }

 private:
  benchmark::State& state_;
  double& alone_;  // ns
  Instant begin_ = steady_clock().now();
};

[[gnu::noinline]] std::int64_t called_fib(int n) { return n < 2 ? n : called_fib(n - 1) + called_fib(n - 2); }

void BM_Fibonacci_Calls(benchmark::State& state) {
  for (auto _ : state) {
    int n = fibonacci_of;
    benchmark::DoNotOptimize(n);
    benchmark::DoNotOptimize(called_fib(n));
  }
  count_calls(state);
}
BENCHMARK(BM_Fibonacci_Calls)->UseRealTime();

Work<std::int64_t> fib(int n) {
  if (n < 2) co_return n;
  std::int64_t a = 0;
  co_await fork_into(a, fib(n - 1));
  const std::int64_t b = co_await fib(n - 2);
  co_await join_forks();
  co_return a + b;
}

void BM_Fibonacci_Work(benchmark::State& state) {
  CpuPool pool({.threads = static_cast<unsigned>(state.range(0))});
  static double alone = 0;
  {
    const SpeedUp speed_up(state, alone);
    for (auto _ : state) {
      const Result<std::int64_t> result = pool.run(fib(fibonacci_of));
      if (!result || *result != plain_fib(fibonacci_of)) state.SkipWithError("wrong");
    }
  }
  count_calls(state);
  state.counters["steals"] = benchmark::Counter(static_cast<double>(pool.stats().steals), benchmark::Counter::kAvgIterations);
}
BENCHMARK(BM_Fibonacci_Work)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

// The peers. One that this program is built without says so.
#if defined(GYRE_BENCH_TBB)
std::int64_t tbb_fib(int n) {
  if (n < 2) return n;
  std::int64_t a = 0;
  tbb::task_group group;
  group.run([&a, n] { a = tbb_fib(n - 1); });
  const std::int64_t b = tbb_fib(n - 2);
  group.wait();
  return a + b;
}

void BM_Fibonacci_Tbb(benchmark::State& state) {
  const auto threads = static_cast<int>(state.range(0));
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads));
  tbb::task_arena arena(threads);
  static double alone = 0;
  {
    const SpeedUp speed_up(state, alone);
    for (auto _ : state) {
      std::int64_t result = 0;
      arena.execute([&] { result = tbb_fib(fibonacci_of); });
      if (result != plain_fib(fibonacci_of)) state.SkipWithError("wrong");
    }
  }
  count_calls(state);
}
#else
void BM_Fibonacci_Tbb(benchmark::State& state) { state.SkipWithError("built without oneTBB"); }
#endif
BENCHMARK(BM_Fibonacci_Tbb)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

#if defined(_OPENMP)
std::int64_t openmp_fib(int n) {
  if (n < 2) return n;
  std::int64_t a = 0;
#pragma omp task shared(a) firstprivate(n)
  a = openmp_fib(n - 1);
  const std::int64_t b = openmp_fib(n - 2);
#pragma omp taskwait
  return a + b;
}

void BM_Fibonacci_OpenMp(benchmark::State& state) {
  const auto threads = static_cast<int>(state.range(0));
  static double alone = 0;
  {
    const SpeedUp speed_up(state, alone);
    for (auto _ : state) {
      std::int64_t result = 0;
#pragma omp parallel num_threads(threads)
#pragma omp single
      result = openmp_fib(fibonacci_of);
      if (result != plain_fib(fibonacci_of)) state.SkipWithError("wrong");
    }
  }
  count_calls(state);
}
#else
void BM_Fibonacci_OpenMp(benchmark::State& state) { state.SkipWithError("built without OpenMP"); }
#endif
BENCHMARK(BM_Fibonacci_OpenMp)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime();

// --- Offload --------------------------------------------------------------------------------------------------------

int answer() { return 42; }

Task<void> offload_again_and_again(benchmark::State& state, JobRunner& runner) {
  for (auto _ : state) {
    const Result<int> result = co_await offload(runner, answer);
    benchmark::DoNotOptimize(result);
  }
}

void BM_Offload_RoundTrip(benchmark::State& state) {
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create();
  JobPool pool;
  if (!reactor || !(*reactor)->run_until(offload_again_and_again(state, pool))) state.SkipWithError("failed");
}
BENCHMARK(BM_Offload_RoundTrip)->UseRealTime();

// --- Posts and wake-ups ---------------------------------------------------------------------------------------------

// Two messages that send each other: through two sleeping reactors.
struct PingPong {
  struct Letter : Inbox::Message {
    PingPong* game = nullptr;
    RemoteReactor answer_to;
    Letter* answer = nullptr;
  };
  Letter ping;
  Letter pong;
  std::int64_t left = 0;
  std::binary_semaphore over{0};

  static void deliver(Inbox::Message& message, bool wanted) noexcept {
    auto& letter = static_cast<Letter&>(message);
    if (!wanted) return;
    if (letter.game->left-- == 0) {
      letter.game->over.release();
      return;
    }
    static_cast<void>(letter.answer_to.post_message(*letter.answer));
  }
};

Task<Result<void>> stay(unsigned) {
  Event never_set;
  co_return co_await never_set.wait();
}

void BM_Post_PingPong(benchmark::State& state) {
  Result<std::unique_ptr<Runtime>> runtime = Runtime::create({.reactors = 2});
  if (!runtime || !(*runtime)->start(stay)) {
    state.SkipWithError("no runtime");
    return;
  }
  PingPong game;
  game.ping.game = game.pong.game = &game;
  game.ping.deliver = game.pong.deliver = PingPong::deliver;
  game.ping.answer_to = (*runtime)->remote(1);
  game.pong.answer_to = (*runtime)->remote(0);
  game.ping.answer = &game.pong;
  game.pong.answer = &game.ping;
  constexpr std::int64_t trips = 1000;
  for (auto _ : state) {
    game.left = 2 * trips;
    static_cast<void>((*runtime)->remote(0).post_message(game.ping));
    game.over.acquire();
  }
  state.SetItemsProcessed(state.iterations() * trips);
  (*runtime)->stop();
}
BENCHMARK(BM_Post_PingPong)->UseRealTime();

// The floor: two threads that sleep in read() of an eventfd each.
void BM_RawEventfd_PingPong(benchmark::State& state) {
  Result<UniqueFd> there = sys::eventfd(0);
  Result<UniqueFd> back = sys::eventfd(0);
  const auto wait_for = [](NativeDescriptor descriptor) {
    pollfd wanted{static_cast<int>(descriptor), POLLIN, 0};
    while (::poll(&wanted, 1, -1) != 1) {
    }
    std::uint64_t count = 0;
    sys::read(descriptor, &count, sizeof(count));
    return count;
  };
  const auto ring = [](NativeDescriptor descriptor, std::uint64_t count) {
    sys::write(descriptor, &count, sizeof(count));
  };
  // A count of 2 is the end.
  std::thread echo([&] {
    while (wait_for(there->get()) == 1) ring(back->get(), 1);
  });
  for (auto _ : state) {
    ring(there->get(), 1);
    wait_for(back->get());
  }
  ring(there->get(), 2);
  echo.join();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RawEventfd_PingPong)->UseRealTime();

// The floor: two threads that sleep on a futex each.
void BM_RawFutex_PingPong(benchmark::State& state) {
  std::atomic<std::uint32_t> turn{0};  // even: ours; odd: theirs
  std::atomic<bool> over{false};
  std::thread echo([&] {
    for (std::uint32_t mine = 1;; mine += 2) {
      for (std::uint32_t now = turn.load(); now != mine; now = turn.load()) sleep_on(turn, now);
      if (over) return;
      turn.store(mine + 1);
      wake_threads(turn);
    }
  });
  std::uint32_t mine = 0;
  for (auto _ : state) {
    turn.store(mine + 1);
    wake_threads(turn);
    mine += 2;
    for (std::uint32_t now = turn.load(); now != mine; now = turn.load()) sleep_on(turn, now);
  }
  over = true;
  turn.store(mine + 1);
  wake_threads(turn);
  echo.join();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RawFutex_PingPong)->UseRealTime();

// A post to a reactor that is awake: no system call.
void BM_Post_ToABusyReactor(benchmark::State& state) {
  Inbox inbox;
  Inbox::Message message;
  for (auto _ : state) {
    benchmark::DoNotOptimize(inbox.push(message));
    benchmark::DoNotOptimize(inbox.take());
  }
}
BENCHMARK(BM_Post_ToABusyReactor);

}  // namespace
}  // namespace gyre
