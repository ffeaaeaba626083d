// Sockets as net/ sees them: addresses, opening, names, options.
#include <gyre/platform/socket.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <gyre/platform/process.h>
#include <gyre/platform/syscalls_posix.h>

#include "support/net_fixture.h"

namespace gyre {
namespace {

using namespace std::string_view_literals;

constexpr std::uint8_t loopback_v4[4] = {127, 0, 0, 1};
constexpr std::uint8_t loopback_v6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

UniqueFd open(AddressFamily family, SocketType type) {
  Result<UniqueFd> socket = open_socket(family, type);
  EXPECT_TRUE(socket.has_value());
  return socket ? std::move(*socket) : UniqueFd();
}

UniqueFd open_listener() {
  UniqueFd listener = open(AddressFamily::ipv4, SocketType::stream);
  EXPECT_TRUE(bind_socket(listener.get(), make_ipv4_address(loopback_v4, 0)).has_value());
  EXPECT_TRUE(listen_on(listener.get(), 16).has_value());
  return listener;
}

// --- Addresses -------------------------------------------------------------------------------------------------------

TEST(SocketAddressTest, Ipv4GoesInAndComesOut) {
  const AddressParts parts = parse_address(make_ipv4_address({192, 0, 2, 7}, 8080));
  EXPECT_EQ(parts.family, AddressFamily::ipv4);
  EXPECT_EQ(parts.port, 8080);
  EXPECT_EQ(parts.ip[0], 192);
  EXPECT_EQ(parts.ip[3], 7);
}

TEST(SocketAddressTest, Ipv6KeepsItsScope) {
  std::uint8_t ip[16] = {0xfe, 0x80};
  ip[15] = 9;
  const AddressParts parts = parse_address(make_ipv6_address(ip, 65535, 3));
  EXPECT_EQ(parts.family, AddressFamily::ipv6);
  EXPECT_EQ(parts.port, 65535);
  EXPECT_EQ(parts.scope, 3u);
  EXPECT_EQ(std::memcmp(parts.ip, ip, sizeof(ip)), 0);
}

TEST(SocketAddressTest, LocalPathGoesInAndComesOut) {
  const Result<SocketAddress> address = make_local_address("/run/app.sock");
  ASSERT_TRUE(address.has_value());
  const AddressParts parts = parse_address(*address);
  EXPECT_EQ(parts.family, AddressFamily::local);
  EXPECT_EQ(parts.path, "/run/app.sock");
}

TEST(SocketAddressTest, AbstractNamesMayHoldAnything) {
  constexpr std::string_view name = "\0gyre\0x"sv;
  const Result<SocketAddress> address = make_local_address(name);
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(parse_address(*address).path, name);
}

TEST(SocketAddressTest, LocalPathsHaveALimit) {
  EXPECT_TRUE(make_local_address(std::string(local_path_max, 'x')).has_value());
  EXPECT_EQ(make_local_address(std::string(local_path_max + 1, 'x')).error(), std::errc::filename_too_long);
  EXPECT_EQ(make_local_address("").error(), std::errc::invalid_argument);
  EXPECT_EQ(make_local_address("a\0b"sv).error(), std::errc::invalid_argument);
}

TEST(SocketAddressTest, TheLongestPathCanBeBound) {
  std::string path = "/tmp/gyre-" + std::to_string(sys::getpid()) + "-";
  path.append(local_path_max - path.size(), 'p');
  const UniqueFd socket = open(AddressFamily::local, SocketType::stream);
  const Result<SocketAddress> address = make_local_address(path);
  ASSERT_TRUE(address.has_value());
  ASSERT_TRUE(bind_socket(socket.get(), *address).has_value());
  const Result<SocketAddress> bound = local_address(socket.get());
  ASSERT_TRUE(bound.has_value());
  EXPECT_EQ(parse_address(*bound).path, path);
  EXPECT_TRUE(sys::unlink(path.c_str()).has_value());
}

TEST(SocketAddressTest, NonsenseHasNoFamily) {
  SocketAddress address;
  EXPECT_EQ(parse_address(address).family, AddressFamily::none);
  address.size = 1;
  EXPECT_EQ(parse_address(address).family, AddressFamily::none);
  address = make_ipv6_address(loopback_v6, 1);
  address.size = 20;  // cut short
  EXPECT_EQ(parse_address(address).family, AddressFamily::none);
  address.size = sizeof(address.bytes) + 1;
  EXPECT_EQ(parse_address(address).family, AddressFamily::none);
}

TEST(SocketAddressTest, EqualityLooksAtWhatMatters) {
  EXPECT_TRUE(make_ipv4_address(loopback_v4, 80) == make_ipv4_address(loopback_v4, 80));
  EXPECT_FALSE(make_ipv4_address(loopback_v4, 80) == make_ipv4_address(loopback_v4, 81));
  EXPECT_FALSE(make_ipv4_address(loopback_v4, 80) == make_ipv4_address({127, 0, 0, 2}, 80));
  EXPECT_FALSE(make_ipv6_address(loopback_v6, 80, 1) == make_ipv6_address(loopback_v6, 80, 2));
}

TEST(SocketAddressTest, PlacesArePrintable) {
  EXPECT_EQ(place_of(make_ipv4_address(loopback_v4, 80)).to_string(), "127.0.0.1:80");
  EXPECT_EQ(place_of(make_ipv6_address(loopback_v6, 80)).to_string(), "[::1]:80");
  const Result<SocketAddress> local = make_local_address("/run/app.sock");
  EXPECT_EQ(place_of(*local).to_string(), "/run/app.sock");
  EXPECT_EQ(place_of(SocketAddress{}).kind(), Place::Kind::none);
}

// --- Sockets ---------------------------------------------------------------------------------------------------------

TEST(SocketTest, TcpPairIsConnectedBothWays) {
  for (const AddressFamily family : {AddressFamily::ipv4, AddressFamily::ipv6}) {
    const Result<DescriptorPair> pair = open_tcp_pair(family);
    if (!pair && family == AddressFamily::ipv6) GTEST_SKIP() << "no IPv6 here";
    ASSERT_TRUE(pair.has_value());
    char byte = 0;
    EXPECT_EQ(sys::send(pair->first.get(), "a", 1, 0), 1);
    EXPECT_TRUE(test::becomes_readable(test::raw(pair->second)));
    EXPECT_EQ(sys::recv(pair->second.get(), &byte, 1, 0), 1);
    EXPECT_EQ(sys::send(pair->second.get(), "b", 1, 0), 1);
    EXPECT_TRUE(test::becomes_readable(test::raw(pair->first)));
    EXPECT_EQ(sys::recv(pair->first.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'b');
    const Result<SocketAddress> local = local_address(pair->first.get());
    const Result<SocketAddress> peer = peer_address(pair->second.get());
    ASSERT_TRUE(local.has_value());
    ASSERT_TRUE(peer.has_value());
    EXPECT_TRUE(*local == *peer);
  }
}

TEST(SocketTest, AcceptTellsThePeer) {
  const UniqueFd listener = open_listener();
  EXPECT_EQ(try_accept(listener.get(), nullptr).error(), std::errc::operation_would_block);
  const Result<SocketAddress> where = local_address(listener.get());
  ASSERT_TRUE(where.has_value());
  EXPECT_NE(parse_address(*where).port, 0);
  const UniqueFd client = open(AddressFamily::ipv4, SocketType::stream);
  const std::int64_t connected = sys::connect(client.get(), where->bytes, where->size);
  ASSERT_TRUE(connected == 0 || connected == -EINPROGRESS);
  pollfd waiting{static_cast<int>(listener.get()), POLLIN, 0};
  ASSERT_EQ(sys::poll(&waiting, 1, std::chrono::seconds(5)), 1);
  SocketAddress peer;
  const Result<UniqueFd> server = try_accept(listener.get(), &peer);
  ASSERT_TRUE(server.has_value());
  EXPECT_TRUE(peer == *local_address(client.get()));
}

TEST(SocketTest, AnAddressInUseIsAnError) {
  const UniqueFd listener = open_listener();
  const UniqueFd other = open(AddressFamily::ipv4, SocketType::stream);
  const Result<void> bound = bind_socket(other.get(), *local_address(listener.get()));
  ASSERT_FALSE(bound.has_value());
  EXPECT_EQ(bound.error(), std::errc::address_in_use);
  EXPECT_EQ(bound.error().operation(), OperationKind::bind);
}

TEST(SocketTest, AnUnconnectedSocketHasNoPeer) {
  const UniqueFd socket = open(AddressFamily::ipv4, SocketType::stream);
  EXPECT_EQ(peer_address(socket.get()).error(), std::errc::not_connected);
  EXPECT_EQ(shutdown_socket(socket.get(), true, true).error(), std::errc::not_connected);
}

TEST(SocketTest, PairsKeepTheirType) {
  for (const SocketType type : {SocketType::stream, SocketType::datagram, SocketType::sequenced}) {
    const Result<DescriptorPair> pair = open_socket_pair(type);
    ASSERT_TRUE(pair.has_value());
    const Result<int> found = get_option(pair->first.get(), SocketOption::type);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, static_cast<int>(type));
  }
}

TEST(SocketTest, PipeHasAReaderAndAWriter) {
  const Result<DescriptorPair> pipe = open_pipe();
  ASSERT_TRUE(pipe.has_value());
  char byte = 0;
  EXPECT_EQ(sys::read(pipe->first.get(), &byte, 1), -EAGAIN);
  EXPECT_EQ(sys::write(pipe->second.get(), "x", 1), 1);
  EXPECT_EQ(sys::read(pipe->first.get(), &byte, 1), 1);
}

TEST(SocketTest, ShutdownOfTheWriteSideEndsThePeersStream) {
  const Result<DescriptorPair> pair = open_socket_pair(SocketType::stream);
  ASSERT_TRUE(pair.has_value());
  char byte = 0;
  EXPECT_TRUE(shutdown_socket(pair->first.get(), false, false).has_value());
  EXPECT_EQ(sys::recv(pair->second.get(), &byte, 1, 0), -EAGAIN);
  EXPECT_TRUE(shutdown_socket(pair->first.get(), false, true).has_value());
  EXPECT_EQ(sys::recv(pair->second.get(), &byte, 1, 0), 0);
  EXPECT_EQ(sys::send(pair->second.get(), "x", 1, 0), 1);
  EXPECT_EQ(sys::recv(pair->first.get(), &byte, 1, 0), 1);
}

// --- Options ---------------------------------------------------------------------------------------------------------

struct OptionCase {
  const char* name;
  SocketOption option;
  SocketType type;
  AddressFamily family;
  int value;
};

class SocketOptionTest : public testing::TestWithParam<OptionCase> {};

TEST_P(SocketOptionTest, ReadsBackWhatWasSet) {
  const OptionCase& c = GetParam();
  Result<UniqueFd> socket = open_socket(c.family, c.type);
  if (!socket && c.family == AddressFamily::ipv6) GTEST_SKIP() << "no IPv6 here";
  ASSERT_TRUE(socket.has_value());
  const Result<void> set = set_option(socket->get(), c.option, c.value);
  ASSERT_TRUE(set.has_value()) << set.error();
  const Result<int> found = get_option(socket->get(), c.option);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, c.value);
}

constexpr auto stream = SocketType::stream;
constexpr auto datagram = SocketType::datagram;
constexpr auto v4 = AddressFamily::ipv4;
constexpr auto v6 = AddressFamily::ipv6;

INSTANTIATE_TEST_SUITE_P(
    All, SocketOptionTest,
    testing::Values(OptionCase{"no_delay", SocketOption::no_delay, stream, v4, 1},
                    OptionCase{"cork", SocketOption::cork, stream, v4, 1},
                    OptionCase{"keep_alive", SocketOption::keep_alive, stream, v4, 1},
                    OptionCase{"keep_alive_idle", SocketOption::keep_alive_idle, stream, v4, 77},
                    OptionCase{"keep_alive_interval", SocketOption::keep_alive_interval, stream, v4, 11},
                    OptionCase{"keep_alive_count", SocketOption::keep_alive_count, stream, v4, 4},
                    OptionCase{"user_timeout", SocketOption::user_timeout, stream, v4, 12'000},
                    OptionCase{"fast_open_connect", SocketOption::fast_open_connect, stream, v4, 1},
                    OptionCase{"reuse_address", SocketOption::reuse_address, stream, v4, 1},
                    OptionCase{"reuse_port", SocketOption::reuse_port, stream, v4, 1},
                    OptionCase{"only_v6", SocketOption::only_v6, stream, v6, 1},
                    OptionCase{"free_bind", SocketOption::free_bind, stream, v4, 1},
                    OptionCase{"broadcast", SocketOption::broadcast, datagram, v4, 1},
                    OptionCase{"type_of_service", SocketOption::type_of_service, datagram, v4, 0x10},
                    OptionCase{"traffic_class", SocketOption::traffic_class, datagram, v6, 0x20},
                    OptionCase{"time_to_live", SocketOption::time_to_live, datagram, v4, 9},
                    OptionCase{"hop_limit", SocketOption::hop_limit, datagram, v6, 9},
                    OptionCase{"multicast_hops_v4", SocketOption::multicast_hops_v4, datagram, v4, 3},
                    OptionCase{"multicast_hops_v6", SocketOption::multicast_hops_v6, datagram, v6, 3},
                    OptionCase{"multicast_loop_v4", SocketOption::multicast_loop_v4, datagram, v4, 0},
                    OptionCase{"multicast_loop_v6", SocketOption::multicast_loop_v6, datagram, v6, 0},
                    OptionCase{"multicast_interface_v6", SocketOption::multicast_interface_v6, datagram, v6, 1},
                    OptionCase{"packet_info_v4", SocketOption::packet_info_v4, datagram, v4, 1},
                    OptionCase{"packet_info_v6", SocketOption::packet_info_v6, datagram, v6, 1}),
    [](const testing::TestParamInfo<OptionCase>& which) { return std::string(which.param.name); });

TEST(SocketOptionTest, QuickAckIsAccepted) {
  const Result<DescriptorPair> pair = open_tcp_pair();
  ASSERT_TRUE(pair.has_value());
  EXPECT_TRUE(set_option(pair->first.get(), SocketOption::quick_ack, 1).has_value());
}

TEST(SocketOptionTest, BuffersAreAtLeastWhatWasAsked) {
  const UniqueFd socket = open(v4, stream);
  for (const SocketOption option : {SocketOption::send_buffer, SocketOption::receive_buffer}) {
    ASSERT_TRUE(set_option(socket.get(), option, 50'000).has_value());
    EXPECT_GE(get_option(socket.get(), option).value_or(0), 50'000);
  }
}

TEST(SocketOptionTest, ListenersTakeFastOpenAndDeferAccept) {
  const UniqueFd listener = open_listener();
  EXPECT_TRUE(set_option(listener.get(), SocketOption::defer_accept, 2).has_value());
  EXPECT_GE(get_option(listener.get(), SocketOption::defer_accept).value_or(0), 2);
  EXPECT_TRUE(set_option(listener.get(), SocketOption::fast_open, 8).has_value());
  EXPECT_EQ(get_option(listener.get(), SocketOption::fast_open).value_or(-1), 8);
}

TEST(SocketOptionTest, ListeningIsReadOnlyAndTrueOfListeners) {
  const UniqueFd listener = open_listener();
  const UniqueFd socket = open(v4, stream);
  EXPECT_EQ(get_option(listener.get(), SocketOption::listening).value_or(-1), 1);
  EXPECT_EQ(get_option(socket.get(), SocketOption::listening).value_or(-1), 0);
  EXPECT_EQ(set_option(socket.get(), SocketOption::listening, 1).error(), std::errc::no_protocol_option);
}

TEST(SocketOptionTest, UnreadBytesAreCounted) {
  const Result<DescriptorPair> pair = open_socket_pair(stream);
  ASSERT_TRUE(pair.has_value());
  EXPECT_EQ(get_option(pair->second.get(), SocketOption::unread_bytes).value_or(-1), 0);
  ASSERT_EQ(sys::send(pair->first.get(), "hello", 5, 0), 5);
  EXPECT_EQ(get_option(pair->second.get(), SocketOption::unread_bytes).value_or(-1), 5);
}

TEST(SocketOptionTest, AnOptionOfTcpIsNotOneOfLocalSockets) {
  const Result<DescriptorPair> pair = open_socket_pair(stream);
  ASSERT_TRUE(pair.has_value());
  const Result<void> set = set_option(pair->first.get(), SocketOption::no_delay, 1);
  ASSERT_FALSE(set.has_value());
  EXPECT_EQ(set.error(), std::errc::operation_not_supported);
  EXPECT_EQ(set.error().operation(), OperationKind::set_option);
}

TEST(SocketOptionTest, LingerReadsBackAndZeroResetsThePeer) {
  Result<DescriptorPair> pair = open_tcp_pair();
  ASSERT_TRUE(pair.has_value());
  ASSERT_TRUE(set_linger(pair->first.get(), {.on = true, .seconds = 9}).has_value());
  EXPECT_EQ(get_linger(pair->first.get())->seconds, 9);
  ASSERT_TRUE(set_linger(pair->first.get(), {.on = true, .seconds = 0}).has_value());
  EXPECT_TRUE(get_linger(pair->first.get())->on);
  pair->first.reset();
  pollfd waiting{static_cast<int>(pair->second.get()), POLLIN, 0};
  ASSERT_EQ(sys::poll(&waiting, 1, std::chrono::seconds(5)), 1);
  char byte = 0;
  EXPECT_EQ(sys::recv(pair->second.get(), &byte, 1, 0), -ECONNRESET);
}

TEST(SocketOptionTest, PendingErrorIsTakenOnce) {
  Result<DescriptorPair> pair = open_tcp_pair();
  ASSERT_TRUE(pair.has_value());
  EXPECT_TRUE(take_socket_error(pair->second.get()).has_value());
  ASSERT_TRUE(set_linger(pair->first.get(), {.on = true, .seconds = 0}).has_value());
  pair->first.reset();
  pollfd waiting{static_cast<int>(pair->second.get()), POLLIN, 0};
  ASSERT_EQ(sys::poll(&waiting, 1, std::chrono::seconds(5)), 1);
  EXPECT_EQ(take_socket_error(pair->second.get()).error(), std::errc::connection_reset);
  EXPECT_TRUE(take_socket_error(pair->second.get()).has_value());
}

TEST(SocketOptionTest, MulticastGroupsAreJoinedAndLeft) {
  const UniqueFd socket = open(v4, datagram);
  const SocketAddress group = make_ipv4_address({239, 1, 2, 3}, 0);
  constexpr std::uint32_t loopback = 1;  // on Linux the loopback interface comes first
  EXPECT_TRUE(set_multicast_interface_v4(socket.get(), loopback).has_value());
  ASSERT_TRUE(join_group(socket.get(), group, loopback).has_value());
  EXPECT_EQ(join_group(socket.get(), group, loopback).error(), std::errc::address_in_use);
  EXPECT_TRUE(leave_group(socket.get(), group, loopback).has_value());
  EXPECT_EQ(leave_group(socket.get(), group, loopback).error(), std::errc::address_not_available);
  EXPECT_EQ(join_group(socket.get(), *make_local_address("/x"), 0).error(), std::errc::invalid_argument);
}

// Each call of open_tcp_pair fails in turn; the lowest free descriptor stays the same.
TEST(SocketTest, FailuresCloseWhatWasOpened) {
  if (!fault_injection) GTEST_SKIP() << "this build has no seam";
  const auto lowest_free = [] { return open_null_device()->get(); };
  const NativeDescriptor before = lowest_free();
  int failures = 0;
  std::uint64_t n = 1;
  for (; n < 50; ++n) {
    sys::FaultPlan plan;
    for (const long number : {sys::number_socket, sys::number_bind, sys::number_listen, sys::number_getsockname, sys::number_connect, sys::number_accept}) {
      plan.add(sys::FaultRule{.number = number, .first = n, .fault = {sys::Fault::Kind::fail, ENOBUFS}});
    }
    const sys::FaultScope scope(plan);
    const Result<DescriptorPair> pair = open_tcp_pair();
    if (plan.hits() == 0) break;
    EXPECT_FALSE(pair.has_value());
    if (!pair) {
      EXPECT_EQ(pair.error(), std::errc::no_buffer_space);
    }
    ++failures;
  }
  EXPECT_EQ(failures, 2);  // the first socket, then (each number counts by itself) the second
  EXPECT_EQ(lowest_free(), before);

  // And each of the calls that are made once.
  for (const long number : {sys::number_bind, sys::number_listen, sys::number_getsockname, sys::number_connect, sys::number_accept}) {
    sys::FaultPlan plan;
    plan.add(sys::FaultRule{.number = number, .fault = {sys::Fault::Kind::fail, ENOBUFS}});
    const sys::FaultScope scope(plan);
    const Result<DescriptorPair> pair = open_tcp_pair();
    EXPECT_FALSE(pair.has_value());
    EXPECT_EQ(plan.hits(), 1u);
  }
  EXPECT_EQ(lowest_free(), before);
}

}  // namespace
}  // namespace gyre
