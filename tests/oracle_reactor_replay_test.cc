// Replays of the callbacks in tests/oracle/scenarios_loop.py: what the loop calls, in which turn, and when it stops.
#include <chrono>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/platform/operation.h>
#include <gyre/reactor/io.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/task.h>

#include "support/oracle_trace.h"
#include "support/task_fixture.h"
#include "support/virtual_poller.h"

namespace gyre::testing {
namespace {

using namespace std::chrono_literals;

// A reactor on a virtual clock and poller. A callback that throws logs "handler ...".
struct Loop {
  Loop() : log(clock) {
    auto own_poller = std::make_unique<VirtualPoller>(clock);
    poller = own_poller.get();
    ReactorOptions options;
    options.with_poller = std::move(own_poller);
    options.clock = &clock;
    options.scheduler.on_task_failure = handle;
    options.scheduler.failure_owner = this;
    reactor = std::move(*Reactor::create(std::move(options)));
  }

  auto call_soon(std::string event) {
    return reactor->call_soon([this, text = std::move(event)] { log(text); });
  }
  auto call_later(Duration delay, std::string event) {
    return reactor->call_at(clock.now() + delay, [this, text = std::move(event)] { log(text); });
  }
  void stop_later(Duration delay) {
    reactor->call_at(clock.now() + delay, [this] { reactor->stop(); });
  }

  static void handle(void* owner, const TaskFailure& failure) noexcept {
    try {
      std::rethrow_exception(failure.exception);
    } catch (const std::exception& exception) {
      static_cast<Loop*>(owner)->log("handler ", exception.what());
    }
  }

  ManualClock clock;
  TraceLog log;
  VirtualPoller* poller;
  std::unique_ptr<Reactor> reactor;
};

void call_soon_fifo(Loop& loop) {
  loop.reactor->call_soon([&loop] {
    loop.log("first");
    for (const char* name : {"a", "b", "c"}) loop.call_soon(name);
    loop.log("first end");
  });
  loop.call_soon("second");
  loop.stop_later(1ms);
  loop.reactor->run();
}

void call_outer(Loop& loop, const char* name) {
  loop.reactor->call_soon([&loop, name] {
    const std::uint64_t begun = loop.reactor->stats().turns;
    loop.log(name, " outer");
    loop.reactor->call_soon([&loop, name, begun] {
      const std::uint64_t turns = loop.reactor->stats().turns - begun;
      loop.log(name, " inner, ", static_cast<int>(turns), " turn later");
    });
  });
}

void call_soon_next_turn(Loop& loop) {
  call_outer(loop, "a");
  call_outer(loop, "b");
  loop.stop_later(1ms);
  loop.reactor->run();
}

void handle_cancelled(Loop& loop) {
  loop.call_soon("a");
  auto soon = loop.call_soon("b, which must not run");
  loop.call_soon("c");
  loop.call_later(10ms, "timer a");
  auto timer = loop.call_later(20ms, "timer b, which must not run");
  loop.call_later(30ms, "timer c");
  loop.stop_later(40ms);
  for (int i = 0; i < 2; ++i) {
    soon.cancel();
    timer.cancel();
  }
  loop.reactor->run();
}

void callback_fails(Loop& loop) {
  loop.call_soon("a");
  loop.reactor->call_soon([&loop] {
    loop.log("fail");
    throw std::runtime_error("boom");
  });
  loop.call_soon("b");
  loop.stop_later(1ms);
  loop.reactor->run();
}

void stop_in_callback(Loop& loop) {
  loop.reactor->call_soon([&loop] {
    loop.log("a stops");
    loop.reactor->stop();
    loop.call_soon("scheduled after stop");
  });
  loop.call_soon("b, same turn");
  loop.reactor->run();
  loop.log("first run ended");
  loop.stop_later(1ms);
  loop.reactor->run();
  loop.log("second run ended");
}

void stop_before_run(Loop& loop) {
  loop.call_later(10ms, "timer");
  loop.reactor->call_soon([&loop] {
    loop.log("a");
    loop.call_soon("a's child");
  });
  loop.reactor->stop();
  loop.reactor->run();
  loop.log("first run ended");
  loop.stop_later(20ms);
  loop.reactor->run();
  loop.log("second run ended");
}

void timer_order(Loop& loop) {
  for (const int delay : {30, 10, 20, 0, -5}) {
    loop.call_later(std::chrono::milliseconds(delay), "timer " + std::to_string(delay));
  }
  loop.call_soon("soon");
  loop.stop_later(40ms);
  loop.reactor->run();
}

Task<void> wait_for_input(Loop& loop, Operation& readable) {
  (void)co_await OperationAwaiter(readable);
  loop.log("io");
}

void tick_order(Loop& loop) {
  Operation readable;
  readable.kind = OperationKind::readable;
  loop.reactor->detach(wait_for_input, loop, readable);
  loop.reactor->call_at(loop.clock.now() + 5ms, [&loop, &readable] {
    loop.log("arrange");
    loop.call_later(0ms, "timer");
    loop.poller->finish(readable, 0);
    loop.call_soon("soon");
  });
  loop.stop_later(10ms);
  loop.reactor->run();
}

struct ReactorReplay {
  const char* name;
  void (*run)(Loop& loop);
};
std::ostream& operator<<(std::ostream& out, const ReactorReplay& replay) { return out << replay.name; }

constexpr ReactorReplay replays[] = {
    {"call_soon_fifo", call_soon_fifo},
    {"call_soon_next_turn", call_soon_next_turn},
    {"handle_cancelled", handle_cancelled},
    {"callback_fails", callback_fails},
    {"stop_in_callback", stop_in_callback},
    {"stop_before_run", stop_before_run},
    {"timer_order", timer_order},
    {"tick_order", tick_order},
};

class OracleReactorReplayTest : public ::testing::TestWithParam<ReactorReplay> {};

TEST_P(OracleReactorReplayTest, HappensInTheRecordedOrder) {
  Loop loop;
  GetParam().run(loop);
  loop.reactor->shutdown();
  const OracleTrace expected = load_expected_trace(GetParam().name);
  ASSERT_FALSE(expected.events.empty()) << "no trace; tests run in the repository's root";
  const std::string difference = diff_traces(expected.events, loop.log.events());
  EXPECT_TRUE(difference.empty()) << GetParam().name << ": " << expected.description
                                  << "\n(-: only in the trace, +: only in Gyre)\n"
                                  << difference;
}
INSTANTIATE_TEST_SUITE_P(Reactor, OracleReactorReplayTest, ::testing::ValuesIn(replays),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace gyre::testing
