// Threads that are pinned: each of a pool or a Runtime may run on one processor, and they take turns with the processors.
#include <sched.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/thread.h>
#include <gyre/reactor/offload.h>
#include <gyre/reactor/run.h>
#include <gyre/reactor/runtime.h>
#include <gyre/task/cpu_pool.h>
#include <gyre/task/when_all.h>

namespace gyre {
namespace {

// Where the calling thread may run.
std::vector<int> my_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  EXPECT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  }
  return processors;
}

void expect_pinned(const std::vector<int>& one, const std::vector<int>& other) {
  ASSERT_EQ(one.size(), 1U);
  ASSERT_EQ(other.size(), 1U);
  if (count_processors() > 1) {
    EXPECT_NE(one[0], other[0]);
  }
}

// Returns only when another thread is here, too.
std::vector<int> meet_and_tell(std::atomic<int>* here) {
  here->fetch_add(1);
  while (here->load() < 2) std::this_thread::yield();
  return my_processors();
}
Task<Result<std::pair<std::vector<int>, std::vector<int>>>> ask_two_threads(CpuPool* pool) {
  std::atomic<int> here{0};
  auto both = co_await when_all(offload(*pool, meet_and_tell, &here), offload(*pool, meet_and_tell, &here));
  if (!both) co_return both.error();
  co_return std::pair(std::move(std::get<0>(*both)), std::move(std::get<1>(*both)));
}

TEST(PinningTest, EachThreadOfACpuPoolHasItsProcessor) {
  CpuPool pool({.threads = 2, .pin_threads = true});
  const auto both = run(ask_two_threads(&pool));
  ASSERT_TRUE(both);
  expect_pinned(both->first, both->second);
}

TEST(PinningTest, UnlessAskedThreadsRunAnywhere) {
  CpuPool pool({.threads = 2});
  const auto both = run(ask_two_threads(&pool));
  ASSERT_TRUE(both);
  EXPECT_EQ(both->first, my_processors());
  EXPECT_EQ(both->second, my_processors());
}

Task<void> tell(unsigned index, std::vector<std::vector<int>>* processors) {
  (*processors)[index] = my_processors();
  co_return;
}

TEST(PinningTest, EachReactorOfARuntimeHasItsProcessor) {
  std::vector<std::vector<int>> processors(2);
  const Result<std::unique_ptr<Runtime>> runtime = Runtime::create({.reactors = 2, .pin_threads = true});
  ASSERT_TRUE(runtime);
  ASSERT_TRUE((*runtime)->start(tell, &processors));
  ASSERT_TRUE((*runtime)->join());
  expect_pinned(processors[0], processors[1]);
}

}  // namespace
}  // namespace gyre
