// In its steady state no synchronisation allocates from the heap: waiters are their awaiters, a channel's buffer is made
// once, and frames come from the pool.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include <gtest/gtest.h>

#include <gyre/platform/check.h>
#include <gyre/task/barrier.h>
#include <gyre/task/broadcast.h>
#include <gyre/task/channel.h>
#include <gyre/task/condition_variable.h>
#include <gyre/task/event.h>
#include <gyre/task/generator.h>
#include <gyre/task/mutex.h>
#include <gyre/task/oneshot.h>
#include <gyre/task/priority_channel.h>
#include <gyre/task/rw_lock.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/sleep.h>
#include <gyre/task/watch.h>

#include "support/oracles.h"
#include "support/task_fixture.h"

namespace {

using namespace gyre;
using gyre::test::allocations;

// Everything that two tasks use; one of them counts.
struct Everything {
  Mutex mutex;
  Semaphore semaphore{2};
  RwLock rw_lock;
  Event event;
  Barrier barrier{2};
  ConditionVariable condition{mutex};
  bool is_set = false;
  Channel<int> channel{4};
  Channel<int> rendezvous{0};
  LifoChannel<int> lifo{4};
  PriorityChannel<int> priority{4};
  Watch<int> watch{0};
  Broadcast<int> broadcast{4};
};

AsyncGenerator<int> numbers(int last) {
  for (int i = 1; i <= last; ++i) {
    const Result<void> wanted = co_yield i;
    if (!wanted) co_return;
  }
}

// In pieces: a frame of more than 1 KiB would not come from the pool.
Task<void> first_locks(Everything& all) {
  {
    Result<MutexLock> lock = co_await all.mutex.lock();
    const Result<void> turn = co_await yield();  // the other one waits
    static_cast<void>(turn);
    while (!all.is_set) {
      const Result<void> notified = co_await all.condition.wait(*lock);
      if (!notified) co_return;
    }
    all.is_set = false;
  }
  {
    Result<Permits> permits = co_await all.semaphore.acquire(2);
    const Result<void> turn = co_await yield();
    static_cast<void>(turn);
  }
  {
    Result<WriteLock> lock = co_await all.rw_lock.write();
    const Result<void> turn = co_await yield();
    static_cast<void>(turn);
  }
}
Task<void> first_sends(Everything& all) {
  const Result<void> set = co_await all.event.wait();
  static_cast<void>(set);
  all.event.clear();
  for (int i = 0; i < 8; ++i) {
    Result<void> sent = co_await all.channel.send(i);
    sent = co_await all.rendezvous.send(i);
    sent = co_await all.lifo.send(i);
    sent = co_await all.priority.send(i);
    Result<Channel<int>::Permit> permit = co_await all.channel.reserve();
    if (permit) sent = permit->send(i);
  }
}
Task<void> first_rest(Everything& all) {
  all.watch.set(all.watch.get() + 1);
  all.broadcast.send(1);
  Oneshot<int> oneshot;
  Promise<int> promise = oneshot.promise();
  const Result<void> sent = promise.send(1);
  static_cast<void>(sent);
  const Result<int> value = co_await oneshot.receive();
  static_cast<void>(value);
  AsyncGenerator<int> generator = numbers(3);
  for (;;) {
    const std::optional<int> number = co_await generator.next();
    if (!number) break;
  }
}
Task<void> second_locks(Everything& all) {
  {
    Result<MutexLock> lock = co_await all.mutex.lock();
    all.is_set = true;
    all.condition.notify();
  }
  {
    Result<Permits> permits = co_await all.semaphore.acquire(2);
  }
  {
    Result<ReadLock> lock = co_await all.rw_lock.read();
  }
}
Task<void> second_receives(Everything& all) {
  all.event.set();
  for (int i = 0; i < 8; ++i) {
    Result<int> received = co_await all.channel.receive();
    received = co_await all.rendezvous.receive();
    received = co_await all.lifo.receive();
    received = co_await all.priority.receive();
    received = co_await all.channel.receive();
  }
}
Task<void> second_rest(Watch<int>::Receiver& watcher, Broadcast<int>::Receiver& listener) {
  const Result<void> changed = co_await watcher.changed();
  const Result<int> heard = co_await listener.receive();
  static_cast<void>(changed);
  static_cast<void>(heard);
}

Task<void> first_task(Everything& all, std::uint64_t& counted, int& rounds) {
  for (int round = 0; round < 20; ++round) {
    co_await first_locks(all);
    co_await first_sends(all);
    co_await first_rest(all);
    const Result<std::uint32_t> place = co_await all.barrier.wait();
    if (!place) co_return;
    // The first rounds fill the pool of frames.
    if (round == 4) counted = allocations();
    if (round == 19) counted = allocations() - counted;
    ++rounds;
  }
}
Task<void> second_task(Everything& all) {
  Watch<int>::Receiver watcher = all.watch.subscribe();
  Broadcast<int>::Receiver listener = all.broadcast.subscribe();
  for (int round = 0; round < 20; ++round) {
    co_await second_locks(all);
    co_await second_receives(all);
    co_await second_rest(watcher, listener);
    const Result<std::uint32_t> place = co_await all.barrier.wait();
    if (!place) co_return;
  }
}

TEST(SyncAllocationTest, SteadyStateAllocatesNothing) {
  if (sanitized) GTEST_SKIP() << "under a sanitizer every frame comes from the heap";
  Everything all;
  std::uint64_t counted = 1;
  int rounds = 0;
  gyre::testing::TestLoop loop;
  loop.spawn(second_task, std::ref(all));
  loop.spawn(first_task, std::ref(all), std::ref(counted), std::ref(rounds));
  const std::uint64_t before = allocations();
  loop.run();
  EXPECT_GE(allocations(), before);
  EXPECT_EQ(rounds, 20);
  EXPECT_EQ(counted, 0U);
  EXPECT_EQ(loop.scheduler.tasks(), 0U);
}

// The counter counts, and a channel takes its buffer once.
TEST(SyncAllocationTest, ChannelAllocatesItsBufferOnce) {
  if (sanitized) GTEST_SKIP() << "a sanitizer has an operator new of its own, which does not count";
  const std::uint64_t before = allocations();
  Channel<int> channel(100);
  EXPECT_EQ(allocations(), before + 1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(channel.try_send(i));
    EXPECT_TRUE(channel.try_receive());
  }
  Channel<int> rendezvous(0);
  EXPECT_EQ(allocations(), before + 1);
}

// What an awaiter takes of its frame, and a primitive of its owner. To grow here is a decision.
TEST(SyncAllocationTest, SizesStaySmall) {
  EXPECT_LE(sizeof(Mutex), 4 * sizeof(void*));
  EXPECT_LE(sizeof(Event), 4 * sizeof(void*));
  EXPECT_LE(sizeof(Semaphore), 4 * sizeof(void*));
  EXPECT_LE(sizeof(RwLock), 4 * sizeof(void*));
  EXPECT_LE(sizeof(Waiter), 4 * sizeof(void*));
  EXPECT_LE(sizeof(Channel<int>), 18 * sizeof(void*));
}

}  // namespace
