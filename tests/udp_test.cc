// Datagrams over UDP and local sockets, on every backend. The ids in comments are those of the conformance list.
#include <gyre/net/udp_socket.h>
#include <gyre/net/unix_datagram.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/net_task_fixture.h"
#include "support/net_tasks.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

class UdpTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(UdpTest);

struct Open {
  UdpSocket socket;
  Endpoint where;
};
Task<Open> open_udp(Endpoint where = Endpoint::loopback_v4(0)) {
  Result<UdpSocket> socket = co_await UdpSocket::bind(where);
  GYRE_CHECK_HINT(socket.has_value(), "no UDP on loopback");
  const Result<Endpoint> bound = socket->local_endpoint();
  GYRE_CHECK(bound.has_value());
  co_return Open{std::move(*socket), *bound};
}
Task<void> settle() {
  for (int turn = 0; turn < 5; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
}
Task<void> send_text(DatagramSocket& socket, std::string text, Endpoint to) {
  const Result<void> sent = co_await socket.send_to(bytes_of(text), to);
  EXPECT_TRUE(sent.has_value()) << sent.error();
}
Task<std::string> receive_text(DatagramSocket& socket) {
  std::string buffer(100, '.');
  const Result<Datagram> received = co_await socket.receive(room_in(buffer));
  EXPECT_TRUE(received.has_value()) << received.error();
  co_return received ? buffer.substr(0, received->size) : "(nothing)";
}

// C-157: boundaries, empty datagrams, who has sent it.
Task<void> exchange(Endpoint where) {
  Open near = co_await open_udp(where);
  Open far = co_await open_udp(where);
  co_await send_text(near.socket, "one", far.where);
  co_await send_text(near.socket, "", far.where);
  co_await send_text(near.socket, "three", far.where);
  for (const std::string expected : {"one", "", "three"}) {
    std::string buffer(100, '.');
    const Result<Datagram> received = co_await far.socket.receive(room_in(buffer));
    EXPECT_TRUE(received.has_value());
    if (!received) co_return;
    EXPECT_EQ(buffer.substr(0, received->size), expected);
    EXPECT_EQ(received->from, near.where);
    EXPECT_FALSE(received->truncated);
    EXPECT_EQ(received->segment_size, 0U);
  }
}
TEST_P(UdpTest, DatagramsKeepTheirBoundariesAndSender) {
  run(exchange(Endpoint::loopback_v4(0)));
  run(exchange(Endpoint::loopback_v6(0)));
}

Task<void> receive_cut() {
  Open near = co_await open_udp();
  Open far = co_await open_udp();
  co_await send_text(near.socket, "longer", far.where);
  co_await send_text(near.socket, "next", far.where);
  std::string buffer(4, '.');
  const Result<Datagram> cut = co_await far.socket.receive(room_in(buffer));
  EXPECT_TRUE(cut && cut->truncated && cut->size == 4);
  EXPECT_EQ(buffer, "long");
  const Result<Datagram> whole = co_await far.socket.receive(room_in(buffer));
  EXPECT_TRUE(whole && !whole->truncated && whole->size == 4);
  EXPECT_EQ(buffer, "next");
}
TEST_P(UdpTest, ADatagramThatIsTooLongForTheBufferSaysSo) { run(receive_cut()); }

// 70,000 bytes fit into no datagram: an error with the destination, and the socket goes on.
Task<void> send_too_much() {
  Open near = co_await open_udp();
  Open far = co_await open_udp();
  const std::string much(70'000, 'x');
  const Result<void> sent = co_await near.socket.send_to(bytes_of(much), far.where);
  EXPECT_EQ(sent.error(), std::errc::message_size);
  EXPECT_EQ(sent.error().to_string(), "send message " + far.where.to_string() + ": message too long");
  co_await send_text(near.socket, "fits", far.where);
  const std::string text = co_await receive_text(far.socket);
  EXPECT_EQ(text, "fits");
}
TEST_P(UdpTest, SeventyThousandBytesAreAClearError) { run(send_too_much()); }

// C-045, C-157: the refusal of an earlier datagram is told once, and is not fatal.
Task<void> send_to_nobody() {
  Endpoint nobody;
  {
    Open closed = co_await open_udp();
    nobody = closed.where;
  }
  Result<UdpSocket> socket = co_await UdpSocket::connect(nobody);
  EXPECT_TRUE(socket.has_value());
  if (!socket) co_return;
  EXPECT_EQ(*socket->peer_endpoint(), nobody);
  const Result<void> sent = co_await socket->send(bytes_of("anybody?"));
  EXPECT_TRUE(sent.has_value());
  std::array<std::byte, 8> buffer;
  const Result<Datagram> refused = co_await socket->receive(buffer);
  EXPECT_EQ(refused.error(), std::errc::connection_refused);
  EXPECT_EQ(refused.error().place(), nobody.place());
  // The same socket, once somebody is there.
  Result<UdpSocket> late = co_await UdpSocket::bind(nobody);
  if (!late) co_return;  // somebody else has taken the port
  const Result<void> again = co_await socket->send(bytes_of("hello"));
  EXPECT_TRUE(again.has_value());
  const std::string text = co_await receive_text(*late);
  EXPECT_EQ(text, "hello");
}
TEST_P(UdpTest, ARefusalIsToldOnceAndIsNotFatal) { run(send_to_nobody()); }

// A connected socket hears its peer only, and can be sent to without an address; an unconnected one needs one.
Task<void> connect_udp() {
  Open server = co_await open_udp();
  Open stranger = co_await open_udp();
  Result<UdpSocket> client = co_await UdpSocket::connect(server.where);
  EXPECT_TRUE(client.has_value());
  if (!client) co_return;
  const Result<Endpoint> own = client->local_endpoint();
  EXPECT_TRUE(own.has_value());
  co_await send_text(stranger.socket, "psst", *own);
  co_await send_text(server.socket, "hello", *own);
  const std::string text = co_await receive_text(*client);
  EXPECT_EQ(text, "hello");
  const Result<void> unaddressed = co_await stranger.socket.send(bytes_of("x"));
  EXPECT_EQ(unaddressed.error(), std::errc::destination_address_required);
}
TEST_P(UdpTest, AConnectedSocketHearsItsPeerOnly) { run(connect_udp()); }

Task<void> fail_to_bind() {
  Open taken = co_await open_udp();
  const Result<UdpSocket> same = co_await UdpSocket::bind(taken.where);
  EXPECT_EQ(same.error().to_string(), "bind " + taken.where.to_string() + ": address in use");
  const Result<Endpoint> path = Endpoint::unix_path("/x");
  const Result<UdpSocket> local = co_await UdpSocket::bind(*path);
  EXPECT_EQ(local.error(), std::errc::invalid_argument);
  const Result<UdpSocket> nowhere = co_await UdpSocket::connect(Endpoint());
  EXPECT_EQ(nowhere.error(), std::errc::invalid_argument);
}
TEST_P(UdpTest, AFailureNamesTheEndpoint) { run(fail_to_bind()); }

// C-042 for datagrams: a cancelled receive takes none.
Task<void> receive_into(UdpSocket& socket, std::string& buffer, std::optional<Result<Datagram>>& told) {
  Result<Datagram> received = co_await socket.receive(room_in(buffer));
  told = received;
}
Task<void> cancel_a_receive(int turns) {
  Open near = co_await open_udp();
  Open far = co_await open_udp();
  std::string buffer(10, '.');
  std::optional<Result<Datagram>> told;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> receiving = group.spawn(receive_into, far.socket, buffer, told);
  co_await settle();
  co_await send_text(near.socket, "here", far.where);
  for (int turn = 0; turn < turns; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  receiving.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined && told);
  if (!told) co_return;
  if (*told) {
    EXPECT_EQ(buffer.substr(0, (*told)->size), "here");
  } else {
    EXPECT_TRUE(told->error().is_cancelled());
    const std::string text = co_await receive_text(far.socket);
    EXPECT_EQ(text, "here");
  }
}
TEST_P(UdpTest, ACancelledReceiveTakesNoDatagram) {
  for (int turns = 0; turns < 5; ++turns) run(cancel_a_receive(turns));
}

// --- Batches ---------------------------------------------------------------------------------------------------------

// What was received goes back as it is.
Task<void> echo_batches() {
  Open client = co_await open_udp();
  Open server = co_await open_udp();
  DatagramBatch out(64, 100), in(64, 100);
  for (int i = 0; i < 64; ++i) {
    EXPECT_TRUE(out.add(bytes_of(pattern(static_cast<std::size_t>(i), 7)), server.where));
  }
  EXPECT_FALSE(out.add(bytes_of("one more"), server.where));
  for (std::size_t sent = 0; sent < out.size();) {
    const Result<std::size_t> count = co_await client.socket.send(out, sent);
    EXPECT_TRUE(count.has_value() && *count > 0);
    if (!count) co_return;
    sent += *count;
  }
  for (std::size_t echoed = 0; echoed < 64;) {
    const Result<std::size_t> count = co_await server.socket.receive(in);
    EXPECT_TRUE(count.has_value() && *count == in.size());
    if (!count) co_return;
    for (std::size_t i = 0; i < in.size(); ++i) EXPECT_EQ(in.endpoint(i), client.where);
    for (std::size_t sent = 0; sent < in.size();) {
      const Result<std::size_t> back = co_await server.socket.send(in, sent);
      EXPECT_TRUE(back.has_value());
      if (!back) co_return;
      sent += *back;
    }
    echoed += *count;
  }
  std::size_t received = 0;
  while (received < 64) {
    const Result<std::size_t> count = co_await client.socket.receive(in);
    EXPECT_TRUE(count.has_value());
    if (!count) co_return;
    for (std::size_t i = 0; i < in.size(); ++i, ++received) {
      EXPECT_EQ(text_of(in.bytes(i)), pattern(received, 7));
      EXPECT_FALSE(in.is_truncated(i));
    }
  }
}
TEST_P(UdpTest, BatchesGoAndComeBack) { run(echo_batches()); }

Task<void> batch_errors() {
  Open client = co_await open_udp();
  Open server = co_await open_udp();
  DatagramBatch small(2, 4), big(2, 70'000);
  EXPECT_FALSE(small.add(bytes_of("12345"), server.where));
  const std::string much(70'000, 'x');
  EXPECT_TRUE(big.add(bytes_of("fits"), server.where));
  EXPECT_TRUE(big.add(bytes_of(much), server.where));
  const Result<std::size_t> first = co_await client.socket.send(big);
  EXPECT_TRUE(first.has_value() && *first == 1);
  const Result<std::size_t> second = co_await client.socket.send(big, 1);
  EXPECT_EQ(second.error(), std::errc::message_size);
  EXPECT_EQ(second.error().place(), server.where.place());
  co_await send_text(client.socket, "too long", server.where);
  std::size_t received = 0;
  bool cut = false;
  while (received < 2) {
    const Result<std::size_t> count = co_await server.socket.receive(small);
    EXPECT_TRUE(count.has_value());
    if (!count) co_return;
    received += *count;
    cut = small.is_truncated(*count - 1);
  }
  EXPECT_TRUE(cut);
}
TEST_P(UdpTest, AnErrorInABatchBelongsToOneDatagram) { run(batch_errors()); }

// --- Segments, multicast, broadcast ----------------------------------------------------------------------------------

bool cannot(const Error& error) {
  return error == std::errc::no_protocol_option || error == std::errc::invalid_argument ||
         error == std::errc::io_error || error == std::errc::operation_not_supported;
}

Task<void> send_in_segments() {
  Open client = co_await open_udp();
  Open server = co_await open_udp();
  const std::string text = pattern(2500);
  const Result<void> sent = co_await client.socket.send_segments(bytes_of(text), 1000, server.where);
  if (!sent) {
    EXPECT_TRUE(cannot(sent.error())) << sent.error();
    co_return;
  }
  std::string buffer(5000, '.');
  for (const std::size_t expected : {1000U, 1000U, 500U}) {
    const Result<Datagram> received = co_await server.socket.receive(room_in(buffer));
    EXPECT_TRUE(received && received->size == expected);
  }
  // Put together again by the receiver's system, if it does that on loopback.
  const Result<void> joins = server.socket.set_option(SocketOptions::receive_segments, true);
  if (!joins) co_return;
  const Result<void> again = co_await client.socket.send_segments(bytes_of(text), 1000, server.where);
  EXPECT_TRUE(again.has_value());
  std::string all;
  while (all.size() < text.size()) {
    const Result<Datagram> received = co_await server.socket.receive(room_in(buffer));
    EXPECT_TRUE(received.has_value());
    if (!received) co_return;
    EXPECT_TRUE(received->segment_size == 0 || received->segment_size == 1000) << received->segment_size;
    EXPECT_TRUE(received->segment_size != 0 || received->size <= 1000);
    all += buffer.substr(0, received->size);
  }
  EXPECT_TRUE(all == text);
}
TEST_P(UdpTest, SegmentsAreCutAndJoinedByTheKernel) { run(send_in_segments()); }

Task<void> multicast() {
  const Result<Endpoint> group = Endpoint::parse("239.255.17.3:0");
  Open receiver = co_await open_udp(Endpoint::any_v4(0));
  constexpr std::uint32_t loopback_interface = 1;
  const Result<void> joined = receiver.socket.join_group(*group, loopback_interface);
  EXPECT_TRUE(joined.has_value()) << joined.error();
  EXPECT_EQ(receiver.socket.join_group(*group, loopback_interface).error(), std::errc::address_in_use);
  Open sender = co_await open_udp();
  EXPECT_TRUE(sender.socket.set_multicast_interface_v4(loopback_interface).has_value());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::multicast_loop_v4, true).has_value());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::multicast_hops_v4, 1).has_value());
  const Result<void> sent = co_await sender.socket.send_to(bytes_of("to all"), group->with_port(receiver.where.port()));
  if (sent) {
    const std::string text = co_await receive_text(receiver.socket);
    EXPECT_EQ(text, "to all");
  } else {
    EXPECT_EQ(sent.error(), std::errc::network_unreachable);  // a loopback interface without multicast
  }
  EXPECT_TRUE(receiver.socket.leave_group(*group, loopback_interface).has_value());
  EXPECT_EQ(receiver.socket.leave_group(*group, loopback_interface).error(), std::errc::address_not_available);
  EXPECT_EQ(receiver.socket.join_group(Endpoint::loopback_v4(0)).error(), std::errc::invalid_argument);
}
TEST_P(UdpTest, GroupsAreJoinedAndLeft) { run(multicast()); }

Task<void> broadcast() {
  Open sender = co_await open_udp(Endpoint::any_v4(0));
  const Result<Endpoint> everybody = Endpoint::parse("255.255.255.255:9");
  const Result<void> denied = co_await sender.socket.send_to(bytes_of("x"), *everybody);
  EXPECT_EQ(denied.error(), std::errc::permission_denied);
  EXPECT_EQ(denied.error().place(), everybody->place());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::broadcast, true).has_value());
  EXPECT_TRUE(*sender.socket.option(SocketOptions::broadcast));
}
TEST_P(UdpTest, BroadcastsNeedTheOption) { run(broadcast()); }

Task<void> use_closed() {
  Open open = co_await open_udp();
  const Result<void> closed = co_await open.socket.close();
  EXPECT_TRUE(closed.has_value());
  std::array<std::byte, 8> buffer{};
  const Result<Datagram> received = co_await open.socket.receive(buffer);
  EXPECT_EQ(received.error(), Errc::closed);
  const Result<void> sent = co_await open.socket.send_to(buffer, open.where);
  EXPECT_EQ(sent.error(), Errc::closed);
  DatagramBatch batch(1, 8);
  const Result<std::size_t> many = co_await open.socket.receive(batch);
  EXPECT_EQ(many.error(), Errc::closed);
  EXPECT_EQ(open.socket.join_group(open.where).error(), Errc::closed);
  EXPECT_EQ(open.socket.local_endpoint().error(), Errc::closed);
}
TEST_P(UdpTest, AClosedSocketSaysSo) { run(use_closed()); }

// --- Local datagrams -------------------------------------------------------------------------------------------------

Task<void> local_datagrams(std::string directory) {
  const Result<Endpoint> one = Endpoint::unix_path(directory + "/one");
  const Result<Endpoint> two = Endpoint::unix_path(directory + "/two");
  Result<UnixDatagram> near = co_await UnixDatagram::bind(*one);
  EXPECT_TRUE(near.has_value());
  {
    Result<UnixDatagram> stale = co_await UnixDatagram::bind(*two, {.remove_on_close = false});
    EXPECT_TRUE(stale.has_value());
  }
  Result<UnixDatagram> far = co_await UnixDatagram::bind(*two);
  EXPECT_TRUE(far.has_value());
  if (!near || !far) co_return;
  const Result<UnixDatagram> taken = co_await UnixDatagram::bind(*two);
  EXPECT_EQ(taken.error(), std::errc::address_in_use);
  co_await send_text(*near, "hello", *two);
  std::string buffer(100, '.');
  const Result<Datagram> received = co_await far->receive(room_in(buffer));
  EXPECT_TRUE(received && received->from == *one && received->size == 5);
  Result<UnixDatagram> client = co_await UnixDatagram::connect(*two);
  EXPECT_TRUE(client.has_value());
  if (!client) co_return;
  const Result<void> sent = co_await client->send(bytes_of("nameless"));
  EXPECT_TRUE(sent.has_value());
  const std::string text = co_await receive_text(*far);
  EXPECT_EQ(text, "nameless");
  const Result<void> closed = co_await far->close();
  EXPECT_TRUE(closed.has_value());
  const Result<void> missing = co_await near->send_to(bytes_of("x"), *two);
  EXPECT_EQ(missing.error(), std::errc::no_such_file_or_directory);
}
TEST_P(UdpTest, LocalDatagramsGoByPath) {
  const TemporaryDirectory directory;
  run(local_datagrams(directory.path()));
}

Task<void> fill_a_pair(UnixDatagram& near, int count) {
  for (int i = 0; i < count; ++i) co_await send_text(near, std::to_string(i), Endpoint());
}
// A sender waits for a slow receiver, and nothing is lost.
Task<void> slow_receiver() {
  Result<std::pair<UnixDatagram, UnixDatagram>> ends = UnixDatagram::pair();
  EXPECT_TRUE(ends.has_value());
  if (!ends) co_return;
  TaskGroup group;
  group.spawn(fill_a_pair, ends->first, 1000);
  co_await settle();
  for (int i = 0; i < 1000; ++i) {
    const std::string text = co_await receive_text(ends->second);
    EXPECT_EQ(text, std::to_string(i));
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
}
TEST_P(UdpTest, ALocalSenderWaitsForASlowReceiver) { run(slow_receiver()); }

}  // namespace
}  // namespace gyre::test
