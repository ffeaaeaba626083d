// Replays of tests/oracle/scenarios_sync.py: locks, semaphores, events, conditions, barriers.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/barrier.h>
#include <gyre/task/condition_variable.h>
#include <gyre/task/event.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/mutex.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#include "support/oracle_replay.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

// Takes the lock for a while.
Task<Result<void>> lock_holder(TraceLog& log, std::string_view name, Mutex& mutex, Duration time) {
  log(name, " asks");
  Result<MutexLock> lock = co_await mutex.lock();
  if (!lock) {
    log(name, " cancelled");
    co_return lock.error();
  }
  log(name, " has it");
  (void)co_await sleep(time);
  log(name, " releases");
  co_return Result<void>{};
}

Task<void> lock_fifo(TraceLog& log) {
  Mutex mutex;
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) group.spawn(lock_holder, log, name, mutex, 10ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> greedy(TraceLog& log, Mutex& mutex) {
  for (int step = 0; step < 2; ++step) {
    Result<MutexLock> lock = co_await mutex.lock();
    log("greedy has it ", step);
    (void)co_await sleep(10ms);
    log("greedy releases ", step);
  }
}

Task<void> lock_no_barging(TraceLog& log) {
  Mutex mutex;
  TaskGroup group;
  group.spawn(greedy, log, mutex);
  group.spawn(lock_holder, log, "b", mutex, 10ms);
  group.spawn(lock_holder, log, "c", mutex, 10ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> lock_waiter_cancelled(TraceLog& log) {
  Mutex mutex;
  TaskGroup group;
  group.spawn(lock_holder, log, "a", mutex, 20ms);
  auto b = group.spawn(lock_holder, log, "b", mutex, 10ms);
  group.spawn(lock_holder, log, "c", mutex, 10ms);
  (void)co_await sleep(10ms);
  log("body cancels b");
  b.cancel();
  (void)co_await group.join();
  log("joined");
}

Task<void> lock_cancel_then_release(TraceLog& log) {
  Mutex mutex;
  MutexLock lock = mutex.try_lock();
  TaskGroup group;
  auto a = group.spawn(lock_holder, log, "a", mutex, 10ms);
  group.spawn(lock_holder, log, "b", mutex, 10ms);
  (void)co_await sleep(10ms);
  a.cancel();
  lock.unlock();
  log("cancel a, release");
  (void)co_await group.join();
  log("joined, locked: ", yes(mutex.is_locked()));
}

Task<void> lock_and_sleep(TraceLog& log, Mutex& mutex) {
  const Result<MutexLock> lock = co_await mutex.lock();
  log(lock ? "a has it" : "a cancelled");
  if (!lock) co_return;
  const Result<void> slept = co_await sleep(10ms);
  if (!slept) log("a cancelled at its next wait");
}

Task<void> lock_release_then_cancel(TraceLog& log) {
  Mutex mutex;
  MutexLock lock = mutex.try_lock();
  TaskGroup group;
  auto a = group.spawn(lock_and_sleep, log, mutex);
  group.spawn(lock_holder, log, "b", mutex, 10ms);
  (void)co_await sleep(10ms);
  lock.unlock();
  a.cancel();
  log("release, cancel a");
  (void)co_await group.join();
  log("joined, locked: ", yes(mutex.is_locked()));
}

Task<void> other_runs(TraceLog& log) {
  log("other runs");
  co_return;
}

Task<void> lock_uncontended(TraceLog& log) {
  Mutex mutex;
  TaskGroup group;
  group.spawn(other_runs, log);
  for (int step = 0; step < 2; ++step) {
    const Result<MutexLock> lock = co_await mutex.lock();
    log("body has it ", step);
  }
  (void)co_await group.join();
  log("joined");
}

Task<Result<void>> permit_holder(TraceLog& log, std::string_view name, Semaphore& semaphore,
                                 Duration time) {
  log(name, " asks");
  const Result<Permits> permits = co_await semaphore.acquire();
  if (!permits) {
    log(name, " cancelled");
    co_return permits.error();
  }
  log(name, " has it");
  (void)co_await sleep(time);
  log(name, " releases");
  co_return Result<void>{};
}

Task<void> semaphore_fifo(TraceLog& log) {
  Semaphore semaphore(2);
  TaskGroup group;
  group.spawn(permit_holder, log, "a", semaphore, 10ms);
  group.spawn(permit_holder, log, "b", semaphore, 15ms);
  group.spawn(permit_holder, log, "c", semaphore, 10ms);
  group.spawn(permit_holder, log, "d", semaphore, 10ms);
  group.spawn(permit_holder, log, "e", semaphore, 10ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> semaphore_waiter_cancelled(TraceLog& log) {
  Semaphore semaphore(1);
  TaskGroup group;
  group.spawn(permit_holder, log, "a", semaphore, 20ms);
  auto b = group.spawn(permit_holder, log, "b", semaphore, 10ms);
  group.spawn(permit_holder, log, "c", semaphore, 10ms);
  (void)co_await sleep(10ms);
  b.cancel();
  (void)co_await group.join();
  log("joined, locked: ", yes(semaphore.is_exhausted()));
}

Task<void> permit_keeper(TraceLog& log, std::string_view name, Semaphore& semaphore) {
  Result<Permits> permits = co_await semaphore.acquire();
  if (!permits) co_return;
  permits->disown();
  log(name, " has it");
}

Task<void> semaphore_release_three(TraceLog& log) {
  Semaphore semaphore({.permits_max = 4, .available = 0});
  TaskGroup group;
  for (const char* name : {"a", "b", "c", "d"}) group.spawn(permit_keeper, log, name, semaphore);
  (void)co_await sleep(10ms);
  for (int i = 0; i < 3; ++i) semaphore.release();
  log("released three");
  (void)co_await sleep(10ms);
  semaphore.release();
  log("released one");
  (void)co_await group.join();
  log("joined");
}

Task<Result<void>> event_waiter(TraceLog& log, std::string_view name, Event& event) {
  log(name, " waits");
  const Result<void> set = co_await event.wait();
  log(name, set ? " wakes" : " cancelled");
  co_return set;
}

Task<void> event_wakes_all(TraceLog& log) {
  Event event;
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) group.spawn(event_waiter, log, name, event);
  (void)co_await sleep(10ms);
  log("set");
  event.set();
  (void)co_await sleep(10ms);
  group.spawn(event_waiter, log, "late", event);
  (void)co_await group.join();
  log("joined");
}

Task<void> event_set_clear(TraceLog& log) {
  Event event;
  TaskGroup group;
  for (const char* name : {"a", "b"}) group.spawn(event_waiter, log, name, event);
  (void)co_await sleep(10ms);
  event.set();
  event.clear();
  log("set, clear");
  group.spawn(event_waiter, log, "late", event);
  (void)co_await sleep(10ms);
  log("set");
  event.set();
  (void)co_await group.join();
  log("joined");
}

Task<void> event_waiter_cancelled(TraceLog& log) {
  Event event;
  TaskGroup group;
  group.spawn(event_waiter, log, "a", event);
  auto b = group.spawn(event_waiter, log, "b", event);
  group.spawn(event_waiter, log, "c", event);
  (void)co_await sleep(10ms);
  b.cancel();
  (void)co_await sleep(10ms);
  log("set");
  event.set();
  (void)co_await group.join();
  log("joined");
}

Task<void> player(TraceLog& log, std::string_view name, Event& mine, Event& other) {
  for (int step = 0; step < 3; ++step) {
    (void)co_await mine.wait();
    mine.clear();
    log(name, " ", step);
    other.set();
  }
}

Task<void> event_ping_pong(TraceLog& log) {
  Event ping;
  Event pong;
  TaskGroup group;
  group.spawn(player, log, "ping", ping, pong);
  group.spawn(player, log, "pong", pong, ping);
  (void)co_await sleep(10ms);
  ping.set();
  (void)co_await group.join();
  log("joined");
}

struct Condition {
  Mutex mutex;
  ConditionVariable changed{mutex};
  int items = 0;
};

Task<void> condition_waiter(TraceLog& log, std::string_view name, Condition& condition) {
  const Result<MutexLock> lock = co_await condition.mutex.lock();
  if (!lock) co_return;
  log(name, " waits");
  (void)co_await condition.changed.wait(*lock);
  log(name, " wakes");
}

Task<void> notify(TraceLog& log, Condition& condition, int count) {
  const Result<MutexLock> lock = co_await condition.mutex.lock();
  log("notify ", count);
  condition.changed.notify(static_cast<std::size_t>(count));
}

Task<void> condition_notify_order(TraceLog& log) {
  Condition condition;
  TaskGroup group;
  for (const char* name : {"a", "b", "c", "d", "e"}) group.spawn(condition_waiter, log, name, condition);
  for (const int count : {1, 2, 5}) {
    (void)co_await sleep(10ms);
    co_await notify(log, condition, count);
  }
  (void)co_await group.join();
  log("joined");
}

Task<void> wait_for_items(TraceLog& log, std::string_view name, Condition& condition, int wanted) {
  const Result<MutexLock> lock = co_await condition.mutex.lock();
  if (!lock) co_return;
  const auto has_enough = [&condition, wanted] { return condition.items >= wanted; };
  Task<Result<void>> waiting = condition.changed.wait(*lock, has_enough);
  (void)co_await std::move(waiting);
  log(name, " sees ", condition.items);
}

Task<void> add_item(TraceLog& log, Condition& condition) {
  const Result<MutexLock> lock = co_await condition.mutex.lock();
  ++condition.items;
  log("added one");
  condition.changed.notify_all();
}

Task<void> condition_wait_for(TraceLog& log) {
  Condition condition;
  TaskGroup group;
  group.spawn(wait_for_items, log, "wants two", condition, 2);
  group.spawn(wait_for_items, log, "wants one", condition, 1);
  for (int step = 0; step < 2; ++step) {
    (void)co_await sleep(10ms);
    co_await add_item(log, condition);
  }
  (void)co_await group.join();
  log("joined");
}

Task<Result<void>> cancelled_condition_waiter(TraceLog& log, Condition& condition) {
  const Result<MutexLock> lock = co_await condition.mutex.lock();
  if (!lock) co_return lock.error();
  log("waits");
  const Result<void> notified = co_await condition.changed.wait(*lock);
  if (!notified) log("cancelled, locked: ", yes(condition.mutex.is_locked()));
  log("leaves");
  co_return notified;
}

Task<void> condition_cancelled_wait_has_lock(TraceLog& log) {
  Condition condition;
  TaskGroup group;
  auto task = group.spawn(cancelled_condition_waiter, log, condition);
  (void)co_await sleep(10ms);
  {
    const Result<MutexLock> lock = co_await condition.mutex.lock();
    log("body has the lock");
    task.cancel();
    (void)co_await sleep(10ms);
    log("body releases");
  }
  (void)co_await group.join();
  log("joined");
}

Task<void> party(TraceLog& log, std::string_view name, Barrier& barrier, Duration time,
                 std::vector<std::uint32_t>& seen) {
  for (int cycle = 0; cycle < 2; ++cycle) {
    (void)co_await sleep(time);
    log(name, " arrives ", cycle);
    const Result<std::uint32_t> place = co_await barrier.wait();
    if (place) seen.push_back(*place);
    (void)co_await sleep(1ms);
    log(name, " is through ", cycle);
  }
}

Task<void> barrier_cycles(TraceLog& log) {
  Barrier barrier(3);
  std::vector<std::uint32_t> seen;
  TaskGroup group;
  group.spawn(party, log, "a", barrier, 10ms, seen);
  group.spawn(party, log, "b", barrier, 30ms, seen);
  group.spawn(party, log, "c", barrier, 20ms, seen);
  (void)co_await group.join();
  std::sort(seen.begin(), seen.end());
  std::string indices;
  for (const std::uint32_t place : seen) {
    if (!indices.empty()) indices += ", ";
    indices += std::to_string(place);
  }
  log("indices [", indices, "]");
}

constexpr Replay replays[] = {
    {"lock_fifo", lock_fifo},
    {"lock_no_barging", lock_no_barging},
    {"lock_waiter_cancelled", lock_waiter_cancelled},
    {"lock_cancel_then_release", lock_cancel_then_release},
    {"lock_release_then_cancel", lock_release_then_cancel},
    {"lock_uncontended", lock_uncontended},
    {"semaphore_fifo", semaphore_fifo},
    {"semaphore_waiter_cancelled", semaphore_waiter_cancelled},
    {"semaphore_release_three", semaphore_release_three},
    {"event_wakes_all", event_wakes_all},
    {"event_set_clear", event_set_clear},
    {"event_waiter_cancelled", event_waiter_cancelled},
    {"event_ping_pong", event_ping_pong},
    {"condition_notify_order", condition_notify_order},
    {"condition_wait_for", condition_wait_for},
    {"condition_cancelled_wait_has_lock", condition_cancelled_wait_has_lock},
    {"barrier_cycles", barrier_cycles},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Sync, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
