// The interface of a poller is complete: on one that supports nothing tasks and timers run, posts arrive, and every
// operation on a descriptor ends with the error that it answered.
#include <chrono>
#include <memory>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include <gyre/net/tcp_listener.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/unsupported_poller.h"

namespace gyre {
namespace {

std::unique_ptr<Reactor> make_reactor() {
  ReactorOptions options;
  options.with_poller = std::make_unique<test::UnsupportedPoller>();
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(options));
  EXPECT_TRUE(reactor.has_value());
  return std::move(*reactor);
}

Task<int> add_up() {
  TaskGroup group;
  int sum = 0;
  group.spawn([](int* to) -> Task<void> {
    const Result<void> slept = co_await sleep(std::chrono::milliseconds(2));
    if (slept) *to += 1;
  }, &sum);
  group.spawn([](int* to) -> Task<void> {
    const Result<void> yielded = co_await yield();
    if (yielded) *to += 2;
  }, &sum);
  const Result<void> joined = co_await group.join();
  co_return joined ? sum : -1;
}

TEST(UnsupportedPollerTest, TasksAndTimersRun) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  const Result<int> sum = reactor->run_until(add_up());
  ASSERT_TRUE(sum.has_value());
  EXPECT_EQ(*sum, 3);
}

TEST(UnsupportedPollerTest, PostOfAnotherThreadWakesIt) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  bool arrived = false;
  std::thread other([&] {
    EXPECT_TRUE(reactor->post([&] {
      arrived = true;
      reactor->stop();
    }));
  });
  const Result<void> ended = reactor->run_until([]() -> Task<void> {
    const Result<void> slept = co_await sleep(std::chrono::hours(1));
    static_cast<void>(slept);
  }());
  other.join();
  EXPECT_FALSE(ended.has_value());
  EXPECT_TRUE(arrived);
}

Task<Result<void>> connect() {
  Result<TcpStream> stream = co_await TcpStream::connect(Endpoint::loopback_v4(1));
  if (!stream) co_return stream.error();
  co_return Result<void>{};
}

Task<Result<void>> bind() {
  Result<TcpListener> listener = co_await TcpListener::bind(Endpoint::loopback_v4(0));
  if (!listener) co_return listener.error();
  co_return Result<void>{};
}

TEST(UnsupportedPollerTest, SocketsEndWithTheErrorThatItAnswered) {
  const std::unique_ptr<Reactor> reactor = make_reactor();
  const Result<void> connected = reactor->run_until(connect());
  ASSERT_FALSE(connected.has_value());
  EXPECT_EQ(connected.error(), std::errc::operation_not_supported) << connected.error();
  const Result<void> bound = reactor->run_until(bind());
  ASSERT_FALSE(bound.has_value());
  EXPECT_EQ(bound.error(), std::errc::operation_not_supported) << bound.error();
}

}  // namespace
}  // namespace gyre
