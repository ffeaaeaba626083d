// What the pollers cost, in counts that do not depend on the machine's mood: system calls and heap allocations.
//
// The echo here is written as one would in earnest: the operations are those in the descriptor's slot, and nothing is
// recorded on the way.
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gyre/platform/fault_plan.h>

#include "support/net_fixture.h"
#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

constexpr long number_io_uring_enter = 426;

std::uint64_t enters() { return sys::calls_made(number_io_uring_enter); }

// Answers each message by itself.
class EchoConnection {
 public:
  EchoConnection(Poller& poller, Descriptor& descriptor) : poller_(poller), descriptor_(descriptor) {
    descriptor_.input.owner = this;
    descriptor_.output.owner = this;
    descriptor_.input.descriptor = &descriptor_;
    descriptor_.output.descriptor = &descriptor_;
    descriptor_.input.complete = [](Operation& o) noexcept {
      static_cast<EchoConnection*>(o.owner)->received();
    };
    descriptor_.output.complete = [](Operation& o) noexcept {
      static_cast<EchoConnection*>(o.owner)->sent();
    };
  }

  void receive() {
    Operation& input = descriptor_.input;
    input.kind = OperationKind::receive;
    input.flags = 0;
    input.buffer = buffer_.data();
    input.size = buffer_.size();
    if (poller_.start(input)) received();
  }
  std::size_t echoes() const { return echoes_; }
  Descriptor& descriptor() { return descriptor_; }

 private:
  void received() {
    if (descriptor_.input.result <= 0) return;
    Operation& output = descriptor_.output;
    output.kind = OperationKind::send;
    output.flags = 0;
    output.buffer = buffer_.data();
    output.size = static_cast<std::size_t>(descriptor_.input.result);
    if (poller_.start(output)) sent();
  }
  void sent() {
    ++echoes_;
    receive();
  }

  Poller& poller_;
  Descriptor& descriptor_;
  std::array<std::byte, 256> buffer_ = {};
  std::size_t echoes_ = 0;
};

class PollerCountsTest : public PollerFixture {
 protected:
  static constexpr std::size_t connections = 32;

  void SetUp() override {
    if (!fault_injection) GTEST_SKIP() << "this build does not count system calls";
    PollerFixture::SetUp();
  }

  void open_connections(Pair (*make_pair)(), std::size_t count = connections) {
    io_->expect_foreign_operations();
    for (std::size_t i = 0; i < count; ++i) {
      Pair pair = make_pair();
      peers_.push_back(std::move(pair.far));
      echoes_.push_back(
          std::make_unique<EchoConnection>(io_->poller(), io_->attach(std::move(pair.near))));
      echoes_.back()->receive();
    }
  }
  // A new poller, whose connections have echoed once.
  void begin_anew(Pair (*make_pair)()) {
    reopen({});
    peers_.clear();
    echoes_.clear();
    rounds_ = 0;
    open_connections(make_pair);
    round();
    read_answers();
  }
  // Each connection echoes once. Returns the number of wait() calls.
  std::size_t round() {
    ++rounds_;
    char text[8] = "message";
    for (const UniqueFd& peer : peers_) write_all(peer, std::string_view(text, sizeof text));
    // TCP takes its time, also on one machine. (A ring may receive in any system call of ours, so it cannot be asked this.)
    if (!is_io_uring()) {
      for (const auto& echo : echoes_) EXPECT_TRUE(becomes_readable(static_cast<int>(echo->descriptor().native)));
    }
    std::size_t waits = 0;
    const Instant limit = steady_clock().now() + PollerDriver::time_limit;
    while (!all_echoed() && (waits < 1000 || steady_clock().now() < limit)) {
      io_->poller().wait(Instant());
      ++waits;
    }
    EXPECT_TRUE(all_echoed());
    return waits;
  }
  void read_answers() {
    for (const UniqueFd& peer : peers_) read_exactly(peer, 8);
  }
  bool all_echoed() const {
    for (const auto& echo : echoes_) {
      if (echo->echoes() < rounds_) return false;
    }
    return true;
  }
  std::vector<UniqueFd> peers_;
  std::vector<std::unique_ptr<EchoConnection>> echoes_;
  std::size_t rounds_ = 0;
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerCountsTest);

// epoll: one recv and one send for each echo, one wait for all of them. io_uring: one enter for all of them, and at most
// one send for each, for those who like to know at once. Nothing else, and no epoll_ctl.
TEST_P(PollerCountsTest, EchoCostsNoMoreThanItMust) {
  for (Pair (*make_pair)() : {unix_pair, tcp_pair}) {
    begin_anew(make_pair);

    constexpr std::size_t rounds = 50;
    std::size_t waits = 0;
    const std::uint64_t all = sys::calls_made();
    const std::uint64_t controls = sys::calls_made(SYS_epoll_ctl);
    const std::uint64_t enters_before = enters();
    for (std::size_t i = 0; i < rounds; ++i) {
      waits += round();
      read_answers();
    }
    if (is_io_uring()) {
      if (make_pair == unix_pair) {  // what is written there has arrived
        EXPECT_LE(waits, rounds * 3);
      }
      EXPECT_LE(enters() - enters_before, waits) << "more than one enter per batch";
      EXPECT_LE(sys::calls_made() - all, enters() - enters_before + rounds * connections);
    } else {
      EXPECT_LE(waits, rounds * 2);
      EXPECT_LE(sys::calls_made() - all, rounds * (2 * connections) + waits);
    }
    EXPECT_EQ(sys::calls_made(SYS_epoll_ctl), controls);
  }
}

// Room that the peer makes by reading is news to nobody who does not wait for it.
TEST_P(PollerCountsTest, AnAnswerThatThePeerReadsIsNoEvent) {
  if (io_->poller().name() == "kqueue") GTEST_SKIP() << "it registers both directions at once, which costs no call there";
  for (Pair (*make_pair)() : {unix_pair, unix_datagram_pair, tcp_pair}) {
    begin_anew(make_pair);
    const std::uint64_t before = io_->poller().stats().idle_polls;
    io_->poller().wait(Instant());
    EXPECT_EQ(io_->poller().stats().idle_polls, before);
  }
}

// What a fetch has brought is used up, slice by slice, before the system is asked again.
TEST_P(PollerCountsTest, BatchOfManyConnectionsIsFetchedOnce) {
  constexpr std::size_t many = 200;
  open_connections(unix_pair, many);
  round();
  read_answers();
  const std::uint64_t all = sys::calls_made();
  const std::uint64_t enters_before = enters();
  const std::size_t waits = round();
  if (GetParam().name == "epoll") {
    EXPECT_LE(sys::calls_made() - all, 2 * many + 1);
    EXPECT_GE(waits, many / 64) << "a wait has delivered all at once";
    EXPECT_LE(waits, many / 8);
  } else if (is_io_uring()) {
    EXPECT_LE(enters() - enters_before, waits);
    EXPECT_GE(waits, many / 32) << "a wait has delivered all at once";
    // Newer kernels, asked by those who defer their work, do a part of it at a time.
    if (GetParam().tier == PollerOptions::Tier::basic) {
      EXPECT_LE(enters() - enters_before, waits / 2);
    }
  }
}

TEST_P(PollerCountsTest, EchoAllocatesNothing) {
  open_connections(unix_pair);
  for (int i = 0; i < 3; ++i) {
    round();
    read_answers();
  }
  char text[8] = "message";
  std::uint64_t allocated = 0;
  for (int i = 0; i < 100; ++i) {
    ++rounds_;
    for (const UniqueFd& peer : peers_) write_all(peer, std::string_view(text, sizeof text));
    const std::uint64_t before = allocations();
    for (int turns = 0; turns < 1000 && !all_echoed(); ++turns) io_->poller().wait(Instant());
    allocated += allocations() - before;
    read_answers();
  }
  EXPECT_TRUE(all_echoed());
  EXPECT_EQ(allocated, 0u);
}

// kqueue makes none: registrations go with the waits, and a close takes them out. Else: one ADD in the whole life of a
// connection, and none for its close.
TEST_P(PollerCountsTest, ConnectionCostsOneRegistrationInItsLife) {
  const std::uint64_t before = sys::calls_made(SYS_epoll_ctl);
  open_connections(unix_pair);
  for (int i = 0; i < 10; ++i) {
    round();
    read_answers();
  }
  const std::uint64_t added = sys::calls_made(SYS_epoll_ctl) - before;
  EXPECT_EQ(added, GetParam().name == "epoll" ? connections : 0u);
  for (const auto& echo : echoes_) io_->finish(io_->close(echo->descriptor()));
  EXPECT_EQ(sys::calls_made(SYS_epoll_ctl) - before, added);
}

// epoll: a second one, for the whole life, of those whose output had to wait.
TEST_P(PollerCountsTest, OutputThatWaitsCostsOneRegistrationMore) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  const std::string much(std::size_t{1} << 20, 'x');
  const std::uint64_t before = sys::calls_made(SYS_epoll_ctl);
  for (int i = 0; i < 3; ++i) {
    Request* send = nullptr;
    do {
      send = &io_->send(near, much);
      io_->turn();
    } while (send->done());  // bound: the socket's buffer
    drain(pair.far);
    EXPECT_GE(io_->finish(*send), 1);
  }
  EXPECT_EQ(sys::calls_made(SYS_epoll_ctl) - before, GetParam().name == "epoll" ? 1u : 0u);
}

TEST_P(PollerCountsTest, TurnWithNothingInFlightCostsNoCallAndNoAllocation) {
  io_->turn();
  const std::uint64_t calls = sys::calls_made();
  const std::uint64_t allocated = allocations();
  for (int i = 0; i < 100; ++i) io_->poller().wait(Instant());
  EXPECT_EQ(sys::calls_made() - calls, 0u);
  EXPECT_EQ(allocations() - allocated, 0u);
}

TEST_P(PollerCountsTest, TurnWhileOthersWaitCostsOneCallAndNoAllocation) {
  open_connections(unix_pair);
  io_->turn();
  const std::uint64_t calls = sys::calls_made();
  const std::uint64_t allocated = allocations();
  for (int i = 0; i < 100; ++i) io_->poller().wait(Instant());
  EXPECT_LE(sys::calls_made() - calls, 100u);
  EXPECT_EQ(allocations() - allocated, 0u);
}

TEST_P(PollerCountsTest, TimedSleepCostsOneCall) {
  io_->turn();
  const std::uint64_t calls = sys::calls_made();
  const std::uint64_t interrupted = io_->poller().stats().interrupted_waits;
  for (int i = 0; i < 10; ++i) {
    io_->poller().wait(steady_clock().now() + std::chrono::microseconds(300));
  }
  // The kernel may wake a hair too early by our clock; then one more call is right. Rings that earlier tests have closed
  // may interrupt.
  EXPECT_LE(sys::calls_made() - calls - (io_->poller().stats().interrupted_waits - interrupted), 20u);
}

// Cancel of what waits needs no call on epoll, and one enter for all of them on io_uring.
TEST_P(PollerCountsTest, CancelOfManyCostsNoCallEach) {
  std::vector<UniqueFd> peers;
  std::vector<Request*> receives;
  for (int i = 0; i < 100; ++i) {
    Pair pair = unix_pair();
    peers.push_back(std::move(pair.far));
    receives.push_back(&io_->receive(io_->attach(std::move(pair.near)), 8));
  }
  io_->settle();
  const std::uint64_t calls = sys::calls_made();
  for (Request* receive : receives) io_->cancel(*receive);
  EXPECT_TRUE(io_->run_until([&] { return io_->in_flight_requests() == 0; }));
  EXPECT_LE(sys::calls_made() - calls, 10u);
}

TEST_P(PollerCountsTest, MultishotAcceptCostsOneCallPerConnectionOrLess) {
  Bound bound = tcp_listener(256);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener, operation_multishot);
  io_->settle();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(connect_to(bound.address));
  const std::uint64_t calls = sys::calls_made();
  const PollerStats before = io_->poller().stats();
  EXPECT_TRUE(io_->run_until([&] { return accept.descriptors.size() == 100; }));
  const std::uint64_t waits = io_->poller().stats().waits - before.waits;
  // Besides the accepts and the waits: the accept that finds nothing more, after each wait, as connections may come late, and
  // making the listener non-blocking.
  EXPECT_LE(sys::calls_made() - calls, is_io_uring() ? waits : 100 + 2 * waits + 3);
  io_->cancel(accept);
  io_->finish(accept);
}

TEST_P(PollerCountsTest, StatsAgreeWithTheSeam) {
  const std::uint64_t counted = sys::calls_made();
  const PollerStats before = io_->poller().stats();
  open_connections(unix_pair);
  round();
  EXPECT_EQ(io_->poller().stats().system_calls - before.system_calls, sys::calls_made() - counted);
}

// Closing takes nothing out of the set of what is watched. Where somebody else holds the file, its events are of nobody,
// and after a few of them the poller sees to it that no more come.
TEST_P(PollerCountsTest, AConnectionWhoseFileLivesOnWakesNobodyForLong) {
  Pair shared = unix_pair();
  const UniqueFd elsewhere(dup(raw(shared.near)));
  ASSERT_TRUE(static_cast<bool>(elsewhere));
  Descriptor& connection = io_->attach(std::move(shared.near));
  write_all(shared.far, "x");
  EXPECT_EQ(io_->finish(io_->receive(connection, 10)), 1);
  Pair other = unix_pair();
  Descriptor& waits = io_->attach(std::move(other.near));
  Request& received = io_->receive(waits, 10);

  const std::uint64_t controls = sys::calls_made(SYS_epoll_ctl);
  EXPECT_EQ(io_->finish(io_->close(connection)), 0);
  EXPECT_EQ(sys::calls_made(SYS_epoll_ctl), controls);
  const std::uint64_t idle = io_->poller().stats().idle_polls;
  for (int i = 0; i < 200; ++i) {
    write_all(shared.far, "y");
    io_->poller().wait(Instant());
  }
  EXPECT_LE(io_->poller().stats().idle_polls - idle, 20U);

  // Who waited still does, and is found; and so is who wakes.
  EXPECT_FALSE(received.done());
  write_all(other.far, "z");
  EXPECT_EQ(io_->finish(received), 1);
  std::thread waker([this] { io_->poller().wake(); });
  const Instant deadline = steady_clock().now() + std::chrono::seconds(20);
  io_->poller().wait(deadline);
  EXPECT_LT(steady_clock().now(), deadline);
  waker.join();
}

}  // namespace
}  // namespace gyre::test
