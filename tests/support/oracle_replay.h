// Runs a scenario in Gyre on a virtual clock, so that its trace can be compared with asyncio's (tests/oracle).
//
// A replay is a coroutine `Task<void> name(TraceLog& log)`, run as the main task until nothing is left to do: once on a
// bare scheduler, once on a reactor. Time moves only when no task is ready, and then at once to the next timer.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>
#include <gyre/platform/result.h>
#include <gyre/task/scheduler.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>

#include "oracle_trace.h"

namespace gyre::testing {

// A replay by the name of its trace.
struct Replay {
  const char* name;
  Task<void> (*run)(TraceLog& log);
};
std::ostream& operator<<(std::ostream& out, const Replay& replay);

// What the replay did. Fails the running test if it does not end.
std::vector<std::string> run_replay(const Replay& replay);
// The same on a reactor. Aborts if it does not end.
std::vector<std::string> run_replay_on_reactor(const Replay& replay);

// The claim that every replay file instantiates with its replays.
class OracleReplayTest : public ::testing::TestWithParam<Replay> {
 public:
  void expect_the_recorded_order();
  static std::string name_of(const ::testing::TestParamInfo<Replay>& info) { return info.param.name; }
};

// Pieces that many scenarios share; the same as in tests/oracle/virtual_loop.py.

// An error that carries a name, as the recorder's ValueError(name) does, and back.
Error named_error(std::string_view name);
std::string name_of(const Error& error);
// The names of a group's failures, in its order.
std::string names_of(const TaskGroup& group);
inline const char* yes(bool condition) { return condition ? "yes" : "no"; }

// Says when it starts, ends, or is cancelled. Names are literals.
Task<Result<void>> sleeper(TraceLog& log, std::string_view name, Duration time);
Task<Result<void>> failer(TraceLog& log, std::string_view name, Duration time);
// As sleeper(); its value is its name.
Task<Result<std::string>> value_after(TraceLog& log, std::string_view name, Duration time);

}  // namespace gyre::testing
