// Local sockets and pipes: streams as others, paths and their files, descriptors that travel, on every backend. The ids
// in comments are those of the conformance list.
#include <gyre/net/pipe.h>
#include <gyre/net/unix_listener.h>
#include <gyre/net/unix_stream.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gyre/net/stream_concepts.h>
#include <gyre/platform/control_data.h>
#include <gyre/platform/file_system.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "support/descriptor_passing.h"
#include "support/net_task_fixture.h"
#include "support/net_tasks.h"

namespace gyre::test {
namespace {

using namespace std::string_view_literals;

class UnixTest : public NetTaskFixture {};
GYRE_INSTANTIATE_FOR_EVERY_POLLER(UnixTest);

static_assert(ReadStream<UnixStream> && WriteStream<UnixStream>);
static_assert(ReadStream<PipeReader> && WriteStream<PipeWriter>);
static_assert(!WriteStream<PipeReader> && !ReadStream<PipeWriter>);

std::pair<UnixStream, UnixStream> unix_streams() {
  Result<std::pair<UnixStream, UnixStream>> ends = UnixStream::pair();
  GYRE_CHECK(ends.has_value());
  return std::move(*ends);
}
Endpoint path_endpoint(const std::string& path) {
  const Result<Endpoint> endpoint = Endpoint::unix_path(path);
  GYRE_CHECK(endpoint.has_value());
  return *endpoint;
}
bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// --- Connecting and listening ----------------------------------------------------------------------------------------

Task<void> talk(Endpoint where) {
  Result<UnixListener> listener = co_await UnixListener::bind(where);
  EXPECT_TRUE(listener.has_value()) << listener.error();
  if (!listener) co_return;
  EXPECT_EQ(*listener->local_endpoint(), where);
  Result<UnixStream> client = co_await UnixStream::connect(where);
  Result<UnixStream> server = co_await listener->accept();
  EXPECT_TRUE(client && server);
  if (!client || !server) co_return;
  EXPECT_EQ(*client->peer_endpoint(), where);
  co_await write_text(*client, "question");
  EXPECT_TRUE(client->shutdown().has_value());
  const std::string question = co_await read_rest(*server);
  EXPECT_EQ(question, "question");
  co_await write_text(*server, "answer");
  const std::string answer = co_await read_text(*client, 6);
  EXPECT_EQ(answer, "answer");
}
TEST_P(UnixTest, ConnectsByPathAndByAbstractName) {
  const TemporaryDirectory directory;
  run(talk(path_endpoint(directory.path("socket"))));
  const Result<Endpoint> name = Endpoint::unix_abstract("gyre unix test " + std::to_string(::getpid()));
  ASSERT_TRUE(name.has_value());
  run(talk(*name));
}

Task<void> connect_badly(std::string directory) {
  const Endpoint nothing = path_endpoint(directory + "/nothing");
  const Result<UnixStream> missing = co_await UnixStream::connect(nothing);
  EXPECT_EQ(missing.error(), std::errc::no_such_file_or_directory);
  EXPECT_NE(missing.error().to_string().find("/nothing: no such file"), std::string::npos) << missing.error();
  const Result<Endpoint> too_long = Endpoint::unix_path(std::string(200, 'x'));
  EXPECT_EQ(too_long.error(), std::errc::filename_too_long);
  const Result<UnixStream> wrong = co_await UnixStream::connect(Endpoint::loopback_v4(1));
  EXPECT_EQ(wrong.error().to_string(), "connect 127.0.0.1:1: invalid argument");
  const Result<UnixListener> also = co_await UnixListener::bind(Endpoint::loopback_v4(0));
  EXPECT_EQ(also.error(), std::errc::invalid_argument);
  const Result<UnixListener> nowhere = co_await UnixListener::bind(path_endpoint(directory + "/no/such/folder"));
  EXPECT_EQ(nowhere.error(), std::errc::no_such_file_or_directory);
}
TEST_P(UnixTest, AFailureNamesThePath) {
  const TemporaryDirectory directory;
  run(connect_badly(directory.path()));
}

// --- The file of a socket (C-168) ------------------------------------------------------------------------------------

Task<void> listen_and_close(std::string path) {
  Result<UnixListener> listener = co_await UnixListener::bind(path_endpoint(path));
  EXPECT_TRUE(listener.has_value());
  EXPECT_TRUE(exists(path));
  if (!listener) co_return;
  UnixListener moved = std::move(*listener);
  EXPECT_TRUE(exists(path));
  moved.close();
  EXPECT_FALSE(exists(path));
  moved.close();
}
TEST_P(UnixTest, TheFileGoesWithTheListener) {
  const TemporaryDirectory directory;
  run(listen_and_close(directory.path("socket")));
}

Task<void> replace_stale(std::string path, bool permitted) {
  {
    Result<UnixListener> old = co_await UnixListener::bind(path_endpoint(path), {.remove_on_close = false});
    EXPECT_TRUE(old.has_value());
  }
  EXPECT_TRUE(exists(path));
  const Result<UnixListener> listener = co_await UnixListener::bind(path_endpoint(path), {.replace_stale = permitted});
  EXPECT_EQ(listener.has_value(), permitted);
  if (!listener) {
    EXPECT_EQ(listener.error(), std::errc::address_in_use);
  }
  const Result<UnixStream> client = co_await UnixStream::connect(path_endpoint(path));
  EXPECT_EQ(client.has_value(), permitted);
}
TEST_P(UnixTest, AStaleSocketMakesWayIfAllowed) {
  const TemporaryDirectory directory;
  run(replace_stale(directory.path("socket"), false));
  run(replace_stale(directory.path("other"), true));
}

Task<void> keep_the_living(std::string path) {
  Result<UnixListener> first = co_await UnixListener::bind(path_endpoint(path));
  EXPECT_TRUE(first.has_value());
  if (!first) co_return;
  const Result<UnixListener> second = co_await UnixListener::bind(path_endpoint(path));
  EXPECT_EQ(second.error(), std::errc::address_in_use);
  EXPECT_EQ(second.error().place(), path_endpoint(path).place());
  const Result<UnixStream> client = co_await UnixStream::connect(path_endpoint(path));
  EXPECT_TRUE(client.has_value());
}
TEST_P(UnixTest, ALivingSocketIsLeftAlone) {
  const TemporaryDirectory directory;
  run(keep_the_living(directory.path("socket")));
}

Task<void> bind_over(std::string path) {
  const Result<UnixListener> listener = co_await UnixListener::bind(path_endpoint(path));
  EXPECT_EQ(listener.error(), std::errc::address_in_use);
}
TEST_P(UnixTest, AFileThatIsNoSocketIsKept) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("file");
  std::FILE* const file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fputs("precious", file);
  std::fclose(file);
  run(bind_over(path));
  run(bind_over(directory.path()));
  const Result<FileStatus> status = file_status(path.c_str());
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->size, 8U);
}

// A second server has taken the path meanwhile: its file is not the first one's to remove.
Task<void> close_after_another(std::string path) {
  Result<UnixListener> first = co_await UnixListener::bind(path_endpoint(path));
  EXPECT_TRUE(first.has_value());
  EXPECT_EQ(::unlink(path.c_str()), 0);
  Result<UnixListener> second = co_await UnixListener::bind(path_endpoint(path));
  EXPECT_TRUE(second.has_value());
  if (!first || !second) co_return;
  first->close();
  EXPECT_TRUE(exists(path));
  const Result<UnixStream> client = co_await UnixStream::connect(path_endpoint(path));
  EXPECT_TRUE(client.has_value());
}
TEST_P(UnixTest, AnotherListenersFileIsNotRemoved) {
  const TemporaryDirectory directory;
  run(close_after_another(directory.path("socket")));
}

Task<void> refuse_when_full(std::string path) {
  Result<UnixListener> listener = co_await UnixListener::bind(path_endpoint(path), {.backlog = 0});
  EXPECT_TRUE(listener.has_value());
  std::vector<UnixStream> queued;
  for (int i = 0; i < 10; ++i) {
    Result<UnixStream> client = co_await UnixStream::connect(path_endpoint(path));
    if (!client) {
      EXPECT_EQ(client.error(), std::errc::connection_refused);
      // A listener whose queue is full lives.
      const Result<UnixListener> other = co_await UnixListener::bind(path_endpoint(path));
      EXPECT_EQ(other.error(), std::errc::address_in_use);
      co_return;
    }
    queued.push_back(std::move(*client));
  }
  ADD_FAILURE() << "a queue of length 0 took 10 connections";
}
TEST_P(UnixTest, AFullQueueRefusesAndIsNotStale) {
  const TemporaryDirectory directory;
  run(refuse_when_full(directory.path("socket")));
}

// --- Descriptors and credentials -------------------------------------------------------------------------------------

Task<void> pass_a_pipe() {
  auto [near, far] = unix_streams();
  Result<gyre::Pipe> pipe = gyre::Pipe::open();
  EXPECT_TRUE(pipe.has_value());
  if (!pipe) co_return;
  const std::array<NativeDescriptor, 2> passed{pipe->reader.native(), pipe->writer.native()};
  const Result<std::size_t> sent = co_await near.write_with(bytes_of("take these"), passed);
  EXPECT_TRUE(sent.has_value() && *sent == 10);
  std::string buffer(32, '.');
  std::array<UniqueFd, 4> taken;
  const Result<BytesAndDescriptors> received = co_await far.read_with(room_in(buffer), taken);
  EXPECT_TRUE(received.has_value());
  if (!received) co_return;
  EXPECT_EQ(buffer.substr(0, received->bytes), "take these");
  EXPECT_EQ(received->descriptors, 2U);
  EXPECT_FALSE(received->lost_some);
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
TEST_P(UnixTest, DescriptorsTravelWithBytes) { run(pass_a_pipe()); }

Task<void> pass_to_nobody() {
  auto [near, far] = unix_streams();
  const UniqueFd event = event_fd();
  const std::array<NativeDescriptor, 1> passed{event.get()};
  for (int round = 0; round < 3; ++round) {
    const Result<std::size_t> sent = co_await near.write_with(bytes_of("x"), passed);
    EXPECT_TRUE(sent.has_value());
  }
  const std::string plain = co_await read_text(far, 1);
  EXPECT_EQ(plain, "x");
  const Result<LentBytes> lent = co_await far.receive();
  EXPECT_TRUE(lent.has_value() && !lent->empty());
  // The third stays in the socket that is closed.
}
TEST_P(UnixTest, DescriptorsThatNobodyTakesAreClosed) {
  run(pass_too_many(unix_streams, 1, 0));
  run(pass_too_many(unix_streams, 3, 2));
  run(pass_too_many(unix_streams, passed_descriptors_max, passed_descriptors_max));
  run(pass_to_nobody());
}

Task<void> end_without_descriptors() {
  auto [near, far] = unix_streams();
  EXPECT_TRUE(near.shutdown().has_value());
  std::array<std::byte, 8> buffer;
  std::array<UniqueFd, 1> taken;
  const Result<BytesAndDescriptors> end = co_await far.read_with(buffer, taken);
  EXPECT_TRUE(end.has_value() && end->bytes == 0 && end->descriptors == 0 && !end->lost_some);
  const Result<void> closed = co_await far.close();
  EXPECT_TRUE(closed.has_value());
  const Result<BytesAndDescriptors> late = co_await far.read_with(buffer, taken);
  EXPECT_EQ(late.error(), Errc::closed);
  EXPECT_EQ(far.credentials().error(), Errc::closed);
}
TEST_P(UnixTest, ReadWithSeesTheEnd) { run(end_without_descriptors()); }

Task<void> know_the_peer() {
  auto [near, far] = unix_streams();
  const Result<PeerCredentials> peer = near.credentials();
  EXPECT_TRUE(peer.has_value());
  if (peer) {
    EXPECT_EQ(peer->process, ::getpid());
#if !defined(_WIN32)  // Windows does not number users.
    EXPECT_EQ(peer->user, ::geteuid());
    EXPECT_EQ(peer->group, ::getegid());
#endif
  }
  EXPECT_TRUE(far.is_open());
  co_return;
}
TEST_P(UnixTest, ThePeerIsKnown) { run(know_the_peer()); }

Task<void> abort_a_local_stream() {
  auto [near, far] = unix_streams();
  co_await write_text(near, "kept");
  near.abort();
  const std::string kept = co_await read_rest(far);
  EXPECT_EQ(kept, "kept");
  const Result<std::size_t> late = co_await far.write(bytes_of("x"));
  EXPECT_EQ(late.error(), std::errc::broken_pipe);
}
TEST_P(UnixTest, AbortClosesALocalStream) { run(abort_a_local_stream()); }

// --- Pipes (C-158) ---------------------------------------------------------------------------------------------------

gyre::Pipe open_streams() {
  Result<gyre::Pipe> pipe = gyre::Pipe::open();
  GYRE_CHECK(pipe.has_value());
  return std::move(*pipe);
}

Task<void> write_much(PipeWriter& writer, std::size_t size, std::size_t& written, std::optional<Result<void>>& told) {
  const std::string text = pattern(size);
  const Result<void> done = co_await writer.write_all(bytes_of(text), &written);
  told = done;
}
// More than a pipe holds; then the end, which is final.
Task<void> through_a_pipe() {
  gyre::Pipe pipe = open_streams();
  std::size_t written = 0;
  std::optional<Result<void>> told;
  TaskGroup group;
  group.spawn(write_much, pipe.writer, 300'000U, written, told);
  co_await settle();
  EXPECT_FALSE(told.has_value());
  const std::string text = co_await read_text(pipe.reader, 300'000);
  EXPECT_TRUE(text == pattern(300'000));
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined && told && *told);
  EXPECT_TRUE(pipe.writer.shutdown().has_value());
  EXPECT_EQ(pipe.writer.shutdown().error(), Errc::closed);
  const std::string rest = co_await read_rest(pipe.reader);
  EXPECT_EQ(rest, "");
}
TEST_P(UnixTest, APipeCarriesMoreThanItHoldsAndEnds) { run(through_a_pipe()); }

Task<void> lose_the_reader() {
  gyre::Pipe pipe = open_streams();
  std::size_t written = 0;
  std::optional<Result<void>> told;
  TaskGroup group(OnFailure::keep_going);
  group.spawn(write_much, pipe.writer, 300'000U, written, told);
  co_await settle();
  pipe.reader.abort();
  const Result<void> joined = co_await group.join();
  EXPECT_TRUE(joined.has_value());
  EXPECT_TRUE(told && !*told && told->error() == std::errc::broken_pipe);
  EXPECT_LT(written, 300'000U);
  const Result<std::size_t> again = co_await pipe.writer.write(bytes_of("x"));
  EXPECT_EQ(again.error(), std::errc::broken_pipe);
  for (int twice = 0; twice < 2; ++twice) {
    const Result<void> closed = co_await pipe.writer.close();
    EXPECT_TRUE(closed.has_value());
  }
}
TEST_P(UnixTest, AWriterLearnsThatTheReaderHasGone) { run(lose_the_reader()); }

Task<void> pieces_through_a_pipe() {
  gyre::Pipe pipe = open_streams();
  std::string one = "one", two = "two";
  std::array<IoSlice, 3> out{IoSlice{one.data(), 3}, IoSlice{}, IoSlice{two.data(), 3}};
  const Result<std::size_t> sent = co_await pipe.writer.write(std::span(out));
  EXPECT_TRUE(sent.has_value() && *sent == 6);
  std::string buffer(16, '.');
  std::array<IoSlice, 2> in{IoSlice{buffer.data(), 2}, IoSlice{buffer.data() + 2, 10}};
  const Result<std::size_t> received = co_await pipe.reader.read(std::span(in));
  EXPECT_TRUE(received.has_value() && *received == 6);
  EXPECT_EQ(buffer.substr(0, 6), "onetwo");
}
TEST_P(UnixTest, PiecesGoThroughAPipe) { run(pieces_through_a_pipe()); }

}  // namespace
}  // namespace gyre::test
