// What the system may answer and Wine does not: injected at the seam.

#include <gyre/platform/syscalls_windows.h>

#include <cerrno>
#include <memory>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/process.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using sys::Fault;
using sys::FaultPlan;
using sys::FaultScope;

class PollerFaultTest : public PollerFixture {
 protected:
  void hit(long number, Fault fault, std::uint64_t times) {
    sys::FaultRule rule;
    rule.number = number;
    rule.times = times;
    rule.fault = fault;
    plan_.add(rule);
    scope_ = std::make_unique<FaultScope>(plan_, FaultScope::Reach::every_thread);
  }
  void expect_all_hit(std::uint64_t times) {
    scope_.reset();
    EXPECT_EQ(plan_.hits(), times);
  }
  Descriptor& attach(UniqueFd end) { return io_->attach(std::move(end), DescriptorKind::stream); }

  FaultPlan plan_;
  std::unique_ptr<FaultScope> scope_;
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerFaultTest);

// An empty write of the peer ends a read with no bytes.
TEST_P(PollerFaultTest, EmptyReadOfAPipeIsNotItsEnd) {
  Pipe pipe = pipe_pair();
  Descriptor& reader = attach(std::move(pipe.read_end));
  hit(sys::number_read_file, {Fault::Kind::replace, 0}, 3);
  Request& receive = io_->receive(reader, 8);
  io_->settle();
  EXPECT_FALSE(receive.done()) << receive.result;
  expect_all_hit(3);
  write_all(pipe.write_end, "x");
  EXPECT_EQ(io_->finish(receive), 1);
}

TEST_P(PollerFaultTest, EmptyReadOfABlockingPipeIsNotItsEnd) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Descriptor& reader = attach(std::move(pipe->first));
  hit(sys::number_read_file, {Fault::Kind::replace, 0}, 3);
  Request& receive = io_->receive(reader, 8);
  write_all(pipe->second, "x");
  EXPECT_EQ(io_->finish(receive), 1);
  expect_all_hit(3);
}

// Ctrl-C ends a read of a console, and the program may have taken it over.
TEST_P(PollerFaultTest, InterruptedReadOfABlockingStreamGoesOn) {
  Result<DescriptorPair> pipe = open_blocking_pipe();
  ASSERT_TRUE(pipe) << pipe.error();
  Descriptor& reader = attach(std::move(pipe->first));
  hit(sys::number_read_file, {Fault::Kind::fail, ECANCELED}, 2);
  Request& receive = io_->receive(reader, 8);
  write_all(pipe->second, "x");
  EXPECT_EQ(io_->finish(receive), 1);
  expect_all_hit(2);
}

// C1: the packets of the system's pool are nobody's but the poller's, which waits for them.
TEST_P(PollerFaultTest, PacketsThatCannotBePostedArePostedLater) {
  const UniqueFd event = event_fd(1);
  Descriptor& foreign = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
  hit(sys::number_post, {Fault::Kind::fail, ENOBUFS}, 3);
  Request& readable = io_->plain(OperationKind::readable, foreign, operation_no_inline);
  EXPECT_EQ(io_->finish(readable), 0);
  expect_all_hit(3);
  io_->close_now(foreign);
}

TEST_P(PollerFaultTest, PacketOfACallThatCannotBePostedIsPostedLater) {
  hit(sys::number_post, {Fault::Kind::fail, ENOBUFS}, 3);
  EXPECT_EQ(io_->finish(io_->open_file("no such file", open_read)), -ENOENT);
  expect_all_hit(3);
}

// C7: who asks after the first leaves it to him, so nobody else would end the sleep.
TEST_P(PollerFaultTest, WakeThatCannotBePostedIsPostedLater) {
  static_cast<void>(io_->poller().native_handle());  // from here on it sleeps whenever nobody waits
  hit(sys::number_post, {Fault::Kind::fail, ENOBUFS}, 3);
  io_->wake();
  OVERLAPPED_ENTRY entry{};
  EXPECT_EQ(sys::wait_port(io_->poller().native_handle(), &entry, 1, 0), 1);
  expect_all_hit(3);
}

// C9: else wait() would never return, as each poll is answered at once. (Past the driver, to which this is a spin.)
TEST_P(PollerFaultTest, SocketThatPollsReadyButIsNotEndsTheOperation) {
  const std::unique_ptr<Poller> poller = open();
  Pair pair = tcp_pair();
  Result<Descriptor*> near = poller->attach(std::move(pair.near), DescriptorKind::socket);
  ASSERT_TRUE(near.has_value()) << near.error();
  bool done = false;
  Operation& receive = (*near)->input;
  receive.owner = &done;
  receive.complete = [](Operation& operation) noexcept { *static_cast<bool*>(operation.owner) = true; };
  receive.descriptor = *near;
  receive.kind = OperationKind::receive_lent;
  ASSERT_FALSE(poller->start(receive));
  hit(sys::number_receive, {Fault::Kind::fail, EAGAIN}, sys::FaultRule::sticky);
  write_all(pair.far, "x");
  while (!done) poller->wait(never);
  EXPECT_EQ(receive.result, -ECANCELED);
  EXPECT_EQ(poller->stats().quarantined, 1u);
  scope_.reset();
  poller->close(**near);
  poller->shutdown();
}

// But not one that has brought data in between.
TEST_P(PollerFaultTest, LongLivedReceiveMaySeeAnyNumberOfIdlePolls) {
  Pair pair = tcp_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->receive_lent(near, operation_multishot);
  constexpr std::size_t rounds = 1100;
  for (std::size_t i = 0; i < rounds && !receive.done(); ++i) {
    io_->settle();
    hit(sys::number_receive, {Fault::Kind::fail, EAGAIN}, 1);
    write_all(pair.far, "x");
    EXPECT_TRUE(io_->run_until([&] { return receive.results.size() > i; }));
    expect_all_hit(i + 1);
  }
  EXPECT_FALSE(receive.done()) << receive.result;
  EXPECT_GE(io_->poller().stats().idle_polls, rounds);
}

}  // namespace
}  // namespace gyre::test
