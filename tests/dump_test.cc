// dump_tasks(): every live task, what it waits for, the chain of awaits that led there, and its scopes (C-182, C-183).
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/task/dump.h>
#include <gyre/task/event.h>
#include <gyre/task/generator.h>
#include <gyre/task/timeout.h>
#include <gyre/task/when_all.h>

#include "support/task_fixture.h"

namespace gyre {
namespace {

using namespace std::chrono_literals;

class DumpTest : public testing::TaskFixture {
 protected:
  std::string dump() { return dump_tasks(loop.scheduler); }
  Event event_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// Each part stands in the text behind the one before it.
void expect_in_order(const std::string& text, const std::vector<std::string_view>& parts) {
  std::size_t at = 0;
  for (const std::string_view part : parts) {
    const std::size_t found = text.find(part, at);
    ASSERT_NE(found, text.npos) << part << " is missing in:\n" << text;
    at = found + part.size();
  }
}

// The places in this file that a task stands in.
std::size_t places_in(const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = text.find("dump_test.cc:"); at != text.npos; at = text.find("dump_test.cc:", at + 1)) ++count;
  return count;
}

Task<void> wait_for(Event& event) { static_cast<void>(co_await event.wait()); }
Task<void> wait_deeper(Event& event, int depth) {
  if (depth > 0) {
    co_await wait_deeper(event, depth - 1);
  } else {
    static_cast<void>(co_await event.wait());
  }
}

TEST_F(DumpTest, OfNothingIsEmpty) { EXPECT_EQ(dump(), ""); }

TEST_F(DumpTest, IndependentTasksStandSideBySideWithTheirNames) {
  loop.spawn(SpawnOptions{.name = "first"}, wait_for, std::ref(event_));
  loop.spawn(wait_for, std::ref(event_));
  loop.run_until_idle();
  const std::string text = dump();
  expect_in_order(text, {"\"first\" waits in event", "dump_test.cc:", "task ", "waits in event", "dump_test.cc:"});
  for (const std::string& line : lines_of(text)) {
    if (line.find("task ") != line.npos) {
      EXPECT_EQ(line.find("task "), 0U) << line;
    }
  }
}

TEST_F(DumpTest, TaskThatHasNotBegunSaysSo) {
  loop.spawn(SpawnOptions{.name = "fresh"}, wait_for, std::ref(event_));
  EXPECT_NE(dump().find("\"fresh\" "), std::string::npos);
  EXPECT_EQ(dump().find("waits in"), std::string::npos);
}

TEST_F(DumpTest, ChainOfAwaitsIsListedFromTheRoot) {
  loop.spawn(wait_deeper, std::ref(event_), 9);
  loop.run_until_idle();
  const std::string text = dump();
  EXPECT_EQ(places_in(text), 10U) << text;
  const std::vector<std::string> lines = lines_of(text);
  ASSERT_EQ(lines.size(), 11U) << text;
  EXPECT_EQ(lines[1], lines[2]) << "the same line, once for each frame";
  EXPECT_NE(lines[9], lines[10]) << "the innermost waits elsewhere";
}

Task<void> own_children(Event& event) {
  TaskGroup group;
  group.spawn(SpawnOptions{.name = "child"}, wait_for, std::ref(event));
  static_cast<void>(co_await group.join());
}

TEST_F(DumpTest, ChildrenStandBelowTheirParentAndItsGroup) {
  loop.spawn(SpawnOptions{.name = "parent"}, own_children, std::ref(event_));
  loop.run_until_idle();
  expect_in_order(dump(), {"\"parent\" waits in", "  group", "\n  task ", "\"child\" waits in event"});
}

Task<void> wait_within(Event& event, Duration limit) { static_cast<void>(co_await with_timeout(limit, wait_for(event))); }
Task<void> wait_shielded(Event& event) { static_cast<void>(co_await shield(wait_for(event))); }

TEST_F(DumpTest, ScopesShowDeadlineAndShieldAndTasksThatTheyAreCancelled) {
  loop.spawn(SpawnOptions{.name = "limited"}, wait_within, std::ref(event_), Duration(1500ms));
  loop.spawn(SpawnOptions{.name = "shielded"}, wait_shielded, std::ref(event_));
  auto doomed = loop.spawn(SpawnOptions{.name = "doomed"}, wait_for, std::ref(event_));
  loop.run_until_idle();
  doomed.cancel();
  const std::string text = dump();
  expect_in_order(text, {"\"limited\" waits in event", "scope, deadline in 1.500 s"});
  expect_in_order(text, {"\"shielded\" waits in event", "scope, shielded"});
  expect_in_order(text, {"\"doomed\" ready, cancelled"});
  event_.set();  // for the shielded one, which no cancel ends
  loop.run();
}

Task<void> wait_for_both(Event& event) { static_cast<void>(co_await when_all(wait_for(event), wait_deeper(event, 1))); }

TEST_F(DumpTest, BranchesOfWhenAllAreTasksOfTheirOwn) {
  loop.spawn(SpawnOptions{.name = "both"}, wait_for_both, std::ref(event_));
  loop.run_until_idle();
  const std::string text = dump();
  expect_in_order(text, {"\"both\" waits in", "\n  task ", "waits in event", "\n  task ", "waits in event"});
}

AsyncGenerator<int> count_after(Event& event) {
  static_cast<void>(co_await event.wait());
  const Result<void> wanted = co_yield 1;
  static_cast<void>(wanted);
}

Task<void> drain(Event& event) {
  AsyncGenerator<int> numbers = count_after(event);
  static_cast<void>(co_await numbers.next());
  static_cast<void>(co_await numbers.close());
}

TEST_F(DumpTest, GeneratorIsPartOfTheChain) {
  loop.spawn(drain, std::ref(event_));
  loop.run_until_idle();
  const std::string text = dump();
  EXPECT_NE(text.find("waits in event"), text.npos) << text;
  EXPECT_EQ(places_in(text), 2U) << text;
}

}  // namespace
}  // namespace gyre
