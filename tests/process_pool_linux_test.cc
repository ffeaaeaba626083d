// ProcessPool where the system refuses a process: the failure is injected, and so has Linux's number.
#include <gyre/net/process_pool.h>

#include <sys/syscall.h>

#include <cerrno>

#include <gyre/platform/fault_plan.h>

#include "support/net_task_fixture.h"

namespace gyre::test {
namespace {

class ProcessPoolTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(ProcessPoolTest);

void nothing() {}

Task<Result<void>> call_without_processes() {
  Result<std::unique_ptr<ProcessPool>> pool = ProcessPool::create({.workers = 1});
  if (!pool) co_return pool.error();
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = SYS_clone, .fault = {sys::Fault::Kind::fail, EAGAIN}});
  {
    const sys::FaultScope scope(plan);
    const Result<void> called = co_await (*pool)->call<nothing>();
    EXPECT_TRUE(!called && called.error() == std::errc::resource_unavailable_try_again);
  }
  const Result<void> again = co_await (*pool)->call<nothing>();
  EXPECT_TRUE(again);
  co_return co_await (*pool)->shutdown();
}

TEST_P(ProcessPoolTest, WithoutAFreeProcessACallFailsAndTheNextWorks) {
  if (!fault_injection) GTEST_SKIP() << "built without fault injection";
  const Result<void> done = run(call_without_processes());
  EXPECT_TRUE(done.has_value()) << done.error();
}

}  // namespace
}  // namespace gyre::test

int main(int argc, char** argv) {
  gyre::ProcessPool::serve_if_worker();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
