// Replays of the queues in tests/oracle/scenarios_sync.py, by channels.
#include <chrono>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <gyre/task/channel.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/priority_channel.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#include "support/oracle_replay.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

using Numbers = Channel<int>;
using Words = Channel<std::string_view>;

// More than any scenario puts in: asyncio's queue without a bound.
constexpr std::size_t unbounded = 16;

Task<void> producer(TraceLog& log, Numbers& queue, int count, Duration pause) {
  for (int item = 0; item < count; ++item) {
    if (pause > 0ms) (void)co_await sleep(pause);
    (void)co_await queue.send(item);
    log("put ", item);
  }
}

Task<void> consumer(TraceLog& log, Numbers& queue, int count, Duration pause) {
  for (int i = 0; i < count; ++i) {
    if (pause > 0ms) (void)co_await sleep(pause);
    const Result<int> item = co_await queue.receive();
    if (item) log("got ", *item);
  }
}

Task<void> queue_slow_consumer_1(TraceLog& log) {
  Numbers queue(1);
  TaskGroup group;
  group.spawn(producer, log, queue, 5, 0ms);
  group.spawn(consumer, log, queue, 5, 10ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> queue_slow_consumer_2(TraceLog& log) {
  Numbers queue(2);
  TaskGroup group;
  group.spawn(producer, log, queue, 6, 0ms);
  group.spawn(consumer, log, queue, 6, 10ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> queue_slow_producer(TraceLog& log) {
  Numbers queue(2);
  TaskGroup group;
  group.spawn(consumer, log, queue, 4, 0ms);
  group.spawn(producer, log, queue, 4, 10ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> queue_full_speed_1(TraceLog& log) {
  Numbers queue(1);
  TaskGroup group;
  group.spawn(producer, log, queue, 4, 0ms);
  group.spawn(consumer, log, queue, 4, 0ms);
  (void)co_await group.join();
  log("joined");
}

Task<void> waiting_getter(TraceLog& log, std::string_view name, Numbers& queue) {
  log(name, " waits");
  const Result<int> item = co_await queue.receive();
  if (item) log(name, " got ", *item);
}

Task<void> queue_getters_fifo(TraceLog& log) {
  Numbers queue(unbounded);
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) group.spawn(waiting_getter, log, name, queue);
  (void)co_await sleep(10ms);
  for (int item = 0; item < 3; ++item) EXPECT_TRUE(queue.try_send(item));
  log("put three");
  (void)co_await group.join();
  log("joined");
}

Task<Result<void>> putter(TraceLog& log, std::string_view name, Words& queue) {
  const Result<void> sent = co_await queue.send(name);
  log(name, sent ? " is in" : " cancelled");
  co_return sent;
}

// Takes one without waiting.
void take(TraceLog& log, Words& queue) {
  const Result<std::string_view> item = queue.try_receive();
  log("got ", item ? *item : "nothing");
}

Task<void> queue_putters_fifo(TraceLog& log) {
  Words queue(1);
  EXPECT_TRUE(queue.try_send("first"));
  TaskGroup group;
  for (const char* name : {"a", "b", "c"}) group.spawn(putter, log, name, queue);
  for (int i = 0; i < 4; ++i) {
    (void)co_await sleep(10ms);
    take(log, queue);
  }
  (void)co_await group.join();
  log("joined");
}

Task<Result<void>> getter(TraceLog& log, std::string_view name, Words& queue) {
  const Result<std::string_view> item = co_await queue.receive();
  if (!item) {
    log(name, " cancelled");
    co_return item.error();
  }
  log(name, " got ", *item);
  co_return Result<void>{};
}

Task<void> queue_get_cancelled(TraceLog& log) {
  Words queue(unbounded);
  TaskGroup group;
  auto a = group.spawn(getter, log, "a", queue);
  group.spawn(getter, log, "b", queue);
  (void)co_await sleep(10ms);
  a.cancel();
  (void)co_await sleep(10ms);
  EXPECT_TRUE(queue.try_send("item"));
  log("put");
  (void)co_await group.join();
  log("joined");
}

Task<void> queue_get_cancelled_after_put(TraceLog& log) {
  Words queue(unbounded);
  TaskGroup group;
  auto a = group.spawn(getter, log, "a", queue);
  group.spawn(getter, log, "b", queue);
  (void)co_await sleep(10ms);
  EXPECT_TRUE(queue.try_send("item 1"));
  a.cancel();
  log("put, cancel a");
  (void)co_await sleep(10ms);
  if (!queue.empty()) log("an item is left");
  EXPECT_TRUE(queue.try_send("item 2"));
  log("put again");
  (void)co_await sleep(10ms);
  log("left in the queue: ", static_cast<int>(queue.size()));
  (void)co_await group.join();
  log("joined");
}

Task<void> queue_put_cancelled(TraceLog& log) {
  Words queue(1);
  EXPECT_TRUE(queue.try_send("first"));
  TaskGroup group;
  auto a = group.spawn(putter, log, "a", queue);
  group.spawn(putter, log, "b", queue);
  (void)co_await sleep(10ms);
  a.cancel();
  for (int i = 0; i < 2; ++i) {
    (void)co_await sleep(10ms);
    take(log, queue);
  }
  (void)co_await group.join();
  log("joined, left in the queue: ", static_cast<int>(queue.size()));
}

template <typename Queue>
Task<void> put_and_get(TraceLog& log, std::string_view kind, Queue& queue) {
  for (const int item : {3, 1, 2}) EXPECT_TRUE(queue.try_send(item));
  for (int i = 0; i < 4; ++i) {
    if (i == 2) {
      EXPECT_TRUE(queue.try_send(0));
    }
    const Result<int> item = co_await queue.receive();
    if (item) log(kind, " ", *item);
  }
}

Task<void> queue_priority_lifo(TraceLog& log) {
  PriorityChannel<int> priority(4);
  co_await put_and_get(log, "priority", priority);
  LifoChannel<int> lifo(4);
  co_await put_and_get(log, "lifo", lifo);
}

Task<void> join_worker(TraceLog& log, Numbers& queue) {
  for (int i = 0; i < 2; ++i) {
    const Result<int> item = co_await queue.receive();
    if (!item) co_return;
    log("got ", *item);
    (void)co_await sleep(10ms);
    log("done ", *item);
    queue.task_done();
  }
}

Task<void> queue_join(TraceLog& log) {
  Numbers queue(unbounded);
  for (int item = 0; item < 2; ++item) EXPECT_TRUE(queue.try_send(item));
  TaskGroup group;
  group.spawn(join_worker, log, queue);
  (void)co_await queue.join();
  (void)co_await sleep(1ms);
  log("all done");
  (void)co_await group.join();
}

constexpr Replay replays[] = {
    {"queue_slow_consumer_1", queue_slow_consumer_1},
    {"queue_slow_consumer_2", queue_slow_consumer_2},
    {"queue_slow_producer", queue_slow_producer},
    {"queue_full_speed_1", queue_full_speed_1},
    {"queue_getters_fifo", queue_getters_fifo},
    {"queue_putters_fifo", queue_putters_fifo},
    {"queue_get_cancelled", queue_get_cancelled},
    {"queue_get_cancelled_after_put", queue_get_cancelled_after_put},
    {"queue_put_cancelled", queue_put_cancelled},
    {"queue_priority_lifo", queue_priority_lifo},
    {"queue_join", queue_join},
};

TEST_P(OracleReplayTest, HappensInTheRecordedOrder) { expect_the_recorded_order(); }
INSTANTIATE_TEST_SUITE_P(Channel, OracleReplayTest, ::testing::ValuesIn(replays),
                         OracleReplayTest::name_of);

}  // namespace
}  // namespace gyre::testing
