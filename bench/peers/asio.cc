// Asio, with awaitables: one io_context, one thread; two of each where threads wake each other.
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "peer.h"

namespace {

using asio::awaitable;
using asio::use_awaitable;
using Channel = asio::experimental::channel<void(asio::error_code, int)>;

template <typename Main>
double run(Main main) {
  asio::io_context context(1);
  double ns = 0;
  asio::co_spawn(context, main(context, ns), asio::detached);
  context.run();
  return ns;
}

awaitable<int> child(int value) { co_return value; }

awaitable<void> await_children(long count, double& ns) {
  long sum = 0;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) sum += co_await child(1);
  ns = sum == count ? watch.ns() : -1;
}

awaitable<void> yields(asio::io_context& context, long count) {
  for (long i = 0; i < count; ++i) co_await asio::post(context, use_awaitable);
}

double yield_among(long tasks, long count) {
  asio::io_context context(1);
  const peer::Stopwatch watch;
  for (long i = 0; i < tasks; ++i) asio::co_spawn(context, yields(context, count / tasks), asio::detached);
  context.run();
  return watch.ns();
}

awaitable<void> ping(Channel& there, Channel& back, long count) {
  for (long i = 0; i < count; ++i) {
    co_await there.async_send(asio::error_code(), 1, use_awaitable);
    co_await back.async_receive(use_awaitable);
  }
  there.close();
}

awaitable<void> pong(Channel& there, Channel& back, long count) {
  for (long i = 0; i < count; ++i) {
    const int got = co_await there.async_receive(use_awaitable);
    co_await back.async_send(asio::error_code(), got, use_awaitable);
  }
}

double ping_pong(long count) {
  asio::io_context context(1);
  Channel there(context, 1);
  Channel back(context, 1);
  const peer::Stopwatch watch;
  asio::co_spawn(context, pong(there, back, count), asio::detached);
  asio::co_spawn(context, ping(there, back, count), asio::detached);
  context.run();
  return watch.ns();
}

awaitable<void> spawn_joins(asio::io_context& context, long count, double& ns) {
  long sum = 0;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) sum += co_await asio::co_spawn(context, child(1), use_awaitable);
  ns = sum == count ? watch.ns() : -1;
}

// The context runs out of work when the last of them has ended.
double spawn_many(long count) {
  asio::io_context context(1);
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= 1000) {
    for (int i = 0; i < 1000; ++i) asio::co_spawn(context, child(1), asio::detached);
    context.run();
    context.restart();
  }
  return watch.ns();
}

awaitable<void> nap(asio::io_context& context, std::chrono::microseconds delay) {
  asio::steady_timer timer(context, delay);
  co_await timer.async_wait(use_awaitable);
}

double sleeps(long count) {
  asio::io_context context(1);
  const double before = peer::cpu_ns();
  for (long left = count; left > 0; left -= 10'000) {
    for (int i = 0; i < 10'000; ++i) {
      asio::co_spawn(context, nap(context, std::chrono::microseconds(1 + i * 7919 % 20'000)), asio::detached);
    }
    context.run();
    context.restart();
  }
  return peer::cpu_ns() - before;
}

double timers(long count) {
  asio::io_context context(1);
  std::vector<asio::steady_timer> all;
  for (int i = 0; i < 100'000; ++i) all.emplace_back(context);
  const auto now = std::chrono::steady_clock::now();
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= 100'000) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].expires_at(now + std::chrono::milliseconds(1000 + i * 7919 % 59'000));
      all[i].async_wait([](const asio::error_code&) {});
    }
    for (asio::steady_timer& timer : all) timer.cancel();
    context.run();
    context.restart();
  }
  return watch.ns();
}

struct Side {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> stay{context.get_executor()};
  // Without anything that does I/O the context would not run its poller, and sleep on a condition variable.
  asio::steady_timer timer{context};
};

struct Match {
  Side sides[2];
  long hits_left = 0;

  void hit(int side) {
    if (hits_left-- == 0) {
      for (Side& each : sides) each.context.stop();
      return;
    }
    asio::post(sides[1 - side].context, [this, side] { hit(1 - side); });
  }
};

double wake(long count) {
  Match match;
  match.hits_left = 2 * count;
  std::thread other([&match] { match.sides[1].context.run(); });
  const peer::Stopwatch watch;
  asio::post(match.sides[0].context, [&match] { match.hit(0); });
  match.sides[0].context.run();
  const double ns = watch.ns();
  other.join();
  return ns;
}

}  // namespace

int main(int argc, char** argv) {
  char version[32];
  std::snprintf(version, sizeof(version), "%d.%d.%d", ASIO_VERSION / 100000, ASIO_VERSION / 100 % 1000,
                ASIO_VERSION % 100);
  return peer::main(
      argc, argv, version,
      {{"child", [](long count) { return run([count](asio::io_context&, double& ns) { return await_children(count, ns); }); }},
       {"yield_1", [](long count) { return yield_among(1, count); }},
       {"yield_100", [](long count) { return yield_among(100, count); }},
       {"yield_10000", [](long count) { return yield_among(10'000, count); }, 100'000},
       {"ping_pong", ping_pong},
       {"spawn_join", [](long count) { return run([count](asio::io_context& context, double& ns) { return spawn_joins(context, count, ns); }); }},
       {"spawn_many", spawn_many},
       {"sleep", sleeps, 10'000},
       {"timer_cancel", timers, 100'000},
       {"wake", wake}});
}
