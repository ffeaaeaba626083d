// NetTaskFixture: coroutines over real sockets, on every backend that this machine has, ended by the oracles.
//
//   class TcpTest : public gyre::test::NetTaskFixture {};
//   Task<void> echo_once(int rounds) { ... }            // a free coroutine; EXPECT_ in it, never ASSERT_
//   TEST_P(TcpTest, EchoesOnce) { run(echo_once(3)); }
//   GYRE_INSTANTIATE_FOR_EVERY_POLLER(TcpTest);
//
// Oracles, after each test: no task is left, the poller has nothing in flight, no descriptor was leaked or closed by
// mistake, no detached task has failed unnoticed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/result.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/task.h>

#include "oracles.h"
#include "poller_fixture.h"

namespace gyre::test {

class NetTaskFixture : public testing::TestWithParam<Backend> {
 public:
  ~NetTaskFixture() override;

 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs `task` and everything else until it has ended, and returns its result (a Result, also for a Task<int>; of a
  // Task<void> only whether it has ended). If it has not within `limit`, the test fails, with a list of what every task
  // waits for.
  template <typename T>
  detail::as_result<T> run(Task<T> task, Duration limit = time_limit);
  bool run(Task<void> task, Duration limit = time_limit) { return run<void>(std::move(task), limit).has_value(); }

  // Starts a task beside; it is cancelled at the end of the test. It must not fail unless its handle takes the result.
  template <typename... Arguments>
  auto spawn(Arguments&&... arguments) {
    return reactor_->detach(std::forward<Arguments>(arguments)...);
  }
  // Turns until nothing is ready and no completion has arrived. Does not wait for anything.
  void run_until_idle();

  Reactor& reactor() { return *reactor_; }
  Poller& poller() { return reactor_->poller(); }
  bool is_io_uring() const { return GetParam().name == "io_uring"; }

  // Replaces the reactor by one with other options; poller, tier and failure sink stay the fixture's.
  void reopen(ReactorOptions options);
  // One more reactor on the same backend.
  std::unique_ptr<Reactor> open(ReactorOptions options = {});

  // Detached tasks that have failed since the last call. A test that leaves some has failed.
  std::vector<TaskFailure> take_failures() { return std::exchange(failures_, {}); }

  static constexpr Duration time_limit = std::chrono::seconds(20);

 private:
  void close_reactor();
  void report_hang(Duration limit);

  std::unique_ptr<Reactor> reactor_;
  std::vector<TaskFailure> failures_;
  std::vector<std::string> descriptors_before_;
  bool was_set_up_ = false;
};

template <typename T>
detail::as_result<T> NetTaskFixture::run(Task<T> task, Duration limit) {
  // Not a scope with a deadline: the task shall see none that is not its own.
  JoinHandle<void> watchdog = reactor_->call_at(reactor_->clock().now() + limit, [this, limit] {
    report_hang(limit);
    reactor_->stop();
  });
  detail::as_result<T> result = reactor_->run_until(std::move(task));
  watchdog.cancel();
  run_until_idle();
  return result;
}

}  // namespace gyre::test
