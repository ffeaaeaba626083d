// Arming, cancelling and firing timers: TimerQueue against the floor, a bare wheel without order, exactness or
// re-entrancy, and against libev's heap where its library is installed.
//
// Time is simulated, but for libev, which only knows the real clock: its timers are armed, the bench waits until they
// are due, and then measures the loop's turn. Every figure is nanoseconds per timer.
#include <gyre/task/timer_queue.h>

#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>


namespace gyre {
namespace {

std::size_t fired_count = 0;

// The least that a wheel of the same shape can do: 64 slots a level, slots of 2^16 ns, unsorted rings, a bit for each that is
// not empty; a timer fires when its slot begins. (Without the branch that keeps the bits right on cancel, this processor
// needs 60 ns instead of 35 for arming and cancelling among a million, so it is part of the floor.)
struct BareTimer {
  BareTimer* next = nullptr;
  BareTimer* prev = nullptr;
  std::uint64_t deadline_ns = 0;
  void (*fire)(BareTimer&) noexcept = nullptr;
};

class BareWheel {
 public:
  BareWheel() noexcept {
    for (auto& level : slots_) {
      for (BareTimer& slot : level) slot.next = slot.prev = &slot;
    }
  }
  void arm(BareTimer& timer, std::uint64_t deadline_ns) noexcept {
    timer.deadline_ns = deadline_ns;
    insert(timer);
  }
  void cancel(BareTimer& timer) noexcept {
    timer.prev->next = timer.next;
    timer.next->prev = timer.prev;
    if (timer.next != timer.prev) return;
    const auto index = static_cast<std::size_t>(timer.next - &slots_[0][0]);
    occupied_[index / 64] &= ~(std::uint64_t{1} << (index % 64));
  }
  void fire_due(std::uint64_t now_ns) noexcept {
    const std::uint64_t now = now_ns >> tick_bits;
    for (;;) {
      int level = 0;
      while (level < levels && occupied_[level] == 0) ++level;
      if (level == levels) break;
      const int slot = std::countr_zero(occupied_[level]);
      const int shift = 6 * level;
      const std::uint64_t begin =
          (tick_ & ~((std::uint64_t{64} << shift) - 1)) | static_cast<std::uint64_t>(slot) << shift;
      if (begin > now) break;
      tick_ = begin;
      occupied_[level] &= ~(std::uint64_t{1} << slot);
      BareTimer* const head = &slots_[level][slot];
      BareTimer* timer = std::exchange(head->next, head);
      head->prev = head;
      while (timer != head) {
        BareTimer* const next = timer->next;
        if (level == 0) {
          timer->fire(*timer);
        } else {
          insert(*timer);
        }
        timer = next;
      }
    }
    tick_ = std::max(tick_, now);
  }

 private:
  static constexpr int tick_bits = 16;
  static constexpr int levels = 8;

  void insert(BareTimer& timer) noexcept {
    const std::uint64_t tick = timer.deadline_ns >> tick_bits;
    const int level = (63 - std::countl_zero((tick ^ tick_) | 63)) / 6;
    const std::uint64_t slot = tick >> (6 * level) & 63;
    BareTimer& head = slots_[level][slot];
    timer.next = &head;
    timer.prev = head.prev;
    head.prev->next = &timer;
    head.prev = &timer;
    occupied_[level] |= std::uint64_t{1} << slot;
  }

  std::uint64_t tick_ = 0;
  std::uint64_t occupied_[levels] = {};
  BareTimer slots_[levels][64];
};

// libev by its binary interface (4.x as everybody builds it), so that neither header nor library is needed to compile.
struct EvTimer {
  int active = 0;
  int pending = 0;
  int priority = 0;
  void* data = nullptr;
  void (*callback)(void* loop, EvTimer* timer, int events) = nullptr;
  double at_s = 0;
  double repeat_s = 0;
};

struct Libev {
  void* library = dlopen("libev.so.4", RTLD_NOW | RTLD_LOCAL);
  void* (*loop_new)(unsigned flags) = nullptr;
  void (*loop_destroy)(void* loop) = nullptr;
  void (*timer_start)(void* loop, EvTimer* timer) = nullptr;
  void (*timer_stop)(void* loop, EvTimer* timer) = nullptr;
  int (*run)(void* loop, int flags) = nullptr;
  void (*now_update)(void* loop) = nullptr;

  Libev() {
    if (library == nullptr) return;
    find(loop_new, "ev_loop_new");
    find(loop_destroy, "ev_loop_destroy");
    find(timer_start, "ev_timer_start");
    find(timer_stop, "ev_timer_stop");
    find(run, "ev_run");
    find(now_update, "ev_now_update");
  }
  template <typename F>
  void find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library, name));
    if (function == nullptr) library = nullptr;
  }
};

// The three subjects, with one interface; each owns the timers that it is used with.
class OurQueue {
 public:
  explicit OurQueue(std::size_t count) : timers_(new Node[count]) {}
  void arm(std::size_t i, std::uint64_t ns) { queue_.arm(timers_[i], instant(ns)); }
  void cancel(std::size_t i) { queue_.cancel(timers_[i]); }
  void fire_due(std::uint64_t ns) {
    queue_.fire_due(instant(ns), std::numeric_limits<std::size_t>::max());
  }

 private:
  struct Node : Timer {
    Node() : Timer([](Timer&) noexcept { ++fired_count; }) {}
  };
  static Instant instant(std::uint64_t ns) { return Instant(Duration(static_cast<std::int64_t>(ns))); }

  TimerQueue queue_;
  std::unique_ptr<Node[]> timers_;
};

class BareFloor {
 public:
  explicit BareFloor(std::size_t count) : timers_(new BareTimer[count]) {
    for (std::size_t i = 0; i < count; ++i) {
      timers_[i].fire = [](BareTimer&) noexcept { ++fired_count; };
    }
  }
  void arm(std::size_t i, std::uint64_t ns) { wheel_.arm(timers_[i], ns); }
  void cancel(std::size_t i) { wheel_.cancel(timers_[i]); }
  void fire_due(std::uint64_t ns) { wheel_.fire_due(ns); }

 private:
  BareWheel wheel_;
  std::unique_ptr<BareTimer[]> timers_;
};

class LibevHeap {
 public:
  LibevHeap(const Libev& ev, std::size_t count)
      : ev_(ev), loop_(ev.loop_new(0)), timers_(new EvTimer[count]) {
    for (std::size_t i = 0; i < count; ++i) {
      timers_[i].callback = [](void*, EvTimer*, int) { ++fired_count; };
    }
  }
  ~LibevHeap() { ev_.loop_destroy(loop_); }
  void arm(std::size_t i, std::uint64_t ns) {
    timers_[i].at_s = static_cast<double>(ns) * 1e-9;
    ev_.timer_start(loop_, &timers_[i]);
  }
  void cancel(std::size_t i) { ev_.timer_stop(loop_, &timers_[i]); }
  void update_now() { ev_.now_update(loop_); }
  void fire_due() {
    constexpr int no_wait = 1;
    ev_.run(loop_, no_wait);
  }

 private:
  const Libev& ev_;
  void* loop_;
  std::unique_ptr<EvTimer[]> timers_;
};

const Libev& libev() {
  static const Libev instance;
  return instance;
}

constexpr std::uint64_t minute_ns = 60'000'000'000;
constexpr std::uint64_t window_ns = 50'000'000;

std::vector<std::uint64_t> random_numbers(std::size_t count, std::uint64_t below) {
  std::mt19937_64 random(count);
  std::vector<std::uint64_t> numbers(count);
  for (std::uint64_t& number : numbers) number = random() % below;
  return numbers;
}

// Chosen anew each time: a sequence that repeats would always cancel the oldest timer of a list.
class Random {
 public:
  std::size_t below(std::size_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>((state_ >> 32) * bound >> 32);
  }

 private:
  std::uint64_t state_ = 1;
};

// `pending` timers are armed within a minute; one at random is cancelled and armed anew, again and again.
template <typename Subject>
void arm_and_cancel(benchmark::State& state, Subject& subject) {
  const auto pending = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t numbers_count = std::size_t{1} << 20;
  const std::vector<std::uint64_t> deadlines = random_numbers(numbers_count, minute_ns);
  for (std::size_t i = 0; i < pending; ++i) subject.arm(i, deadlines[i % numbers_count]);
  // As after a long time: no timer's neighbours in its list are its neighbours in memory.
  Random random;
  for (std::size_t i = 0; i < 3 * pending; ++i) {
    const std::size_t victim = random.below(pending);
    subject.cancel(victim);
    subject.arm(victim, deadlines[i % numbers_count]);
  }
  std::size_t at = 0;
  for (auto _ : state) {
    const std::size_t victim = random.below(pending);
    subject.cancel(victim);
    subject.arm(victim, deadlines[at]);
    at = (at + 1) % numbers_count;
  }
  state.SetItemsProcessed(state.iterations());
  for (std::size_t i = 0; i < pending; ++i) subject.cancel(i);
}

void BM_TimerQueue_ArmCancel(benchmark::State& state) {
  OurQueue subject(static_cast<std::size_t>(state.range(0)));
  arm_and_cancel(state, subject);
}
void BM_BareWheel_ArmCancel(benchmark::State& state) {
  BareFloor subject(static_cast<std::size_t>(state.range(0)));
  arm_and_cancel(state, subject);
}
void BM_Libev_ArmCancel(benchmark::State& state) {
  if (libev().library == nullptr) {
    state.SkipWithError("libev.so.4 is not installed");
    return;
  }
  LibevHeap subject(libev(), static_cast<std::size_t>(state.range(0)));
  arm_and_cancel(state, subject);
}

// Seconds of this thread's CPU time: what other processes take does not count.
double cpu_time_s() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// `pending` timers at random within 50 ms all fire, in turns of `turn_us` microseconds. Only the firing is measured;
// the time of one iteration is that of one timer.
template <typename Subject>
void fire(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto turn_ns = static_cast<std::uint64_t>(state.range(1)) * 1000;
  const std::vector<std::uint64_t> deadlines = random_numbers(count, window_ns);
  Subject subject(count);
  std::uint64_t now = 1'000'000'000;
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) subject.arm(i, now + deadlines[i]);
    fired_count = 0;
    const std::uint64_t end = now + window_ns + 1'000'000;
    const double begin = cpu_time_s();
    while (now < end) subject.fire_due(now += turn_ns);
    state.SetIterationTime((cpu_time_s() - begin) / static_cast<double>(count));
    if (fired_count != count) state.SkipWithError("timers were lost");
  }
}

void BM_TimerQueue_Fire(benchmark::State& state) { fire<OurQueue>(state); }
void BM_BareWheel_Fire(benchmark::State& state) { fire<BareFloor>(state); }

// libev's clock is the real one: all timers fall due while the bench waits, then one turn fires them.
void BM_Libev_Fire(benchmark::State& state) {
  if (libev().library == nullptr) {
    state.SkipWithError("libev.so.4 is not installed");
    return;
  }
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::vector<std::uint64_t> deadlines = random_numbers(count, window_ns);
  LibevHeap subject(libev(), count);
  for (auto _ : state) {
    subject.update_now();
    const auto due = std::chrono::steady_clock::now() + std::chrono::nanoseconds(window_ns) + std::chrono::milliseconds(2);
    for (std::size_t i = 0; i < count; ++i) subject.arm(i, deadlines[i]);
    fired_count = 0;
    while (std::chrono::steady_clock::now() < due) {
    }
    const double begin = cpu_time_s();
    subject.fire_due();
    state.SetIterationTime((cpu_time_s() - begin) / static_cast<double>(count));
    if (fired_count != count) state.SkipWithError("timers were lost");
  }
}

BENCHMARK(BM_TimerQueue_ArmCancel)->ArgName("pending")->Arg(1'000)->Arg(1'000'000);
BENCHMARK(BM_BareWheel_ArmCancel)->ArgName("pending")->Arg(1'000)->Arg(1'000'000);
BENCHMARK(BM_Libev_ArmCancel)->ArgName("pending")->Arg(1'000)->Arg(1'000'000);

constexpr int jump_us = 100'000;  // everything in one turn

void fire_arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"pending", "turn_us"})->UseManualTime();
  bench->Args({1'000, 100})->Args({100'000, 100})->Args({100'000, jump_us})->Args({1'000'000, 100});
}
// Iterations are fixed: the time of one is so short that the library would ask for billions.
BENCHMARK(BM_TimerQueue_Fire)->Apply(fire_arguments)->Iterations(30);
BENCHMARK(BM_BareWheel_Fire)->Apply(fire_arguments)->Iterations(30);
BENCHMARK(BM_Libev_Fire)
    ->ArgNames({"pending", "turn_us"})
    ->Args({1'000, jump_us})
    ->Args({100'000, jump_us})
    ->Args({1'000'000, jump_us})
    ->UseManualTime()
    ->Iterations(10);

}  // namespace
}  // namespace gyre

BENCHMARK_MAIN();
