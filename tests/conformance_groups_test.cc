// Conformance (docs/CONFORMANCE.md), task groups: who may spawn, who ends, and what is kept.
#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

using Log = std::vector<std::string>;

class TaskGroupTest : public gyre::testing::TaskFixture {};
using TaskGroupDeathTest = TaskGroupTest;

std::string said(const Result<void>& result) {
  if (result) return "done";
  return result.error().is_timed_out() ? "timed out" : result.error().is_cancelled() ? "cancelled" : "failed";
}

Task<Result<void>> nap(Duration delay) { co_return co_await sleep(delay); }

Task<void> nap_and_log(std::string name, Log& log) {
  const Result<void> slept = co_await sleep(1h);
  log.push_back(name + " " + said(slept));
}

Task<Result<void>> fail_after(Duration delay, Errc code) {
  static_cast<void>(co_await sleep(delay));
  co_return code;
}

Task<Result<void>> throw_when_cancelled() {
  static_cast<void>(co_await sleep(1h));
  throw std::runtime_error("in clean-up");
}

Task<void> fail_in_three_ways(std::vector<Errc>& errors, int& exceptions, std::string& rethrown) {
  TaskGroup group;
  group.spawn(throw_when_cancelled);
  group.spawn(fail_after, Duration(2h), Errc::closed);  // cancelled, and fails in its clean-up too
  group.spawn(fail_after, Duration(1s), Errc::broken);
  const Result<void> joined = co_await group.join();
  if (!joined && joined.error() == Errc::broken) errors.push_back(Errc::broken);
  for (const TaskFailure& failure : group.failures()) {
    if (failure.exception != nullptr) {
      ++exceptions;
    } else {
      errors.push_back(static_cast<Errc>(failure.error.code()));
    }
  }
  try {
    group.rethrow_exception();
  } catch (const std::runtime_error& error) {
    rethrown = error.what();
  }
}

// C-120: an exception can be rethrown, and hides no error that came before or after it.
TEST_F(TaskGroupTest, AnExceptionHidesNoOtherFailure) {
  std::vector<Errc> errors;
  int exceptions = 0;
  std::string rethrown;
  spawn(fail_in_three_ways, std::ref(errors), std::ref(exceptions), std::ref(rethrown));
  run();
  EXPECT_EQ(errors, (std::vector<Errc>{Errc::broken, Errc::broken, Errc::closed}));
  EXPECT_EQ(exceptions, 1);
  EXPECT_EQ(rethrown, "in clean-up");
}

Task<void> spawn_after_join() {
  TaskGroup group;
  static_cast<void>(co_await group.join());
  group.spawn(nap, Duration(1s));
}

// C-121
TEST_F(TaskGroupDeathTest, SpawningInAJoinedGroupAborts) {
  EXPECT_DEATH(
      {
        spawn(spawn_after_join);
        run();
      },
      "in a group that has been joined");
}

Task<void> hold(std::shared_ptr<int> token, int& runs) {
  ++runs;
  static_cast<void>(co_await sleep(1h));
  static_cast<void>(token);
}

Task<Result<void>> spawn_while_ending(TaskGroup& group, std::shared_ptr<int> token, int& runs, Log& log) {
  const Result<void> slept = co_await sleep(1h);
  const auto late = group.spawn(hold, std::move(token), std::ref(runs));
  log.push_back(late.was_refused() ? "refused" : "taken");
  co_return slept;
}

Task<void> group_that_fails(std::shared_ptr<int> token, int& runs, Log& log) {
  TaskGroup group;
  group.spawn(spawn_while_ending, group, token, runs, log);
  group.spawn(fail_after, Duration(1s), Errc::broken);
  const Result<void> joined = co_await group.join();
  log.push_back(joined ? "joined" : "failed");
}

// C-121: while the group ends a child is refused, and what was moved into it is freed.
TEST_F(TaskGroupTest, EndingGroupRefusesChildrenAndFreesThem) {
  auto token = std::make_shared<int>(0);
  int runs = 0;
  Log log;
  spawn(group_that_fails, token, std::ref(runs), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"refused", "failed"}));
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(token.use_count(), 1);
}

// C-122: a group is its block, like any scope.
TEST_F(TaskGroupTest, IsBoundToItsBlock) {
  EXPECT_FALSE(std::is_copy_constructible_v<TaskGroup>);
  EXPECT_FALSE(std::is_move_constructible_v<TaskGroup>);
}

Task<void> join_foreign(TaskGroup& group) { static_cast<void>(co_await group.join()); }
Task<void> lend_group() {
  TaskGroup group;
  group.spawn(nap, Duration(1h));
  TaskGroup helpers;
  helpers.spawn(join_foreign, group);
  static_cast<void>(co_await helpers.join());
  static_cast<void>(co_await group.join());
}
Task<void> leave_without_join() {
  TaskGroup group;
  group.spawn(nap, Duration(1h));
  co_return;
}

// C-122: it is joined by the task that made it, and by that one always.
TEST_F(TaskGroupDeathTest, NeedsATaskThatJoinsIt) {
  EXPECT_DEATH(TaskGroup(), "made outside a task");
  EXPECT_DEATH(
      {
        spawn(lend_group);
        run();
      },
      "joined by another task than made it");
  EXPECT_DEATH(
      {
        spawn(leave_without_join);
        run();
      },
      "ends while its children live");
}

// Two heads for each one that is cut off.
Task<Result<void>> hydra(TaskGroup& group, int& heads) {
  ++heads;
  const Result<void> slept = co_await sleep(1h);
  group.spawn(hydra, group, heads);
  group.spawn(hydra, group, heads);
  co_return slept;
}

Task<void> fight_hydra(int& heads, Result<void>& joined) {
  TaskGroup group;
  for (int i = 0; i < 5; ++i) group.spawn(hydra, group, heads);
  group.spawn(fail_after, Duration(1s), Errc::broken);
  joined = co_await group.join();
}

// C-123
TEST_F(TaskGroupTest, ChildrenThatKeepSpawningEndWithTheGroup) {
  int heads = 0;
  Result<void> joined;
  spawn(fight_hydra, std::ref(heads), std::ref(joined));
  run();
  EXPECT_EQ(heads, 5);
  EXPECT_EQ(joined.error(), Errc::broken);
  EXPECT_EQ(elapsed(), 1s);
  EXPECT_EQ(scheduler().tasks(), 0U);
}

Task<void> hold_for(Duration delay, std::shared_ptr<int> token) {
  static_cast<void>(co_await sleep(delay));
  static_cast<void>(token);
}

Task<void> long_lived_group(std::weak_ptr<int>& first, std::size_t& size, Log& log) {
  TaskGroup group;
  {
    auto token = std::make_shared<int>(0);
    first = token;
    group.spawn(hold_for, Duration(1s), std::move(token));
  }
  group.spawn(nap_and_log, "second", log);
  static_cast<void>(co_await sleep(2s));
  log.push_back(first.expired() ? "the first child is gone" : "the first child is still there");
  size = group.size();
  group.cancel();
  static_cast<void>(co_await group.join());
}

// C-124: a child that has ended is gone while its group goes on.
TEST_F(TaskGroupTest, HoldsOnToNoFinishedChild) {
  std::weak_ptr<int> first;
  std::size_t size = 0;
  Log log;
  spawn(long_lived_group, std::ref(first), std::ref(size), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"the first child is gone", "second cancelled"}));
  EXPECT_EQ(size, 1U);
}

struct Carrier {
  std::shared_ptr<int> token;
};
Task<void> throw_carrier(std::shared_ptr<int> token) {
  static_cast<void>(co_await yield());
  throw Carrier{std::move(token)};
}
Task<void> fail_with_carrier(std::shared_ptr<int> token) {
  TaskGroup group;
  group.spawn(throw_carrier, std::move(token));
  static_cast<void>(co_await group.join());
}

// C-124: nor to its errors, once the group is gone.
TEST_F(TaskGroupTest, ErrorsEndWithTheGroup) {
  auto token = std::make_shared<int>(0);
  spawn(fail_with_carrier, token);
  run();
  EXPECT_EQ(token.use_count(), 1);
}

Task<Result<void>> fail_at_once() { co_return Errc::broken; }

Task<void> spawn_failing_child(TaskGroup& group, const SpawnOptions& options, Log& log) {
  group.spawn(options, fail_at_once);
  const Result<void> first_wait = co_await sleep(1h);
  log.push_back("spawner " + said(first_wait));
}

Task<void> group_of_spawners(const SpawnOptions& parent, const SpawnOptions& child, Log& log) {
  TaskGroup group;
  group.spawn(parent, spawn_failing_child, group, child, log);
  const Result<void> joined = co_await group.join();
  log.push_back("group " + said(joined));
}
Task<void> spawners_and_after(const SpawnOptions& parent, const SpawnOptions& child, Log& log) {
  co_await group_of_spawners(parent, child, log);
  const Result<void> after = co_await yield();
  log.push_back("after " + said(after));
}

// C-125: whether parent and child start eagerly or not, the parent hears of it at its first wait, and nobody outside does.
TEST_F(TaskGroupTest, ChildThatSpawnsAFailingOneBeforeItWaitsIsCancelled) {
  const SpawnOptions choices[] = {{.start = Start::queued}, {.start = Start::eager}};
  for (const SpawnOptions& parent : choices) {
    for (const SpawnOptions& child : choices) {
      Log log;
      spawn(spawners_and_after, std::cref(parent), std::cref(child), std::ref(log));
      run();
      EXPECT_EQ(log, (Log{"spawner cancelled", "group failed", "after done"}));
      EXPECT_EQ(elapsed(), 0s);
    }
  }
}

// --- cancel() --------------------------------------------------------------------------------------------------------

Task<void> cancel_twice(Log& log) {
  TaskGroup group;
  group.spawn(nap_and_log, "child", log);
  static_cast<void>(co_await yield());
  group.cancel();
  group.cancel();
  const Result<void> body = co_await yield();
  log.push_back("body " + said(body));
  group.cancel();
  const Result<void> joined = co_await group.join();
  group.cancel();
  log.push_back("joined " + said(joined));
  const Result<void> after = co_await yield();
  log.push_back("after " + said(after));
}

// C-126: idempotent, also after the end; the group's own cancel is no failure of its join.
TEST_F(TaskGroupTest, CancelIsIdempotentAndEndsWithTheGroup) {
  Log log;
  spawn(cancel_twice, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"child cancelled", "body cancelled", "joined done", "after done"}));
}

Task<void> cancel_early(int& runs, Log& log) {
  TaskGroup group;
  group.cancel();
  const auto child = group.spawn(hold, std::make_shared<int>(0), runs);
  log.push_back(child.was_refused() ? "refused" : "taken");
  const Result<void> joined = co_await group.join();
  log.push_back("joined " + said(joined));
}

// C-126: before there are children.
TEST_F(TaskGroupTest, CancelBeforeTheFirstChild) {
  int runs = 0;
  Log log;
  spawn(cancel_early, std::ref(runs), std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"refused", "joined done"}));
  EXPECT_EQ(runs, 0);
}

Task<void> cancel_from_inside(TaskGroup& group, Log& log) {
  group.cancel();
  const Result<void> next = co_await yield();
  log.push_back("canceller " + said(next));
}

Task<void> cancelled_by_child(const SpawnOptions& options, Log& log) {
  TaskGroup group;
  group.spawn(nap_and_log, "sibling", log);
  static_cast<void>(co_await yield());
  group.spawn(options, cancel_from_inside, group, log);
  const Result<void> joined = co_await group.join();
  log.push_back("joined " + said(joined));
}

// C-126: by a child, which may be eager and cancel the group inside spawn().
TEST_F(TaskGroupTest, ChildMayCancelItsGroup) {
  for (const Start start : {Start::queued, Start::eager}) {
    const SpawnOptions options{.start = start};
    Log log;
    spawn(cancelled_by_child, std::cref(options), std::ref(log));
    run();
    std::sort(log.begin(), log.end());
    EXPECT_EQ(log, (Log{"canceller cancelled", "joined done", "sibling cancelled"}));
    EXPECT_EQ(elapsed(), 0s);
  }
}

Task<void> slow_to_end() {
  static_cast<void>(co_await sleep(1h));
  static_cast<void>(co_await shield(nap(5s)));
}

Task<Result<void>> cancel_and_join_slowly() {
  TaskGroup group;
  group.spawn(slow_to_end);
  static_cast<void>(co_await yield());
  group.cancel();
  co_return co_await group.join();
}

Task<void> cancel_inside_timeout(Log& log) {
  {
    const CancelScope scope(CancelScope::within(2s));
    const Result<void> joined = co_await cancel_and_join_slowly();
    log.push_back("joined " + said(joined));
    const Result<void> late = co_await yield();
    log.push_back("inside " + said(late));
    log.push_back(scope.timed_out() ? "expired" : "not expired");
  }
  const Result<void> after = co_await yield();
  log.push_back("after " + said(after));
}

// C-126: the deadline around the group strikes while the cancelled group still waits for its children: it is reported.
TEST_F(TaskGroupTest, TimeoutAroundACancelledGroupIsReported) {
  Log log;
  spawn(cancel_inside_timeout, std::ref(log));
  run();
  EXPECT_EQ(log, (Log{"joined done", "inside timed out", "expired", "after done"}));
  EXPECT_EQ(elapsed(), 5s);
}

}  // namespace
