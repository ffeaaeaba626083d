// The poller contract: limits and ends. Small queues, batches, shutdown() with everything in flight, several pollers.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using std::chrono::milliseconds;

class PollerLimitsTest : public PollerFixture {
 protected:
  // `count` connections with a receive in flight on each.
  void open_receivers(std::size_t count, std::uint16_t flags = 0) {
    for (std::size_t i = 0; i < count; ++i) {
      Pair pair = unix_pair();
      peers_.push_back(std::move(pair.far));
      receives_.push_back(&io_->receive(io_->attach(std::move(pair.near)), 8, flags));
    }
  }
  void write_to_all() {
    for (const UniqueFd& peer : peers_) write_all(peer, "x");
  }
  std::size_t done() const {
    return static_cast<std::size_t>(
        std::count_if(receives_.begin(), receives_.end(), [](Request* r) { return r->done(); }));
  }

  std::vector<UniqueFd> peers_;
  std::vector<Request*> receives_;
};
class PollerShutdownTest : public PollerLimitsTest {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerLimitsTest);
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerShutdownTest);

TEST_P(PollerLimitsTest, WaitDeliversAtMostCompletionsMax) {
  PollerOptions options;
  options.completions_max = 8;
  reopen(options);
  open_receivers(30);
  io_->settle();
  write_to_all();
  std::size_t total = 0;
  for (int turns = 0; total < 30; ++turns) {
    ASSERT_LT(turns, 30);
    // The rest does not wait for a new event, nor for the deadline.
    const std::size_t count = io_->turn(PollerDriver::time_limit);
    EXPECT_LE(count, 8u);
    EXPECT_GE(count, 1u);
    total += count;
  }
  EXPECT_EQ(done(), 30u);
}

TEST_P(PollerLimitsTest, CompletionsMaxOfOneServesEverybody) {
  PollerOptions options;
  options.completions_max = 1;
  reopen(options);
  open_receivers(20);
  io_->settle();
  write_to_all();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(io_->turn(PollerDriver::time_limit), 1u);
  EXPECT_EQ(done(), 20u);
}

TEST_P(PollerLimitsTest, RestOfABatchCanBeCancelledBetweenWaits) {
  PollerOptions options;
  options.completions_max = 4;
  reopen(options);
  open_receivers(20);
  io_->settle();
  write_to_all();
  EXPECT_LE(io_->turn(PollerDriver::time_limit), 4u);
  for (Request* receive : receives_) io_->cancel(*receive);
  EXPECT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 0; }));
  for (Request* receive : receives_) {
    EXPECT_TRUE(receive->result == 1 || receive->result == -ECANCELED) << receive->result;
    if (receive->result == -ECANCELED) {
      EXPECT_EQ(io_->finish(io_->receive(*receive->descriptor, 8)), 1);
    }
  }
}

TEST_P(PollerLimitsTest, RestOfABatchCanBeClosedBetweenWaits) {
  PollerOptions options;
  options.completions_max = 4;
  reopen(options);
  open_receivers(20);
  io_->settle();
  write_to_all();
  EXPECT_LE(io_->turn(PollerDriver::time_limit), 4u);
  for (Request* receive : receives_) io_->close(*receive->descriptor);
  EXPECT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 0; }));
}

// The next tenants of the slots wait for events of their own.
TEST_P(PollerLimitsTest, RestOfABatchIsNotForTheNextTenantOfASlot) {
  PollerOptions options;
  options.completions_max = 4;
  reopen(options);
  std::vector<UniqueFd> peers;
  std::vector<Descriptor*> watched;
  open_receivers(8);
  for (int i = 0; i < 20; ++i) {
    Pair pair = unix_pair();
    peers.push_back(std::move(pair.far));
    watched.push_back(&io_->attach(std::move(pair.near)));
  }
  io_->settle();
  write_to_all();
  for (const UniqueFd& peer : peers) write_all(peer, "x");
  EXPECT_LE(io_->turn(PollerDriver::time_limit), 4u);
  for (Descriptor* descriptor : watched) UniqueFd(io_->detach(*descriptor)).reset();
  const std::size_t old = receives_.size();
  open_receivers(20);
  EXPECT_TRUE(io_->run_until([&] { return done() == old; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(io_->turn(), 0u);
  EXPECT_EQ(done(), old);
  for (std::size_t i = old; i < peers_.size(); ++i) write_all(peers_[i], "y");
  EXPECT_TRUE(io_->run_until([&] { return done() == old + 20; }));
}

TEST_P(PollerLimitsTest, RestOfABatchSurvivesShutdown) {
  PollerOptions options;
  options.completions_max = 2;
  reopen(options);
  open_receivers(20);
  io_->settle();
  write_to_all();
  io_->turn(PollerDriver::time_limit);
  io_->finish_all();
  EXPECT_EQ(done(), 20u);
}

// A completion queue of 8 entries, and a thousand operations that all complete before anybody looks; ten times.
TEST_P(PollerLimitsTest, CompletionQueueOfEightSurvivesTenThousandOperations) {
  PollerOptions options;
  options.submissions_max = 8;
  options.completion_entries = 8;
  reopen(options);
  open_receivers(1000, operation_no_inline);
  for (int round = 0; round < 10; ++round) {
    if (round % 2 == 0) io_->settle();
    write_to_all();
    if (round == 5) io_->settle();
    ASSERT_TRUE(io_->run_until([&] { return done() == receives_.size(); }));
    for (Request* receive : receives_) {
      ASSERT_EQ(receive->result, 1);
      if (round < 9) io_->start(*receive);
    }
  }
}

TEST_P(PollerLimitsTest, SubmissionQueueOfTwoTakesEverything) {
  PollerOptions options;
  options.submissions_max = 2;
  reopen(options);
  open_receivers(200, operation_no_inline);
  write_to_all();
  EXPECT_TRUE(io_->run_until([&] { return done() == receives_.size(); }));
  for (Request* receive : receives_) io_->start(*receive);
  for (Request* receive : receives_) io_->cancel(*receive);
  EXPECT_TRUE(io_->run_until([&] { return done() == receives_.size(); }));
  for (Request* receive : receives_) EXPECT_EQ(receive->result, -ECANCELED);
}

TEST_P(PollerLimitsTest, SmallQueuesWithMultishotOperationsLoseNothing) {
  PollerOptions options;
  options.submissions_max = 2;
  options.completion_entries = 4;
  options.lent_buffers = 4;
  options.lent_buffer_size = 64;
  reopen(options);
  Bound bound = tcp_listener(256);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener, operation_multishot);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(connect_to(bound.address));
    write_all(clients.back(), pattern(500, static_cast<std::uint32_t>(i)));
    shut_down_write(clients.back());
  }
  ASSERT_TRUE(io_->run_until([&] { return accept.descriptors.size() == 50; }));
  std::vector<Request*> receives;
  for (UniqueFd& fd : accept.descriptors) {
    receives.push_back(&io_->receive_lent(io_->attach(std::move(fd)), operation_multishot));
  }
  ASSERT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 1; }));
  // In what order connections are accepted is the system's affair.
  std::multiset<std::string> received, expected;
  for (std::size_t i = 0; i < receives.size(); ++i) {
    received.insert(receives[i]->data);
    expected.insert(pattern(500, static_cast<std::uint32_t>(i)));
  }
  EXPECT_TRUE(received == expected);
  io_->cancel(accept);
  io_->finish(accept);
}

TEST_P(PollerLimitsTest, InFlightCountsOperations) {
  EXPECT_EQ(io_->poller().in_flight(), 0u);
  open_receivers(10);
  EXPECT_EQ(io_->poller().in_flight(), 10u);
  write_to_all();
  EXPECT_TRUE(io_->run_until([&] { return done() == 10; }));
  EXPECT_EQ(io_->poller().in_flight(), 0u);
}

TEST_P(PollerLimitsTest, StatsCountWaitsAndCompletions) {
  open_receivers(5, operation_no_inline);
  write_to_all();
  EXPECT_TRUE(io_->run_until([&] { return done() == 5; }));
  const PollerStats stats = io_->poller().stats();
  EXPECT_EQ(stats.completions, 5u);
  EXPECT_EQ(stats.inline_completions, 0u);
  EXPECT_GE(stats.waits, 1u);
  EXPECT_GE(stats.system_calls, 1u);
  EXPECT_EQ(stats.quarantined, 0u);
}

TEST_P(PollerLimitsTest, OneBusyDescriptorDoesNotStarveTheOthers) {
  PollerOptions options;
  options.completions_max = 16;
  reopen(options);
  // The firehose: a hook restarts a receive that is always ready.
  Pair hose = unix_pair();
  write_all(hose.far, std::string(32768, 'h'));
  Descriptor& near = io_->attach(std::move(hose.near));
  Request& busy = io_->make(OperationKind::receive, &near);
  char byte = 0;
  busy.argument = &byte;
  busy.size = 1;
  busy.flags = operation_no_inline;
  busy.then([&](Request& self) {
    if (self.result == 1 && done() < 10) io_->start(self);
  });
  io_->start(busy);
  open_receivers(10);
  io_->turn();
  write_to_all();
  int turns = 0;
  EXPECT_TRUE(io_->run_until([&] { return ++turns > 50 || done() == 10; }));
  EXPECT_LE(turns, 50);
  if (busy.starts > busy.terminals) io_->cancel(busy);
  io_->finish(busy);
}

// Nor do many that fill every wait keep what is done already from its owner.
TEST_P(PollerLimitsTest, BusyDescriptorsDoNotKeepACloseWaiting) {
  PollerOptions options;
  options.completions_max = 4;
  reopen(options);
  bool goes_on = true;
  char byte = 0;
  std::vector<UniqueFd> hoses;
  std::vector<Request*> busy;
  for (int i = 0; i < 16; ++i) {
    Pair hose = unix_pair();
    write_all(hose.far, std::string(32768, 'h'));
    hoses.push_back(std::move(hose.far));
    Request& receive = io_->make(OperationKind::receive, &io_->attach(std::move(hose.near)));
    receive.argument = &byte;
    receive.size = 1;
    receive.flags = operation_no_inline;
    receive.then([&](Request& self) {
      if (self.result == 1 && goes_on) io_->start(self);
    });
    io_->start(receive);
    busy.push_back(&receive);
  }
  open_receivers(1);
  for (int i = 0; i < 10; ++i) io_->turn();
  Request& close = io_->close(*receives_[0]->descriptor);
  int turns = 0;
  EXPECT_TRUE(io_->run_until([&] { return ++turns > 100 || close.done(); }));
  EXPECT_LE(turns, 100);
  EXPECT_EQ(receives_[0]->result, -ECANCELED);
  goes_on = false;
  for (Request* receive : busy) {
    if (receive->starts > receive->terminals) io_->cancel(*receive);
    io_->finish(*receive);
  }
}

TEST_P(PollerLimitsTest, TwoPollersDoNotKnowEachOther) {
  PollerDriver other(open());
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Descriptor& far = other.attach(std::move(pair.far));
  Request& here = io_->receive(near, 8);
  Request& there = other.receive(far, 8);
  EXPECT_EQ(io_->finish(io_->send(near, "over")), 4);
  EXPECT_EQ(other.finish(there), 4);
  EXPECT_EQ(other.finish(other.send(far, "back!")), 5);
  EXPECT_EQ(io_->finish(here), 5);
}

// The thread of a poller is the first one that waits, not the one that made it.
TEST_P(PollerLimitsTest, PollerMadeOnOneThreadWorksOnAnother) {
  std::unique_ptr<Poller> poller = open();
  std::thread worker([&] {
    expect_echo(*poller);
    poller->shutdown();
    poller.reset();
  });
  worker.join();
}

TEST_P(PollerLimitsTest, EachThreadHasItsOwnPoller) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const std::unique_ptr<Poller> poller = open();
      for (int round = 0; round < 20; ++round) expect_echo(*poller);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PollerLimitsTest, ManyPollersOneAfterAnotherLeaveNothingBehind) {
  for (int i = 0; i < 50; ++i) {
    const std::unique_ptr<Poller> poller = open();
    if (i % 5 == 0) expect_echo(*poller);
  }
}

TEST_P(PollerShutdownTest, ShutdownOfAnIdlePollerIsQuick) {
  io_->finish_all();
  SUCCEED();
}

TEST_P(PollerShutdownTest, ShutdownCompletesEachOperationExactlyOnce) {
  Bound bound = tcp_listener();
  Bound other_bound = tcp_listener();
  io_->accept(io_->attach(std::move(bound.fd)), operation_multishot);
  io_->accept(io_->attach(std::move(other_bound.fd)));
  open_receivers(20);
  Pair pair = unix_pair();
  fill(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  io_->send(near, "blocked");
  io_->plain(OperationKind::readable, near);
  Pair lent = unix_pair();
  io_->receive_lent(io_->attach(std::move(lent.near)), operation_multishot);
  Bound udp = udp_socket();
  Request& batch = io_->make_receive_messages(io_->attach(std::move(udp.fd)), 8, 64);
  io_->start(batch);
  Pipe pipe = pipe_pair();
  Pair target = unix_pair();
  Request& splice = io_->splice(io_->attach(std::move(target.near)),
                                io_->attach(std::move(pipe.read_end), DescriptorKind::stream), 100);
  io_->settle();
  const std::size_t started = io_->in_flight_requests();
  EXPECT_EQ(started, splice.result == -EOPNOTSUPP ? 26u : 27u);  // done at once where the system has none
  EXPECT_EQ(io_->poller().in_flight(), started);

  io_->finish_all();  // and the driver checks: each once

  EXPECT_EQ(io_->in_flight_requests(), 0u);
  for (const Request* receive : receives_) EXPECT_EQ(receive->result, -ECANCELED);
}

TEST_P(PollerShutdownTest, ShutdownBeforeTheFirstWaitCompletesEverything) {
  open_receivers(20, operation_no_inline);
  io_->finish_all();
  EXPECT_EQ(done(), 20u);
}

TEST_P(PollerShutdownTest, ShutdownDeliversResultsThatWonTheRace) {
  open_receivers(20);
  io_->settle();
  write_to_all();
  io_->finish_all();
  for (const Request* receive : receives_) {
    EXPECT_TRUE(receive->result == 1 || receive->result == -ECANCELED) << receive->result;
  }
}

TEST_P(PollerShutdownTest, ShutdownWithLentBuffersOutLeavesThemReadable) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& receive = io_->make(OperationKind::receive_lent, &near);
  receive.keep_lent = true;
  receive.flags = operation_multishot;
  io_->start(receive);
  write_all(pair.far, "kept");
  ASSERT_TRUE(io_->run_until([&] { return receive.lent.size() == 1; }));
  receive.then([&](Request& self) {
    EXPECT_EQ(self.result, -ECANCELED);
    EXPECT_EQ(std::string_view(static_cast<char*>(self.lent[0]), 4), "kept");
  });
  io_->finish_all();
  EXPECT_TRUE(receive.done());
}

TEST_P(PollerShutdownTest, CloseInFlightIsFinishedByShutdown) {
  open_receivers(10);
  io_->settle();
  for (Request* receive : receives_) io_->close(*receive->descriptor);
  io_->finish_all();
  for (const UniqueFd& peer : peers_) EXPECT_EQ(read_to_end(peer), "");
}

TEST_P(PollerShutdownTest, DestructionWithoutShutdownReleasesEverything) {
  UniqueFd far;
  {
    const std::unique_ptr<Poller> poller = open();
    Pair pair = unix_pair();
    far = std::move(pair.far);
    const Result<Descriptor*> descriptor =
        poller->attach(std::move(pair.near), DescriptorKind::socket);
    ASSERT_TRUE(descriptor.has_value());
  }
  EXPECT_EQ(read_to_end(far), "");
}

TEST_P(PollerShutdownTest, AttachedDescriptorsAreClosedByTheDestructorAfterShutdown) {
  UniqueFd far;
  {
    const std::unique_ptr<Poller> poller = open();
    Pair pair = unix_pair();
    far = std::move(pair.far);
    ASSERT_TRUE(poller->attach(std::move(pair.near), DescriptorKind::socket).has_value());
    poller->shutdown();
  }
  EXPECT_EQ(read_to_end(far), "");
}

}  // namespace
}  // namespace gyre::test
