// Builds with debug checks tell of a task that was made and never awaited or spawned: a co_await is missing.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/check.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>
#include <gyre/task/when_all.h>

#include "support/task_fixture.h"

namespace {

using namespace std::chrono_literals;
using namespace gyre;

Task<void> forgotten() { co_return; }
Task<int> takes(Task<void> other) {
  co_await std::move(other);
  co_return 1;
}

template <typename Body>
std::string printed_by(Body body) {
  ::testing::internal::CaptureStderr();
  body();
  return ::testing::internal::GetCapturedStderr();
}

class UnstartedTaskTest : public gyre::testing::TaskFixture {
 protected:
  void SetUp() override {
    if (!debug_checks) GTEST_SKIP() << "told in builds with debug checks";
  }
};

TEST_F(UnstartedTaskTest, IsToldByNameAndPlace) {
  const std::string printed = printed_by([] { const Task<void> task = forgotten(); });
  EXPECT_NE(printed.find("task \"forgotten\" was never awaited or spawned"), printed.npos) << printed;
  EXPECT_NE(printed.find("unstarted_task_test.cc:"), printed.npos) << printed;
}

Task<void> forgets_to_await() {
  static_cast<void>(forgotten());
  static_cast<void>(co_await yield());
}
TEST_F(UnstartedTaskTest, MissingAwaitIsTold) {
  const std::string printed = printed_by([this] {
    spawn(forgets_to_await);
    run();
  });
  EXPECT_NE(printed.find("\"forgotten\""), printed.npos) << printed;
}

TEST_F(UnstartedTaskTest, WhatItHoldsIsNotToldAsWell) {
  const std::string printed = printed_by([] { const Task<int> task = takes(forgotten()); });
  EXPECT_NE(printed.find("\"takes\""), printed.npos) << printed;
  EXPECT_EQ(printed.find("\"forgotten\""), printed.npos) << printed;
}

TEST_F(UnstartedTaskTest, OverwrittenOneIsTold) {
  const std::string printed = printed_by([] {
    Task<void> task = forgotten();
    task = Task<void>();
  });
  EXPECT_NE(printed.find("\"forgotten\""), printed.npos) << printed;
}

TEST_F(UnstartedTaskTest, ForgetDropsItInSilence) {
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = held;
  const std::string printed = printed_by([&held] {
    Task<void> task = [](std::shared_ptr<int>) -> Task<void> { co_return; }(std::move(held));
    task.forget();
    EXPECT_FALSE(task);
    task.forget();
  });
  EXPECT_EQ(printed, "");
  EXPECT_TRUE(watched.expired()) << "its arguments go with it";
}

// S-26: a cancelled group starts nothing more, and that is no mistake of the caller's.
Task<void> spawn_in_a_cancelled_group() {
  TaskGroup group;
  group.cancel();
  group.spawn(forgotten);
  group.spawn(forgotten());
  const auto both = co_await when_all(forgotten(), takes(forgotten()));
  EXPECT_FALSE(both);
  static_cast<void>(co_await group.join());
}
TEST_F(UnstartedTaskTest, OneThatACancelledGroupRefusesIsNotTold) {
  const std::string printed = printed_by([this] {
    spawn(spawn_in_a_cancelled_group);
    run();
  });
  EXPECT_EQ(printed, "");
}

Task<void> awaits_everything() {
  static_cast<void>(co_await with_timeout(1s, takes(forgotten())));
  static_cast<void>(co_await shield(takes(forgotten())));
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 3; ++i) tasks.push_back(takes(forgotten()));
  static_cast<void>(co_await gather(std::move(tasks)));
}
TEST_F(UnstartedTaskTest, OneThatIsAwaitedSomewhereIsNotTold) {
  const std::string printed = printed_by([this] {
    spawn(awaits_everything);
    spawn(takes(forgotten()));
    run();
  });
  EXPECT_EQ(printed, "");
}

}  // namespace
