// What tests of Server share: handlers, clients, and a fixture whose clock stands still until a test moves it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/server.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task_group.h>

#include "net_task_fixture.h"
#include "net_tasks.h"
#include "task_fixture.h"

namespace gyre::test {

// None if it went well.
template <typename T>
Error error_of(const Result<T>& result) {
  return result ? Error() : result.error();
}

inline Task<void> echo(ServerConnection& connection) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await connection.read(buffer);
    if (!count || *count == 0) co_return;
    const Result<void> sent = co_await connection.write_all(std::span(buffer).first(*count));
    if (!sent) co_return;
  }
}

// What a test's server has said of failures.
struct Reports {
  std::vector<ConnectionFailure> all;
  static void note(void* owner, const ConnectionFailure& failure) noexcept {
    static_cast<Reports*>(owner)->all.push_back(failure);
  }
};

// Lets the others run until `done`; false if that does not come in time. (By the machine's clock: the system may be slower
// than we turn.)
template <typename Done>
Task<bool> until(Done done) {
  const Instant limit = steady_clock().now() + std::chrono::seconds(20);
  for (int turn = 0; turn < 100'000 || steady_clock().now() < limit; ++turn) {
    if (done()) co_return true;
    const Result<void> yielded = co_await yield();
    if (!yielded) co_return false;
  }
  co_return false;
}

inline Task<TcpStream> connect_to(Endpoint where) {
  Result<TcpStream> stream = co_await TcpStream::connect(where);
  EXPECT_TRUE(stream) << stream.error();
  if (!stream) co_return TcpStream();
  co_return std::move(*stream);
}

// One round trip. False if the connection does not serve it.
inline Task<bool> is_served(TcpStream& stream, std::string_view text) {
  const Result<void> sent = co_await stream.write_all(bytes_of(text));
  if (!sent) co_return false;
  std::string back(text.size(), ' ');
  const Result<void> received =
      co_await stream.read_exactly(std::as_writable_bytes(std::span(back)));
  co_return received&& back == text;
}

// What the end of a connection looks like from outside: its error, or none at a proper end.
inline Task<Error> end_of(TcpStream& stream) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> count = co_await stream.read(buffer);
    if (!count) co_return count.error();
    if (*count == 0) co_return Error();
  }
}

// Where time matters the clock is the test's own: it stands still until a test moves it, so that nothing waits.
class ServerTest : public NetTaskFixture {
 protected:
  void use_manual_clock(const PollerOptions& poller = {}) {
    ReactorOptions options;
    options.poller = poller;
    options.clock = &clock_;
    options.poller.clock = &clock_;
    options.scheduler.slow_step = Duration::zero();  // a step that moves the clock looks slow
    reopen(std::move(options));
  }

  // The fixture's limit, by a clock that a test moves.
  static constexpr Duration far = std::chrono::hours(1000);

  gyre::testing::ManualClock clock_;
  Reports reports_;
};

inline Task<Endpoint> listen_somewhere(Server& server) {
  const Result<Endpoint> bound = co_await server.listen(Endpoint::loopback_v4(0));
  EXPECT_TRUE(bound) << bound.error();
  co_return bound.value_or(Endpoint());
}

// A server whose run() is a task of its own, beside that of the test, which is its client.
//
//   RunningServer server(options);
//   const Endpoint where = co_await server.begin(echo);
//   ...
//   co_await server.end();
class RunningServer : public Server {
 public:
  explicit RunningServer(const ServerOptions& options = {}) : Server(options) {}

  // Listens somewhere, says where, and runs.
  template <typename Handler, typename... Arguments>
  Task<Endpoint> begin(Handler handler, Arguments... arguments) {
    const Endpoint where = co_await listen_somewhere(*this);
    run_beside(std::move(handler), std::move(arguments)...);
    co_return where;
  }
  // Runs on what it listens to already.
  template <typename Handler, typename... Arguments>
  void run_beside(Handler handler, Arguments... arguments) {
    running_ = group_.spawn(run(std::move(handler), std::move(arguments)...));
  }
  JoinHandle<Result<void>>& running() noexcept { return running_; }

  // After stop().
  Task<void> join() { static_cast<void>(co_await group_.join()); }
  // Ends what is left, by force.
  Task<void> end() {
    abort();
    co_await join();
  }

 private:
  TaskGroup group_{OnFailure::keep_going};
  JoinHandle<Result<void>> running_;
};

}  // namespace gyre::test
