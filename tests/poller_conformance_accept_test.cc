// The poller contract: accept, single and multishot, and connect.

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "support/poller_fixture.h"

namespace gyre::test {
namespace {

class PollerAcceptTest : public PollerFixture {
 protected:
  static std::vector<UniqueFd> connect_many(const SocketAddress& address, std::size_t count) {
    std::vector<UniqueFd> clients;
    for (std::size_t i = 0; i < count; ++i) clients.push_back(connect_to(address));
    return clients;
  }
};
class PollerConnectTest : public PollerFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerAcceptTest);
GYRE_INSTANTIATE_FOR_EVERY_POLLER(PollerConnectTest);

TEST_P(PollerAcceptTest, AcceptsAConnectionThatIsThere) {
  Bound bound = tcp_listener();
  const UniqueFd client = connect_to(bound.address);
  Descriptor& listener = io_->attach(std::move(bound.fd));

  Request& accept = io_->accept(listener);

  ASSERT_GE(io_->finish(accept), 0);
  write_all(client, "hi");
  EXPECT_TRUE(becomes_readable(raw(accept.descriptors[0])));
}

TEST_P(PollerAcceptTest, WaitsForAConnectionThatComesLater) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener);
  EXPECT_EQ(io_->quiet(), 0u);

  const UniqueFd client = connect_to(bound.address);

  ASSERT_GE(io_->finish(accept), 0);
  EXPECT_EQ(port_of(peer_address(accept.descriptors[0])), port_of(local_address(client)));
}

TEST_P(PollerAcceptTest, AcceptedDescriptorsAreNonBlockingAndCloseOnExec) {
  Bound bound = tcp_listener();
  const UniqueFd first = connect_to(bound.address);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& single = io_->accept(listener);
  ASSERT_GE(io_->finish(single), 0);
  Request& multishot = io_->accept(listener, operation_multishot);
  const UniqueFd second = connect_to(bound.address);
  ASSERT_TRUE(io_->run_until([&] { return multishot.descriptors.size() == 1; }));

  for (const Request* accept : {&single, &multishot}) {
    EXPECT_TRUE(is_non_blocking(raw(accept->descriptors[0])));
    EXPECT_TRUE(is_close_on_exec(raw(accept->descriptors[0])));
  }
  io_->cancel(multishot);
  io_->finish(multishot);
}

TEST_P(PollerAcceptTest, AcceptedDescriptorsCanBeAttachedAndServe) {
  Bound bound = tcp_listener();
  const UniqueFd client = connect_to(bound.address);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener);
  ASSERT_GE(io_->finish(accept), 0);

  Descriptor& peer = io_->attach(std::move(accept.descriptors[0]));
  Request& receive = io_->receive(peer, 16);
  write_all(client, "to the server");
  EXPECT_EQ(io_->finish(receive), 13);
}

TEST_P(PollerAcceptTest, AcceptsOneAfterAnotherWithoutLosingAny) {
  Bound bound = tcp_listener();
  const std::vector<UniqueFd> clients = connect_many(bound.address, 10);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  for (int i = 0; i < 10; ++i) ASSERT_GE(io_->finish(io_->accept(listener)), 0);
  Request& waiting = io_->accept(listener);
  EXPECT_EQ(io_->quiet(), 0u);
  const UniqueFd last = connect_to(bound.address);
  EXPECT_GE(io_->finish(waiting), 0);
}

TEST_P(PollerAcceptTest, MultishotDeliversEachConnectionAndStaysInFlight) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener, operation_multishot);
  EXPECT_FALSE(accept.was_inline);
  std::vector<UniqueFd> clients;
  for (std::size_t i = 1; i <= 20; ++i) {
    clients.push_back(connect_to(bound.address));
    ASSERT_TRUE(io_->run_until([&] { return accept.descriptors.size() == i; }));
    EXPECT_FALSE(accept.done());
    EXPECT_EQ(io_->poller().in_flight(), 1u);
  }

  io_->cancel(accept);

  EXPECT_EQ(io_->finish(accept), -ECANCELED);
  EXPECT_EQ(accept.descriptors.size(), 20u);
}

TEST_P(PollerAcceptTest, MultishotDeliversABurst) {
  Bound bound = tcp_listener(512);
  const std::vector<UniqueFd> clients = connect_many(bound.address, 300);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener, operation_multishot);

  ASSERT_TRUE(io_->run_until([&] { return accept.descriptors.size() == 300; }));

  io_->cancel(accept);
  EXPECT_EQ(io_->finish(accept), -ECANCELED);
}

TEST_P(PollerAcceptTest, MultishotCanBeCancelledFromItsOwnCompletion) {
  Bound bound = tcp_listener();
  const std::vector<UniqueFd> clients = connect_many(bound.address, 10);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->make(OperationKind::accept, &listener);
  accept.flags = operation_multishot;
  accept.then([&](Request& self) {
    if (!self.done()) io_->cancel(self);
  });
  io_->start(accept);

  EXPECT_EQ(io_->finish(accept), -ECANCELED);

  // Whoever was not delivered is still in the backlog.
  for (std::size_t i = accept.descriptors.size(); i < 10; ++i) {
    EXPECT_GE(io_->finish(io_->accept(listener)), 0);
  }
}

TEST_P(PollerAcceptTest, MultishotCanBeStartedAgain) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  for (std::size_t round = 0; round < 5; ++round) {
    Request& accept = io_->accept(listener, operation_multishot);
    const UniqueFd client = connect_to(bound.address);
    ASSERT_TRUE(io_->run_until([&] { return accept.descriptors.size() == 1; }));
    io_->cancel(accept);
    ASSERT_EQ(io_->finish(accept), -ECANCELED);
  }
}

TEST_P(PollerAcceptTest, ConnectionThatWasResetBeforeAcceptIsNoEndOfAccepting) {
  Bound bound = tcp_listener();
  reset_connection(connect_to(bound.address));
  const UniqueFd client = connect_to(bound.address);
  Descriptor& listener = io_->attach(std::move(bound.fd));

  // Linux delivers the dead one first; reading from it says so.
  const std::int64_t first = io_->finish(io_->accept(listener));
  EXPECT_TRUE(first >= 0 || first == -ECONNABORTED) << first;
  EXPECT_GE(io_->finish(io_->accept(listener)), 0);
}

TEST_P(PollerAcceptTest, AcceptsOverUnixAndIpv6) {
  for (const bool ipv6 : {false, true}) {
    Bound bound = ipv6 ? tcp6_listener() : unix_listener();
    Descriptor& listener = io_->attach(std::move(bound.fd));
    Request& accept = io_->accept(listener);
    const UniqueFd client = connect_to(bound.address);
    EXPECT_GE(io_->finish(accept), 0);
    io_->close_now(listener);
  }
}

// EMFILE is an answer, not a reason to turn in circles: the connection stays where it is.
TEST_P(PollerAcceptTest, WithoutDescriptorsAcceptFailsAndWorksAgainLater) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  const UniqueFd client = connect_to(bound.address);
  {
    const NoMoreDescriptors limit;
    EXPECT_EQ(io_->finish(io_->accept(listener)), -EMFILE);
    EXPECT_EQ(io_->finish(io_->accept(listener)), -EMFILE);
  }
  EXPECT_GE(io_->finish(io_->accept(listener)), 0);
}

TEST_P(PollerAcceptTest, WithoutDescriptorsMultishotEndsWithTheErrorAndDoesNotSpin) {
  Bound bound = tcp_listener();
  Descriptor& listener = io_->attach(std::move(bound.fd));
  const UniqueFd client = connect_to(bound.address);
  {
    const NoMoreDescriptors limit;
    Request& accept = io_->accept(listener, operation_multishot);
    EXPECT_EQ(io_->finish(accept), -EMFILE);
    EXPECT_TRUE(io_->sleeps_through());
  }
  EXPECT_GE(io_->finish(io_->accept(listener)), 0);
}

TEST_P(PollerConnectTest, ConnectsToAListener) {
  const Bound bound = tcp_listener();
  Descriptor& socket = io_->attach(tcp_socket());

  EXPECT_EQ(io_->finish(io_->connect(socket, bound.address)), 0);

  const UniqueFd peer = accept_from(bound.fd);
  EXPECT_EQ(io_->finish(io_->send(socket, "connected")), 9);
  EXPECT_EQ(read_exactly(peer, 9), "connected");
}

TEST_P(PollerConnectTest, ConnectsOverIpv6AndUnix) {
  const Bound six = tcp6_listener();
  EXPECT_EQ(io_->finish(io_->connect(io_->attach(tcp6_socket()), six.address)), 0);
  const Bound local = unix_listener();
  EXPECT_EQ(io_->finish(io_->connect(io_->attach(unix_socket()), local.address)), 0);
}

TEST_P(PollerConnectTest, RefusedConnectionIsReported) {
  const Bound bound = refusing_tcp();
  Descriptor& socket = io_->attach(tcp_socket());
  Request& connect = io_->connect(socket, bound.address);
  EXPECT_EQ(io_->finish(connect), -ECONNREFUSED);
  EXPECT_TRUE(connect.operation.error() == std::errc::connection_refused);
}

TEST_P(PollerConnectTest, RefusedConnectionLeavesASocketThatCanConnectElsewhere) {
  const Bound refusing = refusing_tcp();
  const Bound bound = tcp_listener();
  Descriptor& socket = io_->attach(tcp_socket());
  EXPECT_EQ(io_->finish(io_->connect(socket, refusing.address)), -ECONNREFUSED);

  EXPECT_EQ(io_->finish(io_->connect(socket, bound.address)), 0);

  const UniqueFd peer = accept_from(bound.fd);
  Request& receive = io_->receive(socket, 8);
  write_all(peer, "now");
  EXPECT_EQ(io_->finish(receive), 3);
}

TEST_P(PollerConnectTest, MissingUnixNameIsReported) {
  SocketAddress gone;
  {
    const Bound bound = unix_listener();
    gone = bound.address;
  }
  Descriptor& socket = io_->attach(unix_socket());
  EXPECT_EQ(io_->finish(io_->connect(socket, gone)), -ECONNREFUSED);
}

TEST_P(PollerConnectTest, ConnectOfAConnectedSocketIsAnErrorAtTheLatestTheSecondTime) {
  const Bound bound = tcp_listener();
  Descriptor& socket = io_->attach(tcp_socket());
  EXPECT_EQ(io_->finish(io_->connect(socket, bound.address)), 0);
  // Linux counts the first repetition as the end of a non-blocking connect.
  const std::int64_t second = io_->finish(io_->connect(socket, bound.address));
  EXPECT_TRUE(second == 0 || second == -EISCONN) << second;
  EXPECT_EQ(io_->finish(io_->connect(socket, bound.address)), -EISCONN);
}

// Row 62: a TCP socket may connect to its own port. That is nobody's service; the socket can be used for another try.
TEST_P(PollerConnectTest, SocketThatConnectsToItselfIsRefused) {
  Bound itself = refusing_tcp();
  const Bound bound = tcp_listener();
  Descriptor& socket = io_->attach(std::move(itself.fd));
  EXPECT_EQ(io_->finish(io_->connect(socket, itself.address)), -ECONNREFUSED);
  EXPECT_EQ(io_->finish(io_->connect(socket, bound.address)), 0);
}

TEST_P(PollerConnectTest, ConnectThatCannotProceedWaits) {
  // A full backlog: Linux drops further handshakes and the client repeats them after a second.
  const Bound bound = tcp_listener(0);
  const UniqueFd first = connect_to(bound.address);
  EXPECT_TRUE(becomes_readable(raw(bound.fd))) << "it is not in the backlog as soon as it is connected";
  Descriptor& socket = io_->attach(tcp_socket());
  Request& connect = io_->connect(socket, bound.address);
  if (connect.done()) GTEST_SKIP() << "this kernel's backlog of 0 takes two";
  EXPECT_EQ(io_->quiet(), 0u);

  io_->cancel(connect);

  EXPECT_EQ(io_->finish(connect), -ECANCELED);
}

TEST_P(PollerConnectTest, ConnectToAFullUnixBacklogDoesNotHangOrSpin) {
  const Bound bound = unix_listener(0);
  const UniqueFd first = connect_to(bound.address);
  Descriptor& socket = io_->attach(unix_socket());
  Request& connect = io_->connect(socket, bound.address);
  io_->quiet(std::chrono::milliseconds(5));
  // There is no event for "room in the backlog": a poller refuses, or waits for room in another way.
  if (!connect.done()) {
    const UniqueFd taken = accept_from(bound.fd);
    EXPECT_EQ(io_->finish(connect), 0);
  } else {
    EXPECT_EQ(connect.result, -ECONNREFUSED);
  }
}

TEST_P(PollerConnectTest, ManyConnectsAtOnceAllSucceed) {
  Bound bound = tcp_listener(256);
  Descriptor& listener = io_->attach(std::move(bound.fd));
  Request& accept = io_->accept(listener, operation_multishot);
  std::vector<Request*> connects;
  for (int i = 0; i < 100; ++i) {
    connects.push_back(&io_->connect(io_->attach(tcp_socket()), bound.address));
  }
  for (Request* connect : connects) EXPECT_EQ(io_->finish(*connect), 0);
  EXPECT_TRUE(io_->run_until([&] { return accept.descriptors.size() == 100; }));
  io_->cancel(accept);
  io_->finish(accept);
}

TEST_P(PollerConnectTest, ReceiveAndSendMayFollowAConnectAtOnce) {
  const Bound bound = tcp_listener();
  Descriptor& socket = io_->attach(tcp_socket());
  Request& connect = io_->make(OperationKind::connect, &socket);
  connect.address = bound.address;
  connect.argument = &connect.address;
  connect.flags = operation_no_inline;
  bool received = false;
  connect.then([&](Request& self) {
    ASSERT_EQ(self.result, 0);
    io_->send(socket, "first words");
    Request& receive = io_->receive(socket, 16, operation_no_inline);
    receive.then([&](Request& r) { received = r.text() == "answer"; });
  });
  io_->start(connect);
  EXPECT_EQ(io_->finish(connect), 0);
  const UniqueFd peer = accept_from(bound.fd);
  ASSERT_TRUE(becomes_readable(raw(peer)));
  EXPECT_TRUE(io_->run_until([&] { return is_readable(raw(peer)); }));
  EXPECT_EQ(read_exactly(peer, 11), "first words");
  write_all(peer, "answer");
  EXPECT_TRUE(io_->run_until([&] { return received; }));
}

}  // namespace
}  // namespace gyre::test
