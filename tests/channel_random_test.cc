// Channels of every order and capacity under tasks that send, reserve, receive, and are cancelled at random times.
#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/task/cancel_scope.h>
#include <gyre/task/channel.h>
#include <gyre/task/priority_channel.h>
#include <gyre/task/sleep.h>

#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Random;

// A value that is lost or duplicated shows: each number exists once, and moving empties the source.
struct Item {
  explicit Item(int number_) noexcept : number(number_) {}
  Item(Item&& other) noexcept : number(std::exchange(other.number, -1)) {}
  friend bool operator<(const Item& a, const Item& b) noexcept { return a.number < b.number; }
  int number;
};

template <typename C>
struct Shared {
  explicit Shared(std::size_t capacity) : channel(capacity) {}
  C channel;
  int made = 0;
  std::vector<int> sent;
  std::vector<int> unsent;    // given back by a send that failed
  std::vector<int> received;
  int senders_left = 0;
};

template <typename C>
Task<void> produce(std::reference_wrapper<Random> random, Shared<C>& shared) {
  for (int i = 0; i < 30; ++i) {
    const Duration pause = random.get().milliseconds_below(4);
    const Result<void> paused = co_await sleep(pause);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(10)));
    Item item(shared.made++);
    const int number = item.number;
    if (shared.channel.capacity() > 0 && random.get().one_in(3)) {
      Result<typename C::Permit> permit = co_await shared.channel.reserve();
      if (permit) {
        const Duration work = random.get().milliseconds_below(3);
        const Result<void> worked = co_await sleep(work);
        if (worked) (void)permit->send(std::move(item));
      }
    } else {
      const Result<void> sent = co_await shared.channel.send(std::move(item));
      EXPECT_EQ(sent.has_value(), item.number == -1);
    }
    (item.number == -1 ? shared.sent : shared.unsent).push_back(number);
    if (!paused) break;
  }
  if (--shared.senders_left == 0) shared.channel.close();
}

template <typename C>
Task<void> consume(std::reference_wrapper<Random> random, Shared<C>& shared) {
  for (;;) {
    const Duration pause = random.get().milliseconds_below(4);
    const Result<void> paused = co_await sleep(pause);
    CancelScope scope(CancelScope::within(random.get().milliseconds_below(10)));
    Result<Item> item = co_await shared.channel.receive();
    if (item) {
      shared.received.push_back(item->number);
      shared.channel.task_done();
    } else if (item.error() == Errc::closed || !paused) {
      break;
    }
  }
}

template <typename C>
Task<void> join(Shared<C>& shared, bool& joined) {
  const Result<void> result = co_await shared.channel.join();
  joined = result.has_value();
}

template <typename C>
void run_random(Random& random, std::size_t capacity) {
  Shared<C> shared(capacity);
  gyre::testing::TestLoop loop;
  std::vector<JoinHandle<void>> tasks;
  const std::uint32_t producers = 1 + random.below(5);
  shared.senders_left = static_cast<int>(producers);
  for (std::uint32_t i = 0; i < producers; ++i) {
    tasks.push_back(loop.spawn(produce<C>, std::ref(random), std::ref(shared)));
  }
  const std::uint32_t consumers = 1 + random.below(5);
  for (std::uint32_t i = 0; i < consumers; ++i) {
    tasks.push_back(loop.spawn(consume<C>, std::ref(random), std::ref(shared)));
  }
  loop.spawn(gyre::testing::cancel_at_random, std::ref(random), std::ref(tasks), 60U);
  // Between two turns nobody waits for what is there.
  for (int step = 0; step < 100'000; ++step) {
    loop.run_until_idle();
    if (shared.channel.count_receivers() != 0) {
      EXPECT_EQ(shared.channel.size(), 0U);
    }
    EXPECT_LE(shared.channel.size(), capacity);
    if (!loop.advance_to_next_deadline()) break;
  }
  // One consumer that nobody cancels takes the rest.
  loop.spawn(consume<C>, std::ref(random), std::ref(shared));
  bool joined = false;
  loop.spawn(join<C>, std::ref(shared), std::ref(joined));
  loop.run();

  EXPECT_EQ(loop.scheduler.tasks(), 0U);
  EXPECT_TRUE(joined);
  EXPECT_TRUE(shared.channel.is_closed());
  EXPECT_EQ(shared.channel.count_senders(), 0U);
  EXPECT_EQ(shared.channel.count_receivers(), 0U);
  std::sort(shared.sent.begin(), shared.sent.end());
  std::vector<int> received = shared.received;
  std::sort(received.begin(), received.end());
  EXPECT_EQ(received, shared.sent);
  EXPECT_EQ(shared.sent.size() + shared.unsent.size(), static_cast<std::size_t>(shared.made));
  EXPECT_GT(shared.sent.size(), 0U);
}

class ChannelRandomTest : public ::testing::TestWithParam<std::size_t> {};

// C-139, C-140, C-141: every value that was sent is received exactly once, every other is still its sender's.
TEST_P(ChannelRandomTest, LosesAndDuplicatesNothing) {
  gyre::testing::for_random_seeds(25, [](Random& random) {
    run_random<Channel<Item>>(random, GetParam());
  });
}
TEST_P(ChannelRandomTest, LifoLosesAndDuplicatesNothing) {
  gyre::testing::for_random_seeds(15, [](Random& random) {
    run_random<LifoChannel<Item>>(random, GetParam());
  });
}
TEST_P(ChannelRandomTest, PriorityLosesAndDuplicatesNothing) {
  gyre::testing::for_random_seeds(15, [](Random& random) {
    run_random<PriorityChannel<Item>>(random, GetParam());
  });
}
INSTANTIATE_TEST_SUITE_P(Capacities, ChannelRandomTest, ::testing::Values(0, 1, 2, 3, 8),
                         [](const auto& param) { return "capacity_" + std::to_string(param.param); });

Task<void> send_numbers(Channel<int>& channel, int first, int count) {
  for (int i = 0; i < count; ++i) {
    const Result<void> sent = co_await channel.send(first + i);
    if (!sent) co_return;
  }
}
Task<void> receive_numbers(Channel<int>& channel, std::vector<int>& values) {
  for (;;) {
    const Result<int> value = co_await channel.receive();
    if (!value) co_return;
    values.push_back(*value);
  }
}

// C-140: many producers and consumers on a channel of one never stall, and each producer's values keep their order.
TEST(ChannelStallTest, ManyProducersAndConsumersOnACapacityOfOne) {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}}) {
    gyre::testing::TestLoop loop;
    Channel<int> channel(capacity);
    std::vector<int> values;
    for (int i = 0; i < 3; ++i) loop.spawn(receive_numbers, std::ref(channel), std::ref(values));
    for (int i = 0; i < 5; ++i) loop.spawn(send_numbers, std::ref(channel), i * 1000, 500);
    loop.run();
    ASSERT_EQ(values.size(), 2500U);
    std::vector<int> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
    channel.close();
    loop.run();
  }
}

// With one consumer the order is that of sending.
TEST(ChannelStallTest, OneConsumerSeesEachProducersOrder) {
  gyre::testing::TestLoop loop;
  Channel<int> channel(1);
  std::vector<int> values;
  loop.spawn(receive_numbers, std::ref(channel), std::ref(values));
  for (int i = 0; i < 5; ++i) loop.spawn(send_numbers, std::ref(channel), i * 1000, 500);
  loop.run();
  std::vector<int> next(5, 0);
  for (const int value : values) {
    const auto producer = static_cast<std::size_t>(value / 1000);
    EXPECT_EQ(value % 1000, next[producer]++);
  }
  channel.close();
  loop.run();
}

}  // namespace
