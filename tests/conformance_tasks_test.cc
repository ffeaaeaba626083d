// Conformance (docs/CONFORMANCE.md), tasks: results, names, eager starts, and what they leave behind.
#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/event.h>
#include <gyre/task/oneshot.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_local.h>
#include <gyre/task/timeout.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

using Log = std::vector<std::string>;

class TaskTest : public gyre::testing::TaskFixture {};
using TaskDeathTest = TaskTest;
class EagerTaskTest : public gyre::testing::TaskFixture {};

Task<Result<void>> nap(Duration delay) { co_return co_await sleep(delay); }

Task<int> value_after(Duration delay, int value) {
  static_cast<void>(co_await sleep(delay));
  co_return value;
}

// --- Results ---------------------------------------------------------------------------------------------------------

// C-046: a promise is used up by its first word, whatever that was.
TEST_F(TaskTest, PromiseTellsOnce) {
  Oneshot<int> sent;
  Promise<int> promise = sent.promise();
  EXPECT_TRUE(promise.send(1));
  EXPECT_FALSE(promise.is_wanted());
  const Result<void> again = promise.send(2);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), Errc::broken);
}

// C-047: there is no result before the end.
TEST_F(TaskDeathTest, TakingTheResultBeforeTheEndAborts) {
  auto handle = spawn(value_after, Duration(1s), 1);
  run_until_idle();
  EXPECT_FALSE(handle.is_finished());
  EXPECT_DEATH(static_cast<void>(handle.take()), "take\\(\\) before the task has finished");
  run();
  EXPECT_EQ(*handle.take(), 1);
}

Task<void> join_into(JoinHandle<Result<void>>& handle, Result<void>& out) { out = co_await handle; }

// C-047, C-065: the result of a cancelled task is its cancel, with the operation that it ended; a deadline is another
// reason.
TEST_F(TaskTest, JoinerSeesWhyTheTaskEnded) {
  auto cancelled = spawn(nap, Duration(1h));
  Result<void> out;
  spawn(join_into, std::ref(cancelled), std::ref(out));
  run_until_idle();
  cancelled.cancel();
  run_until_idle();
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error(), Error::cancelled());
  EXPECT_EQ(out.error().operation(), OperationKind::sleep);

  auto late = spawn([] { return with_timeout(1s, nap(1h)); });
  late.want_result();
  spawn(join_into, std::ref(late), std::ref(out));
  run();
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error(), Error::timed_out());
}

struct Identified : std::exception {
  explicit Identified(const void* identity) : origin(identity) {}
  const void* origin;
};

Task<void> throw_identified(Identified*& thrown) {
  static_cast<void>(co_await yield());
  try {
    throw Identified(&thrown);
  } catch (Identified& error) {
    thrown = &error;
    throw;
  }
}
Task<void> pass_on(Identified*& thrown) { co_await throw_identified(thrown); }
Task<void> join_throwing(JoinHandle<void>& handle, const void*& caught) {
  try {
    const Result<void> joined = co_await handle;
    static_cast<void>(joined);
  } catch (const Identified& error) {
    caught = &error;
  }
}

// C-052: the very exception object arrives, through awaits and a join, so nothing of what it knows is lost.
TEST_F(TaskTest, ExceptionArrivesAsItWasThrown) {
  Identified* thrown = nullptr;
  const void* caught = nullptr;
  auto handle = spawn(pass_on, std::ref(thrown));
  handle.want_result();
  spawn(join_throwing, std::ref(handle), std::ref(caught));
  run();
  ASSERT_NE(thrown, nullptr);
  EXPECT_EQ(caught, thrown);
}

Task<Result<void>> fail_at(Place place) {
  static_cast<void>(co_await yield());
  co_return Error(Errc::broken, OperationKind::connect).at(place);
}
Task<Result<void>> pass_error(Place place) {
  const Result<void> result = co_await fail_at(place);
  co_return result;
}

// C-052: an error keeps what was attempted, and on what.
TEST_F(TaskTest, ErrorKeepsItsOperationAndPlace) {
  auto handle = spawn(pass_error, Place::text("/run/app.sock"));
  handle.want_result();
  run();
  const Result<void> result = handle.take();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().operation(), OperationKind::connect);
  EXPECT_EQ(result.error().place(), Place::text("/run/app.sock"));
}

// --- Waiters ---------------------------------------------------------------------------------------------------------

Task<void> wait_again(Event& event, JoinHandle<void>& other, Log& log) {
  Result<void> woken = co_await event.wait();
  log.push_back(woken ? "first woken" : "first cancelled");
  other.cancel();
  event.clear();
  woken = co_await event.wait();
  log.push_back(woken ? "first woken again" : "first cancelled");
}
Task<void> wait_once(Event& event, Log& log) {
  const Result<void> woken = co_await event.wait();
  log.push_back(woken ? "second woken" : "second cancelled");
}

// C-049: who is woken may wait again, and cancel who was woken with it: all who waited have been decided.
TEST_F(TaskTest, WaitersMayComeAndGoWhileOthersAreWoken) {
  Event event;
  Log log;
  JoinHandle<void> second;
  spawn(wait_again, std::ref(event), std::ref(second), std::ref(log));
  second = spawn(wait_once, std::ref(event), std::ref(log));
  run_until_idle();
  event.set();
  run_until_idle();
  EXPECT_EQ(log, (Log{"first woken", "second woken"}));
  event.set();
  run_until_idle();
  EXPECT_EQ(log.back(), "first woken again");
}

// --- Spawning --------------------------------------------------------------------------------------------------------

template <typename... Arguments>
concept can_spawn = requires(TaskGroup& group, Arguments... arguments) { group.spawn(arguments...); };
int plain_function(int value) { return value; }

// C-053: what is no coroutine does not compile (a callable that returns none fails a static assertion).
TEST_F(TaskTest, OnlyTasksAndTheirMakersAreSpawned) {
  EXPECT_TRUE((can_spawn<decltype(&nap), Duration>));
  EXPECT_FALSE((can_spawn<int>));
  EXPECT_FALSE((can_spawn<const char*>));
  EXPECT_FALSE((can_spawn<decltype(&nap)>)) << "an argument is missing";
  EXPECT_FALSE((can_spawn<decltype(&nap), std::string>));
  EXPECT_EQ(plain_function(1), 1);
}

Task<void> hold(std::shared_ptr<int> token, int& runs) {
  ++runs;
  static_cast<void>(co_await yield());
  static_cast<void>(token);
}

Task<void> spawn_in_cancelled_group(std::shared_ptr<int> token, int& runs, Log& log) {
  TaskGroup group;
  group.cancel();
  const auto refused = group.spawn(hold, token, std::ref(runs));
  const auto refused_task = group.spawn(hold(token, runs));
  if (refused.was_refused() && refused_task.was_refused()) log.push_back("refused");
  if (group.size() == 0) log.push_back("no child");
  static_cast<void>(co_await group.join());
}

// C-053, C-121: a group that ends takes no child; the task is freed, with what was moved into it, and never runs.
TEST_F(TaskTest, RefusedTaskIsFreed) {
  auto token = std::make_shared<int>(0);
  int runs = 0;
  Log log;
  spawn(spawn_in_cancelled_group, token, std::ref(runs), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"refused", "no child"}));
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(token.use_count(), 1);
}

Task<void> join_oneself(JoinHandle<void>& self) {
  const Result<void> joined = co_await self;
  static_cast<void>(joined);
}

// C-054
TEST_F(TaskDeathTest, WaitingForOneselfAborts) {
  EXPECT_DEATH(
      {
        JoinHandle<void> self;
        self = spawn(join_oneself, std::ref(self));
        run();
      },
      "a task waits for itself");
}

Task<void> log_name(Log& log) {
  log.emplace_back(current_task()->name());
  co_return;
}

// C-055: a name is given at spawn; without one a task has its number alone. It cannot be changed, nor can a task's
// result be set from outside.
TEST_F(TaskTest, NamesAreGivenAtSpawnAndNumbersAreUnique) {
  Log log;
  auto named = loop.scheduler.detached().spawn(SpawnOptions{.name = "worker"}, log_name, std::ref(log));
  auto first = spawn(log_name, std::ref(log));
  auto second = spawn(log_name, std::ref(log));
  EXPECT_NE(named.id(), first.id());
  EXPECT_NE(first.id(), second.id());
  run();
  EXPECT_EQ(log, (Log{"worker", "", ""}));
}

// C-075: the frame of a task that nobody holds goes with its last step; a handle keeps it to its own end, no longer.
TEST_F(TaskTest, FinishedTasksHoldNothing) {
  auto token = std::make_shared<int>(0);
  int runs = 0;
  spawn(hold, token, std::ref(runs));
  auto handle = spawn(hold, token, std::ref(runs));
  EXPECT_EQ(token.use_count(), 3);
  run();
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(token.use_count(), 2) << "the handle's";
  EXPECT_TRUE(handle.take());
  EXPECT_EQ(token.use_count(), 1);
  { const Task<void> never_started = hold(token, runs); }
  EXPECT_EQ(token.use_count(), 1);
}

// --- Eager start -----------------------------------------------------------------------------------------------------

constexpr SpawnOptions eager{.name = "eager", .start = Start::eager};
constinit TaskLocal<int> request;

Task<int> twice(int value, Log& log) {
  log.push_back("runs as " + std::string(current_task()->name()));
  co_return 2 * value;
}

Task<void> spawn_eager(Log& log) {
  TaskGroup group;
  auto handle = group.spawn(eager, twice, 21, log);
  log.push_back(handle.is_finished() ? "finished" : "not finished");
  log.push_back("back in " + std::string(current_task()->name()));
  handle.cancel();
  const Result<int> value = co_await handle;
  log.push_back(value ? std::to_string(*value) : "cancelled");
  static_cast<void>(co_await group.join());
}

// C-077, C-078: a task that does not wait ends inside spawn(), and a cancel afterwards changes nothing.
TEST_F(EagerTaskTest, EndsInsideSpawnIfItNeverWaits) {
  Log log;
  loop.scheduler.detached().spawn(SpawnOptions{.name = "parent"}, spawn_eager, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"runs as eager", "finished", "back in parent", "42"}));
}

// C-077: also from outside any task.
TEST_F(EagerTaskTest, StartsOutsideATask) {
  Log log;
  auto handle = loop.scheduler.detached().spawn(eager, twice, 4, std::ref(log));
  ASSERT_TRUE(handle.is_finished());
  EXPECT_EQ(*handle.take(), 8);
  EXPECT_EQ(current_task(), nullptr);
}

Task<int> wait_then_twice(Event& event, int value, Log& log) {
  log.push_back("begins");
  const Result<void> waited = co_await event.wait();
  log.push_back(waited ? "goes on" : "cancelled");
  co_return 2 * value;
}

Task<void> spawn_waiting(const SpawnOptions& options, bool cancel, Log& log) {
  Event event;
  TaskGroup group;
  auto handle = group.spawn(options, wait_then_twice, event, 3, log);
  log.push_back("spawned");
  if (cancel) handle.cancel();
  static_cast<void>(co_await yield());
  event.set();
  const Result<int> value = co_await handle;
  log.push_back(std::to_string(*value));
  static_cast<void>(co_await group.join());
}

// C-078, C-080: one that waits goes on like any other, and can be cancelled where it waits; each spawn chooses.
TEST_F(EagerTaskTest, GoesOnLikeAnyOtherIfItWaits) {
  Log log;
  spawn(spawn_waiting, std::cref(eager), false, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"begins", "spawned", "goes on", "6"}));

  log.clear();
  spawn(spawn_waiting, std::cref(eager), true, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"begins", "spawned", "cancelled", "6"}));

  log.clear();
  const SpawnOptions queued;
  spawn(spawn_waiting, std::cref(queued), false, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"spawned", "begins", "goes on", "6"}));
}

std::string request_seen() {
  const int* const bound = request.get();
  return std::string(current_task()->name()) + " sees " + (bound != nullptr ? std::to_string(*bound) : "nothing");
}

Task<void> bind_and_wait(Log& log) {
  log.push_back(request_seen());
  const TaskLocalScope<int> own(request, 2);
  log.push_back(request_seen());
  static_cast<void>(co_await yield());
  log.push_back(request_seen());
}

Task<void> spawn_with_context(Log& log) {
  const TaskLocalScope<int> bound(request, 1);
  TaskGroup group;
  group.spawn(eager, bind_and_wait, log);
  log.push_back(request_seen());
  static_cast<void>(co_await group.join());
  log.push_back(request_seen());
}

// C-079: in the first step the child is the current task, with its own context; afterwards the parent is, with its own.
TEST_F(EagerTaskTest, CurrentTaskAndContextAreRestored) {
  Log log;
  loop.scheduler.detached().spawn(SpawnOptions{.name = "parent"}, spawn_with_context, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"eager sees 1", "eager sees 2", "parent sees 1", "eager sees 2", "parent sees 1"}));
}

Task<void> spawn_eager_chain(int depth, int& deepest) {
  deepest = depth;
  if (depth == 0) co_return;
  TaskGroup group;
  group.spawn(eager, spawn_eager_chain, depth - 1, deepest);
  static_cast<void>(co_await group.join());
}

// C-077: eager children of eager children run inside one another, but never so deep that the stack ends.
TEST_F(EagerTaskTest, NestsButNotWithoutEnd) {
  int deepest = -1;
  loop.scheduler.detached().spawn(eager, spawn_eager_chain, 50, std::ref(deepest));
  EXPECT_EQ(deepest, 0) << "it ran inside spawn()";
  loop.scheduler.detached().spawn(eager, spawn_eager_chain, 100'000, std::ref(deepest));
  EXPECT_GT(deepest, 0);
  run();
  EXPECT_EQ(deepest, 0);
}

}  // namespace
