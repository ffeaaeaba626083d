// Conformance (docs/CONFORMANCE.md), a reactor among threads: a sleeping one is woken by what another thread posts.
#include <atomic>
#include <chrono>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/reactor.h>
#include <gyre/task/event.h>
#include <gyre/task/timeout.h>

namespace {

using namespace std::chrono_literals;
using namespace gyre;

// Nothing here takes that long unless it is broken.
constexpr Duration time_limit = 10s;

Task<Result<void>> wait_for(Event& event) { co_return co_await event.wait(); }

// A reactor of each kind that this system has.
std::vector<std::unique_ptr<Reactor>> all_reactors(std::atomic<int>& waits) {
  std::vector<std::unique_ptr<Reactor>> reactors;
  for (const std::string_view* name = poller_names(); !name->empty(); ++name) {
    Result<std::unique_ptr<Poller>> poller = open_poller(*name);
    if (!poller) continue;
    ReactorOptions options;
    options.with_poller = std::move(*poller);
    options.hook_owner = &waits;
    options.before_wait = [](void* owner) noexcept { ++*static_cast<std::atomic<int>*>(owner); };
    reactors.push_back(std::move(*Reactor::create(std::move(options))));
  }
  return reactors;
}

// C-018: the post comes when the reactor is about to sleep, or sleeps, with nothing else that would wake it in time.
TEST(ReactorThreadTest, PostFromAnotherThreadWakesASleeper) {
  std::atomic<int> waits = 0;
  for (const std::unique_ptr<Reactor>& reactor : all_reactors(waits)) {
    for (int round = 0; round < 50; ++round) {
      Event event;
      waits = 0;
      std::thread other([&] {
        while (waits == 0) std::this_thread::yield();
        EXPECT_TRUE(reactor->post([&event] { event.set(); }));
      });
      const Result<void> woken = reactor->run_until(with_timeout(time_limit, wait_for(event)));
      other.join();
      ASSERT_TRUE(woken) << reactor->poller().name();
    }
  }
}

// C-003: the posts of one thread arrive in their order, whatever the others do.
TEST(ReactorThreadTest, PostsOfEachThreadKeepTheirOrder) {
  constexpr int threads = 3;
  constexpr int posts = 300;
  std::atomic<int> waits = 0;
  for (const std::unique_ptr<Reactor>& reactor : all_reactors(waits)) {
    std::vector<std::vector<int>> seen(threads);
    int total = 0;
    Event all;
    std::vector<std::thread> posters;
    for (int thread = 0; thread < threads; ++thread) {
      posters.emplace_back([&, thread] {
        for (int i = 0; i < posts; ++i) {
          static_cast<void>(reactor->post([&, thread, i] {
            seen[static_cast<std::size_t>(thread)].push_back(i);
            if (++total == threads * posts) all.set();
          }));
        }
      });
    }
    const Result<void> done = reactor->run_until(with_timeout(time_limit, wait_for(all)));
    for (std::thread& poster : posters) poster.join();
    ASSERT_TRUE(done) << reactor->poller().name();
    for (const std::vector<int>& numbers : seen) {
      ASSERT_EQ(numbers.size(), static_cast<std::size_t>(posts));
      for (int i = 0; i < posts; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
    }
  }
}

// C-022: posts race with the end of the reactor. Each one either runs or is refused and freed; none is lost.
TEST(ReactorThreadTest, EachPostThatRacesWithShutdownRunsOrIsFreed) {
  std::atomic<int> waits = 0;
  for (const std::unique_ptr<Reactor>& reactor : all_reactors(waits)) {
    std::atomic<int> ran = 0;
    std::atomic<int> accepted = 0;
    std::atomic<bool> begun = false;
    const auto token = std::make_shared<int>(0);
    std::thread other([&] {
      for (;;) {
        const bool taken = reactor->post([&ran, held = token] { ++ran; });
        begun = true;
        if (!taken) return;
        ++accepted;
      }
    });
    while (!begun) std::this_thread::yield();
    static_cast<void>(reactor->run_once(reactor->clock().now()));
    reactor->shutdown();
    other.join();
    EXPECT_LE(ran, accepted);
    EXPECT_EQ(token.use_count(), 1) << "what was posted is gone";
  }
}

}  // namespace
