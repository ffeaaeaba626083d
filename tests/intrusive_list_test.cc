#include <gyre/platform/intrusive_list.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gyre {
namespace {

struct Node : ListLink {
  explicit Node(int n = 0) : number(n) {}
  int number;
};
using List = IntrusiveList<Node>;

std::vector<int> numbers(const List& list) {
  std::vector<int> out;
  for (const Node& node : list) out.push_back(node.number);
  return out;
}

void clear(List& list) {
  while (list.pop_front() != nullptr) {
  }
}

TEST(IntrusiveListTest, IsFifo) {
  Node a(1), b(2), c(3);
  List list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.pop_front(), nullptr);
  EXPECT_EQ(list.front(), nullptr);
  EXPECT_EQ(list.back(), nullptr);
  list.push_back(a);
  list.push_back(b);
  list.push_back(c);
  EXPECT_EQ(list.count_nodes(), 3u);
  EXPECT_EQ(list.front(), &a);
  EXPECT_EQ(list.back(), &c);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_FALSE(a.is_linked());
  EXPECT_EQ(list.pop_front(), &b);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveListTest, UnlinksAnyNodeWithoutTheList) {
  Node a(1), b(2), c(3);
  List list;
  for (Node* node : {&a, &b, &c}) list.push_back(*node);
  b.unlink();
  EXPECT_EQ(numbers(list), (std::vector{1, 3}));
  list.push_front(b);
  EXPECT_EQ(numbers(list), (std::vector{2, 1, 3}));
  c.unlink();
  b.unlink();
  a.unlink();
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveListTest, InsertsBeforeANode) {
  Node a(1), b(2), c(3);
  List list;
  list.push_back(c);
  List::insert_before(c, a);
  List::insert_before(c, b);
  EXPECT_EQ(numbers(list), (std::vector{1, 2, 3}));
  clear(list);
}

TEST(IntrusiveListTest, SplicesInOrder) {
  Node a(1), b(2), c(3), d(4);
  List left, right;
  left.splice_back(right);
  EXPECT_TRUE(left.empty());
  left.push_back(a);
  left.push_back(b);
  left.splice_back(right);
  EXPECT_EQ(numbers(left), (std::vector{1, 2}));
  right.push_back(c);
  right.push_back(d);
  left.splice_back(right);
  EXPECT_TRUE(right.empty());
  EXPECT_EQ(numbers(left), (std::vector{1, 2, 3, 4}));
  right.splice_back(left);
  EXPECT_EQ(numbers(right), (std::vector{1, 2, 3, 4}));
  right.splice_back(right);
  EXPECT_EQ(right.count_nodes(), 4u);
  clear(right);
}

TEST(IntrusiveListTest, TheVisitedNodeMayUnlinkItself) {
  std::deque<Node> nodes;
  List list;
  for (int i = 0; i < 6; ++i) list.push_back(nodes.emplace_back(i));
  std::vector<int> visited;
  for (Node& node : list) {
    visited.push_back(node.number);
    if (node.number % 2 == 0) node.unlink();
  }
  EXPECT_EQ(visited, (std::vector{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(numbers(list), (std::vector{1, 3, 5}));
  clear(list);
}

// A callback may unlink and destroy nodes that the walk has not reached, itself included, and push new ones.
TEST(IntrusiveListTest, DrainSurvivesWhateverItsVisitorDoes) {
  std::vector<std::unique_ptr<Node>> nodes;
  List list;
  for (int i = 0; i < 6; ++i) list.push_back(*nodes.emplace_back(std::make_unique<Node>(i)));
  Node late(100);
  std::vector<int> visited;
  list.drain([&](Node& node) {
    const int number = node.number;
    visited.push_back(number);
    EXPECT_FALSE(node.is_linked());
    if (number == 0) {
      nodes[1]->unlink();
      nodes[1].reset();
      nodes[0].reset();
      list.push_back(late);
    }
    if (number == 4) {
      nodes[5]->unlink();
      list.push_back(*nodes[5]);
    }
  });
  EXPECT_EQ(visited, (std::vector{0, 2, 3, 4}));
  EXPECT_EQ(numbers(list), (std::vector{100, 5}));
  clear(list);
}

struct WaitLink : ListLink {};
struct ScopeLink : ListLink {};
struct Both : WaitLink, ScopeLink {
  int number = 0;
};

TEST(IntrusiveListTest, ANodeMayBeInTwoListsThroughTwoHooks) {
  Both a, b;
  IntrusiveList<Both, WaitLink> waiting;
  IntrusiveList<Both, ScopeLink> scope;
  waiting.push_back(a);
  waiting.push_back(b);
  scope.push_back(b);
  scope.push_back(a);
  EXPECT_EQ(waiting.front(), &a);
  EXPECT_EQ(scope.front(), &b);
  a.WaitLink::unlink();
  EXPECT_TRUE(a.ScopeLink::is_linked());
  EXPECT_EQ(waiting.pop_front(), &b);
  EXPECT_EQ(scope.pop_front(), &b);
  EXPECT_EQ(scope.pop_front(), &a);
}

TEST(IntrusiveListTest, AgreesWithADequeOverRandomOperations) {
  constexpr unsigned seed = 20240611;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::deque<Node> nodes;
  for (int i = 0; i < 50; ++i) nodes.emplace_back(i);
  List list;
  std::deque<int> model;
  for (int step = 0; step < 100'000; ++step) {
    Node& node = nodes[random() % nodes.size()];
    if (node.is_linked()) {
      node.unlink();
      std::erase(model, node.number);
    } else if (random() % 2 == 0) {
      list.push_back(node);
      model.push_back(node.number);
    } else {
      list.push_front(node);
      model.push_front(node.number);
    }
    if (random() % 64 == 0 && !model.empty()) {
      ASSERT_EQ(list.pop_front()->number, model.front());
      model.pop_front();
    }
    if (step % 100 == 0) {
      ASSERT_EQ(numbers(list), std::vector<int>(model.begin(), model.end())) << step;
    }
  }
  clear(list);
}

TEST(IntrusiveListDeathTest, MisuseAborts) {
  if (!debug_checks) GTEST_SKIP() << "debug checks are off";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        List list;
        Node node;
        list.push_back(node);
        list.push_back(node);
      },
      "check failed");
  EXPECT_DEATH(
      {
        List list;
        Node node;
        list.push_back(node);
      },
      "check failed");
  EXPECT_DEATH(Node().unlink(), "check failed");
}

}  // namespace
}  // namespace gyre
