// rounds WORKLOAD COUNT: what tasks do most, COUNT times, for task_instructions_linux_test to count what one of them executes.
// No I/O and no system clock: two runs differ by their counts alone. WORKLOAD may be `all`: one after the other. Without
// arguments: the workloads' names, one a line.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include <gyre/platform/clock.h>
#include <gyre/task/channel.h>
#include <gyre/task/mutex.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

namespace {

using gyre::Channel;
using gyre::JoinHandle;
using gyre::Result;
using gyre::Task;
using gyre::TaskGroup;

// Time that passes when nothing is ready.
struct ToldClock final : gyre::Clock {
  gyre::Instant now() noexcept override { return time; }
  gyre::Instant time{std::chrono::seconds(1)};
};

template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

Task<int> child(int value) { co_return value; }

Task<void> children(long count) {
  for (long i = 0; i < count; ++i) {
    const int got = co_await child(1);
    keep(got);
  }
}

Task<void> yields(long count) {
  for (long i = 0; i < count; ++i) {
    const Result<void> turn = co_await gyre::yield();
    keep(turn);
  }
}

Task<void> yields_of_ten(long count) {
  TaskGroup group;
  for (int i = 0; i < 10; ++i) group.spawn(yields, count / 10);
  const Result<void> joined = co_await group.join();
  keep(joined);
}

Task<void> spawns_and_joins(long count) {
  TaskGroup group;
  for (long i = 0; i < count; ++i) {
    JoinHandle<int> handle = group.spawn(child, 1);
    const Result<int> value = co_await handle;
    keep(value);
  }
  const Result<void> joined = co_await group.join();
  keep(joined);
}

Task<void> spawns(long count) {
  for (long left = count; left > 0; left -= 1000) {
    TaskGroup group;
    for (int i = 0; i < 1000; ++i) group.spawn(child, 1);
    const Result<void> joined = co_await group.join();
    keep(joined);
  }
}

Task<void> locks(long count) {
  gyre::Mutex mutex;
  for (long i = 0; i < count; ++i) {
    const Result<gyre::MutexLock> lock = co_await mutex.lock();
    keep(lock);
  }
}

Task<void> sends_and_receives(long count) {
  Channel<int> channel(64);
  for (long i = 0; i < count; ++i) {
    const Result<void> sent = co_await channel.send(1);
    keep(sent);
    const Result<int> received = co_await channel.receive();
    keep(received);
  }
}

Task<void> pong(Channel<int>& from, Channel<int>& to) {
  for (;;) {
    const Result<int> received = co_await from.receive();
    if (!received) break;
    const Result<void> sent = co_await to.send(*received);
    if (!sent) break;
  }
}

Task<void> ping_pongs(long count) {
  Channel<int> there(1);
  Channel<int> back(1);
  TaskGroup group;
  group.spawn(pong, std::ref(there), std::ref(back));
  for (long i = 0; i < count; ++i) {
    const Result<void> sent = co_await there.send(1);
    if (!sent) break;
    const Result<int> received = co_await back.receive();
    keep(received);
  }
  there.close();
  const Result<void> joined = co_await group.join();
  keep(joined);
}

Task<void> hand_over(gyre::Semaphore& mine, gyre::Semaphore& theirs, long count) {
  for (long i = 0; i < count; ++i) {
    theirs.release();
    Result<gyre::Permits> turn = co_await mine.acquire();
    if (!turn) break;
    (void)turn->disown();
  }
}

Task<void> hand_overs(long count) {
  gyre::Semaphore a({.permits_max = 2, .available = 0});
  gyre::Semaphore b({.permits_max = 2, .available = 0});
  TaskGroup group;
  group.spawn(hand_over, std::ref(a), std::ref(b), count);
  group.spawn(hand_over, std::ref(b), std::ref(a), count);
  const Result<void> joined = co_await group.join();
  keep(joined);
}

Task<void> nap(gyre::Duration delay) {
  const Result<void> slept = co_await gyre::sleep(delay);
  keep(slept);
}

Task<void> sleeps(long count) {
  for (long left = count; left > 0; left -= 1000) {
    TaskGroup group;
    for (int i = 0; i < 1000; ++i) group.spawn(nap, std::chrono::microseconds(1 + i * 7919 % 20'000));
    const Result<void> joined = co_await group.join();
    keep(joined);
  }
}

struct Workload {
  const char* name;
  Task<void> (*run)(long count);
};
constexpr Workload workloads[] = {
    {"child", children},         {"yield", yields_of_ten}, {"spawn_join", spawns_and_joins}, {"spawn_many", spawns},
    {"mutex", locks},            {"channel", sends_and_receives}, {"ping_pong", ping_pongs}, {"hand_over", hand_overs},
    {"sleep", sleeps},
};

// What is counted, by its name.
[[gnu::noinline]] void run(const Workload& workload, long count) {
  ToldClock clock;
  gyre::Scheduler scheduler(clock);
  scheduler.detached().spawn(workload.run, count);
  while (scheduler.tasks() != 0) {
    (void)scheduler.run_ready(1'000'000);
    if (scheduler.has_ready() || scheduler.timers().empty()) continue;
    // A wake for every 100 us of timers, as on a loop that is busy.
    clock.time = scheduler.timers().next_deadline() + std::chrono::microseconds(100);
    (void)scheduler.update_now();
    (void)scheduler.fire_timers();
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool is_known = argc < 3;
  for (const Workload& workload : workloads) {
    if (argc < 3) {
      std::printf("%s\n", workload.name);
    } else if (std::strcmp(workload.name, argv[1]) == 0 || std::strcmp("all", argv[1]) == 0) {
      run(workload, std::atol(argv[2]));
      is_known = true;
    }
  }
  return is_known ? 0 : 2;
}
