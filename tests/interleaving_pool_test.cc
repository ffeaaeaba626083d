// What the threads of a pool share, under every interleaving: the deque, parking, the join of forked work, the end of a pool,
// and the answer to who waits for a job.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

#include <gyre/platform/answer_word.h>
#include <gyre/task/parking.h>
#include <gyre/task/pool_end.h>
#include <gyre/task/steal_deque.h>
#include <gyre/task/work_join.h>

#include "support/interleaving.h"

namespace gyre::test {
namespace {

#if GYRE_HAS_RELACY

// --- Deque ----------------------------------------------------------------------------------------------------------

// One owner, two thieves; the deque begins with room for one, so it grows on the way.
template <Weaken weaken>
struct DequeSuite : rl::test_suite<DequeSuite<weaken>, 3> {
  static constexpr int items = 3;
  BasicStealDeque<Checked<weaken>> deque{1};
  rl::var<int> payload[items];
  int taken[items] = {};

  void take(void* item) {
    if (item == nullptr) return;
    const auto index = static_cast<std::size_t>(static_cast<rl::var<int>*>(item) - payload);
    RL_ASSERT(static_cast<int>(payload[index](RL_INFO)) == static_cast<int>(index));
    ++taken[index];
    RL_ASSERT(taken[index] == 1);
  }
  void push(int index) {
    payload[index](RL_INFO) = index;
    RL_ASSERT(deque.push(&payload[index]));
  }
  void thread(unsigned number) {
    if (number != 0) {
      take(deque.steal());
      return;
    }
    push(0);
    push(1);
    take(deque.pop());
    push(2);
    take(deque.pop());
    take(deque.pop());
  }
  void after() {
    take(deque.pop());
    for (const int count : taken) RL_ASSERT(count == 1);
  }
};

// --- Parking --------------------------------------------------------------------------------------------------------

// One thread adds two pieces of work, two workers do them and sleep in between. Everybody parked while there is work is a
// deadlock, which Relacy reports. With `looks_again` off, workers go to sleep without another look.
template <Weaken weaken, bool looks_again, bool looks_twice = false>
struct ParkingSuite : rl::test_suite<ParkingSuite<weaken, looks_again, looks_twice>, 3> {
  using Policy = Checked<weaken>;
  static constexpr std::uint32_t pieces = 2;
  Futex futex;
  BasicParking<Policy> parking{1};
  typename Policy::template Atomic<std::uint32_t> work{0};
  typename Policy::template Atomic<std::uint32_t> done{0};

  void before() { Policy::futex = &futex; }
  bool has_work() { return work.load(std::memory_order_seq_cst) != 0 || is_over(); }
  bool is_over() { return done.load(std::memory_order_seq_cst) == pieces; }
  bool take() {
    std::uint32_t left = work.load(std::memory_order_seq_cst);
    while (left != 0) {
      if (work.compare_exchange_strong(left, left - 1, std::memory_order_seq_cst, std::memory_order_seq_cst)) {
        return true;
      }
    }
    return false;
  }
  void thread(unsigned number) {
    if (number == 0) {
      for (std::uint32_t i = 0; i < pieces; ++i) {
        work.fetch_add(1, std::memory_order_seq_cst);
        parking.notify();
      }
      return;
    }
    // As CpuPool's threads.
    bool searching = false;
    for (;;) {
      if (take()) {
        if (searching) parking.found();
        searching = false;
        if (done.fetch_add(1, std::memory_order_seq_cst) + 1 == pieces) parking.notify_all();
        continue;
      }
      if (is_over()) {
        if (searching) parking.found();
        return;
      }
      if (!searching) searching = parking.begin_search();
      if (searching && work.load(std::memory_order_seq_cst) != 0) continue;
      parking.sleep(searching, looks_twice ? Instant() : never, [this] { return looks_again && has_work(); });
      searching = true;
    }
  }
};

// --- Join -----------------------------------------------------------------------------------------------------------

// A parent that was taken twice joins two children that end on other threads: whoever is last goes on, once, and sees both
// results.
template <Weaken weaken>
struct JoinSuite : rl::test_suite<JoinSuite<weaken>, 3> {
  detail::BasicWorkJoin<Checked<weaken>> join;
  rl::var<int> results[2];
  rl::var<int> continued;

  void before() {
    continued(RL_INFO) = 0;
    join.note_taken();
    join.note_taken();
  }
  void go_on() {
    RL_ASSERT(static_cast<int>(continued(RL_INFO)) == 0);
    continued(RL_INFO) = 1;
    RL_ASSERT(static_cast<int>(results[0](RL_INFO)) + static_cast<int>(results[1](RL_INFO)) == 3);
    join.restart();
    RL_ASSERT(join.are_done());
  }
  void thread(unsigned number) {
    if (number == 0) {
      if (join.are_done() || join.wait()) go_on();
      return;
    }
    results[number - 1](RL_INFO) = static_cast<int>(number);
    if (join.end_child()) go_on();
  }
  void after() { RL_ASSERT(static_cast<int>(continued(RL_INFO)) == 1); }
};

// --- The end of a pool ----------------------------------------------------------------------------------------------

// One or two jobs for two threads, and a stop at any moment. Each job is done or given back, nobody leaves before that, and when
// the stop returns nobody touches the pool any more. With `tells` off, whoever does the last job tells nobody.
template <typename Policy, bool tells, int jobs = 2>
struct PoolEndSuite : rl::test_suite<PoolEndSuite<Policy, tells, jobs>, 3> {
  Futex futex;
  BasicParking<Policy> parking{1};
  BasicJobCounts<Policy> counts;
  BasicThreadCount<Policy> threads;
  rl::mutex mutex;
  int waiting = 0;  // under the mutex
  int settled = 0;  // done or given back
  rl::var<int> pool;  // 1 while it exists

  void before() {
    Policy::futex = &futex;
    pool(RL_INFO) = 1;
    threads.add();
    threads.add();
  }
  // As CpuPool's begin_job() and take_back().
  bool take(bool begins) {
    mutex.lock(RL_INFO);
    const bool found = waiting != 0;
    if (found) {
      --waiting;
      if (!begins) ++settled;
      begins ? counts.begin() : counts.take_back();
    }
    mutex.unlock(RL_INFO);
    return found;
  }
  void work() {
    bool searching = false;
    for (;;) {
      if (take(true)) {
        if (searching) parking.found();
        searching = false;
        ++settled;
        if (counts.finish() && tells) parking.notify_all();
        continue;
      }
      if (counts.is_over()) {
        if (searching) parking.found();
        break;
      }
      if (!searching) searching = parking.begin_search();
      if (counts.has_waiting()) continue;
      parking.sleep(searching, never, [this] { return counts.waiting() != 0 || counts.is_over(); });
      searching = true;
    }
    RL_ASSERT(settled == jobs);
    RL_ASSERT(static_cast<int>(pool(RL_INFO)) == 1);
    threads.remove();
  }
  void thread(unsigned number) {
    if (number != 0) {
      work();
      return;
    }
    for (int i = 0; i < jobs; ++i) {
      mutex.lock(RL_INFO);
      ++waiting;
      counts.add_waiting();
      mutex.unlock(RL_INFO);
      parking.notify();
    }
    counts.stop();
    while (take(false)) {
    }
    parking.notify_all();
    RL_ASSERT(threads.wait(never));
    pool(RL_INFO) = 0;  // gone
    RL_ASSERT(settled == jobs);
  }
};

// --- Answer ---------------------------------------------------------------------------------------------------------

// A word that says whether it still exists: nobody may touch it when its owner has gone.
template <Weaken weaken>
struct Mortal : Checked<weaken> {
  static inline rl::var<int>* alive = nullptr;  // the suite's
  static void expect_alive() { RL_ASSERT(static_cast<int>((*alive)(RL_INFO)) == 1); }

  template <typename T>
  struct Atomic : CheckedAtomic<T, weaken> {
    using CheckedAtomic<T, weaken>::CheckedAtomic;
    T load(std::memory_order order) const {
      expect_alive();
      return CheckedAtomic<T, weaken>::load(order);
    }
    void store(T value, std::memory_order order) {
      expect_alive();
      CheckedAtomic<T, weaken>::store(value, order);
    }
  };
  static void sleep_on(const Atomic<std::uint32_t>& word, std::uint32_t expected, Instant) {
    Checked<weaken>::futex->sleep_on(word, expected);
  }
  static void wake(const Atomic<std::uint32_t>&, int) { Checked<weaken>::futex->wake(); }
};

// Planted: whoever answers looks at the word once more.
struct Prying : Mortal<Weaken::nothing> {
  static void wake(const Atomic<std::uint32_t>& word, int) {
    if (word.load(std::memory_order_relaxed) != 0) futex->wake();
  }
};
// Planted: nobody is woken.
struct Silent : Mortal<Weaken::nothing> {
  static void wake(const Atomic<std::uint32_t>&, int) {}
};

// One thread waits for a job that a second one does or a third one gives back, and goes with all it has as soon as it knows:
// as CpuPool::run() and stop().
template <typename Policy>
struct AnswerSuite : rl::test_suite<AnswerSuite<Policy>, 3> {
  Futex futex;
  rl::var<int> alive;
  rl::mutex mutex;
  bool is_waiting = true;  // the job; under the mutex
  rl::var<int> result;
  BasicAnswerWord<Policy> has_worked;

  void before() {
    Policy::futex = &futex;
    Policy::alive = &alive;
    alive(RL_INFO) = 1;
    result(RL_INFO) = 0;
  }
  bool take() {
    mutex.lock(RL_INFO);
    const bool taken = is_waiting;
    is_waiting = false;
    mutex.unlock(RL_INFO);
    return taken;
  }
  void thread(unsigned number) {
    if (number == 0) {
      const bool worked = has_worked.wait();
      RL_ASSERT(static_cast<int>(result(RL_INFO)) == (worked ? 1 : 2));
      alive(RL_INFO) = 0;
      return;
    }
    if (!take()) return;
    result(RL_INFO) = static_cast<int>(number);
    has_worked.answer(number == 1);
  }
};

// --- Running them ---------------------------------------------------------------------------------------------------

TEST_F(InterleavingTest, EachItemOfADequeIsTakenOnce) { expect_holds<DequeSuite<Weaken::nothing>>(3); }
TEST_F(InterleavingTest, ADequeWithoutReleaseIsFound) { expect_found<DequeSuite<Weaken::release>>(2); }
TEST_F(InterleavingTest, ADequeWithoutSequentialConsistencyIsFound) {
  expect_found<DequeSuite<Weaken::seq_cst>>(2);
}

TEST_F(InterleavingTest, NobodyIsParkedForEverWhileThereIsWork) {
  expect_holds<ParkingSuite<Weaken::nothing, true>>(2);
}
TEST_F(InterleavingTest, NorAfterASecondLook) { expect_holds<ParkingSuite<Weaken::nothing, true, true>>(2); }
TEST_F(InterleavingTest, ParkingWithoutALastLookIsFound) {
  expect_found<ParkingSuite<Weaken::nothing, false>>(2);
}
TEST_F(InterleavingTest, ParkingWithoutSequentialConsistencyIsFound) {
  expect_found<ParkingSuite<Weaken::seq_cst, true>>(2);
}

TEST_F(InterleavingTest, AJoinGoesOnOnceAndSeesAllResults) { expect_holds<JoinSuite<Weaken::nothing>>(3); }
TEST_F(InterleavingTest, AJoinWithoutReleaseIsFound) { expect_found<JoinSuite<Weaken::release>>(3); }

TEST_F(InterleavingTest, APoolEndsWithItsLastJobAndNobodyTouchesItAfterwards) {
  expect_holds<PoolEndSuite<Checked<Weaken::nothing>, true, 1>>(2);
  expect_holds<PoolEndSuite<Checked<Weaken::nothing>, true, 2>>(1);
}
TEST_F(InterleavingTest, APoolWithoutReleaseIsFound) { expect_found<PoolEndSuite<Checked<Weaken::release>, true>>(2); }
TEST_F(InterleavingTest, ALastJobThatTellsNobodyIsFound) {
  expect_found<PoolEndSuite<Checked<Weaken::nothing>, false>>(2);
}
TEST_F(InterleavingTest, APoolWithoutSequentialConsistencyIsFound) {
  expect_found<PoolEndSuite<Checked<Weaken::seq_cst>, true>>(2);
}

TEST_F(InterleavingTest, AnAnswerIsSeenWithItsResultAndItsWordMayGo) {
  expect_holds<AnswerSuite<Mortal<Weaken::nothing>>>(3);
}
TEST_F(InterleavingTest, AnAnswerWithoutReleaseIsFound) { expect_found<AnswerSuite<Mortal<Weaken::release>>>(3); }
TEST_F(InterleavingTest, AnAnswerThatWakesNobodyIsFound) { expect_found<AnswerSuite<Silent>>(3); }
TEST_F(InterleavingTest, WhoTouchesAnAnswerAfterItWasGivenIsFound) { expect_found<AnswerSuite<Prying>>(3); }

#else

TEST_F(InterleavingTest, NeedsRelacy) {}

#endif

}  // namespace
}  // namespace gyre::test
