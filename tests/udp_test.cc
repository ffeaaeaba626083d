// Datagrams over UDP, on every backend. The ids in comments are those of the conformance list.
#include <gyre/net/udp_socket.h>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gyre/reactor/reactor.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timeout.h>

#include "support/datagram_tasks.h"
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
  Open somebody = co_await open_udp();
  const Endpoint nobody = somebody.where;
  // While the port is taken, or the system may give it to this very socket.
  Result<UdpSocket> socket = co_await UdpSocket::connect(nobody);
  EXPECT_TRUE(socket.has_value());
  if (!socket) co_return;
  const Result<void> gone = co_await somebody.socket.close();
  EXPECT_TRUE(gone.has_value());
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

// A coalesced datagram of a batch says how to take it apart, and goes back as it came.
Task<void> segments_in_batches() {
  Open client = co_await open_udp();
  Open server = co_await open_udp();
  const Result<void> joins = server.socket.set_option(SocketOptions::receive_segments, true);
  if (!joins) {
    EXPECT_EQ(joins.error(), std::errc::no_protocol_option);
    co_return;
  }
  EXPECT_TRUE(client.socket.set_option(SocketOptions::receive_segments, true).has_value());
  const std::string text = pattern(9'500);
  DatagramBatch out(4, 10'000), in(8, 65'536);
  EXPECT_TRUE(out.add(bytes_of("first"), server.where));
  EXPECT_TRUE(out.add_segments(bytes_of(text), 1'000, server.where));
  EXPECT_FALSE(out.add_segments(bytes_of(pattern(10'001)), 1'000, server.where));
  EXPECT_TRUE(out.add(bytes_of("last"), server.where));
  EXPECT_EQ(out.segment_size(0), 0U);
  EXPECT_EQ(out.segment_size(1), 1'000U);
  EXPECT_EQ(out.segments(1).size(), 10U);
  for (std::size_t sent = 0; sent < out.size();) {
    const Result<std::size_t> count = co_await client.socket.send(out, sent);
    EXPECT_TRUE(count.has_value() || cannot(count.error())) << count.error();
    if (!count) co_return;
    sent += *count;
  }
  // There and back again: twelve datagrams, however they were put together.
  for (UdpSocket* receiver : {&server.socket, &client.socket}) {
    std::vector<std::string> datagrams;
    while (datagrams.size() < 12) {
      const Result<std::size_t> count = co_await receiver->receive(in);
      EXPECT_TRUE(count.has_value());
      if (!count) co_return;
      for (std::size_t i = 0; i < *count; ++i) {
        EXPECT_FALSE(in.is_truncated(i));
        for (const std::span<const std::byte> datagram : in.segments(i)) datagrams.push_back(text_of(datagram));
      }
      for (std::size_t back = 0; receiver == &server.socket && back < in.size();) {
        const Result<std::size_t> sent = co_await receiver->send(in, back);
        EXPECT_TRUE(sent.has_value());
        if (!sent) co_return;
        back += *sent;
      }
    }
    EXPECT_EQ(datagrams.size(), 12U);
    EXPECT_EQ(datagrams.front(), "first");
    EXPECT_EQ(datagrams.back(), "last");
    for (std::size_t i = 0; i < 10; ++i) EXPECT_TRUE(datagrams[i + 1] == text.substr(i * 1'000, 1'000)) << i;
  }
}
TEST_P(UdpTest, BatchesCarrySegmentsThereAndBack) { run(segments_in_batches()); }

TEST(DatagramSegmentsTest, CutsWhatWasReceivedTogether) {
  const auto pieces = [](std::string_view text, std::size_t size) {
    std::string shown;
    const DatagramSegments segments(bytes_of(text), size);
    std::size_t count = 0;
    for (const std::span<const std::byte> piece : segments) {
      EXPECT_EQ(piece.data(), segments[count++].data());
      shown += "[" + text_of(piece) + "]";
    }
    EXPECT_EQ(count, segments.size());
    return shown;
  };
  EXPECT_EQ(pieces("abcdefgh", 3), "[abc][def][gh]");
  EXPECT_EQ(pieces("abcdef", 3), "[abc][def]");
  EXPECT_EQ(pieces("abc", 3), "[abc]");
  EXPECT_EQ(pieces("ab", 3), "[ab]");
  EXPECT_EQ(pieces("abc", 1), "[a][b][c]");
  EXPECT_EQ(pieces("abc", 0), "[abc]");
  EXPECT_EQ(pieces("", 0), "[]");
  EXPECT_EQ(pieces("", 3), "[]");
}

// --- What the network says -------------------------------------------------------------------------------------------

// Where nobody listens; several that differ. (The system may give out at once a port that was just given back.)
Task<std::vector<Endpoint>> nowhere(Endpoint like, std::size_t count) {
  std::vector<Open> all;
  for (std::size_t i = 0; i < count; ++i) {
    Open open = co_await open_udp(like);
    all.push_back(std::move(open));
  }
  std::vector<Endpoint> where;
  for (const Open& each : all) where.push_back(each.where);
  co_return where;
}
Task<Endpoint> nowhere(Endpoint like) {
  const std::vector<Endpoint> one = co_await nowhere(like, 1);
  co_return one[0];
}

// C-045 for a socket that sends to many: each refusal is told once, with the destination, and the socket goes on.
Task<void> hear_of_refusals(Endpoint like, bool in_batches) {
  Open sender = co_await open_udp(like);
  Open good = co_await open_udp(like);
  const Result<void> asked = sender.socket.report_errors();
  if (!asked) {
    EXPECT_EQ(asked.error(), std::errc::function_not_supported);
    co_return;
  }
  std::array<std::byte, 8> buffer;
  DatagramBatch batch(2, 8);
  for (int round = 0; round < 3; ++round) {
    const std::vector<Endpoint> nobody = co_await nowhere(like, 3);
    // Each refusal comes when it comes.
    std::set<std::string> untold;
    for (const Endpoint& where : nobody) untold.insert(where.place().to_string());
    const auto note = [&](const Error& error) {
      EXPECT_EQ(error, std::errc::connection_refused);
      EXPECT_EQ(untold.erase(error.place().to_string()), 1U) << error;
    };
    // A send may be told of the one before, and then has sent nothing.
    for (std::size_t i = 0; i < nobody.size();) {
      const Result<void> sent = co_await sender.socket.send_to(bytes_of("anybody?"), nobody[i]);
      sent ? static_cast<void>(++i) : note(sent.error());
      if (::testing::Test::HasFailure()) co_return;
    }
    while (!untold.empty()) {
      Error error;
      if (in_batches) {
        const Result<std::size_t> received = co_await sender.socket.receive(batch);
        error = received.error();
      } else {
        const Result<Datagram> received = co_await sender.socket.receive(buffer);
        error = received.error();
      }
      note(error);
      if (::testing::Test::HasFailure()) co_return;
    }
    co_await send_text(sender.socket, "hello", good.where);
    const std::string text = co_await receive_text(good.socket);
    EXPECT_EQ(text, "hello");
    co_await send_text(good.socket, "back", sender.where);
    const std::string back = co_await receive_text(sender.socket);
    EXPECT_EQ(back, "back");
  }
}
TEST_P(UdpTest, EachRefusalIsToldWithItsDestination) {
  for (const bool in_batches : {false, true}) {
    run(hear_of_refusals(Endpoint::loopback_v4(0), in_batches));
    run(hear_of_refusals(Endpoint::loopback_v6(0), in_batches));
  }
}

// One that waits to receive is told while it waits, and a datagram that fits nowhere is an error of its own.
Task<void> receive_error(UdpSocket& socket, std::optional<Error>& told) {
  std::array<std::byte, 8> buffer;
  const Result<Datagram> received = co_await socket.receive(buffer);
  told = received.error();
}
Task<void> hear_while_waiting() {
  Open sender = co_await open_udp();
  if (!sender.socket.report_errors()) co_return;
  const Endpoint nobody = co_await nowhere(Endpoint::loopback_v4(0));
  std::optional<Error> told;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(receive_error, sender.socket, told);
  co_await settle();
  EXPECT_FALSE(told);
  co_await send_text(sender.socket, "anybody?", nobody);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined && told);
  EXPECT_EQ(told->to_string(), "receive message " + nobody.to_string() + ": connection refused");
  const std::string much(70'000, 'x');
  const Result<void> sent = co_await sender.socket.send_to(bytes_of(much), nobody);
  EXPECT_EQ(sent.error(), std::errc::message_size);
  EXPECT_EQ(sent.error().place(), nobody.place());
  co_await send_text(sender.socket, "to itself", sender.where);
  const std::string text = co_await receive_text(sender.socket);
  EXPECT_EQ(text, "to itself");
}
TEST_P(UdpTest, ARefusalEndsAReceiveThatWaits) { run(hear_while_waiting()); }

// Of a batch that is sent to nobody, too: the datagrams behind go all the same, each refusal is told once, and nothing is
// left that would keep the poller busy.
Task<void> send_batches_to_nobody() {
  Open sender = co_await open_udp();
  Open good = co_await open_udp();
  if (!sender.socket.report_errors()) co_return;
  const Endpoint nobody = co_await nowhere(Endpoint::loopback_v4(0));
  DatagramBatch batch(6, 8);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(batch.add(bytes_of(std::to_string(i)), i % 2 == 0 ? nobody : good.where));
  int refusals = 0;
  const auto note = [&](const Error& error) {
    ++refusals;
    EXPECT_EQ(error, std::errc::connection_refused);
    EXPECT_EQ(error.place(), nobody.place());
  };
  for (std::size_t sent = 0; sent < batch.size() && refusals <= 3;) {
    const Result<std::size_t> count = co_await sender.socket.send(batch, sent);
    count ? static_cast<void>(sent += *count) : note(count.error());
  }
  for (const std::string expected : {"1", "3", "5"}) {
    const std::string text = co_await receive_text(good.socket);
    EXPECT_EQ(text, expected);
  }
  co_await send_text(good.socket, "back", sender.where);
  bool is_back = false;
  while ((!is_back || refusals < 3) && refusals <= 3) {
    std::array<std::byte, 8> buffer;
    const Result<Datagram> received = co_await sender.socket.receive(buffer);
    received ? static_cast<void>(is_back = true) : note(received.error());
  }
  EXPECT_EQ(refusals, 3);
  const std::uint64_t before = this_reactor().poller().stats().idle_polls;
  std::optional<Error> told;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> waiting = group.spawn(receive_error, sender.socket, told);
  co_await settle();
  EXPECT_LE(this_reactor().poller().stats().idle_polls - before, 2U);
  waiting.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined && told && told->is_cancelled());
}
TEST_P(UdpTest, RefusalsInTheMiddleOfABatchAreNotFatal) { run(send_batches_to_nobody()); }

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

Task<void> multicast_v6() {
  const Result<Endpoint> group = Endpoint::parse("[ff12::1773]:0");
  Open receiver = co_await open_udp(Endpoint::any_v6(0));
  constexpr std::uint32_t loopback_interface = 1;
  const Result<void> joined = receiver.socket.join_group(*group, loopback_interface);
  EXPECT_TRUE(joined.has_value()) << joined.error();
  EXPECT_EQ(receiver.socket.join_group(*group, loopback_interface).error(), std::errc::address_in_use);
  Open sender = co_await open_udp(Endpoint::any_v6(0));
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::multicast_interface_v6, 1).has_value());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::multicast_loop_v6, true).has_value());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::multicast_hops_v6, 1).has_value());
  EXPECT_EQ(*sender.socket.option(SocketOptions::multicast_hops_v6), 1);
  const Result<void> sent = co_await sender.socket.send_to(bytes_of("to all"), group->with_port(receiver.where.port()));
  if (sent) {
    const std::string text = co_await receive_text(receiver.socket);
    EXPECT_EQ(text, "to all");
  } else {
    EXPECT_EQ(sent.error(), std::errc::network_unreachable);  // a loopback interface without multicast
  }
  EXPECT_TRUE(receiver.socket.leave_group(*group, loopback_interface).has_value());
  const Result<void> wrong = sender.socket.set_option(SocketOptions::multicast_interface_v6, 1'000'000);
  EXPECT_EQ(wrong.error(), std::errc::no_such_device);
  EXPECT_EQ(wrong.error().place(), sender.where.place());
}
TEST_P(UdpTest, Ipv6GroupsAreJoinedAndLeft) { run(multicast_v6()); }

Task<void> broadcast() {
  Open sender = co_await open_udp(Endpoint::any_v4(0));
  const Result<Endpoint> everybody = Endpoint::parse("255.255.255.255:9");
  const Result<void> denied = co_await sender.socket.send_to(bytes_of("x"), *everybody);
  if (denied.error() != std::errc::network_unreachable) {  // a machine without a network
    EXPECT_EQ(denied.error(), std::errc::permission_denied);
  }
  EXPECT_EQ(denied.error().place(), everybody->place());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::broadcast, true).has_value());
  EXPECT_TRUE(*sender.socket.option(SocketOptions::broadcast));

  // Linux has a broadcast address on its loopback interface.
  Open receiver = co_await open_udp(Endpoint::any_v4(0));
  const Endpoint nearby = Endpoint::parse("127.255.255.255:0")->with_port(receiver.where.port());
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::broadcast, false).has_value());
  const Result<void> refused = co_await sender.socket.send_to(bytes_of("x"), nearby);
  if (refused || refused.error() != std::errc::permission_denied) co_return;
  EXPECT_TRUE(sender.socket.set_option(SocketOptions::broadcast, true).has_value());
  co_await send_text(sender.socket, "to all", nearby);
  const std::string text = co_await receive_text(receiver.socket);
  EXPECT_EQ(text, "to all");
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
  EXPECT_EQ(open.socket.report_errors().error(), Errc::closed);
  EXPECT_EQ(open.socket.local_endpoint().error(), Errc::closed);
}
TEST_P(UdpTest, AClosedSocketSaysSo) { run(use_closed()); }

}  // namespace
}  // namespace gyre::test
