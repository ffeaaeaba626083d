// ProcessPool: calls, values, crashes, cancels, bounds and the end, on every poller. The workers are this very program.
#include <gyre/net/process_pool.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gyre/platform/file_system.h>
#include <gyre/platform/signal_handler.h>
#include <gyre/platform/this_process.h>
#include <gyre/platform/thread.h>
#include <gyre/platform/worker_process.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/child_program.h"
#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

class ProcessPoolTest : public NetTaskFixture {
 protected:
  void TearDown() override {
    NetTaskFixture::TearDown();
    EXPECT_FALSE(has_children()) << "a worker is left";
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ProcessPoolTest);

// A worker that finds this variable ends at once.
constexpr const char* unaware = "GYRE_TEST_UNAWARE";

// --- What the workers run ---------------------------------------------------------------------------------------------

std::uint64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
int own_number() { return static_cast<int>(process_id()); }
void nothing() {}
std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}
std::vector<std::pair<std::string, double>> tabulate(const std::vector<std::string>& names, std::optional<double> scale) {
  std::vector<std::pair<std::string, double>> table;
  for (const std::string& name : names) table.emplace_back(name, scale.value_or(-1) * static_cast<double>(name.size()));
  return table;
}
Result<int> half_of(int number) {
  if (number % 2 != 0) return Error::system(EDOM).at(Place::text("an odd number"));
  return number / 2;
}
Result<void> refuse() { return Errc::malformed; }
int fail_with(const std::string& what) { throw std::runtime_error(what); }
int throw_a_number() { throw 7; }
// As the system ends it.
void crash(int signal) {
  raise_by_default(signal);
  std::abort();
}
void leave(int status) { std::_Exit(status); }
// Says that it runs by making a file, and then never ends.
void work_for_ever(std::string path) {
  std::ofstream(path) << "running";
  static std::atomic<std::uint32_t> word{0};
  for (;;) sleep_on(word, 0);
}
std::string environment_of_worker() {
  const char* const mark = std::getenv("GYRE_POOL_WORKER");
  return mark == nullptr ? "" : mark;
}
bool pool_in_worker_is_possible() { return ProcessPool::create().has_value(); }

// --- Values -----------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<ProcessPool>> make_pool(std::size_t workers, std::size_t queue_max = 100) {
  // Limits that no slow machine reaches before the fixture's.
  return ProcessPool::create(
      {.workers = workers, .queue_max = queue_max, .message_max = std::size_t{1} << 20, .start_limit = 1h, .grace = 1h});
}

Task<Result<void>> call_all_kinds() {
  Result<std::unique_ptr<ProcessPool>> made = make_pool(1);
  if (!made) co_return made.error();
  ProcessPool& pool = **made;
  const Result<std::uint64_t> number = co_await pool.call<fibonacci>(15u);
  EXPECT_TRUE(number && *number == 610) << (number ? Error() : number.error());
  const Result<void> none = co_await pool.call<nothing>();
  EXPECT_TRUE(none);
  const Result<std::string> text = co_await pool.call<repeat>("ab", 3);
  EXPECT_TRUE(text && *text == "ababab");
  const Result<std::string> empty = co_await pool.call<repeat>("", 3);
  EXPECT_TRUE(empty && empty->empty());
  const std::vector<std::string> names{"a", "", "long name"};
  const auto table = co_await pool.call<tabulate>(names, 0.5);
  EXPECT_TRUE(table && *table == (std::vector<std::pair<std::string, double>>{{"a", 0.5}, {"", 0.0}, {"long name", 4.5}}));
  const Result<int> half = co_await pool.call<half_of>(8);
  EXPECT_TRUE(half && *half == 4);
  const Result<int> odd = co_await pool.call<half_of>(7);
  EXPECT_TRUE(!odd && odd.error() == std::errc::argument_out_of_domain && odd.error().place() == Place::text("an odd number"));
  const Result<void> refused = co_await pool.call<refuse>();
  EXPECT_TRUE(!refused && refused.error() == Errc::malformed);
  const Result<std::string> mark = co_await pool.call<environment_of_worker>();
  EXPECT_TRUE(mark && mark->empty()) << "children of a worker are no workers";
  EXPECT_EQ(pool.stats().workers_started, 1U);
  EXPECT_EQ(pool.stats().workers_lost, 0U);
  EXPECT_EQ(pool.stats().calls, 9U);
  co_return co_await pool.shutdown();
}

TEST_P(ProcessPoolTest, ArgumentsAndResultsTravelAsValues) {
  const Result<void> done = run(call_all_kinds());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> number_into(ProcessPool& pool, std::set<int>& numbers, int& calls) {
  const Result<int> number = co_await pool.call<own_number>();
  if (!number) co_return number.error();
  numbers.insert(*number);
  ++calls;
  co_return Result<void>{};
}

Task<Result<void>> call_many(std::size_t workers, int calls) {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(workers);
  if (!pool) co_return pool.error();
  std::set<int> numbers;
  int answered = 0;
  TaskGroup group;
  for (int i = 0; i < calls; ++i) group.spawn(number_into, **pool, numbers, answered);
  const Result<void> joined = co_await group.join();
  if (!joined) co_return joined.error();
  EXPECT_EQ(answered, calls);
  EXPECT_GE(numbers.size(), 1U);
  EXPECT_LE(numbers.size(), workers);
  EXPECT_FALSE(numbers.contains(static_cast<int>(process_id())));
  EXPECT_EQ((*pool)->stats().workers_started, numbers.size());
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, ManyCallsShareFewWorkersAndNoneIsLost) {
  const Result<void> done = run(call_many(3, 60));
  EXPECT_TRUE(done.has_value()) << done.error();
}

// --- Failures ---------------------------------------------------------------------------------------------------------

Task<Result<void>> call_what_throws() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1);
  if (!pool) co_return pool.error();
  const Result<int> thrown = co_await (*pool)->call<fail_with>("out of paper");
  EXPECT_TRUE(!thrown && thrown.error() == Errc::child_failed && thrown.error().place() == Place::text("out of paper"));
  const Result<int> number = co_await (*pool)->call<throw_a_number>();
  EXPECT_TRUE(!number && number.error() == Errc::child_failed);
  EXPECT_EQ((*pool)->stats().workers_lost, 0U);
  EXPECT_EQ((*pool)->stats().workers_started, 1U);
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, AnExceptionFailsTheCallAndNotTheWorker) {
  const Result<void> done = run(call_what_throws());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> call_what_crashes() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1);
  if (!pool) co_return pool.error();
  std::uint64_t lost = 0;
  for (const int signal : {9, 15, 11}) {
    const Result<void> crashed = co_await (*pool)->call<crash>(signal);
    EXPECT_FALSE(crashed);
    if (!crashed) {
      EXPECT_EQ(crashed.error(), Errc::child_failed);
      EXPECT_EQ(crashed.error().place(), Place::text("killed by signal " + std::to_string(signal)));
    }
    EXPECT_EQ((*pool)->stats().workers_lost, ++lost);
    const Result<std::uint64_t> next = co_await (*pool)->call<fibonacci>(10u);
    EXPECT_TRUE(next && *next == 55) << "it has been replaced";
  }
  const Result<void> left = co_await (*pool)->call<leave>(3);
  EXPECT_TRUE(!left && left.error().place() == Place::text("exit status 3"));
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, AWorkerThatDiesFailsItsCallAndIsReplaced) {
  const Result<void> done = run(call_what_crashes());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> kill_while_idle() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1);
  if (!pool) co_return pool.error();
  const Result<int> number = co_await (*pool)->call<own_number>();
  if (!number) co_return number.error();
  kill_process(*number);
  // Until it is reaped; bound: the fixture's limit.
  while (!is_gone(*number)) {
    const Result<void> slept = co_await sleep(1ms);
    if (!slept) co_return slept.error();
  }
  // On some systems it counts as gone before the pool has heard of it.
  for (int turn = 0; turn < 5; ++turn) {
    const Result<void> slept = co_await sleep(1ms);
    if (!slept) co_return slept.error();
  }
  const Result<int> next = co_await (*pool)->call<own_number>();
  EXPECT_TRUE(next && *next != *number);
  EXPECT_EQ((*pool)->stats().workers_lost, 1U);
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, AWorkerThatWasKilledWhileIdleFailsNoCall) {
  const Result<void> done = run(kill_while_idle());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> start_what_cannot_work(std::string program, Error& error) {
  Result<std::unique_ptr<ProcessPool>> pool =
      ProcessPool::create({.workers = 1, .start_limit = 1h, .program = std::move(program)});
  if (!pool) co_return pool.error();
  const Result<void> called = co_await (*pool)->call<nothing>();
  EXPECT_FALSE(called);
  if (!called) error = called.error();
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, WorkersThatDoNotStartFailTheirCalls) {
  Error missing;
  EXPECT_TRUE(run(start_what_cannot_work("/no/such/program", missing)).has_value());
  EXPECT_EQ(missing, std::errc::no_such_file_or_directory) << missing;
  Error ended;
  // This very program, which then ends before it serves.
  set_variable(unaware, "1");
  EXPECT_TRUE(run(start_what_cannot_work("", ended)).has_value());
  set_variable(unaware, nullptr);
  EXPECT_EQ(ended, Errc::child_failed) << ended;
}

// --- Killed, and stopped, in the middle of calls ---------------------------------------------------------------------

Task<Result<void>> file_appears(std::string path) {
  while (!file_status(path.c_str())) {  // bound: the fixture's limit
    const Result<void> slept = co_await sleep(1ms);
    if (!slept) co_return slept.error();
  }
  co_return Result<void>{};
}

Task<Result<void>> call_for_ever(ProcessPool& pool, std::string path) {
  const Result<void> called = co_await pool.call<work_for_ever>(std::move(path));
  co_return called;
}

Task<Result<void>> kill_in_the_middle() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1);
  if (!pool) co_return pool.error();
  const TemporaryDirectory directory;
  const std::string path = directory.path("started");
  const Result<int> number = co_await (*pool)->call<own_number>();
  if (!number) co_return number.error();
  TaskGroup group(OnFailure::keep_going);
  auto running = group.spawn(call_for_ever, **pool, path);
  const Result<void> runs = co_await file_appears(path);
  EXPECT_TRUE(runs);
  kill_process(*number);
  const Result<void> ended = co_await running;
  EXPECT_FALSE(ended);
  if (!ended) {
    EXPECT_EQ(ended.error(), Errc::child_failed);
    EXPECT_EQ(ended.error().operation(), OperationKind::offload);
    EXPECT_EQ(ended.error().place(), Place::text("killed by signal 9"));
  }
  EXPECT_TRUE(is_gone(*number));
  EXPECT_EQ((*pool)->stats().workers_lost, 1U);
  const Result<int> next = co_await (*pool)->call<own_number>();
  EXPECT_TRUE(next && *next != *number) << "it has been replaced";
  static_cast<void>(co_await group.join());
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, AWorkerThatIsKilledInTheMiddleFailsItsCallAndIsReplaced) {
  const Result<void> done = run(kill_in_the_middle());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<void> count_if_stopped(ProcessPool& pool, int& stopped) {
  const Result<void> called = co_await pool.call<nothing>();
  if (!called && called.error() == Errc::stopped) ++stopped;
}

Task<Result<void>> shut_down(ProcessPool& pool) { co_return co_await pool.shutdown(); }

// What runs never ends by itself: its worker is killed, by and by.
Task<Result<void>> stop_while_many_wait(int calls) {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1, static_cast<std::size_t>(calls));
  if (!pool) co_return pool.error();
  const TemporaryDirectory directory;
  const std::string path = directory.path("started");
  const Result<int> number = co_await (*pool)->call<own_number>();
  if (!number) co_return number.error();
  TaskGroup group(OnFailure::keep_going);
  auto running = group.spawn(call_for_ever, **pool, path);
  const Result<void> runs = co_await file_appears(path);
  EXPECT_TRUE(runs);
  int stopped = 0;
  for (int i = 0; i < calls; ++i) group.spawn(count_if_stopped, **pool, stopped);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  const Result<void> beyond = co_await (*pool)->call<nothing>();
  EXPECT_TRUE(!beyond && beyond.error() == Errc::limit_exceeded) << "all the others wait";
  auto stopping = group.spawn(shut_down, **pool);
  kill_process(*number);
  const Result<void> down = co_await stopping;
  EXPECT_TRUE(down);
  const Result<void> ended = co_await running;
  EXPECT_TRUE(!ended && ended.error() == Errc::child_failed);
  static_cast<void>(co_await group.join());
  EXPECT_EQ(stopped, calls);
  EXPECT_EQ((*pool)->stats().workers_started, 1U);
  co_return Result<void>{};
}

TEST_P(ProcessPoolTest, StopWhile10000CallsWaitTellsEachOnceAndLeavesNoWorker) {
  const std::int64_t frames = live_frames();
  const Result<void> done = run(stop_while_many_wait(10'000));
  EXPECT_TRUE(done.has_value()) << done.error();
  EXPECT_EQ(live_frames(), frames);
}

// --- Bounds and cancels -----------------------------------------------------------------------------------------------

Task<Result<void>> cancel_a_call() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1, 1);
  if (!pool) co_return pool.error();
  const TemporaryDirectory directory;
  const std::string path = directory.path("started");
  TaskGroup group(OnFailure::keep_going);
  auto running = group.spawn(call_for_ever, **pool, path);
  const Result<void> runs = co_await file_appears(path);
  EXPECT_TRUE(runs);
  std::set<int> numbers;
  int answered = 0;
  auto queued = group.spawn(number_into, **pool, numbers, answered);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  const Result<int> beyond = co_await (*pool)->call<own_number>();
  EXPECT_TRUE(!beyond && beyond.error() == Errc::limit_exceeded) << "the queue has one place";
  queued.cancel();
  const Result<void> dequeued = co_await queued;
  EXPECT_TRUE(!dequeued && dequeued.error().is_cancelled());
  EXPECT_EQ((*pool)->stats().workers_lost, 0U) << "it had not begun";
  auto behind = group.spawn(number_into, **pool, numbers, answered);
  running.cancel();
  const Result<void> ended = co_await running;
  EXPECT_TRUE(!ended && ended.error().is_cancelled());
  EXPECT_EQ((*pool)->stats().workers_lost, 1U) << "it has been killed";
  const Result<void> served = co_await behind;
  EXPECT_TRUE(served);
  EXPECT_EQ(answered, 1);
  static_cast<void>(co_await group.join());
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, ACancelKillsTheWorkerOfACallThatRunsAndDequeuesOneThatWaits) {
  const Result<void> done = run(cancel_a_call());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<void>> send_too_much() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1);
  if (!pool) co_return pool.error();
  const std::string big(std::size_t{2} << 20, 'x');
  const Result<std::string> sent = co_await (*pool)->call<repeat>(big, 0);
  EXPECT_TRUE(!sent && sent.error() == Errc::limit_exceeded);
  const Result<std::string> received = co_await (*pool)->call<repeat>("0123456789", 1 << 18);
  EXPECT_TRUE(!received && received.error() == Errc::limit_exceeded);
  const Result<std::string> fits = co_await (*pool)->call<repeat>("0123456789", 100'000);
  EXPECT_TRUE(fits && fits->size() == 1'000'000);
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, MessagesAreBounded) {
  const Result<void> done = run(send_too_much());
  EXPECT_TRUE(done.has_value()) << done.error();
}

// --- The end ----------------------------------------------------------------------------------------------------------

Task<Result<void>> shut_down_under_calls() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(1);
  if (!pool) co_return pool.error();
  TaskGroup group(OnFailure::keep_going);
  std::set<int> numbers;
  int answered = 0;
  auto running = group.spawn(number_into, **pool, numbers, answered);
  auto queued = group.spawn(number_into, **pool, numbers, answered);
  const Result<void> yielded = co_await yield();
  EXPECT_TRUE(yielded);
  const Result<void> down = co_await (*pool)->shutdown();
  EXPECT_TRUE(down);
  const Result<void> first = co_await running;
  EXPECT_TRUE(first) << "what ran has ended in peace";
  const Result<void> second = co_await queued;
  EXPECT_TRUE(!second && second.error() == Errc::stopped);
  const Result<void> late = co_await (*pool)->call<nothing>();
  EXPECT_TRUE(!late && late.error() == Errc::stopped);
  const Result<void> again = co_await (*pool)->shutdown();
  EXPECT_TRUE(again);
  co_return co_await group.join();
}

TEST_P(ProcessPoolTest, ShutdownLetsWhatRunsEndAndRefusesTheRest) {
  const Result<void> done = run(shut_down_under_calls());
  EXPECT_TRUE(!done && done.error() == Errc::stopped) << "the queued call's";
}

Task<Result<void>> drop_the_pool() {
  Result<std::unique_ptr<ProcessPool>> pool = make_pool(2);
  if (!pool) co_return pool.error();
  const Result<bool> nested = co_await (*pool)->call<pool_in_worker_is_possible>();
  EXPECT_TRUE(nested && *nested) << "a worker that serves is an ordinary program";
  co_return Result<void>{};
}

TEST_P(ProcessPoolTest, APoolThatIsDroppedKillsItsWorkers) {
  const Result<void> done = run(drop_the_pool());
  EXPECT_TRUE(done.has_value()) << done.error();
}

Task<Result<bool>> create_as_unaware_worker() {
  set_variable("GYRE_POOL_WORKER", "1");
  const Result<std::unique_ptr<ProcessPool>> pool = ProcessPool::create();
  set_variable("GYRE_POOL_WORKER", nullptr);
  co_return pool ? Result<bool>(true) : Result<bool>(pool.error());
}

TEST_P(ProcessPoolTest, AWorkerThatDoesNotServeCannotStartWorkersWithoutEnd) {
  const Result<bool> made = run(create_as_unaware_worker());
  EXPECT_TRUE(!made && made.error() == std::errc::operation_not_permitted);
}

// --- Bytes ------------------------------------------------------------------------------------------------------------

TEST(ProcessValuesTest, CutAndSwollenBytesAreRefused) {
  using Value = std::tuple<std::string, std::vector<int>, std::optional<double>, Result<std::string>>;
  const Value value("text", {1, 2, 3}, 2.5, std::string("result"));
  const std::string bytes = detail::to_bytes(value);
  Value copy("", {}, {}, Errc::broken);
  ASSERT_TRUE(detail::from_bytes(bytes, copy));
  EXPECT_EQ(std::get<0>(copy), "text");
  EXPECT_EQ(std::get<1>(copy), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(std::get<2>(copy), 2.5);
  EXPECT_TRUE(std::get<3>(copy) && *std::get<3>(copy) == "result");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(detail::from_bytes(std::string_view(bytes).substr(0, size), copy)) << size;
  }
  EXPECT_FALSE(detail::from_bytes(bytes + "x", copy));
  // A count that promises more than there is costs no memory.
  std::vector<int> numbers;
  EXPECT_FALSE(detail::from_bytes(detail::to_bytes(~std::size_t{0}), numbers));
}

}  // namespace
}  // namespace gyre::test

int main(int argc, char** argv) {
  if (std::getenv(gyre::test::unaware) != nullptr && gyre::is_worker_process()) return 0;
  gyre::ProcessPool::serve_if_worker();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
