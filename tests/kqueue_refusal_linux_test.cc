// What the kqueue poller does when the kernel refuses a registration, which only the double of that kernel does at will, or
// ends a call early, which takes the seam for failures.
#include <sys/event.h>
#include <sys/syscall.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/poller_backends.h>

#include "support/kqueue/kqueue_double.h"
#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

class KqueueRefusalTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Poller>> poller = make_kqueue_poller({});
    ASSERT_TRUE(poller.has_value()) << poller.error();
    io_ = std::make_unique<PollerDriver>(std::move(*poller));
  }
  void TearDown() override { refuse_registrations(0, 0, 0); }

  // Calls that it may make in this time: two for each pause of 10 ms, and some at both ends. A machine that is busy makes it fewer.
  static std::uint64_t calls_max(Duration span) {
    return 2 * static_cast<std::uint64_t>(span / std::chrono::milliseconds(10)) + 10;
  }
  static constexpr int for_ever = 1'000'000'000;

  // Whether the kernel knows the descriptor with this number, without a change of it.
  bool is_registered(int number, int filter) {
    struct ::kevent change {};
    change.ident = static_cast<std::uintptr_t>(number);
    change.filter = static_cast<std::int16_t>(filter);
    const timespec at_once{};
    return ::kevent(static_cast<int>(io_->poller().native_handle()), &change, 1, nullptr, 0, &at_once) == 0;
  }

  std::unique_ptr<PollerDriver> io_;
};

TEST_F(KqueueRefusalTest, RegistrationThatMemoryWasTooShortForIsMadeLater) {
  for (const int filter : {EVFILT_READ, EVFILT_WRITE}) {
    Pair pair = unix_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    refuse_registrations(filter, ENOMEM, 3);
    Request& request = filter == EVFILT_READ ? io_->receive(near, 8) : io_->blocked_send(near);
    io_->settle();
    EXPECT_FALSE(request.done());
    // Nothing else wakes the poller: it has to come back by itself.
    if (filter == EVFILT_READ) {
      write_all(pair.far, "ping");
    } else {
      drain(pair.far);
    }
    EXPECT_GT(io_->finish(request), 0);
    io_->close_now(near);
  }
}

TEST_F(KqueueRefusalTest, LastingRefusalDoesNotSpinAndEndsWhenThereIsMemory) {
  for (const int error : {ENOMEM, EPERM}) {
    Pair pair = unix_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    Request& request = io_->receive(near, 8);
    refuse_registrations(EVFILT_READ, error, for_ever);
    const Instant begin = steady_clock().now();
    const std::uint64_t before = io_->undisturbed_calls();
    EXPECT_EQ(io_->quiet(std::chrono::milliseconds(60)), 0u);
    const std::uint64_t calls = io_->undisturbed_calls() - before;
    // Of EPERM each refusal is followed by a try of the receive.
    EXPECT_LE(calls, (error == ENOMEM ? 1 : 2) * calls_max(steady_clock().now() - begin)) << "it spins";
    EXPECT_FALSE(request.done());
    refuse_registrations(0, 0, 0);
    write_all(pair.far, "ping");
    EXPECT_EQ(io_->finish(request), 4);
    EXPECT_TRUE(is_registered(static_cast<int>(near.native), EVFILT_READ));
    EXPECT_TRUE(io_->sleeps_through());
    io_->close_now(near);
  }
}

// NetBSD had no EVFILT_USER before its version 10.
TEST_F(KqueueRefusalTest, KernelThatCannotWakeGivesAnErrorAndNoPoller) {
  refuse_registrations(EVFILT_USER, EINVAL, 1);
  const Result<std::unique_ptr<Poller>> poller = make_kqueue_poller({});
  ASSERT_FALSE(poller.has_value());
  EXPECT_EQ(poller.error(), std::errc::invalid_argument);
}

TEST_F(KqueueRefusalTest, OthersAreServedWhileARegistrationIsRefused) {
  Pair refused = unix_pair();
  Request& waiting = io_->blocked_send(io_->attach(std::move(refused.near)));
  Pair late = unix_pair();
  refuse_registrations(EVFILT_WRITE, ENOMEM, for_ever);
  Descriptor& near = io_->attach(std::move(late.near));
  for (int i = 0; i < 20; ++i) {
    Request& request = io_->receive(near, 8);
    io_->settle();
    write_all(late.far, "ping");
    EXPECT_EQ(io_->finish(request), 4);
  }
  drain(refused.far);
  EXPECT_GT(io_->finish(waiting), 0) << "it had been registered before";
}

TEST_F(KqueueRefusalTest, OperationOfARefusedDescriptorIsCancelledAndItsDescriptorClosed) {
  Pair pair = unix_pair();
  Pair other = unix_pair();
  const int number = raw(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = io_->receive(near, 8);
  refuse_registrations(EVFILT_READ, ENOMEM, for_ever);
  EXPECT_EQ(io_->quiet(), 0u);
  io_->cancel(request);
  EXPECT_EQ(io_->finish(request), -ECANCELED);
  io_->close_now(near);
  refuse_registrations(0, 0, 0);
  const UniqueFd reused(::dup2(raw(other.near), number));
  write_all(other.far, "not ours");
  EXPECT_TRUE(io_->sleeps_through());
  EXPECT_FALSE(is_registered(number, EVFILT_READ));
}

TEST_F(KqueueRefusalTest, MoreThanCanWaitForMemoryAreRefusedWithAnError) {
  refuse_registrations(EVFILT_READ, ENOMEM, for_ever);
  std::vector<Pair> pairs;
  std::vector<Request*> requests;
  Error error;
  for (int i = 0; i < 400 && !error; ++i) {
    pairs.push_back(unix_pair());
    Descriptor* const near = io_->try_attach(std::move(pairs.back().near), DescriptorKind::socket, &error);
    if (near != nullptr) requests.push_back(&io_->receive(*near, 8));
  }
  EXPECT_EQ(error, std::errc::not_enough_memory);
  EXPECT_GT(requests.size(), 100u);
  refuse_registrations(0, 0, 0);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    write_all(pairs[i].far, "hello");
    EXPECT_EQ(io_->finish(*requests[i]), 5);
  }
}

// What is there is found by the calls that it is taken to be ready for, every now and then.
TEST_F(KqueueRefusalTest, DescriptorThatCannotBeWatchedIsTriedAgainAndAgain) {
  refuse_registrations(EVFILT_READ, EPERM, for_ever);
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  for (int i = 0; i < 3; ++i) {
    Request& request = io_->receive(near, 8);
    EXPECT_EQ(io_->quiet(), 0u);
    write_all(pair.far, "ping");
    EXPECT_EQ(io_->finish(request), 4);
  }
  // Nobody waits for it any more, so soon it is left alone.
  EXPECT_EQ(io_->quiet(std::chrono::milliseconds(100)), 0u);
  EXPECT_TRUE(io_->sleeps_through(std::chrono::milliseconds(100)));
  Request& last = io_->receive(near, 8);
  write_all(pair.far, "again");
  EXPECT_EQ(io_->finish(last), 5);
}

TEST_F(KqueueRefusalTest, WhatWasRegisteredByHalfIsForgottenWhenItIsDetached) {
  Pair pair = unix_pair();
  const int number = raw(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = io_->receive(near, 8);
  refuse_registrations(EVFILT_WRITE, ENOMEM, for_ever);
  io_->settle();
  io_->cancel(request);
  io_->settle();
  EXPECT_TRUE(request.done());
  const UniqueFd back = io_->detach(near);
  EXPECT_FALSE(is_registered(number, EVFILT_READ));
  EXPECT_FALSE(is_registered(number, EVFILT_WRITE));
}

// The BSDs end a receive before descriptors that come along and at urgent data, with data left and no event for them. Here
// it is the receive that is cut.
TEST_F(KqueueRefusalTest, ShortReceiveFromASocketDoesNotProveThatItIsEmpty) {
  sys::FaultPlan plan;
  const sys::FaultScope scope(plan);
  for (const bool is_local : {true, false}) {
    Pair pair = is_local ? unix_pair() : tcp_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    Request& first = io_->receive(near, 64);
    io_->settle();
    for (const long number : {SYS_recvmsg, SYS_recvfrom}) {
      plan.add(sys::FaultRule{.number = number, .times = sys::FaultRule::sticky, .fault = {sys::Fault::Kind::shorten, 3}});
    }
    write_all(pair.far, "abcdef");
    EXPECT_EQ(io_->finish(first), 3);
    plan.clear_rules();
    EXPECT_EQ(io_->finish(io_->receive(near, 64)), 3) << (is_local ? "local" : "TCP");
    io_->close_now(near);
  }
}

}  // namespace
}  // namespace gyre::test
