#include "oracle_replay.h"

#include <memory>
#include <utility>

#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>

#include "task_fixture.h"
#include "virtual_poller.h"

namespace gyre::testing {
namespace {

// More turns than any scenario needs.
constexpr int turns_max = 10000;
// Frames that run before timers are looked at again.
constexpr std::size_t frames_per_turn = 64;

void sink(void* owner, const TaskFailure& failure) noexcept {
  (*static_cast<TraceLog*>(owner))("sink ", name_of(failure.error));
}

// True if everything has ended.
bool run_turns(Scheduler& scheduler, ManualClock& clock) {
  for (int turn = 0; turn < turns_max; ++turn) {
    scheduler.update_now();
    scheduler.fire_timers();
    scheduler.run_ready(frames_per_turn);
    if (scheduler.has_ready()) continue;
    if (scheduler.tasks() == 0) return true;
    const Instant next = scheduler.timers().next_deadline();
    if (next == never) return false;
    clock.advance_to(next);
  }
  return false;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Replay& replay) { return out << replay.name; }

std::vector<std::string> run_replay(const Replay& replay) {
  ManualClock clock;
  TraceLog log(clock);
  Scheduler scheduler(clock, {.on_task_failure = sink, .failure_owner = &log});
  scheduler.detached().spawn(SpawnOptions{.name = "main"}, replay.run, log);
  const bool ended = run_turns(scheduler, clock);
  EXPECT_TRUE(ended) << replay.name << " waits for what never comes";
  if (!ended) {
    scheduler.detached().cancel();
    EXPECT_TRUE(run_turns(scheduler, clock)) << replay.name << " cannot be cancelled";
  }
  return log.events();
}

std::vector<std::string> run_replay_on_reactor(const Replay& replay) {
  ManualClock clock;
  TraceLog log(clock);
  ReactorOptions options;
  options.with_poller = std::make_unique<VirtualPoller>(clock);
  options.clock = &clock;
  options.scheduler.on_task_failure = sink;
  options.scheduler.failure_owner = &log;
  const auto reactor = Reactor::create(std::move(options));
  (*reactor)->scheduler().detached().spawn(SpawnOptions{.name = "main"}, replay.run, log);
  (*reactor)->run();
  return log.events();
}

void OracleReplayTest::expect_the_recorded_order() {
  const OracleTrace expected = load_expected_trace(GetParam().name);
  ASSERT_FALSE(expected.events.empty()) << "no trace; tests run in the repository's root";
  for (const auto run : {run_replay, run_replay_on_reactor}) {
    const std::string difference = diff_traces(expected.events, run(GetParam()));
    EXPECT_TRUE(difference.empty())
        << GetParam().name << (run == run_replay ? "" : ", on a reactor") << ": " << expected.description
        << "\n(-: only in the trace, +: only in Gyre)\n"
        << difference;
    if (HasFailure()) return;  // A replay that does not end would abort on the reactor.
  }
}

Error named_error(std::string_view name) { return Error(Errc::broken).at(Place::text(name)); }

std::string name_of(const Error& error) { return error.place().to_string(); }

std::string names_of(const TaskGroup& group) {
  std::string names;
  for (const TaskFailure& failure : group.failures()) {
    if (!names.empty()) names += ' ';
    names += name_of(failure.error);
  }
  return names;
}

Task<Result<void>> sleeper(TraceLog& log, std::string_view name, Duration time) {
  log(name, " start");
  const Result<void> slept = co_await sleep(time);
  if (!slept) {
    log(name, " cancelled");
    co_return slept.error();
  }
  log(name, " end");
  co_return Result<void>{};
}

Task<Result<void>> failer(TraceLog& log, std::string_view name, Duration time) {
  log(name, " start");
  const Result<void> slept = co_await sleep(time);
  if (!slept) co_return slept.error();
  log(name, " fails");
  co_return named_error(name);
}

Task<Result<std::string>> value_after(TraceLog& log, std::string_view name, Duration time) {
  const Result<void> ended = co_await sleeper(log, name, time);
  if (!ended) co_return ended.error();
  co_return std::string(name);
}

}  // namespace gyre::testing
