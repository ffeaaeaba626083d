#include "net_task_fixture.h"

#include <gyre/task/dump.h>

#include "skips.h"

namespace gyre::test {

NetTaskFixture::~NetTaskFixture() {
  if (was_set_up_) expect_same_descriptors(descriptors_before_);
}

void NetTaskFixture::SetUp() {
  descriptors_before_ = open_descriptors();
  was_set_up_ = true;
  std::string why = reason_to_skip();
  if (!why.empty() || !is_available(GetParam(), &why)) GTEST_SKIP() << why;
  reactor_ = open();
}

void NetTaskFixture::TearDown() { close_reactor(); }

std::unique_ptr<Reactor> NetTaskFixture::open(ReactorOptions options) {
  options.poller.tier = GetParam().tier;
  options.scheduler.failure_owner = this;
  options.scheduler.on_task_failure = [](void* owner, const TaskFailure& failure) noexcept {
    static_cast<NetTaskFixture*>(owner)->failures_.push_back(failure);
  };
  Result<std::unique_ptr<Poller>> poller = open_backend(GetParam(), options.poller);
  GYRE_CHECK_HINT(poller.has_value(), "the backend was available a moment ago");
  options.with_poller = std::move(*poller);
  Result<std::unique_ptr<Reactor>> reactor = Reactor::create(std::move(options));
  GYRE_CHECK(reactor.has_value());
  return std::move(*reactor);
}

void NetTaskFixture::reopen(ReactorOptions options) {
  close_reactor();
  reactor_ = open(std::move(options));
}

void NetTaskFixture::close_reactor() {
  if (reactor_ == nullptr) return;
  reactor_->shutdown();
  EXPECT_EQ(reactor_->scheduler().tasks(), 0U);
  EXPECT_EQ(poller().in_flight(), 0U) << "the kernel still owns something of ours";
  reactor_.reset();
  for (const TaskFailure& failure : failures_) {
    ADD_FAILURE() << "a detached task has failed: "
                  << (failure.exception != nullptr ? "exception" : failure.error.to_string());
  }
  failures_.clear();
}

void NetTaskFixture::run_until_idle() {
  constexpr int turns_max = 100'000;
  for (int turn = 0; turn < turns_max; ++turn) {
    const bool worked = reactor_->run_once(Instant());
    if (!worked && !reactor_->scheduler().has_ready()) return;
  }
  ADD_FAILURE() << "still busy after " << turns_max << " turns";
}

void NetTaskFixture::report_hang(Duration limit) {
  ADD_FAILURE() << "still waiting after " << std::chrono::duration_cast<std::chrono::milliseconds>(limit).count()
                << " ms on " << poller().name() << ":\n" << dump_tasks(reactor_->scheduler());
}

}  // namespace gyre::test
