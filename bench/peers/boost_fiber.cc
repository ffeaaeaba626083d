// Boost.Fiber: stackful fibers on one thread, with the round-robin scheduler it comes with and pooled stacks.
#include <boost/fiber/all.hpp>
#include <boost/version.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "peer.h"

namespace {

namespace fibers = boost::fibers;

fibers::pooled_fixedsize_stack& stacks() {
  static fibers::pooled_fixedsize_stack pool(16 * 1024);
  return pool;
}

template <typename Body>
fibers::fiber spawn(Body body) {
  return fibers::fiber(std::allocator_arg, stacks(), std::move(body));
}

double yield_among(long tasks, long count) {
  const peer::Stopwatch watch;
  std::vector<fibers::fiber> all;
  for (long i = 0; i < tasks; ++i) {
    all.push_back(spawn([turns = count / tasks] {
      for (long turn = 0; turn < turns; ++turn) boost::this_fiber::yield();
    }));
  }
  for (fibers::fiber& fiber : all) fiber.join();
  return watch.ns();
}

// The smallest buffered channel there is holds one value.
double ping_pong(long count) {
  fibers::buffered_channel<int> there(2);
  fibers::buffered_channel<int> back(2);
  fibers::fiber pong = spawn([&] {
    for (int got; there.pop(got) == fibers::channel_op_status::success;) back.push(got);
  });
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) {
    there.push(1);
    (void)back.value_pop();
  }
  const double ns = watch.ns();
  there.close();
  pong.join();
  return ns;
}

double spawn_join(long count) {
  long sum = 0;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) spawn([&sum] { ++sum; }).join();
  return sum == count ? watch.ns() : -1;
}

double spawn_many(long count) {
  std::vector<fibers::fiber> all;
  long sum = 0;
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= 1000) {
    all.clear();
    for (int i = 0; i < 1000; ++i) all.push_back(spawn([&sum] { ++sum; }));
    for (fibers::fiber& fiber : all) fiber.join();
  }
  return sum == count ? watch.ns() : -1;
}

double sleeps(long count) {
  const double before = peer::cpu_ns();
  std::vector<fibers::fiber> all;
  for (long left = count; left > 0; left -= 10'000) {
    all.clear();
    for (int i = 0; i < 10'000; ++i) {
      all.push_back(spawn([i] { boost::this_fiber::sleep_for(std::chrono::microseconds(1 + i * 7919 % 20'000)); }));
    }
    for (fibers::fiber& fiber : all) fiber.join();
  }
  return peer::cpu_ns() - before;
}

}  // namespace

int main(int argc, char** argv) {
  return peer::main(argc, argv, BOOST_LIB_VERSION,
                    {{"yield_1", [](long count) { return yield_among(1, count); }},
                     {"yield_100", [](long count) { return yield_among(100, count); }},
                     {"yield_10000", [](long count) { return yield_among(10'000, count); }, 100'000},
                     {"ping_pong", ping_pong},
                     {"spawn_join", spawn_join},
                     {"spawn_many", spawn_many},
                     {"sleep", sleeps, 10'000}});
}
