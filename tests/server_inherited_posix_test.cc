// Server on every backend, on sockets that a service manager has left (LISTEN_FDS).
#include <gyre/net/server.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/inherited_descriptors.h>

#include "support/server_fixture.h"

namespace gyre::test {
namespace {

using namespace std::chrono_literals;

GYRE_INSTANTIATE_FOR_EVERY_POLLER(ServerTest);

Task<void> listens_inherited() {
  // Two sockets in a row, as a service manager would leave them.
  constexpr int first = 900;
  const Bound one = tcp_listener();
  const Bound two = unix_listener();
  EXPECT_EQ(::dup2(raw(one.fd), first), first);
  EXPECT_EQ(::dup2(raw(two.fd), first + 1), first + 1);
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  Result<std::vector<UniqueFd>> taken = take_inherited_descriptors(first);
  EXPECT_TRUE(taken);
  if (!taken) co_return;
  EXPECT_EQ(taken->size(), 2U);
  EXPECT_EQ(::getenv("LISTEN_FDS"), nullptr);
  RunningServer server;
  for (UniqueFd& socket : *taken) {
    EXPECT_TRUE(is_close_on_exec(raw(socket)));
    const Result<Endpoint> bound = server.listen(std::move(socket));
    EXPECT_TRUE(bound);
  }
  EXPECT_FALSE(is_open(first));
  server.run_beside(echo);
  for (const SocketAddress& address : {one.address, two.address}) {
    Result<TcpStream> stream = TcpStream::adopt(test::connect_to(address));
    EXPECT_TRUE(stream);
    const bool served = co_await is_served(*stream, "inherited");
    EXPECT_TRUE(served);
  }
  co_await server.end();
}

TEST_P(ServerTest, ListensOnInheritedSocketsOfAnyFamily) { EXPECT_TRUE(run(listens_inherited())); }

TEST(InheritedDescriptorsTest, AreNoneWhenTheyAreAnotherProcesss) {
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", "1", 1);
  const Result<std::vector<UniqueFd>> taken = take_inherited_descriptors(900);
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->empty());
  ::setenv("LISTEN_FDS", "three", 1);
  const Result<std::vector<UniqueFd>> malformed = take_inherited_descriptors(900);
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_PID");
  ASSERT_FALSE(malformed);
  EXPECT_EQ(malformed.error(), std::errc::invalid_argument);
}

TEST(InheritedDescriptorsTest, FewerThanPromisedIsAnErrorAndTakesNone) {
  constexpr int first = 900;
  const Bound one = tcp_listener();
  ASSERT_EQ(::dup2(raw(one.fd), first), first);
  const UniqueFd left{NativeDescriptor{first}};
  ::setenv("LISTEN_FDS", "2", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  const Result<std::vector<UniqueFd>> taken = take_inherited_descriptors(first);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().to_string(), "listen LISTEN_FDS: bad file descriptor");
  EXPECT_TRUE(is_open(first));
}

TEST(InheritedDescriptorsTest, WhatIsNoSocketIsAnErrorAndStaysOpen) {
  constexpr int first = 900;
  const test::Pipe pipe = pipe_pair();
  ASSERT_EQ(::dup2(raw(pipe.read_end), first), first);
  const UniqueFd left{NativeDescriptor{first}};
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  const Result<std::vector<UniqueFd>> taken = take_inherited_descriptors(first);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error(), std::errc::not_a_socket);
  EXPECT_EQ(taken.error().place(), Place::text("LISTEN_FDS"));
  EXPECT_TRUE(is_open(first));
}

// As a service manager starts it: in a process of its own, with the sockets at number 3 and above.
Task<bool> serve_inherited_once() {
  RunningServer server;
  const Result<std::size_t> count = server.listen_inherited();
  if (!count || *count != 1) co_return false;
  server.run_beside(echo);
  const auto served = [&] { return server.stats().accepted == 1 && server.stats().connections == 0; };
  while (!served()) static_cast<void>(co_await sleep(1ms));
  server.stop();
  const Result<void> ended = co_await server.running();
  co_await server.join();
  co_return ended.has_value();
}
TEST_P(ServerTest, TakesTheSocketsThatAServiceManagerHasLeft) {
  const Bound bound = tcp_listener();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(20);
    if (::dup2(raw(bound.fd), 3) != 3) ::_exit(1);
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    const std::unique_ptr<Reactor> fresh = open();
    const Result<bool> served = fresh->run_until(serve_inherited_once());
    ::_exit(served && *served ? 0 : 2);
  }
  {
    const UniqueFd client = test::connect_to(bound.address);
    write_all(client, "inherited");
    EXPECT_EQ(read_exactly(client, 9), "inherited");
  }
  int status = -1;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace gyre::test
