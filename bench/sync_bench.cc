// What synchronisation costs within one scheduler, each beside the floor it is judged by: the same movement of flags,
// values and frames with nothing around it.
#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <benchmark/benchmark.h>

#include <gyre/platform/clock.h>
#include <gyre/task/channel.h>
#include <gyre/task/mutex.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#include "bare_coroutine.h"

namespace gyre {
namespace {

using bench::Bare;
using bench::bare_ring;
using bench::BareMailbox;

// --- Floors ---------------------------------------------------------------------------------------------------------

Bare bare_ping(benchmark::State& state, BareMailbox& mine, BareMailbox& theirs) {
  int sum = 0;
  for (auto _ : state) {
    theirs.send(1);
    const int got = co_await mine.receive();
    sum += got;
  }
  benchmark::DoNotOptimize(sum);
  theirs.send(0);
}

Bare bare_pong(BareMailbox& mine, BareMailbox& theirs) {
  for (;;) {
    const int got = co_await mine.receive();
    if (got == 0) break;
    theirs.send(got);
  }
}

// Two hand-overs: each puts the other's value and frame where it will find them, and suspends.
void BM_Bare_PingPong(benchmark::State& state) {
  BareMailbox a;
  BareMailbox b;
  Bare pong = bare_pong(b, a);
  Bare ping = bare_ping(state, a, b);
  bare_ring.run();
  ping.frame.destroy();
  pong.frame.destroy();
}
BENCHMARK(BM_Bare_PingPong);

struct BareFlag {
  bool taken = false;
  BareFlag& flag() noexcept { return *this; }
  bool await_ready() noexcept {
    if (taken) return false;
    taken = true;
    return true;
  }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

Bare take_flag(benchmark::State& state, BareFlag& flag) {
  for (auto _ : state) {
    co_await flag;
    benchmark::ClobberMemory();
    flag.taken = false;
  }
}

void BM_Bare_Flag(benchmark::State& state) {
  BareFlag flag;
  Bare taker = take_flag(state, flag);
  taker.frame.destroy();
}
BENCHMARK(BM_Bare_Flag);

// A value into a ring and out again, in place.
void BM_Bare_Ring(benchmark::State& state) {
  std::array<int, 64> ring{};
  std::size_t head = 0;
  std::size_t tail = 0;
  int sum = 0;
  for (auto _ : state) {
    if (tail - head < ring.size()) ring[tail++ % ring.size()] = 1;
    benchmark::ClobberMemory();
    if (head != tail) sum += ring[head++ % ring.size()];
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(BM_Bare_Ring);

// --- Gyre -----------------------------------------------------------------------------------------------------------

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

Task<void> checkpoints(benchmark::State& state) {
  for (auto _ : state) {
    Result<void> passed = co_await checkpoint();
    benchmark::DoNotOptimize(passed);
  }
}

// What every operation that need not wait pays: the test for a cancel, and the slice.
void BM_Checkpoint(benchmark::State& state) { run_task(checkpoints, std::ref(state)); }
BENCHMARK(BM_Checkpoint);

Task<void> lock_and_unlock(benchmark::State& state, Mutex& mutex) {
  for (auto _ : state) {
    Result<MutexLock> lock = co_await mutex.lock();
    benchmark::ClobberMemory();
  }
}

void BM_Mutex_Uncontended(benchmark::State& state) {
  Mutex mutex;
  run_task(lock_and_unlock, std::ref(state), std::ref(mutex));
}
BENCHMARK(BM_Mutex_Uncontended);

Task<void> contend(Mutex& mutex, const bool& stop) {
  while (!stop) {
    Result<MutexLock> lock = co_await mutex.lock();
    benchmark::ClobberMemory();
    Result<void> turn = co_await yield();
    if (!turn) break;
  }
}

Task<void> contend_timed(benchmark::State& state, Mutex& mutex, bool& stop) {
  for (auto _ : state) {
    Result<MutexLock> lock = co_await mutex.lock();
    benchmark::ClobberMemory();
    Result<void> turn = co_await yield();
    if (!turn) break;
  }
  stop = true;
}

// Four tasks take turns; each holds the lock over a yield. One iteration is a round: 4 locks, 4 yields.
void BM_Mutex_Contended(benchmark::State& state) {
  Scheduler scheduler(steady_clock());
  Mutex mutex;
  bool stop = false;
  scheduler.detached().spawn(contend_timed, std::ref(state), std::ref(mutex), std::ref(stop));
  for (int i = 0; i < 3; ++i) scheduler.detached().spawn(contend, std::ref(mutex), std::cref(stop));
  run_all(scheduler);
}
BENCHMARK(BM_Mutex_Contended);

Task<void> acquire_and_release(benchmark::State& state, Semaphore& semaphore) {
  for (auto _ : state) {
    Result<Permits> permits = co_await semaphore.acquire();
    benchmark::ClobberMemory();
  }
}

void BM_Semaphore_Uncontended(benchmark::State& state) {
  Semaphore semaphore(2);
  run_task(acquire_and_release, std::ref(state), std::ref(semaphore));
}
BENCHMARK(BM_Semaphore_Uncontended);

Task<void> send_and_receive(benchmark::State& state, Channel<int>& channel) {
  int sum = 0;
  for (auto _ : state) {
    Result<void> sent = co_await channel.send(1);
    benchmark::DoNotOptimize(sent);
    Result<int> received = co_await channel.receive();
    sum += *received;
  }
  benchmark::DoNotOptimize(sum);
}

// One send and one receive, neither of which waits.
void BM_Channel_WithRoom(benchmark::State& state) {
  Channel<int> channel(64);
  run_task(send_and_receive, std::ref(state), std::ref(channel));
}
BENCHMARK(BM_Channel_WithRoom);

Task<void> ping(benchmark::State& state, Channel<int>& to, Channel<int>& from) {
  int sum = 0;
  for (auto _ : state) {
    Result<void> sent = co_await to.send(1);
    if (!sent) break;
    Result<int> received = co_await from.receive();
    sum += *received;
  }
  benchmark::DoNotOptimize(sum);
  to.close();
}

Task<void> pong(Channel<int>& from, Channel<int>& to) {
  for (;;) {
    Result<int> received = co_await from.receive();
    if (!received) break;
    Result<void> sent = co_await to.send(*received);
    if (!sent) break;
  }
}

void BM_Channel_PingPong(benchmark::State& state) {
  const auto capacity = static_cast<std::size_t>(state.range(0));
  Scheduler scheduler(steady_clock());
  Channel<int> there(capacity);
  Channel<int> back(capacity);
  scheduler.detached().spawn(pong, std::ref(there), std::ref(back));
  scheduler.detached().spawn(ping, std::ref(state), std::ref(there), std::ref(back));
  run_all(scheduler);
}
BENCHMARK(BM_Channel_PingPong)->ArgName("capacity")->Arg(1)->Arg(0);

Task<void> produce(benchmark::State& state, Channel<int>& channel) {
  for (auto _ : state) {
    Result<void> sent = co_await channel.send(1);
    if (!sent) break;
  }
  channel.close();
}

Task<void> consume(Channel<int>& channel) {
  int sum = 0;
  for (;;) {
    Result<int> received = co_await channel.receive();
    if (!received) break;
    sum += *received;
  }
  benchmark::DoNotOptimize(sum);
}

// One way: a producer and a consumer, per value.
void BM_Channel_Stream(benchmark::State& state) {
  Scheduler scheduler(steady_clock());
  Channel<int> channel(static_cast<std::size_t>(state.range(0)));
  scheduler.detached().spawn(consume, std::ref(channel));
  scheduler.detached().spawn(produce, std::ref(state), std::ref(channel));
  run_all(scheduler);
}
BENCHMARK(BM_Channel_Stream)->ArgName("capacity")->Arg(0)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace gyre

BENCHMARK_MAIN();
