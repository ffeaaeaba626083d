// TCP: connecting, accepting, options and their failures, on every backend. The ids in comments are those of the
// conformance list.
#include <gyre/net/file.h>
#include <gyre/net/tcp_listener.h>
#include <gyre/net/tcp_stream.h>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <set>
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

class TcpTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(TcpTest);

struct Bound {
  TcpListener listener;
  Endpoint where;
};
Task<Bound> bind_loopback(Endpoint where = Endpoint::loopback_v4(0), ListenOptions options = {}) {
  Result<TcpListener> listener = co_await TcpListener::bind(where, options);
  GYRE_CHECK_HINT(listener.has_value(), "cannot listen on loopback");
  const Result<Endpoint> bound = listener->local_endpoint();
  GYRE_CHECK(bound.has_value());
  co_return Bound{std::move(*listener), *bound};
}
Endpoint refusing_endpoint(const UniqueFd& socket) {
  return Endpoint(local_address(socket));
}
Task<void> accept_into(TcpListener& listener, std::optional<Result<TcpStream>>& accepted) {
  Result<TcpStream> stream = co_await listener.accept();
  accepted.emplace(std::move(stream));
}

// --- Connecting ------------------------------------------------------------------------------------------------------

Task<void> connect_and_accept(Endpoint where) {
  Bound bound = co_await bind_loopback(where);
  Result<TcpStream> client = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(client.has_value()) << client.error();
  Result<TcpStream> server = co_await bound.listener.accept();
  EXPECT_TRUE(server.has_value());
  if (!client || !server) co_return;
  EXPECT_EQ(*client->peer_endpoint(), bound.where);
  EXPECT_EQ(*server->local_endpoint(), bound.where);
  EXPECT_EQ(*server->peer_endpoint(), *client->local_endpoint());
  for (const TcpStream* end : {&*client, &*server}) {
    const Result<bool> no_delay = end->option(SocketOptions::no_delay);
    EXPECT_TRUE(no_delay.has_value() && *no_delay);
    EXPECT_TRUE(is_close_on_exec(static_cast<int>(end->native())));
  }
  co_await write_text(*client, "ping");
  const std::string ping = co_await read_text(*server, 4);
  EXPECT_EQ(ping, "ping");
}
TEST_P(TcpTest, ConnectsToAListener) {
  run(connect_and_accept(Endpoint::loopback_v4(0)));
  run(connect_and_accept(Endpoint::loopback_v6(0)));
}

// C-040: what was tried, on what, and why it failed.
Task<void> connect_refused(Endpoint where) {
  const Result<TcpStream> client = co_await TcpStream::connect(where);
  EXPECT_FALSE(client.has_value());
  if (client) co_return;
  EXPECT_EQ(client.error(), std::errc::connection_refused);
  EXPECT_EQ(client.error().to_string(), "connect " + where.to_string() + ": connection refused");
}
TEST_P(TcpTest, ARefusedConnectNamesThePeer) {
  const gyre::test::Bound nobody = refusing_tcp();
  run(connect_refused(refusing_endpoint(nobody.fd)));
}

// Where there is no way at all, and for endpoints that are none of TCP's.
Task<void> connect_nowhere() {
  const Result<Endpoint> local = Endpoint::unix_path("/nowhere/at/all.sock");
  const Result<TcpStream> to_file = co_await TcpStream::connect(*local);
  EXPECT_EQ(to_file.error(), std::errc::invalid_argument);
  EXPECT_EQ(to_file.error().place(), local->place());
  TcpConnectOptions plain;
  plain.no_delay = false;  // so that no option of TCP's fails
  const Result<TcpStream> plainly = co_await TcpStream::connect(*local, plain);
  EXPECT_EQ(plainly.error(), std::errc::invalid_argument);
  const Result<TcpStream> to_none = co_await TcpStream::connect(Endpoint());
  EXPECT_EQ(to_none.error(), std::errc::invalid_argument);
  const Result<Endpoint> documentation = Endpoint::parse("[fe80::1]:80");  // link-local, without its zone
  const Result<TcpStream> no_zone = co_await TcpStream::connect(*documentation);
  EXPECT_EQ(no_zone.error().operation(), OperationKind::connect);
  EXPECT_EQ(no_zone.error().place(), documentation->place());
}
TEST_P(TcpTest, ConnectsToNothingThatIsNotTcp) { run(connect_nowhere()); }

// C-043: cancelled at every point of its way, a connect leaves no descriptor behind (the fixture looks).
Task<void> connect_quietly(Endpoint where, int& outcome) {
  const Result<TcpStream> client = co_await TcpStream::connect(where);
  outcome = client ? 1 : client.error().is_cancelled() ? 2 : 3;
}
Task<void> cancel_a_connect(int turns) {
  Bound bound = co_await bind_loopback();
  int outcome = 0;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> connecting = group.spawn(connect_quietly, bound.where, outcome);
  for (int turn = 0; turn < turns; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  connecting.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(outcome == 1 || outcome == 2) << outcome;
  // And the address is still good for another.
  const Result<TcpStream> again = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(again.has_value());
}
TEST_P(TcpTest, ACancelledConnectLeavesNothingBehind) {
  for (int turns = 0; turns < 5; ++turns) run(cancel_a_connect(turns));
}

// A listener whose queue is full does not answer: connect waits, and the time limit ends it.
Task<void> time_out_a_connect() {
  Bound bound = co_await bind_loopback(Endpoint::loopback_v4(0), {.backlog = 0});
  std::vector<TcpStream> queued;
  for (int i = 0; i < 8; ++i) {
    Result<TcpStream> client = co_await with_timeout(20ms, TcpStream::connect(bound.where));
    if (client) {
      queued.push_back(std::move(*client));
      continue;
    }
    EXPECT_TRUE(client.error().is_timed_out()) << client.error();
    EXPECT_EQ(client.error().to_string(), "connect " + bound.where.to_string() + ": timed out");
    co_return;
  }
  ADD_FAILURE() << "a queue of length 0 took 8 connections";
}
TEST_P(TcpTest, AConnectThatTimesOutNamesThePeer) { run(time_out_a_connect()); }

// C-163: from an address of one's own; in use, or of the other family, it is named.
Task<void> connect_from() {
  Bound bound = co_await bind_loopback();
  const Result<Endpoint> from = Endpoint::parse("127.0.0.2:0");
  Result<TcpStream> client = co_await TcpStream::connect(bound.where, {.local = *from});
  EXPECT_TRUE(client.has_value());
  if (!client) co_return;
  const Result<Endpoint> own = client->local_endpoint();
  EXPECT_TRUE(own.has_value());
  EXPECT_EQ(own->with_port(0), *from);

  const Result<TcpStream> same = co_await TcpStream::connect(bound.where, {.local = bound.where});
  EXPECT_EQ(same.error(), std::errc::address_in_use);
  EXPECT_EQ(same.error().to_string(), "bind " + bound.where.to_string() + ": address in use");
  const Result<TcpStream> other = co_await TcpStream::connect(bound.where, {.local = Endpoint::loopback_v6(0)});
  EXPECT_EQ(other.error(), std::errc::address_family_not_supported);
  EXPECT_EQ(other.error().to_string(), "bind [::1]:0: address family not supported");
  const Result<Endpoint> foreign = Endpoint::parse("192.0.2.1:0");
  const Result<TcpStream> none = co_await TcpStream::connect(bound.where, {.local = *foreign});
  EXPECT_EQ(none.error(), std::errc::address_not_available);
  EXPECT_EQ(none.error().place(), foreign->place());
}
TEST_P(TcpTest, ConnectsFromAnAddressOfItsOwn) { run(connect_from()); }

Task<void> connect_with_options() {
  Bound bound = co_await bind_loopback();
  TcpConnectOptions options;
  options.no_delay = false;
  options.send_buffer = 20'000;
  options.receive_buffer = 30'000;
  Result<TcpStream> client = co_await TcpStream::connect(bound.where, options);
  EXPECT_TRUE(client.has_value());
  if (!client) co_return;
  EXPECT_FALSE(*client->option(SocketOptions::no_delay));
  EXPECT_GE(*client->option(SocketOptions::send_buffer), 20'000U);
  EXPECT_LT(*client->option(SocketOptions::send_buffer), 100'000U);
  EXPECT_GE(*client->option(SocketOptions::receive_buffer), 30'000U);
  options.send_buffer = std::size_t{1} << 40;
  const Result<TcpStream> too_big = co_await TcpStream::connect(bound.where, options);
  EXPECT_EQ(too_big.error(), std::errc::invalid_argument);
}
TEST_P(TcpTest, ConnectsWithOptions) { run(connect_with_options()); }

// Whether or not the system lets data go with the first segment: they arrive once, and so does the answer.
Task<void> connect_fast() {
  Bound bound = co_await bind_loopback();
  EXPECT_TRUE(bound.listener.set_option(SocketOptions::fast_open, 16).has_value());
  for (int round = 0; round < 3; ++round) {  // the first one fetches the cookie
    TcpConnectOptions options;
    options.fast_open = true;
    Result<TcpStream> client = co_await TcpStream::connect(bound.where, options);
    EXPECT_TRUE(client.has_value()) << client.error();
    if (!client) co_return;
    co_await write_text(*client, "question");
    Result<TcpStream> server = co_await bound.listener.accept();
    EXPECT_TRUE(server.has_value());
    if (!server) co_return;
    const std::string question = co_await read_text(*server, 8);
    EXPECT_EQ(question, "question");
    co_await write_text(*server, "answer");
    const std::string answer = co_await read_text(*client, 6);
    EXPECT_EQ(answer, "answer");
    EXPECT_EQ(*client->peer_endpoint(), bound.where);
  }
}
TEST_P(TcpTest, DataMayGoWithTheFirstSegment) { run(connect_fast()); }

// --- Listening -------------------------------------------------------------------------------------------------------

// C-164: a port in use, an address that is not ours: named.
Task<void> bind_badly() {
  Bound bound = co_await bind_loopback();
  const Result<TcpListener> same = co_await TcpListener::bind(bound.where);
  EXPECT_EQ(same.error(), std::errc::address_in_use);
  EXPECT_EQ(same.error().place(), bound.where.place());
  const Result<Endpoint> foreign = Endpoint::parse("192.0.2.1:0");
  const Result<TcpListener> none = co_await TcpListener::bind(*foreign);
  EXPECT_EQ(none.error().to_string(), "bind 192.0.2.1:0: address not available");
  const Result<TcpListener> nowhere = co_await TcpListener::bind(Endpoint());
  EXPECT_EQ(nowhere.error(), std::errc::invalid_argument);
  const Result<TcpListener> at_path = co_await TcpListener::bind(*Endpoint::unix_path("/nowhere/at/all.sock"));
  EXPECT_EQ(at_path.error(), std::errc::invalid_argument);
  EXPECT_EQ(at_path.error().to_string(), "bind /nowhere/at/all.sock: invalid argument");
}
TEST_P(TcpTest, ABindThatFailsNamesTheEndpoint) { run(bind_badly()); }

// C-164: two listeners share a port if both ask for it, and a port can be taken again at once.
Task<void> share_a_port() {
  Bound first = co_await bind_loopback(Endpoint::loopback_v4(0), {.reuse_port = true});
  const Result<TcpListener> second = co_await TcpListener::bind(first.where, {.reuse_port = true});
  EXPECT_TRUE(second.has_value());
  Result<TcpStream> client = co_await TcpStream::connect(first.where);
  EXPECT_TRUE(client.has_value());
}
Task<void> bind_again() {
  Bound first = co_await bind_loopback();
  Result<TcpStream> client = co_await TcpStream::connect(first.where);
  Result<TcpStream> server = co_await first.listener.accept();
  EXPECT_TRUE(client && server);
  if (!client || !server) co_return;
  first.listener.close();
  // The side that closes first lingers; the port is free all the same.
  const Result<void> one = co_await server->close();
  const Result<void> two = co_await client->close();
  EXPECT_TRUE(one && two);
  const Result<TcpListener> again = co_await TcpListener::bind(first.where);
  EXPECT_TRUE(again.has_value());
}
TEST_P(TcpTest, PortsAreSharedAndTakenAgain) {
  run(share_a_port());
  run(bind_again());
}

// C-164: dual stack on request only.
Task<void> dual_stack(bool only_v6) {
  Bound bound = co_await bind_loopback(Endpoint::any_v6(0), {.only_v6 = only_v6});
  Result<TcpStream> v6 = co_await TcpStream::connect(Endpoint::loopback_v6(bound.where.port()));
  EXPECT_TRUE(v6.has_value());
  Result<TcpStream> v4 = co_await TcpStream::connect(Endpoint::loopback_v4(bound.where.port()));
  EXPECT_EQ(v4.has_value(), !only_v6);
}
TEST_P(TcpTest, AnIpv6ListenerTakesIpv4OnRequest) {
  run(dual_stack(true));
  run(dual_stack(false));
}

Task<void> adopt_sockets() {
  gyre::test::Bound raw_listener = tcp_listener();
  const Endpoint where(raw_listener.address);
  Result<TcpListener> listener = TcpListener::adopt(std::move(raw_listener.fd));
  EXPECT_TRUE(listener.has_value());
  Result<TcpStream> client = TcpStream::adopt(connect_to(where.address()));
  EXPECT_TRUE(client.has_value());
  if (!listener || !client) co_return;
  Result<TcpStream> server = co_await listener->accept();
  EXPECT_TRUE(server.has_value());
  if (!server) co_return;
  co_await write_text(*server, "hello");
  const std::string hello = co_await read_text(*client, 5);
  EXPECT_EQ(hello, "hello");
  gyre::test::Bound silent = gyre::test::refusing_tcp();
  const Result<TcpListener> not_listening = TcpListener::adopt(std::move(silent.fd));
  EXPECT_EQ(not_listening.error(), std::errc::invalid_argument);
  EXPECT_EQ(not_listening.error().place(), place_of(silent.address));
}
TEST_P(TcpTest, TakesOverSocketsOfOthers) { run(adopt_sockets()); }

TEST(AdoptDeathTest, ADescriptorThatIsNoneIsTheCallersMistake) {
  EXPECT_DEATH(static_cast<void>(TcpListener::adopt(UniqueFd())), "needs an open descriptor");
  EXPECT_DEATH(static_cast<void>(File::adopt(UniqueFd())), "needs an open descriptor");
}

// --- Accepting -------------------------------------------------------------------------------------------------------

// C-041: a cancelled accept leaves the listener good; C-042: no connection is lost, at whatever point the cancel comes.
Task<void> cancel_an_accept(int turns) {
  Bound bound = co_await bind_loopback();
  std::optional<Result<TcpStream>> accepted;
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> accepting = group.spawn(accept_into, bound.listener, accepted);
  co_await settle();
  EXPECT_FALSE(accepted.has_value());
  Result<TcpStream> client = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(client.has_value());
  for (int turn = 0; turn < turns; ++turn) {
    const Result<void> yielded = co_await yield();
    EXPECT_TRUE(yielded.has_value());
  }
  accepting.cancel();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(accepted.has_value());
  if (!client || !accepted) co_return;
  if (!*accepted) {
    EXPECT_TRUE(accepted->error().is_cancelled());
    Result<TcpStream> again = co_await bound.listener.accept();
    accepted.emplace(std::move(again));
  }
  EXPECT_TRUE(accepted->has_value());
  if (!*accepted) co_return;
  co_await write_text(*client, "still there");
  const std::string text = co_await read_text(**accepted, 11);
  EXPECT_EQ(text, "still there");
}
TEST_P(TcpTest, ACancelledAcceptLosesNoConnection) {
  for (int turns = 0; turns < 5; ++turns) run(cancel_an_accept(turns));
}

// C-165: many connections at once, each accepted once.
Task<void> accept_many(int count) {
  Bound bound = co_await bind_loopback();
  std::vector<TcpStream> clients, servers;
  for (int i = 0; i < count; ++i) {
    Result<TcpStream> client = co_await TcpStream::connect(bound.where);
    EXPECT_TRUE(client.has_value());
    if (client) clients.push_back(std::move(*client));
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    Result<TcpStream> server = co_await bound.listener.accept();
    EXPECT_TRUE(server.has_value());
    if (server) servers.push_back(std::move(*server));
  }
  // In what order is the system's affair.
  std::multiset<std::string> accepted, connected;
  for (const TcpStream& server : servers) accepted.insert(server.peer_endpoint()->to_string());
  for (const TcpStream& client : clients) connected.insert(client.local_endpoint()->to_string());
  EXPECT_EQ(accepted, connected);
}
TEST_P(TcpTest, AcceptsAllThatWait) { run(accept_many(100)); }

// C-165: without descriptors accept fails with the listener's name, and goes on when there are some again.
Task<void> accept_without_descriptors() {
  Bound bound = co_await bind_loopback();
  Result<TcpStream> client = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(client.has_value());
  {
    const NoMoreDescriptors none;
    const Result<TcpStream> refused = co_await bound.listener.accept();
    EXPECT_EQ(refused.error(), std::errc::too_many_files_open);
    EXPECT_EQ(refused.error().place(), bound.where.place());
    const Result<TcpStream> also = co_await TcpStream::connect(bound.where);
    EXPECT_EQ(also.error(), std::errc::too_many_files_open);
    EXPECT_EQ(also.error().place(), bound.where.place());
    const Result<std::pair<TcpStream, TcpStream>> pair = TcpStream::pair();
    EXPECT_EQ(pair.error(), std::errc::too_many_files_open);
  }
  const Result<TcpStream> server = co_await bound.listener.accept();
  EXPECT_TRUE(server.has_value());
}
TEST_P(TcpTest, RecoversFromWantOfDescriptors) { run(accept_without_descriptors()); }

// C-165: a client that resets before it is accepted is no failure of the listener.
Task<void> accept_what_was_reset() {
  Bound bound = co_await bind_loopback();
  Result<TcpStream> gone = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(gone.has_value());
  if (gone) gone->abort();
  Result<TcpStream> client = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(client.has_value());
  if (!client) co_return;
  for (int i = 0; i < 2; ++i) {
    const Result<TcpStream> server = co_await bound.listener.accept();
    if (!server) {
      EXPECT_EQ(server.error(), std::errc::connection_aborted);
      continue;
    }
    if (const Result<Endpoint> peer = server->peer_endpoint(); peer && *peer == *client->local_endpoint()) co_return;
  }
  ADD_FAILURE() << "the connection behind the one that was reset did not come";
}
TEST_P(TcpTest, AcceptsBehindAConnectionThatWasReset) { run(accept_what_was_reset()); }

Task<void> accept_on_closed() {
  Bound bound = co_await bind_loopback();
  bound.listener.close();
  bound.listener.close();
  EXPECT_FALSE(bound.listener.is_open());
  const Result<TcpStream> none = co_await bound.listener.accept();
  EXPECT_EQ(none.error(), Errc::closed);
  EXPECT_EQ(bound.listener.local_endpoint().error(), Errc::closed);
  EXPECT_EQ(bound.listener.option(SocketOptions::reuse_address).error(), Errc::closed);
  const Result<TcpStream> refused = co_await TcpStream::connect(bound.where);
  EXPECT_EQ(refused.error(), std::errc::connection_refused);
}
TEST_P(TcpTest, AClosedListenerSaysSo) { run(accept_on_closed()); }

// --- Options ---------------------------------------------------------------------------------------------------------

template <typename Option, typename Value>
void expect_kept(TcpStream& stream, Option option, Value value) {
  const Result<void> set = stream.set_option(option, value);
  EXPECT_TRUE(set.has_value()) << set.error();
  const auto read = stream.option(option);
  EXPECT_TRUE(read.has_value());
  if (read) {
    EXPECT_TRUE(*read == value);
  }
}
// Not every system has all of them; what is missing is refused.
template <typename Option>
bool has_option(TcpStream& stream, Option option) {
  const auto read = stream.option(option);
  if (!read) {
    EXPECT_EQ(read.error(), std::errc::no_protocol_option);
  }
  return read.has_value();
}
template <typename Option, typename Value>
void expect_kept_if_any(TcpStream& stream, Option option, Value value) {
  if (has_option(stream, option)) expect_kept(stream, option, value);
}
Task<void> set_options() {
  auto [near, far] = tcp_streams();
  expect_kept(near, SocketOptions::no_delay, false);
  expect_kept(near, SocketOptions::no_delay, true);
  expect_kept_if_any(near, SocketOptions::cork, true);
  expect_kept(near, SocketOptions::keep_alive, true);
  expect_kept_if_any(near, SocketOptions::keep_alive_idle, Duration(33s));
  expect_kept_if_any(near, SocketOptions::keep_alive_interval, Duration(7s));
  expect_kept_if_any(near, SocketOptions::keep_alive_count, 4);
  expect_kept_if_any(near, SocketOptions::user_timeout, Duration(1500ms));
  expect_kept_if_any(near, SocketOptions::type_of_service, 0x10);
  expect_kept(near, SocketOptions::time_to_live, 33);
  const Result<void> linger = near.set_linger({.on = true, .seconds = 3});
  EXPECT_TRUE(linger.has_value());
  EXPECT_EQ(near.linger()->seconds, 3);

  // Rounded up, not down to "at once".
  if (has_option(near, SocketOptions::keep_alive_idle)) {
    EXPECT_TRUE(near.set_option(SocketOptions::keep_alive_idle, 1ms).has_value());
    EXPECT_EQ(*near.option(SocketOptions::keep_alive_idle), Duration(1s));
  }
  if (has_option(near, SocketOptions::user_timeout)) {
    EXPECT_TRUE(near.set_option(SocketOptions::user_timeout, 1us).has_value());
    EXPECT_EQ(*near.option(SocketOptions::user_timeout), Duration(1ms));
  }

  // What cannot be is refused, and nothing changes.
  EXPECT_EQ(near.set_option(SocketOptions::keep_alive_idle, -1s).error(), std::errc::invalid_argument);
  EXPECT_EQ(near.set_option(SocketOptions::keep_alive_idle, Duration::max()).error(), std::errc::invalid_argument);
  EXPECT_EQ(near.set_option(SocketOptions::time_to_live, 256).error(), std::errc::invalid_argument);
  EXPECT_EQ(near.set_option(SocketOptions::time_to_live, 256).error().to_string(),
            "set option " + near.peer_endpoint()->to_string() + ": invalid argument");
  EXPECT_EQ(near.set_option(SocketOptions::keep_alive_idle, -1s).error().place(), near.peer_endpoint()->place());
  EXPECT_EQ(near.set_option(SocketOptions::send_buffer, std::size_t{1} << 40).error(), std::errc::invalid_argument);
  EXPECT_EQ(*near.option(SocketOptions::time_to_live), 33);
  EXPECT_EQ(near.set_option(SocketOption::listening, 1).error(), std::errc::no_protocol_option);
  static_cast<void>(near.set_linger({}));
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
  EXPECT_EQ(near.set_option(SocketOptions::no_delay, true).error(), Errc::closed);
  EXPECT_EQ(near.option(SocketOptions::no_delay).error(), Errc::closed);
  EXPECT_EQ(near.linger().error(), Errc::closed);
  EXPECT_TRUE(far.is_open());
}
TEST_P(TcpTest, OptionsAreKeptOrRefused) { run(set_options()); }

Task<void> listen_with_options() {
  Bound bound = co_await bind_loopback();
  EXPECT_TRUE(bound.listener.set_option(SocketOptions::defer_accept, 60s).has_value());
  EXPECT_TRUE(bound.listener.set_option(SocketOptions::fast_open, 16).has_value());
  Result<TcpStream> silent = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(silent.has_value());
  Result<TcpStream> client = co_await TcpStream::connect(bound.where);
  EXPECT_TRUE(client.has_value());
  if (!client || !silent) co_return;
  co_await write_text(*client, "x");
  // Only who has spoken is accepted.
  const Result<TcpStream> server = co_await bound.listener.accept();
  EXPECT_TRUE(server.has_value());
  if (server) {
    EXPECT_EQ(*server->peer_endpoint(), *client->local_endpoint());
  }
}
TEST_P(TcpTest, ADeferredAcceptWaitsForData) { run(listen_with_options()); }

}  // namespace
}  // namespace gyre::test
