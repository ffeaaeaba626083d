#include <gyre/task/priority_channel.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_cancel.h"
#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;
using gyre::testing::Random;

class PriorityChannelTest : public gyre::testing::TaskFixture {};

template <typename C>
std::vector<typename C::value_type> drain(C& channel) {
  std::vector<typename C::value_type> values;
  for (;;) {
    Result<typename C::value_type> value = channel.try_receive();
    if (!value) return values;
    values.push_back(std::move(*value));
  }
}

// C-138: last in, first out.
TEST_F(PriorityChannelTest, LifoGivesOutTheNewestFirst) {
  LifoChannel<int> channel(3);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(channel.try_send(i));
  EXPECT_FALSE(channel.try_send(4));
  EXPECT_EQ(*channel.try_receive(), 3);
  EXPECT_TRUE(channel.try_send(4));
  EXPECT_EQ(drain(channel), (std::vector<int>{4, 2, 1}));
}

// C-138: the smallest first.
TEST_F(PriorityChannelTest, PriorityGivesOutTheSmallestFirst) {
  PriorityChannel<int> channel(8);
  for (const int value : {5, 3, 8, 1, 9, 2, 7, 3}) EXPECT_TRUE(channel.try_send(value));
  EXPECT_FALSE(channel.try_send(0));
  EXPECT_EQ(drain(channel), (std::vector<int>{1, 2, 3, 3, 5, 7, 8, 9}));
}

struct Job {
  int urgency;
  int number;
};
struct MoreUrgent {
  bool operator()(const Job& a, const Job& b) const noexcept { return a.urgency > b.urgency; }
};

// Better than asyncio's: equals stay in the order of sending.
TEST_F(PriorityChannelTest, EqualsAreFirstInFirstOut) {
  PriorityChannel<Job, MoreUrgent> channel(100);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(channel.try_send(Job{i % 3, i}));
  const std::vector<Job> jobs = drain(channel);
  ASSERT_EQ(jobs.size(), 100U);
  for (std::size_t i = 1; i < jobs.size(); ++i) {
    EXPECT_GE(jobs[i - 1].urgency, jobs[i].urgency);
    if (jobs[i - 1].urgency == jobs[i].urgency) {
      EXPECT_LT(jobs[i - 1].number, jobs[i].number);
    }
  }
}

Task<void> send_value(PriorityChannel<int>& channel, int value) {
  const Result<void> sent = co_await channel.send(value);
  static_cast<void>(sent);
}
Task<void> receive_into(PriorityChannel<int>& channel, std::vector<int>& values) {
  const Result<int> value = co_await channel.receive();
  if (value) values.push_back(*value);
}

// Senders that wait are let in in their order, and their values take part from then on. A waiting receiver gets what
// comes first.
TEST_F(PriorityChannelTest, WaitersAreServedInTheirOrder) {
  PriorityChannel<int> channel(2);
  for (const int value : {5, 6, 1, 0}) spawn(send_value, std::ref(channel), value);
  run();
  EXPECT_EQ(channel.count_senders(), 2U);
  EXPECT_EQ(*channel.try_receive(), 5);  // 1 is let in
  EXPECT_EQ(*channel.try_receive(), 1);  // 0 is let in
  EXPECT_EQ(*channel.try_receive(), 0);
  EXPECT_EQ(*channel.try_receive(), 6);
  std::vector<int> values;
  spawn(receive_into, std::ref(channel), std::ref(values));
  run();
  EXPECT_TRUE(channel.try_send(9));
  EXPECT_TRUE(channel.try_send(4));
  run();
  EXPECT_EQ(values, (std::vector<int>{9}));
}

// Values that only move, and that know whether they were destroyed.
struct Counted {
  Counted(int value_, int& alive_) : value(value_), alive(&alive_) { ++alive_; }
  Counted(Counted&& other) noexcept : value(other.value), alive(other.alive) { ++*alive; }
  ~Counted() { --*alive; }
  friend bool operator<(const Counted& a, const Counted& b) noexcept { return a.value < b.value; }
  int value;
  int* alive;
};

template <typename C>
void compare_with_model(Random& random, bool is_lifo) {
  int alive = 0;
  {
    C channel(1 + random.below(20));
    std::vector<int> model;  // what must come next stands at the end
    for (int step = 0; step < 300; ++step) {
      if (random.one_in(2)) {
        Counted value(static_cast<int>(random.below(50)), alive);
        const int number = value.value;
        const Result<void> sent = channel.try_send(std::move(value));
        EXPECT_EQ(sent.has_value(), model.size() < channel.capacity());
        if (!sent) continue;
        const auto place = is_lifo ? model.end()
                                   : std::lower_bound(model.begin(), model.end(), number, std::greater<>());
        model.insert(place, number);
      } else {
        Result<Counted> value = channel.try_receive();
        ASSERT_EQ(value.has_value(), !model.empty());
        if (!value) continue;
        EXPECT_EQ(value->value, model.back());
        model.pop_back();
      }
      ASSERT_EQ(channel.size(), model.size());
      ASSERT_EQ(alive, static_cast<int>(model.size()));
    }
  }
  EXPECT_EQ(alive, 0);
}

TEST(PriorityChannelRandomTest, AgreesWithASortedList) {
  gyre::testing::for_random_seeds(50, [](Random& random) {
    compare_with_model<PriorityChannel<Counted>>(random, false);
  });
}
TEST(LifoChannelRandomTest, AgreesWithAStack) {
  gyre::testing::for_random_seeds(50, [](Random& random) {
    compare_with_model<LifoChannel<Counted>>(random, true);
  });
}

}  // namespace
