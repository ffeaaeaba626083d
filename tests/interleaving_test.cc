// The lock-free protocols under every interleaving: the deque, parking, the inbox, the join of forked work, the word that
// ends a sleep in a poller, the word by which a posted call is cancelled, the list that signal handlers walk, and the end of a pool.
//
// The code under test is the library's own; only the atomics are those of Relacy (Debian: relacy-dev), a checker by
// D. Vyukov that runs three and four threads through all schedules with a bounded number of pre-emptions, and each load
// through all values that the C++ memory model lets it have. Each protocol is then run with a planted bug, which has to
// be found: a checker that finds nothing proves nothing.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <ostream>
#include <streambuf>
#include <string>

#include <gtest/gtest.h>

#include <gyre/platform/check.h>
#include <gyre/platform/handler_watch.h>
#include <gyre/platform/wake_word.h>
#include <gyre/reactor/inbox.h>
#include <gyre/reactor/post_handle.h>
#include <gyre/task/parking.h>
#include <gyre/task/pool_end.h>
#include <gyre/task/steal_deque.h>
#include <gyre/task/work_join.h>

// Not under a sanitizer: the checker switches stacks behind its back, and replaces its allocator.
#if __has_include(<relacy/relacy.hpp>) && !GYRE_SANITIZED
#define GYRE_HAS_RELACY 1
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

namespace gyre {
namespace {

// What a planted bug does to the orders.
enum class Weaken { nothing, release, seq_cst };

template <Weaken weaken>
constexpr rl::memory_order order_of(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return weaken == Weaken::release ? rl::mo_relaxed : rl::mo_release;
    case std::memory_order_acq_rel:
      return weaken == Weaken::release ? rl::mo_acquire : rl::mo_acq_rel;
    case std::memory_order_seq_cst:
      break;
  }
  return rl::mo_seq_cst;
}

// std::atomic's interface over Relacy's.
template <typename T, Weaken weaken>
class CheckedAtomic {
 public:
  CheckedAtomic() = default;
  CheckedAtomic(T value) : atomic_(value) {}
  CheckedAtomic(const CheckedAtomic&) = delete;
  CheckedAtomic& operator=(const CheckedAtomic&) = delete;

  T load(std::memory_order order) const { return atomic_.load(of_load(order), RL_INFO); }
  void store(T value, std::memory_order order) { atomic_.store(value, of_store(order), RL_INFO); }
  T exchange(T value, std::memory_order order) { return atomic_.exchange(value, of_both(order), RL_INFO); }
  T fetch_add(T value, std::memory_order order) { return atomic_.fetch_add(value, of_both(order), RL_INFO); }
  T fetch_sub(T value, std::memory_order order) { return atomic_.fetch_sub(value, of_both(order), RL_INFO); }
  bool compare_exchange_strong(T& expected, T value, std::memory_order order, std::memory_order failure) {
    return atomic_.compare_exchange_strong(expected, value, of_both(order), RL_INFO, of_load(failure), RL_INFO);
  }
  // Without spurious failures: they add nothing but states.
  bool compare_exchange_weak(T& expected, T value, std::memory_order order, std::memory_order failure) {
    return compare_exchange_strong(expected, value, order, failure);
  }

 private:
  static constexpr bool weak = weaken == Weaken::seq_cst;
  static rl::memory_order of_load(std::memory_order order) {
    return weak && order == std::memory_order_seq_cst ? rl::mo_acquire : order_of<weaken>(order);
  }
  static rl::memory_order of_store(std::memory_order order) {
    return weak && order == std::memory_order_seq_cst ? rl::mo_release : order_of<weaken>(order);
  }
  static rl::memory_order of_both(std::memory_order order) {
    return weak && order == std::memory_order_seq_cst ? rl::mo_acq_rel : order_of<weaken>(order);
  }

  mutable rl::atomic<T> atomic_;
};

// A futex: comparing and falling asleep are one step.
class Futex {
 public:
  template <typename Word>
  void sleep_on(const Word& word, std::uint32_t expected) {
    mutex_.lock(RL_INFO);
    while (word.load(std::memory_order_relaxed) == expected) changed_.wait(mutex_, RL_INFO);
    mutex_.unlock(RL_INFO);
  }
  void wake() {
    mutex_.lock(RL_INFO);
    changed_.notify_all(RL_INFO);
    mutex_.unlock(RL_INFO);
  }

 private:
  rl::mutex mutex_;
  rl::condition_variable_any changed_;
};

template <Weaken weaken>
struct Checked {
  template <typename T>
  using Atomic = CheckedAtomic<T, weaken>;

  static inline Futex* futex = nullptr;  // the suite's
  // A deadline comes at once.
  static void sleep_on(const Atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) {
    if (deadline == never) futex->sleep_on(word, expected);
  }
  static void wake(const Atomic<std::uint32_t>&, int) { futex->wake(); }
};

// Planted: nobody who sleeps is woken.
struct Deaf : Checked<Weaken::nothing> {
  static void wake(const Atomic<std::uint32_t>&, int) {}
};

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

// --- Wake word ------------------------------------------------------------------------------------------------------

// One thread wakes, another nudges, and the owner sleeps until it has seen both: a lost one is a deadlock. With `minds` off,
// it sleeps whatever prepare_to_sleep() says; with `signals` off, nobody rings for a nudge.
template <Weaken weaken, bool minds, bool signals>
struct WakeWordSuite : rl::test_suite<WakeWordSuite<weaken, minds, signals>, 3> {
  BasicWakeWord<Checked<weaken>> word;
  // What is published before the wake, and before the nudge: the word orders them.
  typename Checked<weaken>::template Atomic<int> for_caller{0};
  typename Checked<weaken>::template Atomic<int> for_poller{0};
  rl::mutex mutex;
  rl::condition_variable_any rung;
  bool is_rung = false;   // it stays so until the owner has slept
  bool has_timer = true;  // one sleep may end by itself

  void ring() {
    mutex.lock(RL_INFO);
    is_rung = true;
    rung.notify_all(RL_INFO);
    mutex.unlock(RL_INFO);
  }
  void sleep() {
    if (has_timer && rl::rand(2) == 0) {
      has_timer = false;
      return;
    }
    mutex.lock(RL_INFO);
    while (!is_rung) rung.wait(mutex, RL_INFO);
    is_rung = false;
    mutex.unlock(RL_INFO);
  }
  void thread(unsigned number) {
    if (number == 1) {
      for_caller.store(1, std::memory_order_relaxed);
      if (word.wake()) ring();
      return;
    }
    if (number == 2) {
      for_poller.store(1, std::memory_order_relaxed);
      if (word.nudge() && signals) ring();
      return;
    }
    bool is_woken = false;
    for (;;) {
      if (word.take()) {
        is_woken = true;
        RL_ASSERT(for_caller.load(std::memory_order_relaxed) == 1);
      }
      if (is_woken && for_poller.load(std::memory_order_relaxed) == 1) return;
      if (word.prepare_to_sleep() || !minds) sleep();
    }
  }
};

// --- Inbox ----------------------------------------------------------------------------------------------------------

// Two threads post to one that sleeps when there is nothing, and that ends as soon as it has both messages: then nobody may
// touch it any more. With `minds` off, it sleeps whatever fall_asleep() says; with `waits` off, it does not wait for those
// who wake it.
template <Weaken weaken, bool minds, bool waits>
struct InboxSuite : rl::test_suite<InboxSuite<weaken, minds, waits>, 3> {
  using Box = BasicInbox<Checked<weaken>>;
  struct Letter : Box::Message {
    rl::var<int> text;
  };
  Box inbox;
  Letter letters[2];
  // The poller: a sticky bell, and whether it still exists.
  rl::mutex mutex;
  rl::condition_variable_any rung;
  bool is_rung = false;
  rl::var<int> poller;

  void before() { poller(RL_INFO) = 1; }
  void wake() {
    RL_ASSERT(static_cast<int>(poller(RL_INFO)) == 1);
    mutex.lock(RL_INFO);
    is_rung = true;
    rung.notify_all(RL_INFO);
    mutex.unlock(RL_INFO);
  }
  // One sleep may end by itself: a timer.
  bool has_timer = true;
  void sleep() {
    if (has_timer && rl::rand(2) == 0) {
      has_timer = false;
      return;
    }
    mutex.lock(RL_INFO);
    while (!is_rung) rung.wait(mutex, RL_INFO);
    is_rung = false;
    mutex.unlock(RL_INFO);
  }
  void thread(unsigned number) {
    if (number != 0) {
      Letter& letter = letters[number - 1];
      letter.text(RL_INFO) = static_cast<int>(number);
      if (inbox.push(letter) == Box::Pushed::must_wake) {
        wake();
        inbox.woken();
      }
      return;
    }
    int got = 0;
    while (got != 3) {
      for (auto* message = inbox.take(); message != nullptr; message = message->next) {
        got += static_cast<int>(static_cast<Letter*>(message)->text(RL_INFO));
      }
      if (got != 3 && (inbox.fall_asleep() || !minds)) sleep();
    }
    RL_ASSERT(inbox.close() == nullptr);
    while (waits && !inbox.is_left_alone()) rl::yield(1, RL_INFO);
    poller(RL_INFO) = 0;  // gone
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

// --- Cancel ---------------------------------------------------------------------------------------------------------

// One thread runs a call, which also tries to cancel itself; two others cancel it. Either both take it back and it never
// runs, or both return after its end and see what it has done.
template <typename Policy>
struct PostPhaseSuite : rl::test_suite<PostPhaseSuite<Policy>, 3> {
  Futex futex;
  detail::BasicPostPhase<Policy> phase;
  rl::var<int> effect;
  bool has_run = false;
  int taken_back = 0;
  char selves[3] = {};

  void before() { Policy::futex = &futex; }
  void thread(unsigned number) {
    void* const self = &selves[number];
    if (number != 0) {
      if (phase.cancel(self)) {
        ++taken_back;
      } else {
        RL_ASSERT(static_cast<int>(effect(RL_INFO)) == 1);
      }
      return;
    }
    if (!phase.begin(self)) return;
    effect(RL_INFO) = 1;
    has_run = true;
    RL_ASSERT(!phase.cancel(self));
    phase.end();
  }
  void after() { RL_ASSERT(taken_back == (has_run ? 0 : 2)); }
};

// --- Signal handlers ------------------------------------------------------------------------------------------------

// Two handlers look for a listener that a third thread takes away and destroys. With `waits` off, it does not wait for them.
template <Weaken weaken, bool waits>
struct HandlerWatchSuite : rl::test_suite<HandlerWatchSuite<weaken, waits>, 3> {
  struct Listener {
    rl::var<int> alive;
  };
  Listener listener;
  BasicHandlerWatch<Checked<weaken>, Listener> watch;

  void before() {
    listener.alive(RL_INFO) = 1;
    watch.first().store(&listener, std::memory_order_seq_cst);
  }
  void thread(unsigned number) {
    if (number != 0) {
      Listener* const found = watch.enter();
      if (found != nullptr) RL_ASSERT(static_cast<int>(found->alive(RL_INFO)) == 1);
      watch.leave();
      return;
    }
    watch.first().store(nullptr, std::memory_order_seq_cst);
    while (waits && !watch.is_left_alone()) rl::yield(1, RL_INFO);
    listener.alive(RL_INFO) = 0;  // gone
  }
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

// --- Running them ---------------------------------------------------------------------------------------------------

struct Verdict {
  bool passed = false;
  std::uint64_t interleavings = 0;
  std::string result;
};

// Every schedule with up to `preemptions` forced switches of thread.
template <typename Suite>
Verdict check(unsigned preemptions) {
  struct Nowhere : std::streambuf {
    int_type overflow(int_type character) override { return character; }
  } nowhere;
  std::ostream silence(&nowhere);
  rl::test_params parameters;
  parameters.search_type = rl::sched_bound;
  parameters.context_bound = preemptions;
  parameters.execution_depth_limit = 5000;
  parameters.output_stream = &silence;
  parameters.progress_stream = &silence;
  Verdict verdict;
  verdict.passed = rl::simulate<Suite>(parameters);
  verdict.interleavings = static_cast<std::uint64_t>(parameters.stop_iteration);
  verdict.result = rl::test_result_str(parameters.test_result);
  return verdict;
}

template <typename Suite>
void expect_holds(unsigned preemptions) {
  const Verdict verdict = check<Suite>(preemptions);
  EXPECT_TRUE(verdict.passed) << verdict.result << " in interleaving " << verdict.interleavings;
  EXPECT_GT(verdict.interleavings, 100U) << "hardly a search";
  ::testing::Test::RecordProperty("interleavings", std::to_string(verdict.interleavings));
  std::printf("  %llu interleavings\n", static_cast<unsigned long long>(verdict.interleavings));
}
template <typename Suite>
void expect_found(unsigned preemptions) {
  const Verdict verdict = check<Suite>(preemptions);
  EXPECT_FALSE(verdict.passed) << "the planted bug survived " << verdict.interleavings << " interleavings";
  std::printf("  %s in interleaving %llu\n", verdict.result.c_str(),
              static_cast<unsigned long long>(verdict.interleavings));
}

#else
#define GYRE_HAS_RELACY 0
namespace gyre {
namespace {
#endif

class InterleavingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (sanitized) GTEST_SKIP() << "the checker of interleavings does not run under a sanitizer";
    if (!GYRE_HAS_RELACY) GTEST_SKIP() << "relacy-dev is not installed: no checker of interleavings";
  }
};

#if GYRE_HAS_RELACY

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

TEST_F(InterleavingTest, AWakeWordLosesNoWakeAndNoNudge) {
  expect_holds<WakeWordSuite<Weaken::nothing, true, true>>(3);
}
TEST_F(InterleavingTest, AWakeWordWithoutReleaseIsFound) {
  expect_found<WakeWordSuite<Weaken::release, true, true>>(3);
}
TEST_F(InterleavingTest, AnOwnerThatSleepsOnAWakeIsFound) {
  expect_found<WakeWordSuite<Weaken::nothing, false, true>>(3);
}
TEST_F(InterleavingTest, ANudgeWithoutASignalIsFound) {
  expect_found<WakeWordSuite<Weaken::nothing, true, false>>(3);
}

TEST_F(InterleavingTest, AnInboxLosesNoMessageAndNoWakeAndItsOwnerMayGo) {
  expect_holds<InboxSuite<Weaken::nothing, true, true>>(2);
}
TEST_F(InterleavingTest, AnInboxWithoutReleaseIsFound) {
  expect_found<InboxSuite<Weaken::release, true, true>>(2);
}
TEST_F(InterleavingTest, AnOwnerThatSleepsOnMessagesIsFound) {
  expect_found<InboxSuite<Weaken::nothing, false, true>>(2);
}
TEST_F(InterleavingTest, AnOwnerThatGoesBeforeItsWakersIsFound) {
  expect_found<InboxSuite<Weaken::nothing, true, false>>(2);
}

TEST_F(InterleavingTest, AJoinGoesOnOnceAndSeesAllResults) { expect_holds<JoinSuite<Weaken::nothing>>(3); }
TEST_F(InterleavingTest, AJoinWithoutReleaseIsFound) { expect_found<JoinSuite<Weaken::release>>(3); }

TEST_F(InterleavingTest, ACallRunsOrIsTakenBackAndWhoCancelsKnowsWhich) {
  expect_holds<PostPhaseSuite<Checked<Weaken::nothing>>>(3);
}
TEST_F(InterleavingTest, ACallWithoutReleaseIsFound) { expect_found<PostPhaseSuite<Checked<Weaken::release>>>(3); }
TEST_F(InterleavingTest, ACallWhoseEndWakesNobodyIsFound) { expect_found<PostPhaseSuite<Deaf>>(3); }

TEST_F(InterleavingTest, AListenerGoesOnlyWhenNoHandlerIsLeft) { expect_holds<HandlerWatchSuite<Weaken::nothing, true>>(3); }
TEST_F(InterleavingTest, AListenerThatDoesNotWaitIsFound) { expect_found<HandlerWatchSuite<Weaken::nothing, false>>(3); }
TEST_F(InterleavingTest, HandlersWithoutSequentialConsistencyAreFound) {
  expect_found<HandlerWatchSuite<Weaken::seq_cst, true>>(3);
}

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

#else

TEST_F(InterleavingTest, NeedsRelacy) {}

#endif

}  // namespace
}  // namespace gyre
