// The poller contract where it meets what only POSIX has: forked children, signals, duplicates, descriptors in messages.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class PollerPosixTest : public PollerFixture {
 protected:
  Descriptor& attached_pair(UniqueFd& far) {
    Pair pair = tcp_pair();
    far = std::move(pair.far);
    return io_->attach(std::move(pair.near));
  }
  Request& receive(Descriptor& socket, std::size_t count, std::size_t size, std::size_t control) {
    Request& request = io_->make_receive_messages(socket, count, size, control);
    io_->start(request);
    return request;
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerPosixTest);

// Row 3: a duplicate keeps the open file description alive, and epoll would report it for ever.
TEST_P(PollerPosixTest, DuplicateThatSurvivesTheCloseDoesNotSpin) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  const UniqueFd duplicate(::dup(static_cast<int>(near.native)));
  Request& receive = io_->receive(near, 8);
  io_->settle();
  EXPECT_EQ(io_->finish(io_->close(near)), 0);
  EXPECT_EQ(receive.result, -ECANCELED);
  const PollerStats before = io_->poller().stats();

  for (int i = 0; i < 10; ++i) {
    write_all(far, "for the duplicate");
    EXPECT_EQ(io_->quiet(milliseconds(1)), 0u);
  }

  EXPECT_LE(io_->poller().stats().idle_polls - before.idle_polls, 4u);
  EXPECT_EQ(read_exactly(duplicate, 170).size(), 170u);
}

TEST_P(PollerPosixTest, ForkedChildThatHoldsTheDescriptionDoesNotSpinTheParent) {
  UniqueFd far;
  Descriptor& near = attached_pair(far);
  Request& receive = io_->receive(near, 8);
  io_->settle();
  Pipe gate = pipe_pair();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    char c;
    ::close(raw(gate.write_end));
    [[maybe_unused]] const ssize_t ignored = ::read(raw(gate.read_end), &c, 1);
    ::_exit(0);
  }
  EXPECT_EQ(io_->finish(io_->close(near)), 0);
  EXPECT_EQ(receive.result, -ECANCELED);
  const PollerStats before = io_->poller().stats();
  for (int i = 0; i < 10; ++i) {
    write_all(far, "for the child");
    EXPECT_EQ(io_->quiet(milliseconds(1)), 0u);
  }
  EXPECT_LE(io_->poller().stats().idle_polls - before.idle_polls, 4u);
  gate.write_end.reset();
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
}

// A child that was forked while operations were in flight must not disturb the parent by ending.
TEST_P(PollerPosixTest, ForkedChildThatExitsDoesNotDisturbTheParent) {
  std::vector<UniqueFd> peers;
  std::vector<Request*> receives;
  for (int i = 0; i < 5; ++i) {
    Pair pair = unix_pair();
    peers.push_back(std::move(pair.far));
    receives.push_back(&io_->receive(io_->attach(std::move(pair.near)), 8));
  }
  io_->settle();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(0);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  for (const UniqueFd& peer : peers) write_all(peer, "x");
  for (Request* receive : receives) EXPECT_EQ(io_->finish(*receive), 1);
}

TEST_P(PollerPosixTest, WriteToAFullDeviceIsAnError) {
  UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full) GTEST_SKIP() << "there is no /dev/full";
  Descriptor& f = io_->attach(std::move(full), DescriptorKind::file);
  EXPECT_EQ(io_->finish(io_->write_at(f, "x", 0)), -ENOSPC);
}

TEST_P(PollerPosixTest, EventCounterIsReadAndWrittenLikeAStream) {
  Descriptor& event = io_->attach(event_fd(5), DescriptorKind::stream);
  Request& receive = io_->receive(event, 8);
  ASSERT_EQ(io_->finish(receive), 8);
  std::uint64_t value = 0;
  std::memcpy(&value, receive.data.data(), sizeof value);
  EXPECT_EQ(value, 5u);
  Request& waiting = io_->receive(event, 8);
  EXPECT_EQ(io_->quiet(), 0u);
  value = 1;
  EXPECT_EQ(io_->finish(io_->send(event, std::string_view(reinterpret_cast<char*>(&value), 8))), 8);
  EXPECT_EQ(io_->finish(waiting), 8);
}

// The kernel interrupts a sleeping wait for every signal; the deadline stands.
TEST_P(PollerPosixTest, SignalsDoNotEndAWaitEarly) {
  struct ::sigaction handler = {};
  handler.sa_handler = [](int) {};
  struct ::sigaction old;
  ::sigaction(SIGUSR1, &handler, &old);
  const pthread_t self = ::pthread_self();
  std::atomic<bool> stop = false;
  std::thread annoyer([&] {
    while (!stop) {
      ::pthread_kill(self, SIGUSR1);
      std::this_thread::yield();
    }
  });
  const Instant deadline = steady_clock().now() + milliseconds(3);
  EXPECT_EQ(io_->poller().wait(deadline), 0u);
  EXPECT_GE(steady_clock().now(), deadline);
  stop = true;
  annoyer.join();
  ::sigaction(SIGUSR1, &old, nullptr);
}

Poller* poller_of_handler = nullptr;

// While it lives, SIGUSR1 wakes the poller.
class WakeBySignal {
 public:
  explicit WakeBySignal(Poller& poller) {
    poller_of_handler = &poller;
    struct ::sigaction handler = {};
    handler.sa_handler = [](int) { poller_of_handler->wake(); };
    ::sigaction(SIGUSR1, &handler, &old_);
  }
  WakeBySignal(const WakeBySignal&) = delete;
  WakeBySignal& operator=(const WakeBySignal&) = delete;
  ~WakeBySignal() { ::sigaction(SIGUSR1, &old_, nullptr); }

 private:
  struct ::sigaction old_ = {};
};

TEST_P(PollerPosixTest, WakeInASignalHandlerEndsASleep) {
  const WakeBySignal handler(io_->poller());
  io_->expect_foreign_wakes();
  const pthread_t self = ::pthread_self();
  for (int i = 0; i < 20; ++i) {
    std::thread other([&] { ::pthread_kill(self, SIGUSR1); });
    const Instant limit = steady_clock().now() + PollerDriver::time_limit;
    io_->turn_until(limit);
    EXPECT_LT(steady_clock().now(), limit);
    other.join();
  }
}

TEST_P(PollerPosixTest, WakeInASignalHandlerMayInterruptAWaitAnywhere) {
  const WakeBySignal handler(io_->poller());
  io_->expect_foreign_wakes();
  const pthread_t self = ::pthread_self();
  std::atomic<bool> is_done = false;
  std::thread other([&] {
    for (int i = 0; i < 2'000; ++i) {
      ::pthread_kill(self, SIGUSR1);
      std::this_thread::yield();
    }
    is_done = true;
  });
  // A sleep, so that a wake is a system call.
  while (!is_done) io_->poller().wait(steady_clock().now() + microseconds(20));
  other.join();
  io_->poller().wake();
  const Instant limit = steady_clock().now() + PollerDriver::time_limit;
  io_->turn_until(limit);
  EXPECT_LT(steady_clock().now(), limit);
}

TEST_P(PollerPosixTest, SendFileLeavesTheFilesPosition) {
  Descriptor& f = io_->attach(temporary_file("0123456789"), DescriptorKind::file);
  Pair pair = unix_pair();
  Descriptor& to = io_->attach(std::move(pair.near));
  EXPECT_EQ(io_->finish(io_->send_file(to, f, 3, 4)), 4);
  EXPECT_EQ(::lseek(static_cast<int>(f.native), 0, SEEK_CUR), 10);
}

// --- Descriptors in messages -----------------------------------------------------------------------------------------

std::string rights(const std::vector<int>& fds) {
  std::string control(CMSG_SPACE(fds.size() * sizeof(int)), '\0');
  auto* header = reinterpret_cast<cmsghdr*>(control.data());
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = static_cast<decltype(header->cmsg_len)>(CMSG_LEN(fds.size() * sizeof(int)));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  return control;
}

// The descriptors in the control data of a received message, owned.
std::vector<UniqueFd> take_rights(const Message& message) {
  std::vector<UniqueFd> fds;
  if (message.control_size < sizeof(cmsghdr)) return fds;
  const auto* header = static_cast<const cmsghdr*>(message.control);
  EXPECT_EQ(header->cmsg_level, SOL_SOCKET);
  EXPECT_EQ(header->cmsg_type, SCM_RIGHTS);
  const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  std::vector<int> numbers(count);
  std::memcpy(numbers.data(), CMSG_DATA(header), count * sizeof(int));
  for (const int fd : numbers) fds.emplace_back(fd);
  return fds;
}

TEST_P(PollerPosixTest, PassedDescriptorsArriveCloseOnExec) {
  for (const bool datagram : {false, true}) {
    Pair pair = datagram ? unix_datagram_pair() : unix_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    Descriptor& far = io_->attach(std::move(pair.far));
    const UniqueFd event = event_fd(7);
    Request& sending = io_->make_send_messages(near, {"take"});
    sending.controls[0] = rights({raw(event)});
    sending.message().control = sending.controls[0].data();
    sending.message().control_size = sending.controls[0].size();
    Request& received = receive(far, 1, 16, CMSG_SPACE(sizeof(int)));
    io_->start(sending);
    EXPECT_EQ(io_->finish(sending), 4);
    EXPECT_EQ(io_->finish(received), 4);

    const std::vector<UniqueFd> fds = take_rights(received.message());
    ASSERT_EQ(fds.size(), 1u);
    EXPECT_TRUE(is_close_on_exec(raw(fds[0])));
    std::uint64_t value = 0;
    EXPECT_EQ(::read(raw(fds[0]), &value, sizeof value), 8);
    EXPECT_EQ(value, 7u);
    EXPECT_EQ(received.message().flags, 0u);
    io_->close_now(near);
    io_->close_now(far);
  }
}

// Row 64: descriptors beyond the room for them must not stay open; the receiver is told. TearDown counts descriptors.
TEST_P(PollerPosixTest, SurplusDescriptorsAreClosedAndTheTruncationIsTold) {
  for (const std::size_t room : {CMSG_SPACE(sizeof(int)), CMSG_SPACE(2 * sizeof(int)),
                                 CMSG_LEN(sizeof(int)), std::size_t{20}, std::size_t{8}}) {
    Pair pair = unix_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    Descriptor& far = io_->attach(std::move(pair.far));
    const std::vector<std::string> before = open_descriptors();
    const UniqueFd event = event_fd();
    Request& sending = io_->make_send_messages(near, {"many"});
    sending.controls[0] = rights(std::vector<int>(10, raw(event)));
    sending.message().control = sending.controls[0].data();
    sending.message().control_size = sending.controls[0].size();
    io_->start(sending);
    EXPECT_EQ(io_->finish(sending), 4);
    Request& received = receive(far, 1, 16, room);
    EXPECT_EQ(io_->finish(received), 4);
    EXPECT_NE(received.message().flags & message_control_truncated, 0u) << "room " << room;
    {
      const std::vector<UniqueFd> taken = take_rights(received.message());
      EXPECT_LT(taken.size(), 10u);
      EXPECT_EQ(open_descriptors().size(), before.size() + 1 + taken.size());
    }
    io_->close_now(near);
    io_->close_now(far);
  }
}

TEST_P(PollerPosixTest, DescriptorsForAReceiverWithoutRoomAreClosed) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Descriptor& far = io_->attach(std::move(pair.far));
  const UniqueFd event = event_fd();
  Request& sending = io_->make_send_messages(near, {"unwanted"});
  sending.controls[0] = rights({raw(event)});
  sending.message().control = sending.controls[0].data();
  sending.message().control_size = sending.controls[0].size();
  io_->start(sending);
  EXPECT_EQ(io_->finish(sending), 8);
  const std::size_t before = open_descriptors().size();
  EXPECT_EQ(io_->finish(io_->receive(far, 16)), 8);
  EXPECT_EQ(open_descriptors().size(), before);
}

}  // namespace
}  // namespace gyre::test
