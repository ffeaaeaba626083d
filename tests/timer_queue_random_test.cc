// TimerQueue at random: against a model, and a million timers at once.
#include <gyre/task/timer_queue.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/platform/check.h>

#include "support/timer_queue_tester.h"

namespace gyre {
namespace {

using namespace test;

// Checks the order without a log.
struct Counter : Timer {
  Counter() : Timer(&ring) {}
  static void ring(Timer& timer) noexcept {
    if (timer.deadline() < last) ++out_of_order;
    last = timer.deadline();
  }
  static inline Instant last;
  static inline int out_of_order;
};

// Far apart, and so dense that a tick holds dozens; half of them in small turns, the rest in one jump.
TEST(TimerQueueTest, AMillionTimersFireInOrder) {
  constexpr int count = 1'000'000;
  constexpr unsigned seed = 4711;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto timers = std::make_unique<Counter[]>(count);
  for (const std::int64_t span : {std::int64_t{60'000'000'000}, std::int64_t{20'000'000}}) {
    Counter::last = at(0);
    Counter::out_of_order = 0;
    TimerQueue queue;
    for (int i = 0; i < count; ++i) {
      const auto deadline = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(span));
      queue.arm(timers[static_cast<std::size_t>(i)], at(deadline));
    }
    EXPECT_EQ(queue.size(), static_cast<std::size_t>(count));
    std::size_t fired = 0;
    for (std::int64_t now = 0; now <= span / 2; now += span / 4'000) fired += queue.fire_due(at(now), unlimited);
    EXPECT_TRUE(TimerQueueTester::check(queue));
    fired += queue.fire_due(at(span), unlimited);
    EXPECT_EQ(fired, static_cast<std::size_t>(count));
    EXPECT_EQ(Counter::out_of_order, 0);
    EXPECT_TRUE(queue.empty());
  }
}

// Random operations against a map sorted by (deadline, order of arming), callbacks that arm and cancel included.
class TimerQueueModelTest : public testing::TestWithParam<unsigned> {};

class Model {
 public:
  explicit Model(unsigned seed) : random_(seed) {
    for (int i = 0; i < timers_count; ++i) nodes_.emplace_back(*this, i);
  }
  ~Model() {
    for (Node& node : nodes_) queue_.cancel(node);
  }

  void step() {
    switch (random_() % 16) {
      case 0: case 1: case 2: fire(); break;
      case 3: case 4: case 5: cancel(any()); break;
      default: arm(any(), deadline()); break;
    }
    ASSERT_EQ(queue_.size(), armed_.size());
    if (random_() % 16 == 0) check_next_deadline();
  }
  void check_structure() const { ASSERT_TRUE(TimerQueueTester::check(queue_)); }
  std::size_t fired() const { return fired_; }

 private:
  static constexpr int timers_count = 300;
  using Key = std::pair<std::int64_t, std::uint64_t>;  // deadline, order of arming

  struct Node : Timer {
    Node(Model& m, int n) : Timer(&ring), model(&m), number(n) {}
    static void ring(Timer& timer) noexcept {
      Node& node = static_cast<Node&>(timer);
      node.model->on_fire(node);
    }
    Model* model;
    int number;
    Key key{};
  };

  Node& any() { return nodes_[random_() % nodes_.size()]; }

  // All distances, with many equal and many near ones.
  std::int64_t deadline() {
    switch (random_() % 8) {
      case 0: return now_ + static_cast<std::int64_t>(random_() % 4);
      case 1: return now_ - static_cast<std::int64_t>(random_() % 5'000'000);
      case 2: return (now_ | 0xfffff) + 1;  // Equal to that of others until now_ gets there.
      case 3: return now_ + 1'000 * static_cast<std::int64_t>(random_() % 3);
      case 4: return random_() % 50 == 0 ? highest - static_cast<std::int64_t>(random_() % 3) : now_;
      default: {
        const auto span = std::int64_t{1} << random_() % 45;
        return now_ + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(span));
      }
    }
  }

  void arm(Node& node, std::int64_t deadline) {
    if (node.is_armed()) armed_.erase(node.key);
    node.key = {deadline, sequence_++};
    armed_.emplace(node.key, &node);
    queue_.arm(node, at(deadline));
  }

  void cancel(Node& node) {
    const bool was_armed = armed_.erase(node.key) == 1;
    EXPECT_EQ(queue_.cancel(node), was_armed);
    node.key = {};
  }

  void fire() {
    const auto span = std::int64_t{1} << random_() % 40;
    if (random_() % 4 != 0) now_ += static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(span));
    if (now_ > highest / 2) now_ = highest / 2;
    const std::size_t at_most = random_() % 3 == 0 ? random_() % 5 : unlimited;
    first_sequence_too_late_ = sequence_;
    in_this_call_ = 0;
    const std::size_t fired = queue_.fire_due(at(now_), at_most);
    EXPECT_EQ(fired, in_this_call_);
    EXPECT_LE(fired, at_most);
    if (fired < at_most) {
      EXPECT_EQ(next_expected(), armed_.end()) << "due, and did not fire";
    }
    fired_ += fired;
  }

  // The first that is due and was armed before this call of fire_due.
  std::map<Key, Node*>::iterator next_expected() {
    for (auto it = armed_.begin(); it != armed_.end() && it->first.first <= now_; ++it) {
      if (it->first.second < first_sequence_too_late_ && it->first.first != highest) return it;
    }
    return armed_.end();
  }

  void on_fire(Node& node) {
    ++in_this_call_;
    EXPECT_FALSE(node.is_armed());
    const auto expected = next_expected();
    if (expected == armed_.end() || expected->second != &node) {
      ADD_FAILURE() << "out of order, or early: timer " << node.number;
      armed_.erase(node.key);
      return;
    }
    armed_.erase(expected);
    node.key = {};
    while (random_() % 2 == 0) {
      if (random_() % 2 == 0) {
        arm(random_() % 4 == 0 ? node : any(), deadline());
      } else {
        cancel(any());
      }
    }
  }

  void check_next_deadline() {
    const Instant next = queue_.next_deadline();
    if (armed_.empty()) {
      ASSERT_EQ(next, never);
    } else {
      ASSERT_LE(next, at(armed_.begin()->first.first));
    }
  }

  std::mt19937_64 random_;
  TimerQueue queue_;
  std::deque<Node> nodes_;
  std::map<Key, Node*> armed_;
  std::uint64_t sequence_ = 1;  // 0 is the key of what is not armed
  std::uint64_t first_sequence_too_late_ = 0;
  std::int64_t now_ = 0;
  std::size_t fired_ = 0;
  std::size_t in_this_call_ = 0;
};

TEST_P(TimerQueueModelTest, AgreesWithASortedMap) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  Model model(GetParam());
  constexpr int steps = sanitized ? 50'000 : 300'000;
  for (int i = 0; i < steps && !HasFailure(); ++i) {
    model.step();
    if (i % 64 == 0) model.check_structure();
  }
  EXPECT_GT(model.fired(), 5'000u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TimerQueueModelTest, testing::Values(1u, 2u, 3u, 4u, 5u, 6u, 7u));

}  // namespace
}  // namespace gyre
