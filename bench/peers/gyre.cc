// Gyre's side of the comparison.
#include <chrono>
#include <cstddef>
#include <functional>
#include <semaphore>
#include <vector>

#include <gyre/gyre.h>

#include "peer.h"

namespace {

using gyre::Channel;
using gyre::JoinHandle;
using gyre::Result;
using gyre::Task;
using gyre::TaskGroup;

// Runs `task(before..., count, ns)` on a reactor; it measures itself.
template <auto task, auto... before>
double run(long count) {
  double ns = 0;
  (void)gyre::run(task(before..., count, ns));
  return ns;
}

Task<int> child(int value) { co_return value; }

Task<void> await_children(long count, double& ns) {
  long sum = 0;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) {
    const int got = co_await child(1);
    sum += got;
  }
  ns = sum == count ? watch.ns() : -1;
}

Task<void> yields(long count) {
  for (long i = 0; i < count; ++i) {
    Result<void> turn = co_await gyre::yield();
    if (!turn) break;
  }
}

Task<void> yield_among(int tasks, long count, double& ns) {
  TaskGroup group;
  const peer::Stopwatch watch;
  for (int i = 0; i < tasks; ++i) group.spawn(yields, count / tasks);
  Result<void> joined = co_await group.join();
  ns = joined ? watch.ns() : -1;
}

Task<void> pong(Channel<int>& from, Channel<int>& to) {
  for (;;) {
    Result<int> got = co_await from.receive();
    if (!got) break;
    Result<void> sent = co_await to.send(*got);
    if (!sent) break;
  }
}

Task<void> ping_pong(long count, double& ns) {
  Channel<int> there(1);
  Channel<int> back(1);
  TaskGroup group;
  group.spawn(pong, std::ref(there), std::ref(back));
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) {
    Result<void> sent = co_await there.send(1);
    if (!sent) break;
    Result<int> got = co_await back.receive();
    if (!got) break;
  }
  ns = watch.ns();
  there.close();
  Result<void> joined = co_await group.join();
  if (!joined) ns = -1;
}

Task<void> spawn_join(long count, double& ns) {
  TaskGroup group;
  long sum = 0;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) {
    JoinHandle<int> handle = group.spawn(child, 1);
    Result<int> value = co_await handle;
    sum += *value;
  }
  ns = sum == count ? watch.ns() : -1;
  Result<void> joined = co_await group.join();
  if (!joined) ns = -1;
}

Task<void> spawn_many(long count, double& ns) {
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= 1000) {
    TaskGroup group;
    for (int i = 0; i < 1000; ++i) group.spawn(child, 1);
    Result<void> joined = co_await group.join();
    if (!joined) co_return;
  }
  ns = watch.ns();
}

Task<void> nap(gyre::Duration delay) {
  Result<void> slept = co_await gyre::sleep(delay);
  (void)slept;
}

// 10,000 tasks sleep for up to 20 ms each; what counts is the processor time.
Task<void> sleeps(long count, double& ns) {
  const double before = peer::cpu_ns();
  for (long left = count; left > 0; left -= 10'000) {
    TaskGroup group;
    for (int i = 0; i < 10'000; ++i) group.spawn(nap, std::chrono::microseconds(1 + i * 7919 % 20'000));
    Result<void> joined = co_await group.join();
    if (!joined) co_return;
  }
  ns = peer::cpu_ns() - before;
}

struct IdleTimer : gyre::Timer {
  IdleTimer() : Timer([](Timer&) noexcept {}) {}
};

// Arms 100,000 timers of 1 to 60 s and cancels them.
Task<void> timers(long count, double& ns) {
  gyre::TimerQueue& queue = gyre::current_task()->scheduler().timers();
  const gyre::Instant now = gyre::current_task()->scheduler().clock().now();
  std::vector<IdleTimer> all(100'000);
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= 100'000) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      queue.arm(all[i], now + std::chrono::milliseconds(1000 + i * 7919 % 59'000));
    }
    for (IdleTimer& timer : all) queue.cancel(timer);
  }
  ns = watch.ns();
  co_return;
}

// Two reactors, a thread each: a call of one posts a call to the other.
struct Match {
  gyre::RemoteReactor sides[2];
  long hits_left = 0;
  std::binary_semaphore over{0};

  void hit(int side) {
    if (hits_left-- == 0) return over.release();
    sides[1 - side].post([this, side] { hit(1 - side); });
  }
};

Task<Result<void>> stay(unsigned) {
  gyre::Event never_set;
  co_return co_await never_set.wait();
}

double wake(long count) {
  Result<std::unique_ptr<gyre::Runtime>> runtime = gyre::Runtime::create({.reactors = 2});
  if (!runtime || !(*runtime)->start(stay)) return -1;
  Match match;
  match.sides[0] = (*runtime)->remote(0);
  match.sides[1] = (*runtime)->remote(1);
  match.hits_left = 2 * count;
  const peer::Stopwatch watch;
  match.sides[0].post([&match] { match.hit(0); });
  match.over.acquire();
  const double ns = watch.ns();
  (*runtime)->stop();
  return (*runtime)->join() ? ns : -1;
}

}  // namespace

int main(int argc, char** argv) {
  return peer::main(argc, argv, "this tree",
                    {{"child", run<await_children>},
                     {"yield_1", run<yield_among, 1>},
                     {"yield_100", run<yield_among, 100>},
                     {"yield_10000", run<yield_among, 10'000>, 100'000},
                     {"ping_pong", run<ping_pong>},
                     {"spawn_join", run<spawn_join>},
                     {"spawn_many", run<spawn_many>},
                     {"sleep", run<sleeps>, 10'000},
                     {"timer_cancel", run<timers>, 100'000},
                     {"wake", wake}});
}
