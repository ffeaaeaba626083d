// Cancel at every suspension of what programs are made of: sleeps, groups, timeouts, locks, channels, combinators,
// generators. support/suspension_driver.h says what is injected, and what must hold afterwards.
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/as_completed.h>
#include <gyre/task/barrier.h>
#include <gyre/task/broadcast.h>
#include <gyre/task/channel.h>
#include <gyre/task/condition_variable.h>
#include <gyre/task/event.h>
#include <gyre/task/first_success.h>
#include <gyre/task/generator.h>
#include <gyre/task/interval.h>
#include <gyre/task/latch.h>
#include <gyre/task/mutex.h>
#include <gyre/task/once.h>
#include <gyre/task/oneshot.h>
#include <gyre/task/rw_lock.h>
#include <gyre/task/semaphore.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>
#include <gyre/task/watch.h>
#include <gyre/task/when_all.h>
#include <gyre/task/when_any.h>

#include "support/suspension_driver.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Inside;
using gyre::testing::Scenario;
using gyre::testing::World;

// --- What the scenarios share ---------------------------------------------------------------------------------------

Task<Result<void>> nap(World& world, Duration delay) {
  const Inside inside(world);
  const Result<void> slept = co_await sleep(delay);
  co_return slept;
}
Task<Result<int>> value_after(World& world, Duration delay, int value) {
  const Inside inside(world);
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return value;
}
Task<Result<void>> two_naps(World& world, Duration delay) {
  const Inside inside(world);
  TaskGroup group;
  group.spawn(nap, world, delay);
  group.spawn(nap, world, 2 * delay);
  co_return co_await group.join();
}

// A value that counts how many of it there are.
class Item {
 public:
  Item(World& world, int number) noexcept : world_(&world), number_(number) { ++world.values_alive; }
  Item(Item&& other) noexcept : world_(std::exchange(other.world_, nullptr)), number_(other.number_) {}
  Item& operator=(Item&& other) noexcept {
    if (this != &other) {
      drop();
      world_ = std::exchange(other.world_, nullptr);
      number_ = other.number_;
    }
    return *this;
  }
  ~Item() { drop(); }

  explicit operator bool() const noexcept { return world_ != nullptr; }
  int number() const noexcept { return number_; }

 private:
  void drop() noexcept {
    if (world_ != nullptr) --world_->values_alive;
  }

  World* world_;
  int number_;
};

std::vector<int> first_numbers(std::size_t count) {
  std::vector<int> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(static_cast<int>(i));
  return numbers;
}

// --- Sleeps, groups, timeouts ---------------------------------------------------------------------------------------

Task<Result<void>> sleep_chain(World& world) {
  const Inside inside(world);
  Result<void> slept = co_await nap(world, 1s);
  if (!slept) co_return slept;
  slept = co_await yield();
  if (!slept) co_return slept;
  slept = co_await nap(world, 0s);
  if (!slept) co_return slept;
  slept = co_await checkpoint();
  if (!slept) co_return slept;
  co_return co_await sleep(1ms);
}

Task<Result<void>> nested_groups(World& world) {
  const Inside inside(world);
  TaskGroup outer;
  outer.spawn(two_naps, world, 1s);
  outer.spawn(two_naps, world, 3s);
  outer.spawn(SpawnOptions{.start = Start::eager}, nap, world, 2s);
  const Result<void> slept = co_await sleep(500ms);
  const Result<void> joined = co_await outer.join();
  co_return slept ? joined : slept;
}

Task<Result<void>> timeout_around_group(World& world) {
  const Inside inside(world);
  co_return co_await with_timeout(1h, two_naps(world, 1s));
}

Task<Result<void>> timeout_that_expires(World& world) {
  const Inside inside(world);
  const Result<void> ended = co_await with_timeout(3s, two_naps(world, 2s));
  // Time is up, as it should be, and that is ours to handle; a cancel from outside is not.
  if (ended || !ended.error().is_timed_out()) co_return ended;
  co_return co_await checkpoint();
}

// A child that fails while it cleans up after the cancel.
Task<Result<void>> fails_in_its_cleanup(World& world) {
  const Inside inside(world);
  const Result<void> slept = co_await sleep(1h);
  static_cast<void>(slept);
  const CancelScope shielded(CancelScopeOptions{.shielded = true});
  const Result<void> cleaned = co_await sleep(1s);
  world.expect(cleaned.has_value(), "a shielded sleep is cancelled");
  co_return Errc::malformed;
}
Task<Result<void>> drained_group(World& world) {
  const Inside inside(world);
  TaskGroup group(OnFailure::keep_going);
  for (int i = 1; i <= 3; ++i) {
    const Result<void> room = co_await group.room(2);
    if (!room) break;
    group.spawn(nap, world, i * 1s);
  }
  group.spawn(fails_in_its_cleanup, world);
  const Result<void> drained = co_await group.drain(5s);
  for (const TaskFailure& failure : group.failures()) {
    world.expect(failure.error == Errc::malformed, "a cancelled child counts as failed");
  }
  // Its child's error, when it ran at all, hides nothing: the next checkpoint still tells of a cancel.
  static_cast<void>(drained);
  co_return co_await checkpoint();
}

Task<Result<void>> shielded_cleanup(World& world) {
  const Inside inside(world);
  const Result<void> slept = co_await sleep(1s);
  ++world.begun;
  const Result<void> cleaned = co_await shield(nap(world, 2s));
  world.expect(cleaned.has_value(), "a shielded sleep is cancelled");
  ++world.done;
  if (!slept) co_return slept;
  co_return co_await checkpoint();
}
void cleanup_is_finished(const World& world, bool) {
  EXPECT_EQ(world.begun, 1) << "every task runs to its first checkpoint, and cleans up";
  EXPECT_EQ(world.done, 1);
}

// --- Combinators ----------------------------------------------------------------------------------------------------

Task<Result<void>> race_of_three(World& world) {
  const Inside inside(world);
  const auto race = co_await when_any(value_after(world, 3s, 1), value_after(world, 1s, 2), value_after(world, 2s, 3));
  const Result<int>& first = std::get<1>(race.results);
  if (first) world.expect(race.index == 1 && *first == 2, "another than the fastest has won");
  co_return co_await checkpoint();
}

Task<Result<int>> failure_after(World& world, Duration delay) {
  const Inside inside(world);
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept.error();
  co_return Errc::malformed;
}
Task<Result<void>> staggered_tries(World& world) {
  const Inside inside(world);
  std::vector<Task<Result<int>>> tries;
  tries.push_back(failure_after(world, 1s));
  tries.push_back(value_after(world, 9s, 1));
  tries.push_back(value_after(world, 1s, 2));
  const FirstSuccess<int> first = co_await first_success(2s, std::move(tries));
  if (first.result) world.expect(*first.result == static_cast<int>(first.index), "somebody else's value");
  co_return co_await checkpoint();
}

Task<Result<void>> gather_four(World& world) {
  const Inside inside(world);
  std::vector<Task<Result<int>>> tasks;
  for (int i = 0; i < 4; ++i) tasks.push_back(value_after(world, (4 - i) * 1s, i));
  const Result<std::vector<int>> values = co_await gather(std::move(tasks));
  if (!values) co_return values.error();
  world.expect(*values == first_numbers(4), "values out of order");
  co_return Result<void>{};
}

Task<Result<void>> as_they_complete(World& world) {
  const Inside inside(world);
  std::vector<Task<Result<int>>> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(value_after(world, (3 - i) * 1s, i));
  AsCompleted<Result<int>> values(std::move(tasks));
  while (!values.done()) {
    const Result<AsCompleted<Result<int>>::Item> value = co_await values.next();
    if (!value) break;
    if (value->result) world.expect(*value->result == static_cast<int>(value->index), "somebody else's value");
  }
  const Result<void> joined = co_await values.join();
  if (!joined) co_return joined;
  co_return co_await checkpoint();
}

Task<Result<void>> server(Started<int> started, std::reference_wrapper<World> world) {
  const Inside inside(world);
  const Result<void> prepared = co_await sleep(1s);
  if (!prepared) co_return prepared;
  started.set(7);
  co_return co_await sleep(1h);
}
Task<Result<void>> start_a_server(World& world) {
  const Inside inside(world);
  TaskGroup group;
  const Result<int> port = co_await group.start<int>(server, std::ref(world));
  Result<void> used = port ? Result<void>() : port.error();
  if (port) {
    world.expect(*port == 7, "another value than the server's");
    used = co_await sleep(1s);
  }
  group.cancel();
  const Result<void> joined = co_await group.join();
  if (!joined) co_return joined;
  if (!used) co_return used;
  co_return co_await checkpoint();
}

// --- Locks ----------------------------------------------------------------------------------------------------------

Task<Result<void>> hold(World& world, Mutex& mutex, int& holders) {
  const Inside inside(world);
  for (int round = 0; round < 2; ++round) {
    Result<MutexLock> lock = co_await mutex.lock();
    if (!lock) co_return lock.error();
    world.expect(++holders == 1, "two hold the mutex");
    const Result<void> slept = co_await sleep(1s);
    --holders;
    if (!slept) co_return slept;
  }
  co_return Result<void>{};
}
Task<Result<void>> mutex_hand_over(World& world) {
  const Inside inside(world);
  Mutex mutex;
  int holders = 0;
  TaskGroup group;
  for (int i = 0; i < 3; ++i) group.spawn(hold, world, mutex, holders);
  const Result<void> joined = co_await group.join();
  world.expect(!mutex.is_locked() && mutex.count_waiters() == 0, "the mutex is left locked");
  co_return joined;
}

Task<Result<void>> borrow(World& world, Semaphore& semaphore, std::uint32_t count) {
  const Inside inside(world);
  Result<Permits> permits = co_await semaphore.acquire(count);
  if (!permits) co_return permits.error();
  const Result<void> slept = co_await sleep(1s);
  permits->split(1).release();
  if (!slept) co_return slept;
  co_return co_await sleep(1s);
}
Task<Result<void>> semaphore_of_three(World& world) {
  const Inside inside(world);
  Semaphore semaphore(3);
  TaskGroup group;
  for (const std::uint32_t count : {2U, 1U, 3U, 1U, 2U}) group.spawn(borrow, world, semaphore, std::uint32_t{count});
  const Result<void> joined = co_await group.join();
  world.expect(semaphore.available() == 3, "permits are lost");
  co_return joined;
}

Task<Result<void>> read_or_write(World& world, RwLock& lock, bool writes) {
  const Inside inside(world);
  if (writes) {
    Result<WriteLock> held = co_await lock.write();
    if (!held) co_return held.error();
    world.expect(lock.readers() == 0, "a writer among readers");
    co_return co_await sleep(1s);
  }
  Result<ReadLock> held = co_await lock.read();
  if (!held) co_return held.error();
  world.expect(!lock.has_writer(), "a reader beside a writer");
  co_return co_await sleep(1s);
}
Task<Result<void>> readers_and_writers(World& world) {
  const Inside inside(world);
  RwLock lock;
  TaskGroup group;
  for (const bool writes : {false, false, true, false, true}) group.spawn(read_or_write, world, lock, bool{writes});
  const Result<void> joined = co_await group.join();
  world.expect(lock.readers() == 0 && !lock.has_writer(), "the lock is left locked");
  co_return joined;
}

struct Mailbox {
  Mutex mutex;
  ConditionVariable changed{mutex};
  int letters = 0;
};
Task<Result<void>> fetch_letter(World& world, Mailbox& box) {
  const Inside inside(world);
  Result<MutexLock> lock = co_await box.mutex.lock();
  if (!lock) co_return lock.error();
  while (box.letters == 0) {
    const Result<void> notified = co_await box.changed.wait(*lock);
    world.expect(box.mutex.is_locked(), "back from wait() without the mutex");
    if (!notified) co_return notified;
  }
  --box.letters;
  co_return Result<void>{};
}
Task<Result<void>> bring_letters(World& world, Mailbox& box) {
  const Inside inside(world);
  for (int i = 0; i < 3; ++i) {
    const Result<void> slept = co_await sleep(1s);
    if (!slept) co_return slept;
    Result<MutexLock> lock = co_await box.mutex.lock();
    if (!lock) co_return lock.error();
    ++box.letters;
    box.changed.notify();
    // Whoever is notified has to wait for the mutex.
    const Result<void> held = co_await yield();
    if (!held) co_return held;
  }
  co_return Result<void>{};
}
Task<Result<void>> condition_variable(World& world) {
  const Inside inside(world);
  Mailbox box;
  TaskGroup group;
  for (int i = 0; i < 3; ++i) group.spawn(fetch_letter, world, box);
  group.spawn(bring_letters, world, box);
  const Result<void> joined = co_await group.join();
  world.expect(!box.mutex.is_locked(), "the mutex is left locked");
  world.expect(box.changed.count_waiters() == 0, "a waiter is left");
  co_return joined;
}

Task<Result<void>> meet(World& world, Barrier& barrier, Duration delay) {
  const Inside inside(world);
  for (int round = 0; round < 2; ++round) {
    const Result<void> slept = co_await sleep(delay);
    if (!slept) co_return slept;
    const Result<std::uint32_t> place = co_await barrier.wait();
    if (!place) co_return place.error();
  }
  co_return Result<void>{};
}
Task<Result<void>> barrier_of_three(World& world) {
  const Inside inside(world);
  Barrier barrier(3);
  TaskGroup group;
  for (int i = 1; i <= 3; ++i) group.spawn(meet, world, barrier, i * 1s);
  const Result<void> joined = co_await group.join();
  world.expect(barrier.arrived() == 0 && !barrier.is_broken(), "somebody counts as arrived");
  co_return joined;
}

Task<Result<void>> wait_and_arrive(World& world, Event& event, Latch& latch) {
  const Inside inside(world);
  const Result<void> set = co_await event.wait();
  if (!set) co_return set;
  co_return co_await latch.arrive_and_wait();
}
Task<Result<void>> event_and_latch(World& world) {
  const Inside inside(world);
  Event event;
  Latch latch(3);
  TaskGroup group;
  for (int i = 0; i < 3; ++i) group.spawn(wait_and_arrive, world, event, latch);
  const Result<void> slept = co_await sleep(1s);
  event.set();
  event.clear();
  const Result<void> joined = co_await group.join();
  co_return slept ? joined : slept;
}

Task<Result<void>> need(World& world, OnceCell<int>& cell) {
  const Inside inside(world);
  const Result<int*> value = co_await cell.get_or_init(value_after, std::ref(world), Duration(1s), 5);
  if (!value) co_return value.error();
  world.expect(**value == 5, "another value than was made");
  co_return Result<void>{};
}
Task<Result<void>> once(World& world) {
  const Inside inside(world);
  OnceCell<int> cell;
  TaskGroup group;
  for (int i = 0; i < 3; ++i) group.spawn(need, world, cell);
  co_return co_await group.join();
}

// --- Channels -------------------------------------------------------------------------------------------------------

Task<Result<void>> send_items(World& world, Channel<Item>& channel) {
  const Inside inside(world);
  Result<void> sent;
  for (int i = 0; i < 5 && sent; ++i) {
    Item item(world, i);
    sent = co_await channel.send(std::move(item));
    if (sent) world.sent.push_back(i);
    world.expect(static_cast<bool>(item) == !sent, "an item is lost or doubled by a send");
  }
  channel.close();
  co_return sent;
}
Task<Result<void>> receive_items(World& world, Channel<Item>& channel) {
  const Inside inside(world);
  for (;;) {
    Result<Item> item = co_await channel.receive();
    if (!item && item.error() == Errc::closed) co_return Result<void>{};
    if (!item) co_return item.error();
    world.received.push_back(item->number());
    const Result<void> slept = co_await sleep(1s);
    if (!slept) co_return slept;
  }
}
Task<Result<void>> through(World& world, std::size_t capacity) {
  const Inside inside(world);
  Channel<Item> channel(capacity);
  TaskGroup group;
  group.spawn(receive_items, world, channel);
  group.spawn(send_items, world, channel);
  const Result<void> joined = co_await group.join();
  // What was sent and not received is still in the channel: nothing is lost.
  world.expect(world.sent.size() == world.received.size() + channel.size(), "an item is lost");
  co_return joined;
}
Task<Result<void>> buffered_channel(World& world) { return through(world, 2); }
Task<Result<void>> rendezvous_channel(World& world) { return through(world, 0); }
void items_in_order(const World& world, bool undisturbed) {
  EXPECT_EQ(world.sent, first_numbers(world.sent.size()));
  EXPECT_EQ(world.received, first_numbers(world.received.size()));
  if (undisturbed) {
    EXPECT_EQ(world.received.size(), 5U);
  }
}

Task<Result<void>> send_reserved(World& world, Channel<Item>& channel) {
  const Inside inside(world);
  for (int i = 0; i < 3; ++i) {
    Result<Channel<Item>::Permit> permit = co_await channel.reserve();
    if (!permit) co_return permit.error();
    const Result<void> slept = co_await sleep(1s);
    if (!slept) co_return slept;
    const Result<void> sent = permit->send(Item(world, i));
    if (!sent) co_return sent;
    world.sent.push_back(i);
  }
  co_return Result<void>{};
}
Task<Result<void>> reserve_and_commit(World& world) {
  const Inside inside(world);
  Channel<Item> channel(1);
  TaskGroup group;
  group.spawn(send_reserved, world, channel);
  for (int i = 0; i < 3; ++i) {
    Result<Item> item = co_await channel.receive();
    if (!item) break;
    world.received.push_back(item->number());
  }
  const Result<void> joined = co_await group.join();
  world.expect(world.sent.size() == world.received.size() + channel.size(), "an item is lost");
  if (!joined) co_return joined;
  co_return co_await checkpoint();
}

Task<Result<void>> answer(World& world, Promise<int> promise) {
  const Inside inside(world);
  const Result<void> slept = co_await sleep(1s);
  if (!slept) co_return slept;
  static_cast<void>(promise.send(4));
  co_return Result<void>{};
}
Task<Result<void>> watch_three(World& world, Watch<int>& watch, Broadcast<int>& news) {
  const Inside inside(world);
  Watch<int>::Receiver watcher = watch.subscribe();
  Broadcast<int>::Receiver listener = news.subscribe();
  for (int i = 1; i <= 3; ++i) {
    const Result<void> changed = co_await watcher.changed();
    if (!changed) co_return changed;
    const Result<int> heard = co_await listener.receive();
    if (!heard) co_return heard.error();
    world.expect(*heard == i && watcher.get() == i, "a change is lost");
  }
  co_return Result<void>{};
}
Task<Result<void>> oneshot_watch_broadcast(World& world) {
  const Inside inside(world);
  Watch<int> watch(0);
  Broadcast<int> news(4);
  Oneshot<int> oneshot;
  TaskGroup group;
  group.spawn(watch_three, world, watch, news);
  group.spawn(answer, world, oneshot.promise());
  const Result<int> answered = co_await oneshot.receive();
  Result<void> slept = answered ? Result<void>() : answered.error();
  for (int i = 1; i <= 3 && slept; ++i) {
    watch.set(i);
    news.send(i);
    slept = co_await sleep(1s);
  }
  if (!slept) group.cancel();
  const Result<void> joined = co_await group.join();
  // A promise that died unused reports `broken`; then somebody was cancelled, and says so here or is ours to ignore.
  if (!joined) co_return joined;
  co_return co_await checkpoint();
}

// --- Generators, intervals ------------------------------------------------------------------------------------------

AsyncGenerator<Item> items(World& world) {
  const Inside inside(world);
  ++world.begun;
  for (int i = 0; i < 10; ++i) {
    const Result<void> slept = co_await sleep(1s);
    if (!slept) break;
    const Result<void> wanted = co_yield Item(world, i);
    if (!wanted) break;
  }
  const Result<void> cleaned = co_await shield(nap(world, 1s));
  world.expect(cleaned.has_value(), "a shielded sleep is cancelled");
  ++world.done;
}
Task<Result<void>> generator_with_close(World& world) {
  const Inside inside(world);
  AsyncGenerator<Item> generator = items(world);
  for (int i = 0; i < 3; ++i) {
    const std::optional<Item> item = co_await generator.next();
    if (!item) break;
    world.received.push_back(item->number());
    const Result<void> slept = co_await yield();
    if (!slept) break;
  }
  co_await generator.close();
  world.expect(generator.has_ended(), "a closed generator has not ended");
  co_return co_await checkpoint();
}
void generator_is_finished(const World& world, bool undisturbed) {
  EXPECT_EQ(world.begun, 1);
  EXPECT_EQ(world.done, 1);
  if (undisturbed) {
    EXPECT_EQ(world.received, first_numbers(3));
  }
}

Task<Result<void>> three_ticks(World& world) {
  const Inside inside(world);
  Interval interval(1s, MissedTicks::skip);
  for (int i = 0; i < 3; ++i) {
    const Result<Instant> tick = co_await interval.tick();
    if (!tick) co_return tick.error();
    const Result<void> worked = co_await sleep(i * 700ms);
    if (!worked) co_return worked;
  }
  co_return Result<void>{};
}

// --------------------------------------------------------------------------------------------------------------------

const Scenario scenarios[] = {
    {"SleepChain", sleep_chain},
    {"NestedGroups", nested_groups},
    {"TimeoutAroundGroup", timeout_around_group},
    {"TimeoutThatExpires", timeout_that_expires},
    {"DrainedGroup", drained_group},
    {"Shield", shielded_cleanup, cleanup_is_finished},
    {"WhenAny", race_of_three},
    {"FirstSuccess", staggered_tries},
    {"Gather", gather_four},
    {"AsCompleted", as_they_complete},
    {"StartReadiness", start_a_server},
    {"Mutex", mutex_hand_over},
    {"Semaphore", semaphore_of_three},
    {"RwLock", readers_and_writers},
    {"ConditionVariable", condition_variable},
    {"Barrier", barrier_of_three},
    {"EventAndLatch", event_and_latch},
    {"OnceCell", once},
    {"Channel", buffered_channel, items_in_order},
    {"Rendezvous", rendezvous_channel, items_in_order},
    {"ReserveAndCommit", reserve_and_commit, nullptr},
    {"OneshotWatchBroadcast", oneshot_watch_broadcast},
    {"Generator", generator_with_close, generator_is_finished},
    {"Interval", three_ticks},
};

class CancelAtEverySuspensionTest : public ::testing::TestWithParam<Scenario> {};

TEST_P(CancelAtEverySuspensionTest, LeavesNothingBehind) {
  const std::size_t suspensions = gyre::testing::cancel_at_every_suspension(GetParam());
  RecordProperty("suspensions", std::to_string(suspensions));
  EXPECT_GE(suspensions, 4U) << "not much of a scenario";
}

// The oracles see what they are there for.
TEST(CancelAtEverySuspensionOracleTest, CountsFramesAndBlocks) {
  if (!debug_checks) GTEST_SKIP() << "frames are counted in builds with debug checks";
  gyre::testing::warm_frame_pool();
  World world;
  const std::int64_t frames = gyre::test::live_frames();
  {
    Task<Result<void>> task = nap(world, 1s);
    EXPECT_EQ(gyre::test::live_frames(), frames + 1);
    task.forget();
  }
  EXPECT_EQ(gyre::test::live_frames(), frames);
  if (sanitized) return;
  const std::int64_t blocks = gyre::test::live_allocations();
  {
    const Channel<int> channel(100);
    EXPECT_EQ(gyre::test::live_allocations(), blocks + 1);
  }
  EXPECT_EQ(gyre::test::live_allocations(), blocks);
}

INSTANTIATE_TEST_SUITE_P(All, CancelAtEverySuspensionTest, ::testing::ValuesIn(scenarios),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

}  // namespace
