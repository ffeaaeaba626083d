#include <gyre/platform/intrusive_queue.h>

#include <deque>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace gyre {
namespace {

struct Node : QueueLink {
  explicit Node(int n = 0) : number(n) {}
  int number;
};
using Queue = IntrusiveQueue<Node>;

static_assert(sizeof(QueueLink) == sizeof(void*));

TEST(IntrusiveQueueTest, IsFifo) {
  Node a(1), b(2), c(3);
  Queue queue;
  EXPECT_EQ(queue.pop_front(), nullptr);
  EXPECT_EQ(queue.front(), nullptr);
  queue.push_back(b);
  queue.push_back(c);
  queue.push_front(a);
  EXPECT_TRUE(c.is_queued());
  EXPECT_EQ(queue.front(), &a);
  EXPECT_EQ(queue.pop_front(), &a);
  EXPECT_FALSE(a.is_queued());
  EXPECT_EQ(queue.pop_front(), &b);
  EXPECT_EQ(queue.pop_front(), &c);
  EXPECT_FALSE(c.is_queued());
  EXPECT_TRUE(queue.empty());
}

TEST(IntrusiveQueueTest, TakesNodesAgainAfterItRanEmpty) {
  Node a(1), b(2);
  Queue queue;
  for (int i = 0; i < 3; ++i) {
    queue.push_front(a);
    queue.push_back(b);
    EXPECT_EQ(queue.pop_front(), &a);
    EXPECT_EQ(queue.pop_front(), &b);
    EXPECT_TRUE(queue.empty());
  }
}

TEST(IntrusiveQueueTest, AppendsInOrder) {
  Node a(1), b(2), c(3);
  Queue left, right;
  left.append(right);
  EXPECT_TRUE(left.empty());
  right.push_back(a);
  left.append(right);
  EXPECT_TRUE(right.empty());
  right.push_back(b);
  right.push_back(c);
  left.append(right);
  left.append(left);
  right.append(left);
  EXPECT_EQ(right.pop_front(), &a);
  EXPECT_EQ(right.pop_front(), &b);
  EXPECT_EQ(right.pop_front(), &c);
  EXPECT_TRUE(left.empty());
}

TEST(IntrusiveQueueTest, MovesLeaveTheSourceEmpty) {
  Node a(1), b(2);
  Queue first;
  first.push_back(a);
  Queue second = std::move(first);
  EXPECT_TRUE(first.empty());
  first = std::move(second);
  EXPECT_TRUE(second.empty());
  first.push_back(b);
  EXPECT_EQ(first.pop_front(), &a);
  EXPECT_EQ(first.pop_front(), &b);
}

TEST(IntrusiveQueueTest, AgreesWithADequeOverRandomOperations) {
  constexpr unsigned seed = 20240612;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::deque<Node> nodes;
  for (int i = 0; i < 30; ++i) nodes.emplace_back(i);
  Queue queues[2];
  std::deque<Node*> models[2];
  for (int step = 0; step < 200'000; ++step) {
    const unsigned which = random() % 2;
    Queue& queue = queues[which];
    std::deque<Node*>& model = models[which];
    Node& node = nodes[random() % nodes.size()];
    switch (random() % 8) {
      case 0: case 1: case 2: case 3: {
        Node* const expected = model.empty() ? nullptr : model.front();
        if (expected != nullptr) model.pop_front();
        ASSERT_EQ(queue.pop_front(), expected);
        break;
      }
      case 4: case 5: case 6:
        if (node.is_queued()) break;
        if (random() % 2 == 0) {
          queue.push_back(node);
          model.push_back(&node);
        } else {
          queue.push_front(node);
          model.push_front(&node);
        }
        break;
      default:
        queue.append(queues[1 - which]);
        model.insert(model.end(), models[1 - which].begin(), models[1 - which].end());
        models[1 - which].clear();
        break;
    }
    ASSERT_EQ(queue.empty(), model.empty());
  }
  for (Queue& queue : queues) {
    while (queue.pop_front() != nullptr) {
    }
  }
}

TEST(IntrusiveQueueDeathTest, MisuseAborts) {
  if (!debug_checks) GTEST_SKIP() << "debug checks are off";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Queue queue;
        Node node;
        queue.push_back(node);
        queue.push_back(node);
      },
      "check failed");
  EXPECT_DEATH(
      {
        Node node;
        Queue queue;
        queue.push_back(node);
      },
      "check failed");
}

}  // namespace
}  // namespace gyre
