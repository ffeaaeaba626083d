// Conformance (docs/CONFORMANCE.md), a reactor among threads: a sleeping one is woken by what another thread posts.
#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/reactor/reactor.h>
#include <gyre/task/event.h>
#include <gyre/task/sleep.h>
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

Task<void> stay_awake(const std::atomic<bool>& has_posted) {
  while (!has_posted) std::this_thread::yield();
  co_return;
}

// While a task runs nobody has to be woken.
TEST(ReactorThreadTest, PostsToAReactorThatIsAwakeMakeNoSystemCall) {
  constexpr int posts = 1'000;
  std::atomic<int> waits = 0;
  for (const std::unique_ptr<Reactor>& reactor : all_reactors(waits)) {
    std::atomic<bool> has_posted = false;
    int ran = 0;
    Event all;
    const std::uint64_t wakes = reactor->poller().stats().wakes;
    std::thread other([&] {
      for (int i = 0; i < posts; ++i) {
        EXPECT_TRUE(reactor->post([&] {
          if (++ran == posts) all.set();
        }));
      }
      has_posted = true;
    });
    EXPECT_TRUE(reactor->run_until(stay_awake(has_posted)));
    EXPECT_EQ(reactor->poller().stats().wakes, wakes) << reactor->poller().name();
    other.join();
    EXPECT_TRUE(reactor->run_until(with_timeout(time_limit, wait_for(all))));
    EXPECT_EQ(ran, posts);
  }
}

// However many post to a reactor that sleeps, one wakes it.
TEST(ReactorThreadTest, PostsMakeAtMostOneSystemCallForEachSleep) {
  constexpr int threads = 3;
  constexpr int posts = 500;
  std::atomic<int> waits = 0;
  for (const std::unique_ptr<Reactor>& reactor : all_reactors(waits)) {
    int ran = 0;
    Event all;
    std::vector<std::thread> posters;
    for (int thread = 0; thread < threads; ++thread) {
      posters.emplace_back([&] {
        std::atomic<int> own = 0;
        for (int i = 0; i < posts; ++i) {
          static_cast<void>(reactor->post([&] {
            ++own;
            if (++ran == threads * posts) all.set();
          }));
          // Now and then it has nothing to do, and sleeps.
          while (i % 50 == 49 && own.load() <= i) std::this_thread::yield();
        }
      });
    }
    const Result<void> done = reactor->run_until(with_timeout(time_limit, wait_for(all)));
    for (std::thread& poster : posters) poster.join();
    ASSERT_TRUE(done) << reactor->poller().name();
    const PollerStats stats = reactor->poller().stats();
    EXPECT_LE(stats.wakes, stats.blocking_waits) << reactor->poller().name();
    EXPECT_LT(stats.wakes, static_cast<std::uint64_t>(threads * posts));
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

Task<void> tell(std::promise<int> to, Duration delay, int value) {
  const Result<void> slept = co_await sleep(delay);
  if (!slept) {
    to.set_value(-1);
  } else if (value < 0) {
    to.set_exception(std::make_exception_ptr(std::runtime_error("thrown")));
  } else {
    to.set_value(value);
  }
}

// What another thread has tell() do; the future is for that thread.
struct Submission {
  std::promise<int> promise;
  std::future<int> future = promise.get_future();
  JoinHandle<void> handle;  // the reactor's thread only
};

void submit(Reactor& reactor, Submission& work, Duration delay, int value) {
  EXPECT_TRUE(reactor.post([&reactor, &work, delay, value] {
    work.handle = reactor.detach(tell, std::move(work.promise), Duration(delay), int{value});
  }));
}

// As get(), but bounded.
int take(std::future<int>& future) {
  if (future.wait_for(time_limit) == std::future_status::ready) return future.get();
  ADD_FAILURE() << "no answer";
  return 0;
}

// C-076: a thread has the reactor run a task, and gets its value or exception; it may give up waiting, and it may
// cancel. What fails before there is a task breaks the promise.
TEST(ReactorThreadTest, WorkSubmittedByAnotherThreadAnswersIt) {
  std::atomic<int> waits = 0;
  for (const std::unique_ptr<Reactor>& reactor : all_reactors(waits)) {
    Event done;
    Submission value;
    Submission exception;
    Submission slow;
    std::thread other([&] {
      submit(*reactor, value, 1ms, 7);
      EXPECT_EQ(take(value.future), 7);
      submit(*reactor, exception, 1ms, -1);
      EXPECT_THROW(take(exception.future), std::runtime_error);
      submit(*reactor, slow, 1h, 8);
      EXPECT_EQ(slow.future.wait_for(1ms), std::future_status::timeout);
      reactor->post([&slow] { slow.handle.cancel(); });
      EXPECT_EQ(take(slow.future), -1) << "it was cancelled";
      auto broken = std::make_unique<std::promise<int>>();
      std::future<int> never_told = broken->get_future();
      reactor->post([held = std::move(broken)] {});
      EXPECT_THROW(take(never_told), std::future_error);
      reactor->post([&done] { done.set(); });
    });
    const Result<void> ended = reactor->run_until(with_timeout(time_limit, wait_for(done)));
    other.join();
    EXPECT_TRUE(ended) << reactor->poller().name();
  }
}

}  // namespace
