// What the kqueue poller does when the kernel refuses a registration, which only the double of that kernel does at will.
#include <sys/event.h>

#include <cerrno>

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

TEST_F(KqueueRefusalTest, DescriptorThatCannotBeWatchedCountsAsReady) {
  Pair pair = unix_pair();
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = io_->receive(near, 8);
  refuse_registrations(EVFILT_READ, EPERM, 1);
  write_all(pair.far, "ping");
  // The call that it is taken to be ready for finds what is there.
  EXPECT_EQ(io_->finish(request), 4);
}

TEST_F(KqueueRefusalTest, WhatWasRegisteredByHalfIsForgottenWhenItIsDetached) {
  Pair pair = unix_pair();
  const int number = raw(pair.near);
  Descriptor& near = io_->attach(std::move(pair.near));
  Request& request = io_->receive(near, 8);
  refuse_registrations(EVFILT_WRITE, ENOMEM, 1'000'000);
  io_->settle();
  io_->cancel(request);
  io_->settle();
  EXPECT_TRUE(request.done());
  const UniqueFd back = io_->detach(near);
  EXPECT_FALSE(is_registered(number, EVFILT_READ));
  EXPECT_FALSE(is_registered(number, EVFILT_WRITE));
}

}  // namespace
}  // namespace gyre::test
