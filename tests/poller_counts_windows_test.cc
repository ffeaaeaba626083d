// What the poller of Windows costs in calls and in handles, and what it asks of the system though Wine does without.

#include <gyre/platform/syscalls_windows.h>

#include <cerrno>

#include <gyre/platform/fault_plan.h>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

class PollerCountsTest : public PollerFixture {
 protected:
  // By a turn that does not wait.
  std::uint64_t waits_of_a_turn() {
    const std::uint64_t before = sys::calls_made(sys::number_wait);
    io_->turn();
    return sys::calls_made(sys::number_wait) - before;
  }
  // That a packet is to come is known exactly: more would make idle turns call, fewer would leave it at the port.
  void expect_a_packet_of(Request& request, Descriptor& descriptor) {
    EXPECT_EQ(waits_of_a_turn(), 1u) << "while it waits";
    io_->cancel(request);
    EXPECT_EQ(io_->finish(request), -ECANCELED);
    EXPECT_EQ(waits_of_a_turn(), 0u) << "with nothing in flight";
    io_->close_now(descriptor);
  }
};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerCountsTest);

TEST_P(PollerCountsTest, TheSystemIsAskedForPacketsOnlyWhileSomeAreToCome) {
  EXPECT_EQ(waits_of_a_turn(), 0u);

  Pair overlapped = tcp_pair();
  Descriptor& stream = io_->attach(std::move(overlapped.near));
  expect_a_packet_of(io_->receive(stream, 8), stream);

  Pair polled = tcp_pair();
  Descriptor& watched = io_->attach(std::move(polled.near));
  expect_a_packet_of(io_->plain(OperationKind::readable, watched), watched);

  Pipe pipe = pipe_pair();
  Descriptor& reader = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  expect_a_packet_of(io_->receive(reader, 8), reader);

  const UniqueFd event = event_fd();
  Descriptor& foreign = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
  Request& signalled = io_->plain(OperationKind::readable, foreign);
  EXPECT_EQ(waits_of_a_turn(), 1u);
  io_->cancel(signalled);
  EXPECT_EQ(io_->finish(signalled), -ECANCELED);
  EXPECT_EQ(waits_of_a_turn(), 0u) << "nobody will post it";
  io_->close_now(foreign);
}

TEST_P(PollerCountsTest, WhatIsDoneAtOnceSendsNoPacket) {
  Pair pair = tcp_pair();
  write_all(pair.far, "there");
  ASSERT_TRUE(becomes_readable(raw(pair.near)));
  Descriptor& near = io_->attach(std::move(pair.near));
  Pipe pipe = pipe_pair();
  write_all(pipe.write_end, "there");
  Descriptor& reader = io_->attach(std::move(pipe.read_end), DescriptorKind::stream);
  for (Descriptor* const descriptor : {&near, &reader}) {
    const std::uint64_t waits = sys::calls_made(sys::number_wait);
    Request& receive = io_->receive(*descriptor, 8);
    EXPECT_TRUE(receive.done());
    EXPECT_EQ(receive.result, 5);
    EXPECT_EQ(sys::calls_made(sys::number_wait), waits);
    EXPECT_EQ(waits_of_a_turn(), 0u) << "and none is left behind";
  }
}

// Without it Windows knows of no connection: no getpeername(), no shutdown(). Wine does.
TEST_P(PollerCountsTest, AcceptedAndConnectedSocketsAreToldSo) {
  sys::FaultPlan plan;
  plan.add({.number = sys::number_set_option,
            .times = sys::FaultRule::sticky,
            .fault = {.kind = sys::Fault::Kind::fail, .value = ENOBUFS}});
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Descriptor& client = io_->attach(tcp_socket());
  const sys::FaultScope scope(plan);
  Request& accept = io_->accept(listener);
  EXPECT_EQ(io_->finish(io_->connect(client, bound.address)), -ENOBUFS);
  EXPECT_EQ(io_->finish(accept), -ENOBUFS);
  EXPECT_EQ(plan.hits(), 2u);
}

// One by one: Wine's GetProcessHandleCount() knows of none.
std::size_t count_handles() {
  std::size_t count = 0;
  DWORD flags = 0;
  for (NativeDescriptor number = 4; number < 4096; number += 4) {
    if (::GetHandleInformation(sys::handle_of(number), &flags) != 0) ++count;
  }
  return count;
}

TEST_P(PollerCountsTest, RoundsLeaveNoHandlesBehind) {
  constexpr std::size_t rounds = 24;
  std::size_t before = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    if (i == 4) before = count_handles();  // the first ones load what is loaded once
    Pair pair = tcp_pair();
    Descriptor& near = io_->attach(std::move(pair.near));
    Request& receive = io_->receive(near, 8);
    pair.far.reset();
    EXPECT_EQ(io_->finish(receive), 0) << "and it has been asked whether that is a reset";
    io_->close_now(near);

    UniqueFd file = temporary_file("0123456789");
    Descriptor& content = io_->attach(std::move(file), DescriptorKind::file);
    EXPECT_EQ(io_->finish(io_->read_at(content, 4, 3)), 4);
    io_->close_now(content);

    const UniqueFd event = event_fd(i % 2);
    Descriptor& foreign = io_->attach(UniqueFd(event.get()), DescriptorKind::foreign);
    Request& signalled = io_->plain(OperationKind::readable, foreign, operation_no_inline);
    if (i % 2 == 0) io_->cancel(signalled);
    io_->finish(signalled);
    io_->close_now(foreign);
  }
  EXPECT_LT(count_handles(), before + rounds / 2);
}

}  // namespace
}  // namespace gyre::test
