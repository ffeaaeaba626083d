// What a switch costs on this machine, from the cheapest kind to the dearest. Each is measured for a short while only: see
// `make bench` for the careful figures.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <thread>

#include <gyre/platform/thread.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "switches.h"
#include "tour.h"

namespace tour {
namespace {

gyre::Task<void> yield_often(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const gyre::Result<void> yielded = co_await gyre::yield();
    if (!yielded) co_return;
  }
}

gyre::Task<void> yield_by_turns(int tasks, int rounds) {
  gyre::TaskGroup group;
  for (int i = 0; i < tasks; ++i) group.spawn(yield_often, rounds);
  static_cast<void>(co_await group.join());
}

// A call of a coroutine that ends at once, and the way back: two transfers.
gyre::Task<int> add_one(int to) { co_return to + 1; }
gyre::Task<int> call_often(int rounds) {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) sum = co_await add_one(sum);
  co_return sum;
}

double task_switch(gyre::Reactor& reactor, int tasks) {
  return measure(20'000, tasks, [&](int rounds) { static_cast<void>(reactor.run_until(yield_by_turns(tasks, rounds))); });
}

double child_call(gyre::Reactor& reactor) {
  return measure(200'000, 2, [&](int rounds) { static_cast<void>(reactor.run_until(call_often(rounds))); });
}

double thread_by_condition_variable() {
  return measure(2'000, 2, [](int rounds) {
    std::mutex mutex;
    std::condition_variable moved;
    bool is_theirs = false;
    const auto play = [&](bool mine) {
      for (int i = 0; i < rounds; ++i) {
        std::unique_lock lock(mutex);
        moved.wait(lock, [&] { return is_theirs == mine; });
        is_theirs = !mine;
        moved.notify_one();
      }
    };
    std::thread other([&] { play(true); });
    play(false);
    other.join();
  });
}

double thread_by_futex() {
  return measure(2'000, 2, [](int rounds) {
    std::atomic<std::uint32_t> turn{0};  // even: ours
    const auto play = [&](std::uint32_t mine) {
      for (int i = 0; i < rounds; ++i, mine += 2) {
        for (std::uint32_t now = turn; now != mine; now = turn) gyre::sleep_on(turn, now);
        turn = mine + 1;
        gyre::wake_threads(turn);
      }
    };
    std::thread other([&] { play(1); });
    play(0);
    other.join();
  });
}

}  // namespace

void show(const char* what, double nanoseconds) {
  // Ten times as long, one step more: 1 ns to 100 us.
  const double share = std::log10(std::max(nanoseconds, 1.0)) / 5;
  std::printf("   %-34s %9.1f ns  %s\n", what, nanoseconds, bar(share, 25).c_str());
}

void show_switches() {
  gyre::Result<std::unique_ptr<gyre::Reactor>> made = gyre::Reactor::create();
  if (!made) return;
  gyre::Reactor& reactor = **made;
  std::printf("\n2. What a switch costs here (five marks more in a bar: ten times as long).\n");
  show("coroutine: call and return", child_call(reactor));
  show("coroutine: yield, 100 tasks", task_switch(reactor, 100));
  show_contexts();
  show("thread: futex", thread_by_futex());
  show("thread: condition variable", thread_by_condition_variable());
  show_pipes();
}

}  // namespace tour
