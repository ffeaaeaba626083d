// Datagrams over local sockets, on every backend: paths and their files, descriptors and credentials that travel.
#include <gyre/net/unix_datagram.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gyre/net/pipe.h>
#include <gyre/platform/control_data.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/datagram_tasks.h"
#include "support/descriptor_passing.h"
#include "support/net_task_fixture.h"
#include "support/net_tasks.h"
#include "support/random_cancel.h"

namespace gyre::test {
namespace {

using gyre::testing::Random;

class UnixDatagramTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(UnixDatagramTest);

using Ends = std::pair<UnixDatagram, UnixDatagram>;
Ends datagram_pair() {
  Result<Ends> ends = UnixDatagram::pair();
  GYRE_CHECK(ends.has_value());
  return std::move(*ends);
}

// --- Paths -----------------------------------------------------------------------------------------------------------

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
TEST_P(UnixDatagramTest, GoByPath) {
  const TemporaryDirectory directory;
  run(local_datagrams(directory.path()));
}

Task<void> fill_a_pair(UnixDatagram& near, int count) {
  for (int i = 0; i < count; ++i) co_await send_text(near, std::to_string(i), Endpoint());
}
// A sender waits for a slow receiver, and nothing is lost.
Task<void> slow_receiver() {
  auto [near, far] = datagram_pair();
  TaskGroup group;
  group.spawn(fill_a_pair, near, 1000);
  co_await settle();
  for (int i = 0; i < 1000; ++i) {
    const std::string text = co_await receive_text(far);
    EXPECT_EQ(text, std::to_string(i));
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
}
TEST_P(UnixDatagramTest, ASenderWaitsForASlowReceiver) { run(slow_receiver()); }

// A datagram that no buffer takes is a clear error, and the socket goes on; 70,000 bytes are none.
Task<void> send_much() {
  auto [near, far] = datagram_pair();
  const std::string fits = pattern(70'000);
  const std::string too_much(std::size_t{8} << 20, 'x');
  const Result<void> refused = co_await near.send(bytes_of(too_much));
  EXPECT_EQ(refused.error(), std::errc::message_size);
  const Result<void> sent = co_await near.send(bytes_of(fits));
  EXPECT_TRUE(sent.has_value()) << sent.error();
  std::string buffer(100'000, '.');
  const Result<Datagram> received = co_await far.receive(room_in(buffer));
  EXPECT_TRUE(received && received->size == fits.size() && buffer.substr(0, fits.size()) == fits);
}
TEST_P(UnixDatagramTest, ADatagramThatIsTooLongIsAnErrorOfItsOwn) { run(send_much()); }

// --- Descriptors -----------------------------------------------------------------------------------------------------

Task<void> pass_a_pipe() {
  auto [near, far] = datagram_pair();
  Result<gyre::Pipe> pipe = gyre::Pipe::open();
  EXPECT_TRUE(pipe.has_value());
  if (!pipe) co_return;
  const std::array<NativeDescriptor, 2> passed{pipe->reader.native(), pipe->writer.native()};
  const Result<void> sent = co_await near.send_with(bytes_of("take these"), passed);
  EXPECT_TRUE(sent.has_value()) << sent.error();
  std::string buffer(32, '.');
  std::array<UniqueFd, 4> taken;
  const Result<DatagramAndDescriptors> received = co_await far.receive_with(room_in(buffer), taken);
  EXPECT_TRUE(received.has_value());
  if (!received) co_return;
  EXPECT_EQ(buffer.substr(0, received->size), "take these");
  EXPECT_EQ(received->descriptors, 2U);
  EXPECT_FALSE(received->lost_some || received->truncated || received->sender.has_value());
  EXPECT_FALSE(taken[2]);
  EXPECT_TRUE(is_close_on_exec(raw(taken[0])));
  // What goes into the pipe that was passed comes out of the one that stayed.
  Result<PipeWriter> writer = PipeWriter::adopt(std::move(taken[1]));
  EXPECT_TRUE(writer.has_value());
  if (!writer) co_return;
  co_await write_text(*writer, "hello");
  const std::string hello = co_await read_text(pipe->reader, 5);
  EXPECT_EQ(hello, "hello");
}
TEST_P(UnixDatagramTest, DescriptorsTravelWithADatagram) { run(pass_a_pipe()); }

// Both ways between two that have names, beside empty, cut and plain datagrams: each message keeps its own.
Task<void> pass_by_path(std::string directory) {
  const Result<Endpoint> one = Endpoint::unix_path(directory + "/one");
  const Result<Endpoint> two = Endpoint::unix_path(directory + "/two");
  Result<UnixDatagram> near = co_await UnixDatagram::bind(*one);
  Result<UnixDatagram> far = co_await UnixDatagram::bind(*two);
  EXPECT_TRUE(near && far);
  if (!near || !far) co_return;
  const UniqueFd event = event_fd(7);
  const std::array<NativeDescriptor, 1> passed{event.get()};
  const Result<void> there = co_await near->send_with({}, passed, *two);
  EXPECT_TRUE(there.has_value()) << there.error();
  co_await send_text(*near, "plain", *two);
  const Result<void> again = co_await near->send_with(bytes_of("longer than the room"), passed, *two);
  EXPECT_TRUE(again.has_value());
  std::array<std::byte, 8> buffer;
  std::array<UniqueFd, 2> taken;
  Result<DatagramAndDescriptors> received = co_await far->receive_with(buffer, taken);
  EXPECT_TRUE(received && received->size == 0 && received->descriptors == 1 && received->from == *one);
  received = co_await far->receive_with(buffer, std::span(taken).subspan(1));
  EXPECT_TRUE(received && received->size == 5 && received->descriptors == 0 && !taken[1]);
  received = co_await far->receive_with(buffer, std::span(taken).subspan(1));
  EXPECT_TRUE(received && received->size == 8 && received->truncated && received->descriptors == 1);
  // The same event, by three numbers.
  std::uint64_t value = 0;
  EXPECT_EQ(::read(raw(taken[1]), &value, sizeof(value)), 8);
  EXPECT_EQ(value, 7U);
  const std::array<NativeDescriptor, 1> back{taken[0].get()};
  const Result<void> returned = co_await far->send_with(bytes_of("back"), back, *one);
  EXPECT_TRUE(returned.has_value());
  received = co_await near->receive_with(buffer, taken);
  EXPECT_TRUE(received && received->descriptors == 1 && received->from == *two);
  // Errors name where it was to go.
  const Result<void> closed = co_await far->close();
  EXPECT_TRUE(closed.has_value());
  const Result<void> missing = co_await near->send_with(bytes_of("x"), passed, *two);
  EXPECT_EQ(missing.error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(missing.error().place(), two->place());
}
TEST_P(UnixDatagramTest, DescriptorsTravelBothWays) {
  const TemporaryDirectory directory;
  run(pass_by_path(directory.path()));
}

Task<void> pass_to_nobody() {
  auto [near, far] = datagram_pair();
  const UniqueFd event = event_fd();
  const std::vector<NativeDescriptor> passed(9, event.get());
  // One at a time, where there is room for some beside the size of segments; and in batches.
  for (std::size_t count = 1; count <= 9; ++count) {
    const Result<void> sent = co_await near.send_with(bytes_of("plain"), std::span(passed).first(count));
    EXPECT_TRUE(sent.has_value());
    const std::string plain = co_await receive_text(far);
    EXPECT_EQ(plain, "plain");
  }
  DatagramBatch batch(3, 8);
  for (std::size_t count : {1U, 4U, 9U}) {
    const Result<void> sent = co_await near.send_with(bytes_of("batch"), std::span(passed).first(count));
    EXPECT_TRUE(sent.has_value());
  }
  for (std::size_t received = 0; received < 3;) {
    const Result<std::size_t> count = co_await far.receive(batch);
    EXPECT_TRUE(count.has_value());
    if (!count) co_return;
    for (std::size_t i = 0; i < *count; ++i) EXPECT_EQ(text_of(batch.bytes(i)), "batch");
    received += *count;
  }
  // The last one stays in the socket that is closed.
  const Result<void> sent = co_await near.send_with(bytes_of("x"), passed);
  EXPECT_TRUE(sent.has_value());
}
TEST_P(UnixDatagramTest, DescriptorsThatNobodyTakesAreClosed) {
  run(pass_too_many(datagram_pair, 1, 0));
  run(pass_too_many(datagram_pair, 3, 2));
  run(pass_too_many(datagram_pair, passed_descriptors_max, passed_descriptors_max));
  run(pass_to_nobody());
}

// --- Cancelling ------------------------------------------------------------------------------------------------------

Task<void> receive_one(UnixDatagram& socket, std::size_t& messages, std::size_t& descriptors) {
  std::array<std::byte, 8> buffer;
  std::array<UniqueFd, 2> taken;
  const Result<DatagramAndDescriptors> received = co_await socket.receive_with(buffer, taken);
  if (!received) {
    EXPECT_TRUE(received.error().is_cancelled()) << received.error();
    co_return;
  }
  ++messages;
  descriptors += received->descriptors;
  EXPECT_EQ(received->descriptors, static_cast<std::size_t>(static_cast<bool>(taken[0])));
}
Task<void> send_one(UnixDatagram& socket, NativeDescriptor passed, std::size_t& sent) {
  const std::array<NativeDescriptor, 1> one{passed};
  const Result<void> done = co_await socket.send_with(bytes_of("x"), one);
  if (done) ++sent;
  EXPECT_TRUE(done || done.error().is_cancelled()) << done.error();
}
// A step as a child, cancelled after some turns, or not.
template <typename Step, typename... Arguments>
Task<void> perhaps_cancelled(Random& random, Step step, Arguments&... arguments) {
  TaskGroup group(OnFailure::keep_going);
  JoinHandle<void> child = group.spawn(step, arguments...);
  if (random.one_in(2)) {
    for (std::uint32_t turns = random.below(4); turns > 0; --turns) {
      const Result<void> yielded = co_await yield();
      EXPECT_TRUE(yielded.has_value());
    }
    child.cancel();
  }
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
}
Task<void> send_many(UnixDatagram& socket, NativeDescriptor passed, std::size_t& sent, Random& random) {
  while (sent < 300) co_await perhaps_cancelled(random, send_one, socket, passed, sent);
}
Task<void> receive_many(UnixDatagram& socket, std::size_t& messages, std::size_t& descriptors, Random& random) {
  while (messages < 300) co_await perhaps_cancelled(random, receive_one, socket, messages, descriptors);
}
// What was sent arrives with its descriptor or stays for the next receive; the fixture counts what is left open.
Task<void> cancel_both_sides(Random& random) {
  auto [near, far] = datagram_pair();
  Random sending(random.below(1'000'000)), receiving(random.below(1'000'000));
  const UniqueFd event = event_fd();
  std::size_t sent = 0, messages = 0, descriptors = 0;
  TaskGroup group;
  group.spawn(send_many, near, event.get(), sent, sending);
  group.spawn(receive_many, far, messages, descriptors, receiving);
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_EQ(sent, 300U);
  EXPECT_EQ(messages, 300U);
  EXPECT_EQ(descriptors, 300U);
}
TEST_P(UnixDatagramTest, CancelsLoseNoDatagramAndNoDescriptor) {
  gyre::testing::for_random_seeds(5, [this](Random& random) { EXPECT_TRUE(run(cancel_both_sides(random))); });
}

// --- Credentials -----------------------------------------------------------------------------------------------------

bool is_this_process(const PeerCredentials& who) {
  return who.process == ::getpid() && who.user == ::geteuid() && who.group == ::getegid();
}

Task<void> know_the_peers(std::string directory) {
  auto [near, far] = datagram_pair();
  const Result<PeerCredentials> maker = near.credentials();
  EXPECT_TRUE(maker && is_this_process(*maker));
  const Result<Endpoint> path = Endpoint::unix_path(directory + "/socket");
  Result<UnixDatagram> bound = co_await UnixDatagram::bind(*path);
  Result<UnixDatagram> client = co_await UnixDatagram::connect(*path);
  EXPECT_TRUE(bound && client);
  if (!bound || !client) co_return;
  EXPECT_EQ(bound->credentials().error(), std::errc::not_connected);

  const UniqueFd event = event_fd();
  const std::array<NativeDescriptor, 1> passed{event.get()};
  EXPECT_TRUE(bound->set_option(SocketOptions::receive_credentials, true).has_value());
  EXPECT_TRUE(*bound->option(SocketOptions::receive_credentials));
  const Result<void> sent = co_await client->send_with(bytes_of("who am I?"), passed);
  EXPECT_TRUE(sent.has_value());
  co_await send_text(*client, "and now?", Endpoint());
  for (const std::size_t descriptors : {1U, 0U}) {
    std::array<std::byte, 16> buffer;
    std::array<UniqueFd, 1> taken;
    const Result<DatagramAndDescriptors> received = co_await bound->receive_with(buffer, taken);
    EXPECT_TRUE(received.has_value());
    if (!received) co_return;
    EXPECT_TRUE(received->sender && is_this_process(*received->sender));
    EXPECT_EQ(received->descriptors, descriptors);
    EXPECT_FALSE(received->lost_some);
  }
  // One that is not asked who it is from arrives as ever.
  co_await send_text(*client, "plain", Endpoint());
  const std::string plain = co_await receive_text(*bound);
  EXPECT_EQ(plain, "plain");
}
TEST_P(UnixDatagramTest, ThePeerAndEachSenderAreKnown) {
  const TemporaryDirectory directory;
  run(know_the_peers(directory.path()));
}

Task<void> use_closed() {
  auto [near, far] = datagram_pair();
  const Result<void> closed = co_await near.close();
  EXPECT_TRUE(closed.has_value());
  std::array<std::byte, 8> buffer;
  std::array<UniqueFd, 1> taken;
  const Result<DatagramAndDescriptors> received = co_await near.receive_with(buffer, taken);
  EXPECT_EQ(received.error(), Errc::closed);
  const UniqueFd event = event_fd();
  const std::array<NativeDescriptor, 1> passed{event.get()};
  const Result<void> sent = co_await near.send_with(bytes_of("x"), passed);
  EXPECT_EQ(sent.error(), Errc::closed);
  EXPECT_EQ(near.credentials().error(), Errc::closed);
  const Result<void> refused = co_await far.send_with(bytes_of("x"), passed);
  EXPECT_EQ(refused.error(), std::errc::connection_refused);
}
TEST_P(UnixDatagramTest, AClosedSocketSaysSo) { run(use_closed()); }

}  // namespace
}  // namespace gyre::test
