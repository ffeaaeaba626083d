// copy(), copy_bidirectional() and send_file() over TCP on every poller, and over the in-memory pair: byte for byte, all
// ways of ending, resets in the middle, cancels. Conformance C-145, C-146, C-170.

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include <gyre/net/copy.h>
#include <gyre/net/duplex.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/task/timeout.h>

#include "support/net_fixture.h"
#include "support/net_task_fixture.h"

namespace {

using namespace gyre;
using namespace std::chrono_literals;
using gyre::test::pattern;
using std::string_view;

std::span<const std::byte> bytes_of(string_view text) { return std::as_bytes(std::span(text)); }

// A client, the two ends of a proxy, and a server: client <-> near | far <-> server.
template <typename S>
struct Chain {
  S client;
  S near;
  S far;
  S server;
};

Chain<TcpStream> make_tcp_chain() {
  auto front = TcpStream::pair();
  auto back = TcpStream::pair();
  GYRE_CHECK(front.has_value() && back.has_value());
  return {std::move(front->first), std::move(front->second), std::move(back->first), std::move(back->second)};
}
Chain<DuplexStream> make_duplex_chain() {
  auto [client, near] = make_duplex({.capacity = 1000, .transfer_max = 300});
  auto [far, server] = make_duplex({.capacity = 700});
  return {std::move(client), std::move(near), std::move(far), std::move(server)};
}
template <typename S>
Chain<S> make_chain() {
  if constexpr (std::same_as<S, TcpStream>) {
    return make_tcp_chain();
  } else {
    return make_duplex_chain();
  }
}

template <typename S>
Task<void> send_all(S& stream, string_view text, bool ends) {
  if (!text.empty()) {
    const Result<void> written = co_await write_all(stream, bytes_of(text));
    EXPECT_TRUE(written);
  }
  if (ends) {
    EXPECT_TRUE(stream.shutdown());
  }
}
template <typename S>
Task<void> receive_all(S& stream, std::string& all) {
  std::array<std::byte, 512> small;
  const auto large = std::make_unique<std::array<std::byte, 65536>>();
  for (std::size_t i = 0;; ++i) {
    const std::span<std::byte> buffer = i % 3 == 0 ? std::span<std::byte>(small) : std::span<std::byte>(*large);
    const Result<std::size_t> count = co_await stream.read(buffer);
    EXPECT_TRUE(count);
    if (count.value_or(0U) == 0) co_return;
    all.append(reinterpret_cast<const char*>(buffer.data()), *count);
  }
}
template <typename S>
Task<void> proxy(Chain<S>& chain, Result<CopyCounts>& result, CopyCounts& counts, CopyOptions options) {
  Result<CopyCounts> copied = co_await copy_bidirectional(chain.near, chain.far, &counts, options);
  result = copied;
}

// --- The sixteen ways in which a proxied conversation may end ----------------------------------------------------------

struct Ending {
  bool client_sends;  // something, before it ends
  bool server_sends;
  bool client_first;  // ends its side, and waits for the other's end before it ...
  bool in_bulk;       // more than buffers hold, or a few bytes
};

// Ends its side first, and then reads to the end; or the other way round.
template <typename S>
Task<void> converse(S& stream, string_view text, bool ends_first, std::string& received) {
  if (ends_first) {
    TaskGroup both;
    both.spawn(send_all<S>, std::ref(stream), text, true);
    both.spawn(receive_all<S>, std::ref(stream), std::ref(received));
    const Result<void> joined = co_await both.join();
    EXPECT_TRUE(joined);
  } else {
    TaskGroup both;
    both.spawn(send_all<S>, std::ref(stream), text, false);
    both.spawn(receive_all<S>, std::ref(stream), std::ref(received));
    const Result<void> joined = co_await both.join();
    EXPECT_TRUE(joined);
    EXPECT_TRUE(stream.shutdown());
  }
}

template <typename S>
Task<void> half_close(Ending ending, CopyOptions options) {
  Chain<S> chain = make_chain<S>();
  const std::size_t size = ending.in_bulk ? 600'000 : 10;
  const std::string up = ending.client_sends ? pattern(size, 1) : "";
  const std::string down = ending.server_sends ? pattern(size / 2, 2) : "";
  std::string at_server;
  std::string at_client;
  Result<CopyCounts> result = Errc::would_block;
  CopyCounts counts;
  TaskGroup all;
  all.spawn(proxy<S>, std::ref(chain), std::ref(result), std::ref(counts), options);
  all.spawn(converse<S>, std::ref(chain.client), string_view(up), ending.client_first, std::ref(at_client));
  all.spawn(converse<S>, std::ref(chain.server), string_view(down), !ending.client_first, std::ref(at_server));
  const Result<void> joined = co_await all.join();
  EXPECT_TRUE(joined);
  EXPECT_TRUE(result);
  EXPECT_TRUE(at_server == up) << at_server.size() << " of " << up.size();
  EXPECT_TRUE(at_client == down) << at_client.size() << " of " << down.size();
  EXPECT_EQ(counts.first_to_second, up.size());
  EXPECT_EQ(counts.second_to_first, down.size());
  if constexpr (std::same_as<S, TcpStream>) {
    EXPECT_EQ(chain.near.bytes_received(), up.size());
    EXPECT_EQ(chain.far.bytes_sent(), up.size());
    EXPECT_EQ(chain.near.bytes_sent(), down.size());
  }
}

Ending ending_of(unsigned bits) {
  return {.client_sends = (bits & 1) != 0, .server_sends = (bits & 2) != 0, .client_first = (bits & 4) != 0, .in_bulk = (bits & 8) != 0};
}

class CopyTest : public gyre::test::NetTaskFixture {};

TEST_P(CopyTest, SixteenEndingsPassEverythingOn) {
  for (unsigned bits = 0; bits < 16; ++bits) {
    SCOPED_TRACE(bits);
    EXPECT_TRUE(run(half_close<TcpStream>(ending_of(bits), {.splice = false})));
    EXPECT_TRUE(run(half_close<TcpStream>(ending_of(bits), {.splice = true})));
    EXPECT_TRUE(run(half_close<DuplexStream>(ending_of(bits), {})));
  }
}

// --- Errors and cancels ------------------------------------------------------------------------------------------------

// Keeps writing until that fails.
Task<void> write_for_ever(TcpStream& stream) {
  const std::string block = pattern(100'000);
  for (;;) {
    const Result<void> written = co_await stream.write_all(bytes_of(block));
    if (!written) co_return;
  }
}
Task<void> read_some(TcpStream& stream, std::size_t size) {
  const auto buffer = std::make_unique<std::array<std::byte, 65536>>();
  for (std::size_t received = 0; received < size;) {
    const Result<std::size_t> count = co_await stream.read(*buffer);
    EXPECT_TRUE(count);
    if (count.value_or(0U) == 0) co_return;
    received += *count;
  }
}

// The server resets the connection while both sides send in bulk; the proxy passes that on.
Task<void> reset_in_the_middle(bool by_server, CopyOptions options) {
  Chain<TcpStream> chain = make_tcp_chain();
  TcpStream& victim = by_server ? chain.server : chain.client;
  TcpStream& other = by_server ? chain.client : chain.server;
  Result<CopyCounts> result = Errc::would_block;
  CopyCounts counts;
  TaskGroup writer(OnFailure::keep_going);
  auto proxying = writer.spawn(proxy<TcpStream>, std::ref(chain), std::ref(result), std::ref(counts), options);
  writer.spawn(write_for_ever, std::ref(other));
  co_await read_some(victim, 500'000);
  victim.abort();
  const Result<void> ended = co_await proxying;
  EXPECT_TRUE(ended);
  EXPECT_FALSE(result);
  if (!result) {
    const Error error = result.error();
    EXPECT_TRUE(error == std::errc::connection_reset || error == std::errc::broken_pipe) << error.to_string();
  }
  EXPECT_GE(by_server ? counts.first_to_second : counts.second_to_first, 500'000U);
  chain.near.abort();
  chain.far.abort();
  const Result<void> joined = co_await writer.join();
  EXPECT_TRUE(joined);
}
TEST_P(CopyTest, ResetInTheMiddleEndsBothDirections) {
  for (const bool by_server : {true, false}) {
    for (const bool splice : {true, false}) EXPECT_TRUE(run(reset_in_the_middle(by_server, {.splice = splice})));
  }
}

Task<void> cancel_in_the_middle(CopyOptions options) {
  Chain<TcpStream> chain = make_tcp_chain();
  CopyCounts counts;
  TaskGroup peers;
  peers.spawn(write_for_ever, std::ref(chain.client));
  Result<CopyCounts> copied = Errc::would_block;
  auto proxying = peers.spawn(proxy<TcpStream>, std::ref(chain), std::ref(copied), std::ref(counts), options);
  std::string received;
  while (received.size() < 300'000) {
    std::array<std::byte, 10'000> buffer;
    const Result<std::size_t> count = co_await chain.server.read(buffer);
    EXPECT_TRUE(count);
    received.append(count.value_or(0U), ' ');
  }
  proxying.cancel();
  static_cast<void>(co_await proxying);
  EXPECT_EQ(copied.error(), std::errc::operation_canceled);
  EXPECT_EQ(counts.second_to_first, 0U);
  peers.spawn(receive_all<TcpStream>, std::ref(chain.server), std::ref(received));
  // What was counted as written arrives.
  EXPECT_TRUE(chain.far.shutdown());
  chain.near.abort();
  const Result<void> joined = co_await peers.join();
  EXPECT_TRUE(joined);
  EXPECT_EQ(received.size(), counts.first_to_second);
}
TEST_P(CopyTest, CancelledCopyHasCountedWhatArrives) {
  for (const bool splice : {true, false}) EXPECT_TRUE(run(cancel_in_the_middle({.splice = splice})));
}

// The bulk really goes through the kernel: the process sees no more than the first bufferful.
Task<void> watch_splice(Poller& poller) {
  Chain<TcpStream> chain = make_tcp_chain();
  const std::string all = pattern(1'000'000);
  std::string received;
  const std::size_t descriptors = gyre::test::open_descriptors().size();
  TaskGroup peers;
  peers.spawn([](Chain<TcpStream>& through, std::size_t size) -> Task<void> {
    const Result<std::uint64_t> copied = co_await copy(through.near, through.far, nullptr, {.splice = true});
    EXPECT_EQ(copied.value_or(0U), size);
    EXPECT_TRUE(through.far.shutdown());
  }, std::ref(chain), all.size());
  peers.spawn(send_all<TcpStream>, std::ref(chain.client), string_view(all), false);
  std::array<std::byte, 10'000> buffer;
  while (received.size() < 500'000) {
    const Result<std::size_t> count = co_await chain.server.read(buffer);
    received.append(reinterpret_cast<const char*>(buffer.data()), count.value_or(0U));
    if (!count) break;
  }
  EXPECT_EQ(gyre::test::open_descriptors().size(), descriptors + 2) << "the pipe of " << poller.name();
  EXPECT_TRUE(chain.client.shutdown());
  co_await receive_all(chain.server, received);
  const Result<void> joined = co_await peers.join();
  EXPECT_TRUE(joined);
  EXPECT_TRUE(received == all);
  EXPECT_EQ(gyre::test::open_descriptors().size(), descriptors);
}
TEST_P(CopyTest, BulkIsSplicedThroughAPipeThatGoesAfterwards) { EXPECT_TRUE(run(watch_splice(poller()))); }

// Without descriptors for its pipe the copy goes on by hand.
Task<void> copy_without_descriptors() {
  Chain<TcpStream> chain = make_tcp_chain();
  const std::string all = pattern(500'000);
  std::string received;
  TaskGroup peers;
  peers.spawn(send_all<TcpStream>, std::ref(chain.client), string_view(all), true);
  peers.spawn(receive_all<TcpStream>, std::ref(chain.server), std::ref(received));
  Result<std::uint64_t> copied = Errc::would_block;
  {
    const gyre::test::NoMoreDescriptors none;
    copied = co_await copy(chain.near, chain.far, nullptr, {.splice = true});
  }
  EXPECT_EQ(copied.value_or(0U), all.size());
  EXPECT_TRUE(chain.far.shutdown());
  const Result<void> joined = co_await peers.join();
  EXPECT_TRUE(joined);
  EXPECT_TRUE(received == all);
}
TEST_P(CopyTest, CopiesByHandWhenDescriptorsHaveRunOut) { EXPECT_TRUE(run(copy_without_descriptors())); }

// --- send_file ---------------------------------------------------------------------------------------------------------

template <typename S>
Task<void> send_part(S& to, File& file, SendFileOptions what, Result<std::uint64_t>& result) {
  file.seek(3);
  Result<std::uint64_t> sent = co_await send_file(to, file, what);
  EXPECT_EQ(file.position(), 3U);
  EXPECT_TRUE(to.shutdown());
  result = sent;
}
template <typename S>
Task<void> send_and_compare(File& file, string_view all, SendFileOptions what) {
  Chain<S> chain = make_chain<S>();
  Result<std::uint64_t> result = Errc::would_block;
  std::string received;
  TaskGroup both;
  both.spawn(send_part<S>, std::ref(chain.client), std::ref(file), what, std::ref(result));
  both.spawn(receive_all<S>, std::ref(chain.near), std::ref(received));
  const Result<void> joined = co_await both.join();
  EXPECT_TRUE(joined);
  const string_view expected = what.offset < all.size()
                                   ? all.substr(what.offset, static_cast<std::size_t>(std::min<std::uint64_t>(what.size, all.size())))
                                   : string_view();
  EXPECT_TRUE(received == expected) << received.size() << " of " << expected.size();
  EXPECT_EQ(result.value_or(~0ULL), expected.size());
}
Task<void> send_parts(std::string path) {
  const std::string all = pattern(700'001);
  const Result<void> written = co_await write_file(path, string_view(all));
  EXPECT_TRUE(written);
  Result<File> file = co_await File::open(path);
  EXPECT_TRUE(file);
  if (!file) co_return;
  const SendFileOptions parts[] = {{}, {.offset = 1234}, {.size = 0}, {.offset = 5, .size = 100'000},
                                   {.offset = 700'000}, {.offset = 700'001}, {.offset = 1'000'000, .size = 7}};
  for (const SendFileOptions& part : parts) {
    co_await send_and_compare<TcpStream>(*file, all, part);
    co_await send_and_compare<DuplexStream>(*file, all, part);
  }
}
// C-170: all of it, from an offset, a count, nothing, and where there is no sendfile.
TEST_P(CopyTest, SendFileSendsWhatWasAskedFor) {
  const gyre::test::TemporaryDirectory directory;
  EXPECT_TRUE(run(send_parts(directory.path("f"))));
}

// C-170: what sendfile refuses goes through a buffer.
Task<void> send_proc() {
  Chain<TcpStream> chain = make_tcp_chain();
  Result<File> file = co_await File::open("/proc/self/cmdline");
  EXPECT_TRUE(file);
  if (!file) co_return;
  const Result<std::uint64_t> sent = co_await send_file(chain.client, *file, {.offset = 2});
  EXPECT_TRUE(sent);
  EXPECT_TRUE(chain.client.shutdown());
  std::string received;
  co_await receive_all(chain.near, received);
  const Result<std::string> all = co_await read_file("/proc/self/cmdline");
  EXPECT_TRUE(all && all->size() > 2);
  EXPECT_EQ(received, all ? all->substr(2) : "");
  EXPECT_EQ(sent.value_or(0U), received.size());
}
TEST_P(CopyTest, SendFileFallsBackToABuffer) { EXPECT_TRUE(run(send_proc())); }

// C-170: the peer goes, and a cancel.
Task<void> send_to_nobody(std::string path) {
  const std::string all(16'000'000, 'x');
  const Result<void> written = co_await write_file(path, string_view(all));
  EXPECT_TRUE(written);
  Result<File> file = co_await File::open(path);
  EXPECT_TRUE(file);
  if (!file) co_return;
  {
    Chain<TcpStream> chain = make_tcp_chain();
    std::uint64_t count = 0;
    const Result<std::uint64_t> sent = co_await with_timeout(5ms, send_file(chain.client, *file, {}, &count));
    EXPECT_FALSE(sent);
    if (!sent) {
      EXPECT_EQ(sent.error(), std::errc::timed_out);
    }
    std::string received;
    EXPECT_TRUE(chain.client.shutdown());
    co_await receive_all(chain.near, received);
    EXPECT_EQ(received.size(), count);
    chain.client.abort();
  }
  Chain<TcpStream> chain = make_tcp_chain();
  chain.near.abort();
  const Result<std::uint64_t> sent = co_await send_file(chain.client, *file);
  EXPECT_FALSE(sent);
  if (!sent) {
    EXPECT_TRUE(sent.error() == std::errc::connection_reset || sent.error() == std::errc::broken_pipe);
  }
}
TEST_P(CopyTest, SendFileToAPeerThatDoesNotReadOrHasGone) {
  const gyre::test::TemporaryDirectory directory;
  EXPECT_TRUE(run(send_to_nobody(directory.path("f"))));
}

GYRE_INSTANTIATE_FOR_EVERY_POLLER(CopyTest);

}  // namespace
