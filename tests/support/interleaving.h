// What the tests of interleavings share: a checker in place of the library's atomics.
//
//   template <Weaken weaken>
//   struct DequeSuite : rl::test_suite<DequeSuite<weaken>, 3> { ... BasicStealDeque<Checked<weaken>> deque{1}; ... };
//   TEST_F(InterleavingTest, EachItemIsTakenOnce) { expect_holds<DequeSuite<Weaken::nothing>>(3); }
//   TEST_F(InterleavingTest, ADequeWithoutReleaseIsFound) { expect_found<DequeSuite<Weaken::release>>(2); }
//
// The code under test is the library's own; only the atomics are those of Relacy (Debian: relacy-dev), a checker by
// D. Vyukov that runs three and four threads through all schedules with a bounded number of pre-emptions, and each load
// through all values that the C++ memory model lets it have. Each protocol is also run with planted bugs, which have to
// be found: a checker that finds nothing proves nothing.
#pragma once

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
#include <gyre/platform/clock.h>

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

namespace gyre::test {

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

}  // namespace gyre::test

#else
#define GYRE_HAS_RELACY 0
#endif

namespace gyre::test {

class InterleavingTest : public testing::Test {
 protected:
  void SetUp() override {
    if (sanitized) GTEST_SKIP() << "the checker of interleavings does not run under a sanitizer";
    if (!GYRE_HAS_RELACY) GTEST_SKIP() << "relacy-dev is not installed: no checker of interleavings";
  }
};

}  // namespace gyre::test
