// What is kqueue's own: what the events of its kernel look like, and what the poller makes of them. On Linux the kernel is
// a double (tests/support/kqueue).
#include <poll.h>
#include <sys/event.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include <gyre/platform/fault_plan.h>
#include <gyre/platform/poller_backends.h>
#include <gyre/platform/syscalls_kqueue.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

using Event = struct ::kevent;

Event change(const UniqueFd& fd, int filter, unsigned flags, std::uintptr_t mark = 0) {
  Event event{};
  event.ident = static_cast<std::uintptr_t>(fd.get());
  event.filter = static_cast<std::int16_t>(filter);
  event.flags = static_cast<std::uint16_t>(flags);
  event.udata = reinterpret_cast<void*>(mark);
  return event;
}

// The bare calls.
class KqueueTest : public testing::Test {
 protected:
  int apply(const Event& event) { return ::kevent(queue(), &event, 1, nullptr, 0, &at_once_); }
  // The events that are there now.
  int fetch() { return ::kevent(queue(), nullptr, 0, events_.data(), static_cast<int>(events_.size()), &at_once_); }
  int queue() const { return raw(queue_); }

  UniqueFd queue_{::kqueue()};
  const timespec at_once_{};
  std::array<Event, 8> events_;
};

TEST_F(KqueueTest, WhatIsReadyAtTheRegistrationIsReportedOnce) {
  const Pair pair = unix_pair();
  write_all(pair.far, "ping");
  ASSERT_EQ(apply(change(pair.near, EVFILT_READ, EV_ADD | EV_CLEAR, 7)), 0);
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].ident, static_cast<std::uintptr_t>(pair.near.get()));
  EXPECT_EQ(events_[0].filter, EVFILT_READ);
  EXPECT_EQ(events_[0].data, 4);
  EXPECT_EQ(events_[0].udata, reinterpret_cast<void*>(7));
  EXPECT_EQ(events_[0].flags & EV_EOF, 0u);
  EXPECT_EQ(fetch(), 0) << "EV_CLEAR resets it";
}

TEST_F(KqueueTest, EndIsReportedWhileDataAreLeft) {
  Pair pair = unix_pair();
  ASSERT_EQ(apply(change(pair.near, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  write_all(pair.far, "last words");
  pair.far.reset();
  ASSERT_EQ(fetch(), 1);
  EXPECT_NE(events_[0].flags & EV_EOF, 0u);
  EXPECT_EQ(events_[0].data, 10);
}

TEST_F(KqueueTest, WriterIsToldThatTheReaderIsGone) {
  Pipe pipe = pipe_pair();
  ASSERT_EQ(apply(change(pipe.write_end, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].flags & EV_EOF, 0u);
  pipe.read_end.reset();
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].filter, EVFILT_WRITE);
  EXPECT_NE(events_[0].flags & EV_EOF, 0u);
}

TEST_F(KqueueTest, FailedChangeIsAnEventWhereThereIsRoomAndElseAnError) {
  const UniqueFd fd = event_fd();
  const Event wrong = change(fd, EVFILT_READ, EV_DELETE);
  EXPECT_EQ(::kevent(queue(), &wrong, 1, nullptr, 0, &at_once_), -1);
  EXPECT_EQ(errno, ENOENT);
  ASSERT_EQ(::kevent(queue(), &wrong, 1, events_.data(), 1, &at_once_), 1);
  EXPECT_NE(events_[0].flags & EV_ERROR, 0u);
  EXPECT_EQ(events_[0].data, ENOENT);
}

TEST_F(KqueueTest, ReceiptAnswersEveryChangeAndRetrievesNothing) {
  const UniqueFd ready = event_fd(1);
  const Event changes[] = {change(ready, EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT),
                           change(ready, EVFILT_WRITE, EV_ADD | EV_CLEAR | EV_RECEIPT)};
  ASSERT_EQ(::kevent(queue(), changes, 2, events_.data(), 8, &at_once_), 2);
  EXPECT_NE(events_[0].flags & EV_ERROR, 0u);
  EXPECT_EQ(events_[0].data, 0);
  EXPECT_EQ(fetch(), 2);
}

TEST_F(KqueueTest, ChangesAfterAReceiptWithoutRoomAreNotMade) {
  const UniqueFd ready = event_fd(1);
  const Event changes[] = {change(ready, EVFILT_READ, EV_ADD | EV_CLEAR | EV_RECEIPT),
                           change(ready, EVFILT_WRITE, EV_ADD | EV_CLEAR)};
  EXPECT_EQ(::kevent(queue(), changes, 2, nullptr, 0, &at_once_), 0);
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].filter, EVFILT_READ);
}

TEST_F(KqueueTest, WriterAtAFullPipeIsToldByTheInputFilterThatTheReaderIsGone) {
  Pipe pipe = pipe_pair();
  fill(pipe.write_end);
  ASSERT_EQ(apply(change(pipe.write_end, EVFILT_WRITE, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(apply(change(pipe.write_end, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(fetch(), 0);
  pipe.read_end.reset();
  const int count = fetch();  // 2, say the manuals; 1, says NetBSD
  ASSERT_GE(count, 1);
  bool is_told = false;
  for (int i = 0; i < count; ++i) {
    const Event& event = events_[static_cast<std::size_t>(i)];
    if (event.filter == EVFILT_READ) is_told = (event.flags & EV_EOF) != 0;
  }
  EXPECT_TRUE(is_told);
}

TEST_F(KqueueTest, ClosedDescriptorIsForgottenAlsoIfADuplicateLives) {
  Pair pair = unix_pair();
  ASSERT_EQ(apply(change(pair.near, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  const UniqueFd duplicate(::dup(raw(pair.near)));
  pair.near.reset();
  write_all(pair.far, "for the duplicate");
  EXPECT_EQ(fetch(), 0);
}

TEST_F(KqueueTest, UserEventAndDescriptorOfOneNumberAreTwo) {
  const UniqueFd fd = event_fd(1);
  ASSERT_EQ(apply(change(fd, EVFILT_USER, EV_ADD | EV_CLEAR, 1)), 0);
  ASSERT_EQ(apply(change(fd, EVFILT_READ, EV_ADD | EV_CLEAR, 2)), 0);
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].udata, reinterpret_cast<void*>(2));
  Event trigger = change(fd, EVFILT_USER, 0, 1);
  trigger.fflags = NOTE_TRIGGER;
  ASSERT_EQ(apply(trigger), 0);
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].filter, EVFILT_USER);
  EXPECT_EQ(events_[0].udata, reinterpret_cast<void*>(1));
  EXPECT_EQ(fetch(), 0);
}

TEST_F(KqueueTest, TriggerOfAnotherThreadEndsAnEndlessSleep) {
  Event wake{};
  wake.filter = EVFILT_USER;
  wake.flags = EV_ADD | EV_CLEAR;
  ASSERT_EQ(apply(wake), 0);
  wake.flags = 0;
  wake.fflags = NOTE_TRIGGER;
  std::thread other([&] { EXPECT_EQ(::kevent(queue(), &wake, 1, nullptr, 0, &at_once_), 0); });
  EXPECT_EQ(::kevent(queue(), nullptr, 0, events_.data(), 8, nullptr), 1);
  other.join();
}

// A process that ends once its pipe is closed.
struct Child {
  explicit Child(Pipe& pipe) : id(::fork()) {
    if (id != 0) return;
    pipe.write_end.reset();
    pollfd end{.fd = raw(pipe.read_end), .events = POLLIN, .revents = 0};
    (void)::poll(&end, 1, -1);
    ::_exit(0);
  }
  void reap() const {
    while (::waitpid(id, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  const pid_t id;
};

TEST_F(KqueueTest, EndOfAProcessIsOneEventAndMakesTheQueueReadable) {
  Pipe pipe = pipe_pair();
  const Child child(pipe);
  ASSERT_GT(child.id, 0);
  Event watch{};
  watch.ident = static_cast<std::uintptr_t>(child.id);
  watch.filter = EVFILT_PROC;
  watch.flags = EV_ADD;
  watch.fflags = NOTE_EXIT;
  EXPECT_EQ(apply(watch), 0);
  pollfd readable{.fd = queue(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
  EXPECT_EQ(fetch(), 0);
  pipe.write_end.reset();
  EXPECT_TRUE(becomes_readable(queue()));
  ASSERT_EQ(fetch(), 1);
  EXPECT_EQ(events_[0].ident, static_cast<std::uintptr_t>(child.id));
  EXPECT_EQ(events_[0].filter, EVFILT_PROC);
  EXPECT_NE(events_[0].fflags & NOTE_EXIT, 0u);
  EXPECT_EQ(fetch(), 0);
  child.reap();
}

// macOS does not know it any more, FreeBSD reports its end at once.
TEST_F(KqueueTest, ProcessThatHasEndedCannotBeWaitedForInVain) {
  Pipe pipe = pipe_pair();
  const Child child(pipe);
  ASSERT_GT(child.id, 0);
  pipe.write_end.reset();
  siginfo_t end{};
  while (::waitid(P_PID, static_cast<id_t>(child.id), &end, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  Event watch{};
  watch.ident = static_cast<std::uintptr_t>(child.id);
  watch.filter = EVFILT_PROC;
  watch.flags = EV_ADD;
  watch.fflags = NOTE_EXIT;
  const int result = apply(watch);
  EXPECT_TRUE(result == 0 ? fetch() == 1 : errno == ESRCH) << result << ", errno " << errno;
  child.reap();
  EXPECT_EQ(apply(watch), -1);
  EXPECT_EQ(errno, ESRCH);
}

// The poller on top of them.
class KqueuePollerTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Poller>> poller = make_kqueue_poller({});
    ASSERT_TRUE(poller.has_value()) << poller.error();
    io_ = std::make_unique<PollerDriver>(std::move(*poller));
  }

  int queue() { return static_cast<int>(io_->poller().native_handle()); }
  // Whether the kernel has a registration; asked by a change that would change nothing.
  static bool is_registered(int queue, int number, int filter) {
    Event event{};
    event.ident = static_cast<std::uintptr_t>(number);
    event.filter = static_cast<std::int16_t>(filter);
    const timespec at_once{};
    return ::kevent(queue, &event, 1, nullptr, 0, &at_once) == 0;
  }
  bool is_registered(int number, int filter) { return is_registered(queue(), number, filter); }

  std::unique_ptr<PollerDriver> io_;
};

TEST_F(KqueuePollerTest, EndWithUnreadDataGivesTheDataFirst) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& first = io_->receive(near, 4);
  io_->settle();
  write_all(pair.far, "ping, pong");
  pair.far.reset();
  EXPECT_EQ(io_->finish(first), 4);
  EXPECT_EQ(io_->finish(io_->receive(near, 4)), 4);
  EXPECT_EQ(io_->finish(io_->receive(near, 4)), 2);
  EXPECT_EQ(io_->finish(io_->receive(near, 4)), 0);
  EXPECT_EQ(io_->finish(io_->receive(near, 4)), 0);
}

// That the reader is gone comes as EV_EOF, of which filter depends on the system; nothing else tells it.
TEST_F(KqueuePollerTest, WriterWhoseReaderIsGoneFailsFromThenOn) {
  for (const OperationKind kind : {OperationKind::send, OperationKind::writable}) {
    Pipe pipe = pipe_pair();
    Descriptor& near = io_->attach(std::move(pipe.write_end), DescriptorKind::stream);
    Request& blocked = io_->blocked_send(near);
    if (kind == OperationKind::writable) {
      io_->cancel(blocked);
      io_->settle();
    }
    Request& waiting = kind == OperationKind::send ? blocked : io_->plain(kind, near);
    io_->settle();
    EXPECT_FALSE(waiting.done());
    pipe.read_end.reset();
    EXPECT_EQ(io_->finish(waiting), kind == OperationKind::send ? -EPIPE : 0);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(io_->finish(io_->send(near, "to nobody")), -EPIPE);
    EXPECT_EQ(io_->finish(io_->plain(OperationKind::writable, near)), 0);
  }
}

// To a send NetBSD's MSG_DONTWAIT means nothing: on a blocking socket it would stop the loop.
TEST_F(KqueuePollerTest, SocketIsNonBlockingOnceItIsAttachedAndAForeignOneIsLeftAlone) {
  Pair pair = tcp_pair();
  ASSERT_FALSE(is_non_blocking(raw(pair.near)));
  ASSERT_FALSE(is_non_blocking(raw(pair.far)));
  Descriptor& foreign = io_->attach(UniqueFd(raw(pair.far)), DescriptorKind::foreign);
  EXPECT_FALSE(is_non_blocking(raw(pair.far)));
  io_->close_now(foreign);
  Descriptor& near = io_->attach(std::move(pair.near));
  EXPECT_TRUE(is_non_blocking(static_cast<int>(near.native)));
  io_->close_now(near);
}

TEST_F(KqueuePollerTest, EventsOfAClosedDescriptorAreNotThoseOfTheNextWithItsNumber) {
  Pair old = unix_pair();
  Pair next = unix_pair();
  Pair trigger = unix_pair();
  const int number = raw(old.near);
  Descriptor& closed = io_->attach(std::move(old.near));
  Descriptor& first = io_->attach(std::move(trigger.near));
  Request& stale = io_->receive(closed, 8);
  Request& closer = io_->receive(first, 8);
  Request* fresh = nullptr;
  // Both are ready in one batch; whichever is first, the number changes hands before the other's event is looked at.
  closer.then([&](Request&) {
    io_->cancel(stale);
  });
  stale.then([&](Request&) {
    io_->close_now(closed);
    ASSERT_EQ(::dup2(raw(next.near), number), number);
    Descriptor& reused = io_->attach(UniqueFd(number));
    fresh = &io_->receive(reused, 8);
  });
  io_->settle();
  write_all(old.far, "old");
  write_all(trigger.far, "go");
  ASSERT_TRUE(io_->run_until([&] { return stale.done() && closer.done(); }));
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(io_->quiet(), 0u);
  EXPECT_FALSE(fresh->done());
  write_all(next.far, "new");
  EXPECT_EQ(io_->finish(*fresh), 3);
  EXPECT_EQ(fresh->text(), "new");
}

TEST_F(KqueuePollerTest, DescriptorClosedBeforeItsRegistrationWasMadeIsNeverRegistered) {
  Pair pair = unix_pair();
  const Pair other = unix_pair();
  const int number = raw(pair.near);
  io_->close_now(io_->attach(std::move(pair.near)));
  const UniqueFd reused(::dup2(raw(other.near), number));
  write_all(other.far, "not ours");
  EXPECT_TRUE(io_->sleeps_through());
  EXPECT_FALSE(is_registered(number, EVFILT_READ));
  EXPECT_FALSE(is_registered(number, EVFILT_WRITE));
}

TEST_F(KqueuePollerTest, DetachedDescriptorIsNotRegisteredAnyMore) {
  Pair pair = unix_pair();
  const int number = raw(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = io_->receive(near, 8);
  io_->settle();
  EXPECT_TRUE(is_registered(number, EVFILT_READ));
  EXPECT_TRUE(is_registered(number, EVFILT_WRITE));
  io_->cancel(request);
  io_->settle();
  EXPECT_TRUE(request.done());
  const UniqueFd back = io_->detach(near);
  EXPECT_FALSE(is_registered(number, EVFILT_READ));
  EXPECT_FALSE(is_registered(number, EVFILT_WRITE));
}

// One call makes them and waits.
TEST_F(KqueuePollerTest, RegistrationsGoWithTheWait) {
  std::vector<Pair> pairs;
  const std::uint64_t before = sys::calls_made(sys::number_kevent);
  for (int i = 0; i < 20; ++i) {
    pairs.push_back(unix_pair());
    (void)io_->receive(io_->attach(std::move(pairs.back().near)), 8);
  }
  EXPECT_EQ(sys::calls_made(sys::number_kevent), before);
  (void)io_->turn();
  EXPECT_EQ(sys::calls_made(sys::number_kevent), before + 1);
}

// A foreign loop sleeps on the queue: what has not been handed over yet is at once, and so is what comes later.
TEST_F(KqueuePollerTest, WhoSleepsOnTheQueueItselfMissesNothing) {
  int handle = -1;
  for (int i = 0; i < 2; ++i) {
    Pair pair = unix_pair();
    const int number = raw(pair.near);
    (void)io_->receive(io_->attach(std::move(pair.near)), 8);
    if (i == 0) handle = queue();
    EXPECT_TRUE(is_registered(handle, number, EVFILT_READ)) << i;
    EXPECT_TRUE(is_registered(handle, number, EVFILT_WRITE)) << i;
  }
}

TEST_F(KqueuePollerTest, MoreRegistrationsThanOneCallTakesAreAllMade) {
  std::vector<Pair> pairs;
  std::vector<Request*> requests;
  for (int i = 0; i < 200; ++i) {
    pairs.push_back(unix_pair());
    requests.push_back(&io_->receive(io_->attach(std::move(pairs.back().near)), 8));
  }
  for (const Pair& pair : pairs) write_all(pair.far, "hello");
  for (Request* request : requests) EXPECT_EQ(io_->finish(*request), 5);
}

TEST_F(KqueuePollerTest, WakeDoesNotDependOnADescriptorOfItsNumber) {
  // The wake-up's identifier is 0; so is that of this descriptor, if the number is free.
  const UniqueFd kept(::dup(0));
  const UniqueFd event = event_fd(1);
  ASSERT_EQ(::dup2(raw(event), 0), 0);
  Descriptor& zero = io_->attach(UniqueFd(0), DescriptorKind::foreign);
  EXPECT_EQ(io_->finish(io_->plain(OperationKind::readable, zero)), 0);
  io_->wake();
  EXPECT_EQ(io_->turn(PollerDriver::time_limit), 0u);
  io_->close_now(zero);
  if (kept) {
    EXPECT_EQ(::dup2(raw(kept), 0), 0);
  } else {
    ::close(0);
  }
}

}  // namespace
}  // namespace gyre::test
