// What starting a child takes of Windows, and gives back.

#include <gyre/platform/process.h>

#include <windows.h>

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gyre {
namespace {

HANDLE handle_of(NativeDescriptor descriptor) { return reinterpret_cast<HANDLE>(descriptor); }

// A child of the system's shell, which ends by itself or waits for a line of `input`.
Result<ChildHandle> start(const std::string& line, NativeDescriptor input) {
  ChildProgram program;
  program.arguments = shell_command(line);
  program.paths = {program.arguments.front()};
  program.environment = current_environment();
  program.descriptors = {{0, input}};
  Result<ChildStart> started = ChildStart::begin(program);
  if (!started) return started.error();
  const Result<void> finished = started->finish();
  if (!finished) return finished.error();
  return started->take_child();
}

void expect_end(const ChildHandle& child) {
  const std::optional<Result<ExitStatus>> status = reap_within(child, std::chrono::seconds(20));
  ASSERT_TRUE(status.has_value()) << "the child runs on";
  EXPECT_TRUE(status->has_value());
}

// One by one: Wine's GetProcessHandleCount() knows of none.
std::size_t count_handles() {
  std::size_t count = 0;
  DWORD flags = 0;
  for (NativeDescriptor number = 4; number < 4096; number += 4) {
    if (::GetHandleInformation(handle_of(number), &flags) != 0) ++count;
  }
  return count;
}

TEST(ChildStartTest, ChildrenLeaveNoHandlesBehind) {
  constexpr std::size_t children = 12;
  std::size_t before = 0;
  for (std::size_t i = 0; i < children; ++i) {
    if (i == 2) before = count_handles();  // the first ones load what is loaded once
    Result<DescriptorPair> pipe = open_blocking_pipe();
    ASSERT_TRUE(pipe) << pipe.error();
    const Result<ChildHandle> child = start("exit 3", pipe->first.get());
    ASSERT_TRUE(child) << child.error();
    expect_end(*child);
  }
  EXPECT_LT(count_handles(), before + children / 2);
}

// So a child does not outlive a parent that crashes: the system closes the job.
TEST(ChildStartTest, AChildEndsWhenItsJobIsClosed) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Result<ChildHandle> child = start("set /p line=", pipe->first.get());
  ASSERT_TRUE(child) << child.error();
  EXPECT_FALSE(try_reap(*child).has_value());
  child->job.reset();
  expect_end(*child);
}

TEST(ChildStartTest, AChildThatIsSetFreeRunsOn) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Result<ChildHandle> child = start("set /p line=", pipe->first.get());
  ASSERT_TRUE(child) << child.error();
  set_free(*child);
  EXPECT_FALSE(child->job);
  EXPECT_FALSE(reap_within(*child, std::chrono::milliseconds(20)).has_value());
  EXPECT_TRUE(::TerminateProcess(handle_of(child->pidfd.get()), 5));
  expect_end(*child);
}

}  // namespace
}  // namespace gyre
