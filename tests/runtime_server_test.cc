// A server on each reactor of a Runtime, all on one port: they share the connections, and they drain together.
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <semaphore>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/net/server.h>
#include <gyre/net/tcp_stream.h>
#include <gyre/platform/socket.h>
#include <gyre/reactor/runtime.h>
#include <gyre/reactor/shared_channel.h>
#include <gyre/task/timeout.h>

#include "support/server_fixture.h"

namespace gyre::test {

constexpr unsigned reactors = 2;

// Not in the unnamed namespace: g++ would warn of the frames that Server makes in its header.
struct Service {
  SharedChannel<Endpoint> endpoint{4};
  std::counting_semaphore<> listening{0};
  std::array<std::atomic<int>, reactors> begun{};
  std::atomic<int> ended{0};
};

namespace {

using namespace std::chrono_literals;

Task<void> session(ServerConnection& connection, Service* service, unsigned index) {
  ++service->begun[index];
  co_await echo(connection);
  ++service->ended;
}

// The first takes a port, and tells the others and the client.
Task<Result<void>> serve(unsigned index, Service* service) {
  ServerOptions options;
  options.listen.reuse_port = true;
  options.drain = 1h;
  Server server(options);
  Endpoint where = Endpoint::loopback_v4(0);
  if (index != 0) {
    const Result<Endpoint> told = co_await service->endpoint.receive();
    if (!told) co_return told.error();
    where = *told;
  }
  const Result<Endpoint> bound = co_await server.listen(where);
  if (!bound) co_return bound.error();
  for (unsigned i = 0; index == 0 && i < reactors; ++i) {
    const Result<void> told = co_await service->endpoint.send(*bound);
    if (!told) co_return told;
  }
  service->listening.release();
  co_return co_await server.run(session, service, index);
}

Task<Result<Endpoint>> where_it_listens(Service* service) { co_return co_await service->endpoint.receive(); }

// Connections until each reactor has some; which one gets a connection is the system's choice.
Task<Result<void>> connect_to_all(Endpoint where, Service* service, std::vector<TcpStream>* streams) {
  constexpr std::size_t connections_max = 400;
  while (streams->size() < connections_max) {
    if (service->begun[0] > 0 && service->begun[1] > 0) co_return Result<void>{};
    TcpStream stream = co_await connect_to(where);
    const bool served = co_await is_served(stream, "hello");
    EXPECT_TRUE(served);
    streams->push_back(std::move(stream));
  }
  co_return Errc::broken;
}

Task<Result<void>> until_refused(Endpoint where) {
  for (;;) {  // bound: the caller's
    const Result<TcpStream> stream = co_await TcpStream::connect(where);
    if (!stream && stream.error() == std::errc::connection_refused) co_return Result<void>{};
    if (!stream && (stream.error().is_cancelled() || stream.error().is_timed_out())) co_return stream.error();
  }
}

Task<Result<void>> are_still_served(std::vector<TcpStream>* streams) {
  for (TcpStream& stream : *streams) {
    const bool served = co_await is_served(stream, "in its grace");
    EXPECT_TRUE(served);
  }
  co_return Result<void>{};
}

bool listeners_can_share_a_port() {
  const Result<UniqueFd> socket = open_socket(AddressFamily::ipv4, SocketType::stream);
  return socket && set_option(socket->get(), SocketOption::reuse_port, 1);
}

TEST(RuntimeServerTest, ServersShareAPortAndStopLetsTheirConnectionsFinish) {
  if (!listeners_can_share_a_port()) GTEST_SKIP() << "this system gives a port to one listener (no SO_REUSEPORT)";
  Service service;
  Result<std::unique_ptr<Runtime>> runtime = Runtime::create({.reactors = reactors});
  ASSERT_TRUE(runtime);
  ASSERT_TRUE((*runtime)->start(serve, &service));
  Result<std::unique_ptr<Reactor>> client = Reactor::create();
  ASSERT_TRUE(client);
  const Result<Endpoint> where = (*client)->run_until(with_timeout(10s, where_it_listens(&service)));
  ASSERT_TRUE(where);
  for (unsigned i = 0; i < reactors; ++i) service.listening.acquire();

  std::vector<TcpStream> streams;
  const Result<void> connected = (*client)->run_until(with_timeout(10s, connect_to_all(*where, &service, &streams)));
  ASSERT_TRUE(connected) << connected.error();
  (*runtime)->stop();
  const Result<void> refused = (*client)->run_until(with_timeout(10s, until_refused(*where)));
  EXPECT_TRUE(refused) << refused.error();
  const Result<void> served = (*client)->run_until(with_timeout(10s, are_still_served(&streams)));
  EXPECT_TRUE(served) << served.error();
  streams.clear();
  const Result<void> ended = (*runtime)->join();
  EXPECT_TRUE(ended) << ended.error();
  EXPECT_EQ(service.ended.load(), service.begun[0] + service.begun[1]);
}

}  // namespace
}  // namespace gyre::test
