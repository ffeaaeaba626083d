// What is easily mistaken about cancellation, groups and shutdown (docs/CONFORMANCE.md, part S), as far as no other test
// is about it.
#include <algorithm>
#include <array>
#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/io.h>
#include <gyre/reactor/run.h>
#include <gyre/task/generator.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>
#include <gyre/task/when_all.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"
#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using Log = std::vector<std::string>;

Task<Result<void>> nap(Duration delay) {
  const Result<void> slept = co_await sleep(delay);
  co_return slept;
}
Task<Result<void>> fail_after(Duration delay, Error error) {
  const Result<void> slept = co_await sleep(delay);
  if (!slept) co_return slept;
  co_return error;
}

// --- Delivery of a cancel -------------------------------------------------------------------------------------------

class CancelDeliveryTest : public gyre::testing::TaskFixture {};

Task<void> join_after_a_cancel_of_oneself(JoinHandle<Result<void>>& other, std::optional<Result<void>>& joined) {
  current_task()->cancel();
  joined = co_await other;
}
// S-04: who joins a task that is not his does not pass his cancel on to it.
TEST_F(CancelDeliveryTest, JoinAfterACancelOfOneselfLeavesTheOtherTaskAlone) {
  JoinHandle<Result<void>> other = spawn(nap, Duration(1s));
  std::optional<Result<void>> joined;
  spawn(join_after_a_cancel_of_oneself, other, joined);
  run();
  ASSERT_TRUE(joined.has_value());
  ASSERT_FALSE(*joined);
  EXPECT_TRUE(joined->error().is_cancelled());
  ASSERT_TRUE(other.is_finished());
  EXPECT_TRUE(other.take());
  EXPECT_EQ(elapsed(), 1s);
}

// A wait that ends when it pleases, as that for a system that still owns the buffer.
class StubbornWait {
 public:
  StubbornWait() = default;
  StubbornWait(const StubbornWait&) = delete;
  StubbornWait& operator=(const StubbornWait&) = delete;

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) noexcept {
    task_ = frame.promise().context;
    task_->wait_in(this, kind, frame.address());
  }
  int await_resume() const noexcept { return value_; }

  void complete(int value) noexcept {
    value_ = value;
    task_->end_wait();
  }
  int times_asked() const noexcept { return times_asked_; }

 private:
  static void ask(void* leaf, TaskContext&) noexcept { ++static_cast<StubbornWait*>(leaf)->times_asked_; }
  static constexpr WaitKind kind{"something stubborn", ask};

  TaskContext* task_ = nullptr;
  int value_ = 0;
  int times_asked_ = 0;
};

struct Waited {
  CancelScope* scope = nullptr;
  int value = 0;
  bool told_afterwards = false;
};
Task<void> wait_stubbornly(StubbornWait& wait, Waited& waited) {
  CancelScope scope;
  waited.scope = &scope;
  waited.value = co_await wait;
  const Result<void> turn = co_await yield();
  waited.told_afterwards = !turn;
}
// S-11: asked once, whoever cancels; "later" is an answer, and then the operation's own end resumes the task.
TEST_F(CancelDeliveryTest, WaitIsAskedOnceAndMayEndLater) {
  StubbornWait wait;
  Waited waited;
  JoinHandle<void> task = spawn(wait_stubbornly, wait, waited);
  run_until_idle();
  EXPECT_EQ(wait.times_asked(), 0);
  waited.scope->cancel();
  waited.scope->cancel(CancelReason::deadline);
  task.cancel();
  run();
  EXPECT_EQ(wait.times_asked(), 1);
  EXPECT_FALSE(task.is_finished()) << "resumed while the operation is in flight";
  wait.complete(7);
  EXPECT_EQ(waited.value, 0) << "resumed inside a call";
  run();
  EXPECT_EQ(waited.value, 7);
  EXPECT_TRUE(waited.told_afterwards);
}

class WatchCancelTest : public gyre::test::NetTaskFixture {};

Task<Result<bool>> cancel_a_watch_and_use_the_number_again() {
  gyre::test::Pair first = gyre::test::unix_pair();
  const std::array<int, 2> numbers{gyre::test::raw(first.near), gyre::test::raw(first.far)};
  for (const int number : numbers) {
    const Result<void> cancelled = co_await with_timeout(1ms, wait_readable(number));
    if (cancelled) co_return false;
  }
  first = {};
  const auto is_used_again = [&numbers](const gyre::test::Pair& pair) {
    return std::find(numbers.begin(), numbers.end(), gyre::test::raw(pair.near)) != numbers.end() ||
           std::find(numbers.begin(), numbers.end(), gyre::test::raw(pair.far)) != numbers.end();
  };
  // POSIX systems give out the smallest free number; others make no promise, and a pair may take more of them.
  std::vector<gyre::test::Pair> others;
  gyre::test::Pair second = gyre::test::unix_pair();
  while (!is_used_again(second)) {
    if (others.size() == 64) co_return false;
    others.push_back(std::exchange(second, gyre::test::unix_pair()));
  }
  gyre::test::write_all(second.far, "x");
  gyre::test::write_all(second.near, "y");
  const Result<void> near_readable = co_await with_timeout(10s, wait_readable(second.near.get()));
  if (!near_readable) co_return near_readable.error();
  const Result<void> far_readable = co_await with_timeout(10s, wait_readable(second.far.get()));
  if (!far_readable) co_return far_readable.error();
  co_return true;
}
// S-12: when a cancelled wait returns, the poller has forgotten the descriptor.
TEST_P(WatchCancelTest, DescriptorMayBeClosedAndItsNumberUsedAgain) {
  const Result<bool> done = run(cancel_a_watch_and_use_the_number_again());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_TRUE(*done);
}
GYRE_INSTANTIATE_FOR_EVERY_POLLER(WatchCancelTest);

// --- Groups ---------------------------------------------------------------------------------------------------------

class StructuredTest : public gyre::testing::TaskFixture {};

struct Joined {
  std::optional<Result<void>> inner;
  std::optional<Result<void>> outer;
  std::size_t inner_failures = 0;
  std::size_t outer_failures = 0;
  bool cancelled_afterwards = true;
};
Task<void> fail_in_two_groups(Joined& joined) {
  TaskGroup outer;
  outer.spawn(fail_after, Duration(1s), Error(Errc::malformed));
  {
    TaskGroup inner;
    inner.spawn(fail_after, Duration(1s), Error(Errc::broken));
    joined.inner = co_await inner.join();
    joined.inner_failures = inner.failures().size();
  }
  joined.outer = co_await outer.join();
  joined.outer_failures = outer.failures().size();
  const Result<void> turn = co_await yield();
  joined.cancelled_afterwards = !turn;
}
// S-24: each group tells of its own, and nothing stays cancelled.
TEST_F(StructuredTest, NestedGroupsThatFailInOneTickTellOfTheirOwn) {
  Joined joined;
  spawn(fail_in_two_groups, joined);
  run();
  ASSERT_TRUE(joined.inner.has_value());
  ASSERT_FALSE(*joined.inner);
  EXPECT_EQ(joined.inner->error(), Errc::broken);
  EXPECT_EQ(joined.inner_failures, 1U);
  ASSERT_FALSE(*joined.outer);
  EXPECT_EQ(joined.outer->error(), Errc::malformed);
  EXPECT_EQ(joined.outer_failures, 1U);
  EXPECT_FALSE(joined.cancelled_afterwards);
}

Task<void> cancel_the_group(TaskGroup& group) {
  group.cancel();
  static_cast<void>(co_await sleep(1h));
}
Task<Result<void>> fail_at_once() { co_return Errc::broken; }
Task<void> spawn_eagerly(bool fails, Log& log) {
  {
    TaskGroup group;
    if (fails) {
      group.spawn(SpawnOptions{.start = Start::eager}, fail_at_once);
    } else {
      group.spawn(SpawnOptions{.start = Start::eager}, cancel_the_group, group);
    }
    const Result<void> inside = co_await yield();
    log.push_back(inside ? "body goes on" : "body is cancelled");
    const Result<void> joined = co_await group.join();
    log.push_back(joined ? "joined" : joined.error() == Errc::broken ? "child's error" : "cancelled");
  }
  const Result<void> outside = co_await yield();
  log.push_back(outside ? "free" : "still cancelled");
}
// S-31: a child that runs inside spawn() may cancel the group, or fail, before it first waits.
TEST_F(StructuredTest, EagerChildThatCancelsItsGroupDoesNotHangIt) {
  Log log;
  spawn(spawn_eagerly, false, log);
  run();
  EXPECT_EQ(log, (Log{"body is cancelled", "joined", "free"}));
  EXPECT_EQ(elapsed(), 0s);
}
TEST_F(StructuredTest, EagerChildThatFailsCancelsTheGroupAndNothingOutside) {
  Log log;
  spawn(spawn_eagerly, true, log);
  run();
  EXPECT_EQ(log, (Log{"body is cancelled", "child's error", "free"}));
}

Task<void> spawn_inside_a_timeout(bool& child_slept, bool& timed_out) {
  TaskGroup group;
  JoinHandle<Result<void>> child;
  {
    CancelScope scope(CancelScope::within(1s));
    child = group.spawn(nap, Duration(3s));
    const Result<void> slept = co_await sleep(2s);
    timed_out = !slept;
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined);
  child_slept = child.take().has_value();
}
// S-32: the scopes of the group, not those of whoever spawns.
TEST_F(StructuredTest, TimeoutAroundSpawnDoesNotReachTheChild) {
  bool child_slept = false;
  bool timed_out = false;
  spawn(spawn_inside_a_timeout, child_slept, timed_out);
  run();
  EXPECT_TRUE(timed_out);
  EXPECT_TRUE(child_slept);
  EXPECT_EQ(elapsed(), 3s);
}

Task<void> sleep_and_count(std::reference_wrapper<int> slept) {
  const Result<void> done = co_await sleep(2s);
  if (done) ++slept.get();
}
Task<Result<void>> spawn_and_return(TaskGroup& group, std::reference_wrapper<int> slept) {
  group.spawn(sleep_and_count, slept);
  co_return Result<void>{};
}
Task<void> leave_the_body(int& slept) {
  const Result<void> joined = co_await with_group(spawn_and_return, std::ref(slept));
  EXPECT_TRUE(joined);
}
// S-33: to leave the body is not to cancel.
TEST_F(StructuredTest, ReturnFromTheBodyLeavesTheChildrenToFinish) {
  int slept = 0;
  spawn(leave_the_body, slept);
  run();
  EXPECT_EQ(slept, 1);
  EXPECT_EQ(elapsed(), 2s);
}

// --- A start that fails ---------------------------------------------------------------------------------------------

enum class Way { fails, ends, throws, takes_long };
Task<Result<void>> never_ready(Started<int>, Way way) {
  const Result<void> slept = co_await sleep(way == Way::takes_long ? 1h : 1s);
  if (!slept) co_return slept;
  if (way == Way::throws) throw std::runtime_error("not ready");
  if (way == Way::fails) co_return Errc::malformed;
  co_return Result<void>{};
}
Task<void> start_what_is_never_ready(Way way, bool cancelled_before, std::string& outcome) {
  TaskGroup group(OnFailure::keep_going);
  if (cancelled_before) group.cancel();
  try {
    const Result<int> started = co_await group.start<int>(never_ready, way);
    outcome = started ? "started" : started.error().is_cancelled() ? "cancelled" : "";
    if (!started && started.error() == Errc::broken) outcome = "broken";
    if (!started && started.error() == Errc::malformed) outcome = "malformed";
  } catch (const std::runtime_error& error) {
    outcome = error.what();
  }
  static_cast<void>(co_await group.join());
}
class TaskGroupStartTest : public gyre::testing::TaskFixture {
 protected:
  std::string outcome_of(Way way, bool cancelled_before = false) {
    std::string outcome = "waits for ever";
    spawn(start_what_is_never_ready, way, cancelled_before, outcome);
    run();
    return outcome;
  }
};
TEST_F(TaskGroupStartTest, EndsWithTheChildsErrorIfThatFailsFirst) {
  EXPECT_EQ(outcome_of(Way::fails), "malformed");
  EXPECT_EQ(outcome_of(Way::throws), "not ready");
  EXPECT_EQ(elapsed(), 2s);
}
TEST_F(TaskGroupStartTest, IsBrokenIfTheChildEndsWithoutAWord) { EXPECT_EQ(outcome_of(Way::ends), "broken"); }
TEST_F(TaskGroupStartTest, IsRefusedByACancelledGroup) {
  EXPECT_EQ(outcome_of(Way::takes_long, true), "cancelled");
  EXPECT_EQ(elapsed(), 0s);
}
TEST_F(TaskGroupStartTest, CancelOfTheCallerCancelsTheChildOnly) {
  std::string outcome = "waits for ever";
  JoinHandle<void> task = spawn(start_what_is_never_ready, Way::takes_long, false, outcome);
  run_for(1s);
  task.cancel();
  run();
  EXPECT_EQ(outcome, "cancelled");
  EXPECT_EQ(elapsed(), 1s);
}

Task<Result<int>> cancel_oneself() {
  current_task()->cancel();
  const Result<void> turn = co_await yield();
  if (!turn) co_return turn.error();
  co_return 1;
}
Task<void> gather_one_that_is_cancelled(Log& log) {
  std::vector<Task<Result<int>>> tasks;
  tasks.push_back(cancel_oneself());
  const Result<std::vector<int>> values = co_await gather(std::move(tasks));
  log.push_back(!values && values.error().is_cancelled() ? "cancelled" : "values");
  const auto both = co_await when_all(cancel_oneself(), nap(1s));
  log.push_back(!both && both.error().is_cancelled() ? "cancelled" : "values");
  const Result<void> turn = co_await yield();
  log.push_back(turn ? "free" : "still cancelled");
}
// A task that is cancelled by itself has not failed, but has no value either.
TEST_F(StructuredTest, GatherOfATaskThatIsCancelledByItselfIsCancelled) {
  Log log;
  spawn(gather_one_that_is_cancelled, log);
  run();
  EXPECT_EQ(log, (Log{"cancelled", "cancelled", "free"}));
}

// --- Loop and shutdown ----------------------------------------------------------------------------------------------

class FairnessTest : public gyre::test::NetTaskFixture {};

Task<void> yield_until(const bool& done, long& turns) {
  while (!done) {
    static_cast<void>(co_await yield());
    ++turns;
  }
}
Task<Result<void>> read_beside_a_busy_task() {
  const gyre::test::Pair pair = gyre::test::unix_pair();
  bool done = false;
  long turns = 0;
  TaskGroup group;
  for (int i = 0; i < 200; ++i) group.spawn(yield_until, done, turns);
  // Neither the timer nor the descriptor is ready at once.
  Result<void> waited = co_await sleep(1ms);
  gyre::test::write_all(pair.far, "x");
  if (waited) waited = co_await with_timeout(10s, wait_readable(pair.near.get()));
  done = true;
  const Result<void> joined = co_await group.join();
  EXPECT_GT(turns, 200);
  if (!joined) co_return joined;
  co_return waited;
}
// S-54: tasks that do nothing but yield starve neither timers nor input.
TEST_P(FairnessTest, TasksThatYieldForEverDoNotStarveInput) {
  const Result<void> done = run(read_beside_a_busy_task());
  EXPECT_TRUE(done) << done.error().to_string();
}
GYRE_INSTANTIATE_FOR_EVERY_POLLER(FairnessTest);

AsyncGenerator<int> counted(Log& log) {
  for (int i = 0;; ++i) {
    const Result<void> wanted = co_yield int{i};
    if (!wanted) break;
  }
  const Result<void> cleaned = co_await shield(nap(1ms));
  log.push_back(cleaned ? "generator cleaned up" : "generator interrupted");
}
Task<Result<void>> left_over(Log& log) {
  AsyncGenerator<int> numbers = counted(log);
  const std::optional<int> first = co_await numbers.next();
  EXPECT_EQ(first, 0);
  const Result<void> slept = co_await sleep(1h);
  log.push_back(slept ? "slept" : "cancelled");
  co_await numbers.close();
  co_return Errc::broken;
}
Task<int> leave_something_over(Log& log) {
  this_reactor().detach(left_over, log);
  static_cast<void>(co_await sleep(1ms));
  log.push_back("main ends");
  co_return 4;
}
// S-59: run() cancels and awaits what is left, generators are closed on the way, and errors are reported.
TEST(RunShutdownTest, CancelsJoinsAndReportsWhatIsLeft) {
  Log log;
  RunOptions options;
  options.reactor.scheduler.failure_owner = &log;
  options.reactor.scheduler.on_task_failure = [](void* owner, const TaskFailure& failure) noexcept {
    static_cast<Log*>(owner)->push_back(failure.error == Errc::broken ? "reported" : "something else");
  };
  const Result<int> value = gyre::run(leave_something_over(log), std::move(options));
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 4);
  EXPECT_EQ(log, (Log{"main ends", "cancelled", "generator cleaned up", "reported"}));
}

}  // namespace
