// libuv: callbacks on one loop, or on two where threads wake each other. It has no tasks; a yield is a callback that asks to be called again.
#include <uv.h>

#include <cstdint>
#include <thread>
#include <vector>

#include "peer.h"

namespace {

double yield_among(long tasks, long count) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_idle_t> all(static_cast<std::size_t>(tasks));
  std::vector<long> left(all.size(), count / tasks);
  for (std::size_t i = 0; i < all.size(); ++i) {
    uv_idle_init(&loop, &all[i]);
    all[i].data = &left[i];
    uv_idle_start(&all[i], [](uv_idle_t* idle) {
      if (--*static_cast<long*>(idle->data) == 0) uv_idle_stop(idle);
    });
  }
  const peer::Stopwatch watch;
  uv_run(&loop, UV_RUN_DEFAULT);
  const double ns = watch.ns();
  uv_loop_close(&loop);
  return ns;
}

// libuv counts whole milliseconds.
double sleeps(long count) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_timer_t> all(10'000);
  for (uv_timer_t& timer : all) uv_timer_init(&loop, &timer);
  const double before = peer::cpu_ns();
  for (long left = count; left > 0; left -= 10'000) {
    uv_update_time(&loop);
    for (std::size_t i = 0; i < all.size(); ++i) {
      uv_timer_start(&all[i], [](uv_timer_t*) {}, 1 + i * 7919 % 20'000 / 1000, 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  const double ns = peer::cpu_ns() - before;
  uv_loop_close(&loop);
  return ns;
}

double timers(long count) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_timer_t> all(100'000);
  for (uv_timer_t& timer : all) uv_timer_init(&loop, &timer);
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= 100'000) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      uv_timer_start(&all[i], [](uv_timer_t*) {}, 1000 + i * 7919 % 59'000, 0);
    }
    for (uv_timer_t& timer : all) uv_timer_stop(&timer);
  }
  const double ns = watch.ns();
  uv_loop_close(&loop);
  return ns;
}

struct Side {
  uv_loop_t loop;
  uv_async_t bell;
  Side* other = nullptr;
  long hits_left = 0;

  static void hit(uv_async_t* bell) {
    auto* side = static_cast<Side*>(bell->data);
    if (side->hits_left-- == 0) return uv_close(reinterpret_cast<uv_handle_t*>(bell), nullptr);
    uv_async_send(&side->other->bell);
  }
  void open(Side& facing, long hits) {
    other = &facing;
    hits_left = hits;
    uv_loop_init(&loop);
    uv_async_init(&loop, &bell, hit);
    bell.data = this;
  }
  void run() {
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }
};

double wake(long count) {
  Side sides[2];
  sides[0].open(sides[1], count);
  sides[1].open(sides[0], count);
  std::thread other([&sides] { sides[1].run(); });
  const peer::Stopwatch watch;
  uv_async_send(&sides[0].bell);
  sides[0].run();
  const double ns = watch.ns();
  uv_async_send(&sides[1].bell);
  other.join();
  return ns;
}

}  // namespace

int main(int argc, char** argv) {
  return peer::main(argc, argv, uv_version_string(),
                    {{"yield_1", [](long count) { return yield_among(1, count); }},
                     {"yield_100", [](long count) { return yield_among(100, count); }},
                     {"yield_10000", [](long count) { return yield_among(10'000, count); }, 100'000},
                     {"sleep", sleeps, 10'000},
                     {"timer_cancel", timers, 100'000},
                     {"wake", wake}});
}
