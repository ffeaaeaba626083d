// Several reactors: Runtime, run_on(), SharedChannel, and calls that can be taken back (C-018 to C-022).
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <semaphore>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/tcp_listener.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/fault_plan.h>
#include <gyre/platform/socket.h>
#include <gyre/reactor/post_handle.h>
#include <gyre/reactor/run_on.h>
#include <gyre/reactor/runtime.h>
#include <gyre/reactor/shared_channel.h>
#include <gyre/task/event.h>
#include <gyre/task/timeout.h>

namespace gyre {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Runtime> make_runtime(unsigned reactors) {
  Result<std::unique_ptr<Runtime>> made = Runtime::create({.reactors = reactors});
  EXPECT_TRUE(made);
  return made ? std::move(*made) : nullptr;
}

const void* this_thread_key() { return &detail::thread_state; }

// --- Runtime --------------------------------------------------------------------------------------------------------

struct NotedThreads {
  const void* keys[3] = {};
  std::counting_semaphore<> noted{0};
};

// Stays on its thread until it is cancelled: where one has ended, the next may get its memory.
Task<Result<void>> note_thread(unsigned index, NotedThreads* threads) {
  threads->keys[index] = this_thread_key();
  threads->noted.release();
  Event never_set;
  co_return co_await never_set.wait();
}

TEST(RuntimeTest, RunsEachReactorOnAThreadOfItsOwn) {
  NotedThreads threads;
  auto runtime = make_runtime(3);
  ASSERT_TRUE(runtime->start(note_thread, &threads));
  for (int i = 0; i < 3; ++i) threads.noted.acquire();
  runtime->stop();
  EXPECT_TRUE(runtime->join());
  EXPECT_EQ(std::set<const void*>(std::begin(threads.keys), std::end(threads.keys)).size(), 3U);
  EXPECT_EQ(runtime->stats().size(), 3U);
  EXPECT_GT(runtime->stats()[2].turns, 0U);
}

Task<Result<void>> until_cancelled(unsigned, std::counting_semaphore<>* ready) {
  Event never_set;
  ready->release();
  co_return co_await never_set.wait();
}

TEST(RuntimeTest, StopEndsEveryReactorsTask) {
  std::counting_semaphore<> ready{0};
  auto runtime = make_runtime(3);
  ASSERT_TRUE(runtime->start(until_cancelled, &ready));
  for (int i = 0; i < 3; ++i) ready.acquire();
  for (const ReactorStats& stats : runtime->stats()) EXPECT_GT(stats.turns, 0U);
  runtime->stop();
  runtime->stop();
  EXPECT_TRUE(runtime->join());
}

TEST(RuntimeTest, StopAtAnyMomentEndsAll) {
  for (int i = 0; i < 30; ++i) {
    std::counting_semaphore<> ready{0};
    auto runtime = make_runtime(2);
    ASSERT_TRUE(runtime->start(until_cancelled, &ready));
    for (int k = 0; k < i % 3; ++k) ready.acquire();
    runtime->stop();
    EXPECT_TRUE(runtime->join());
  }
}

TEST(RuntimeTest, MayBeDroppedUnstarted) { EXPECT_EQ(make_runtime(2)->size(), 2U); }

TEST(RuntimeTest, WithoutAThreadForEachItStartsNothing) {
  if (!fault_injection) GTEST_SKIP() << "this build injects no failures";
  std::counting_semaphore<> ready{0};
  auto runtime = make_runtime(2);
  sys::FaultPlan plan;
  plan.add(sys::FaultRule{.number = sys::number_start_thread, .first = 2, .fault = {sys::Fault::Kind::fail, EAGAIN}});
  const sys::FaultScope scope(plan);
  const Result<void> started = runtime->start(until_cancelled, &ready);
  EXPECT_EQ(started.error(), std::errc::resource_unavailable_try_again);
  ASSERT_EQ(runtime->stats().size(), 2U);
  EXPECT_GT(runtime->stats()[0].turns, 0U);
  EXPECT_EQ(runtime->stats()[1].turns, 0U);
}

Task<Result<void>> fail_on_one(unsigned index, std::counting_semaphore<>* ready) {
  if (index == 1) co_return Error::system(ENOSPC);
  co_return co_await until_cancelled(index, ready);
}

TEST(RuntimeTest, AFailureStopsTheOthersAndIsReported) {
  std::counting_semaphore<> ready{0};
  auto runtime = make_runtime(3);
  ASSERT_TRUE(runtime->start(fail_on_one, &ready));
  const Result<void> ended = runtime->join();
  EXPECT_EQ(ended.error(), std::errc::no_space_on_device);
}

// A listener each on one port.
struct Listeners {
  explicit Listeners(unsigned count) : bound(count) {}
  SharedChannel<Endpoint> endpoint{4};
  std::counting_semaphore<> bound;
  std::atomic<int> accepted{0};
  std::atomic<int> listening{0};
};

Task<Result<void>> listen_at(Endpoint where, Listeners* all, unsigned others) {
  Result<TcpListener> listener = co_await TcpListener::bind(where, {.reuse_port = true});
  if (!listener) co_return listener.error();
  const Result<Endpoint> bound = listener->local_endpoint();
  if (!bound) co_return bound.error();
  for (unsigned i = 0; i < others; ++i) {
    const Result<void> told = co_await all->endpoint.send(*bound);
    if (!told) co_return told;
  }
  ++all->listening;
  for (;;) {
    Result<TcpStream> peer = co_await listener->accept();
    if (!peer) co_return peer.error();
    ++all->accepted;
  }
}
Task<Result<void>> listen_together(unsigned index, Listeners* all, unsigned count) {
  if (index == 0) co_return co_await listen_at(Endpoint::loopback_v4(0), all, count);
  Result<Endpoint> where = co_await all->endpoint.receive();
  if (!where) co_return where.error();
  co_return co_await listen_at(*where, all, 0);
}
Task<Result<void>> connect_to(Endpoint where) {
  Result<TcpStream> stream = co_await TcpStream::connect(where);
  if (!stream) co_return stream.error();
  co_return Result<void>{};
}
Task<Result<Endpoint>> receive_endpoint(Listeners* all) { co_return co_await all->endpoint.receive(); }

bool listeners_can_share_a_port() {
  const Result<UniqueFd> socket = open_socket(AddressFamily::ipv4, SocketType::stream);
  return socket && set_option(socket->get(), SocketOption::reuse_port, 1);
}

TEST(RuntimeTest, EachReactorHasAListenerOfOnePort) {
  if (!listeners_can_share_a_port()) GTEST_SKIP() << "this system gives a port to one listener (no SO_REUSEPORT)";
  Listeners all(2);
  auto runtime = make_runtime(2);
  ASSERT_TRUE(runtime->start(listen_together, &all, 2U));
  Result<std::unique_ptr<Reactor>> client = Reactor::create();
  ASSERT_TRUE(client);
  const Result<Endpoint> where = (*client)->run_until(with_timeout(10s, receive_endpoint(&all)));
  ASSERT_TRUE(where);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE((*client)->run_until(with_timeout(10s, connect_to(*where))));
  }
  while (all.accepted.load() < 20 || all.listening.load() < 2) std::this_thread::yield();
  runtime->stop();
  EXPECT_TRUE(runtime->join());
}

// --- run_on ---------------------------------------------------------------------------------------------------------

class TwoReactorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime = make_runtime(1);
    ASSERT_TRUE(runtime->start(until_cancelled, &ready));
    ready.acquire();
    there = runtime->remote(0);
    Result<std::unique_ptr<Reactor>> made = Reactor::create();
    ASSERT_TRUE(made);
    home = std::move(*made);
  }
  void stop_there() {
    runtime->stop();
    EXPECT_TRUE(runtime->join());
  }

  std::counting_semaphore<> ready{0};
  std::unique_ptr<Runtime> runtime;
  RemoteReactor there;
  std::unique_ptr<Reactor> home;
};

Task<std::unique_ptr<std::string>> greet(std::unique_ptr<std::string> name, const void** thread) {
  *thread = this_thread_key();
  co_return std::make_unique<std::string>("hello " + *name);
}

TEST_F(TwoReactorsTest, ATaskOfAnotherReactorIsAwaited) {
  const void* thread = nullptr;
  const Result<std::unique_ptr<std::string>> text =
      home->run_until(run_on(there, greet, std::make_unique<std::string>("you"), &thread));
  ASSERT_TRUE(text);
  EXPECT_EQ(**text, "hello you");
  EXPECT_NE(thread, nullptr);
  EXPECT_NE(thread, this_thread_key());
}

Task<int> throwing() {
  throw std::runtime_error("over there");
  co_return 0;
}
Task<Result<int>> failing() { co_return Error::system(EPIPE); }

TEST_F(TwoReactorsTest, ItsExceptionAndErrorComeBack) {
  EXPECT_THROW((void)home->run_until(run_on(there, throwing)), std::runtime_error);
  const Result<int> failed = home->run_until(run_on(there, failing));
  EXPECT_EQ(failed.error(), std::errc::broken_pipe);
}

Task<Result<int>> wait_there(std::binary_semaphore* begun) {
  Event never_set;
  begun->release();
  const Result<void> waited = co_await never_set.wait();
  if (!waited && waited.error().is_cancelled()) co_return 17;
  co_return 0;
}
Task<void> call_there(RemoteReactor where, std::binary_semaphore* begun, Result<int>& into) {
  into = co_await run_on(where, wait_there, begun);
}

TEST_F(TwoReactorsTest, ACancelTravelsAndTheTasksAnswerComesBack) {
  std::binary_semaphore begun{0};
  Result<int> result = Errc::broken;
  auto task = home->detach(call_there, there, &begun, std::ref(result));
  home->run_once(Instant());
  begun.acquire();
  task.cancel();
  while (!task.is_finished()) home->run_once(Instant());
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 17);
}

// The cancel and the beginning cross.
TEST_F(TwoReactorsTest, ACancelAtAnyMomentEndsTheCall) {
  for (int i = 0; i < 200; ++i) {
    std::binary_semaphore begun{0};
    Result<int> result = Errc::broken;
    auto task = home->detach(call_there, there, &begun, std::ref(result));
    home->run_once(Instant());
    if (i % 4 == 0) begun.acquire();
    task.cancel();
    while (!task.is_finished()) home->run_once(Instant());
    EXPECT_TRUE(result ? *result == 17 : result.error().is_cancelled());
  }
}

TEST_F(TwoReactorsTest, AReactorThatHasEndedRefuses) {
  stop_there();
  std::binary_semaphore begun{0};
  Result<int> result = Errc::broken;
  auto task = home->detach(call_there, there, &begun, std::ref(result));
  while (!task.is_finished()) home->run_once(Instant());
  EXPECT_EQ(result.error(), Errc::stopped);
}

TEST_F(TwoReactorsTest, AReactorThatStopsMeanwhileCancelsTheTask) {
  std::binary_semaphore begun{0};
  Result<int> result = Errc::broken;
  auto task = home->detach(call_there, there, &begun, std::ref(result));
  home->run_once(Instant());
  begun.acquire();
  stop_there();
  while (!task.is_finished()) home->run_once(Instant());
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 17);
}

// --- SharedChannel --------------------------------------------------------------------------------------------------

Task<Result<void>> send_all(unsigned index, SharedChannel<int>* channel, int count) {
  for (int i = 0; i < count; ++i) {
    const Result<void> sent = co_await channel->send(static_cast<int>(index) * count + i);
    if (!sent) co_return sent;
  }
  co_return Result<void>{};
}
Task<std::vector<int>> receive_all(SharedChannel<int>* channel) {
  std::vector<int> items;
  for (;;) {
    const Result<int> item = co_await channel->receive();
    if (!item) break;
    items.push_back(*item);
  }
  co_return items;
}

TEST(SharedChannelTest, EachItemArrivesOnceAndThoseOfOneSenderInOrder) {
  constexpr int count = 2'000;
  SharedChannel<int> channel(8);
  auto runtime = make_runtime(2);
  ASSERT_TRUE(runtime->start(send_all, &channel, count));
  std::thread closer([&] {
    EXPECT_TRUE(runtime->join());
    channel.close();
  });
  Result<std::unique_ptr<Reactor>> home = Reactor::create();
  ASSERT_TRUE(home);
  const Result<std::vector<int>> items = (*home)->run_until(receive_all(&channel));
  closer.join();
  ASSERT_TRUE(items);
  ASSERT_EQ(items->size(), 2U * count);
  int next[2] = {0, 0};
  for (const int item : *items) EXPECT_EQ(item % count, next[item / count]++);
}

Task<void> receive_into(SharedChannel<int>* channel, Result<int>& into) { into = co_await channel->receive(); }
Task<void> send_into(SharedChannel<int>* channel, int item, Result<void>& into) {
  into = co_await channel->send(item);
}

class SharedChannelEndsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Reactor>> made = Reactor::create();
    ASSERT_TRUE(made);
    home = std::move(*made);
  }
  std::unique_ptr<Reactor> home;
  SharedChannel<int> channel{1};
};

TEST_F(SharedChannelEndsTest, AReceiverThatWasHandedAnItemBeforeItsCancelHasIt) {
  Result<int> item = Errc::broken;
  auto task = home->detach(receive_into, &channel, std::ref(item));
  home->run_once(Instant());
  int given = 5;
  EXPECT_TRUE(channel.try_send(given));
  task.cancel();
  while (!task.is_finished()) home->run_once(Instant());
  ASSERT_TRUE(item);
  EXPECT_EQ(*item, 5);
}

TEST_F(SharedChannelEndsTest, ACancelledReceiverTakesNothing) {
  Result<int> item = Errc::broken;
  auto task = home->detach(receive_into, &channel, std::ref(item));
  home->run_once(Instant());
  task.cancel();
  while (!task.is_finished()) home->run_once(Instant());
  EXPECT_EQ(item.error(), std::errc::operation_canceled);
  int given = 5;
  EXPECT_TRUE(channel.try_send(given));
  EXPECT_EQ(*channel.try_receive(), 5);
}

TEST_F(SharedChannelEndsTest, CloseEndsSendersAndLeavesWhatWasSent) {
  int first = 1;
  EXPECT_TRUE(channel.try_send(first));
  int refused = 2;
  EXPECT_EQ(channel.try_send(refused).error(), Errc::would_block);
  Result<void> sent;
  auto task = home->detach(send_into, &channel, 3, std::ref(sent));
  home->run_once(Instant());
  channel.close();
  while (!task.is_finished()) home->run_once(Instant());
  EXPECT_EQ(sent.error(), Errc::closed);
  EXPECT_EQ(*channel.try_receive(), 1);
  EXPECT_EQ(channel.try_receive().error(), Errc::closed);
}

// --- Conformance: calls from other threads --------------------------------------------------------------------------

TEST_F(TwoReactorsTest, C018_APostFromAnotherThreadWakesABlockedPoll) {
  std::binary_semaphore ran{0};
  // The first finds the reactor asleep, or about to be; the others, too, once each has run.
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(there.post([&ran] { ran.release(); }));
    ran.acquire();
  }
}

TEST_F(TwoReactorsTest, C019_ACallCancelledFromAnotherThreadBeforeItsStartDoesNotRun) {
  std::binary_semaphore busy{0};
  std::binary_semaphore go{0};
  std::atomic<bool> ran{false};
  ASSERT_TRUE(there.post([&] {
    busy.release();
    go.acquire();
  }));
  busy.acquire();
  PostHandle handle = post_cancellable(there, [&ran] { ran = true; });
  ASSERT_TRUE(handle);
  EXPECT_TRUE(handle.cancel());
  EXPECT_TRUE(handle.cancel());
  go.release();
  stop_there();
  EXPECT_FALSE(ran.load());
}

TEST_F(TwoReactorsTest, C020_ACancelDuringTheRunWaitsForItsEnd) {
  std::binary_semaphore begun{0};
  std::binary_semaphore go{0};
  std::atomic<bool> ended{false};
  PostHandle handle = post_cancellable(there, [&] {
    begun.release();
    go.acquire();
    ended = true;
  });
  begun.acquire();
  std::thread releaser([&go] { go.release(); });
  EXPECT_FALSE(handle.cancel());
  EXPECT_TRUE(ended.load());
  releaser.join();
}

TEST_F(TwoReactorsTest, C021_ACallThatCancelsItselfRunsOn) {
  PostHandle handle;
  std::binary_semaphore is_set{0};
  std::binary_semaphore done{0};
  bool answer = true;
  handle = post_cancellable(there, [&] {
    is_set.acquire();
    answer = handle.cancel();
    done.release();
  });
  is_set.release();
  done.acquire();
  EXPECT_FALSE(answer);
}

TEST_F(TwoReactorsTest, C022_APostToAReactorThatHasEndedFails) {
  stop_there();
  EXPECT_FALSE(there.post([] {}));
  EXPECT_FALSE(post_cancellable(there, [] {}));
}

}  // namespace
}  // namespace gyre
