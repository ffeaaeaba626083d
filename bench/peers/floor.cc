// The floors: the same movement of frames, or of events, with nothing around it (bench/bare_coroutine.h).
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "../bare_coroutine.h"
#include "peer.h"

namespace {

using gyre::bench::Bare;
using gyre::bench::bare_ring;
using gyre::bench::BareChild;
using gyre::bench::BareMailbox;
using gyre::bench::BareSpawned;

BareChild child(int value) { co_return value; }

Bare await_children(long count, double& ns) {
  long sum = 0;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) {
    const int got = co_await child(1);
    sum += got;
  }
  ns = sum == count ? watch.ns() : -1;
}

Bare yields(long count) {
  for (long i = 0; i < count; ++i) co_await bare_ring.yield();
}

double yield_among(long tasks, long count) {
  std::vector<Bare> all;
  all.reserve(static_cast<std::size_t>(tasks));
  const peer::Stopwatch watch;
  for (long i = 0; i < tasks; ++i) all.push_back(yields(count / tasks));
  bare_ring.run();
  const double ns = watch.ns();
  for (Bare& bare : all) bare.frame.destroy();
  return ns;
}

Bare ping(long count, BareMailbox& mine, BareMailbox& theirs) {
  for (long i = 0; i < count; ++i) {
    theirs.send(1);
    const int got = co_await mine.receive();
    if (got == 0) break;
  }
  theirs.send(0);
}

Bare pong(BareMailbox& mine, BareMailbox& theirs) {
  for (;;) {
    const int got = co_await mine.receive();
    if (got == 0) break;
    theirs.send(got);
  }
}

double ping_pong(long count) {
  BareMailbox a;
  BareMailbox b;
  Bare back = pong(b, a);
  const peer::Stopwatch watch;
  Bare there = ping(count, a, b);
  bare_ring.run();
  const double ns = watch.ns();
  there.frame.destroy();
  back.frame.destroy();
  return ns;
}

BareSpawned spawned(int value) { co_return value; }

// Frames from a free list, queued, run from the queue and destroyed; `at_once` of them at a time.
double spawn(long count, std::size_t at_once) {
  std::vector<BareSpawned> all;
  all.reserve(at_once);
  long sum = 0;
  const peer::Stopwatch watch;
  for (long left = count; left > 0; left -= static_cast<long>(at_once)) {
    all.clear();
    for (std::size_t i = 0; i < at_once; ++i) {
      all.push_back(spawned(1));
      bare_ring.push(all.back().frame);
    }
    bare_ring.run();
    for (const BareSpawned& done : all) {
      sum += done.frame.promise().value;
      done.frame.destroy();
    }
  }
  return sum == count ? watch.ns() : -1;
}

double children(long count) {
  double ns = 0;
  await_children(count, ns).frame.destroy();
  return ns;
}

// A loop that is woken through an eventfd, edge-triggered: it need not be read.
class EpollLoop {
 public:
  EpollLoop() {
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLET;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, bell_, &wanted);
  }
  EpollLoop(const EpollLoop&) = delete;
  EpollLoop& operator=(const EpollLoop&) = delete;
  ~EpollLoop() {
    ::close(epoll_);
    ::close(bell_);
  }
  bool wake() const {
    const std::uint64_t one = 1;
    return ::write(bell_, &one, sizeof(one)) == sizeof(one);
  }
  bool sleep() const {
    epoll_event event;
    return ::epoll_wait(epoll_, &event, 1, -1) == 1;
  }

 private:
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  int bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

double wake(long count) {
  EpollLoop here;
  EpollLoop there;
  std::thread other([&here, &there, count] {
    for (long i = 0; i < count && there.sleep(); ++i) here.wake();
  });
  bool is_well = true;
  const peer::Stopwatch watch;
  for (long i = 0; i < count; ++i) is_well = there.wake() && here.sleep() && is_well;
  const double ns = watch.ns();
  other.join();
  return is_well ? ns : -1;
}

}  // namespace

int main(int argc, char** argv) {
  return peer::main(argc, argv, "bare coroutines",
                    {{"child", children},
                     {"yield_1", [](long count) { return yield_among(1, count); }},
                     {"yield_100", [](long count) { return yield_among(100, count); }},
                     {"yield_10000", [](long count) { return yield_among(10'000, count); }, 100'000},
                     {"ping_pong", ping_pong},
                     {"spawn_join", [](long count) { return spawn(count, 1); }},
                     {"spawn_many", [](long count) { return spawn(count, 1000); }},
                     {"wake", wake}});
}
