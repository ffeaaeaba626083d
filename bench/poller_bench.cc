// What the Poller costs over a loop written by hand: an empty turn, an operation that does nothing, a wake-up, and an
// echo. Each BM_Poller_x stands beside its floors BM_RawEpoll_x and BM_RawRing_x, the same work with bare system calls and
// with a bare ring. The label is the backend's name.
#include <benchmark/benchmark.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gyre/platform/poller.h>
#include <gyre/platform/socket.h>

#include "raw_ring.h"

namespace gyre {
namespace {

// A benchmark that cannot set itself up has nothing to say.
void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "poller_bench: %s failed\n", what);
  std::abort();
}

// Pollers by number, so that they can be arguments.
std::unique_ptr<Poller> open_numbered(benchmark::State& state, std::int64_t number) {
  const std::string_view name = poller_names()[number];
  Result<std::unique_ptr<Poller>> poller = open_poller(name);
  if (!poller) {
    state.SkipWithError("the system has no such poller");
    return nullptr;
  }
  state.SetLabel(std::string(name));
  return std::move(*poller);
}

void each_backend(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("backend");
  for (std::int64_t i = 0; !poller_names()[i].empty(); ++i) benchmark->Arg(i);
}

void each_backend_and_load(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"backend", "connections"});
  for (std::int64_t i = 0; !poller_names()[i].empty(); ++i) {
    for (const std::int64_t connections : {1, 64}) benchmark->Args({i, connections});
  }
}

bool has_io_uring() { return open_poller("io_uring").has_value(); }

struct TcpPair {
  int client;
  int server;
};

TcpPair open_pair() {
  Result<DescriptorPair> pair = open_tcp_pair();
  require(pair.has_value(), "a TCP connection");
  for (const UniqueFd* fd : {&pair->first, &pair->second}) {
    require(set_option(fd->get(), SocketOption::no_delay, 1).has_value(), "TCP_NODELAY");
  }
  return {static_cast<int>(pair->first.release()), static_cast<int>(pair->second.release())};
}

// --- An empty turn ---------------------------------------------------------------------------------------------------

void BM_RawEpoll_EmptyTurn(benchmark::State& state) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  std::array<epoll_event, 256> events;
  for (auto _ : state) {
    benchmark::DoNotOptimize(::epoll_wait(static_cast<int>(epoll.get()), events.data(), 256, 0));
  }
}
BENCHMARK(BM_RawEpoll_EmptyTurn);

void BM_Poller_EmptyTurn(benchmark::State& state) {
  const std::unique_ptr<Poller> poller = open_numbered(state, state.range(0));
  if (poller == nullptr) return;
  for (auto _ : state) benchmark::DoNotOptimize(poller->wait(Instant()));
  poller->shutdown();
}
BENCHMARK(BM_Poller_EmptyTurn)->Apply(each_backend);

// --- An operation that does nothing ----------------------------------------------------------------------------------

void count_completion(Operation& operation) noexcept {
  ++*static_cast<std::uint64_t*>(operation.owner);
}

// /dev/null can always be written, so the system need not be asked: start() answers.
void BM_Poller_NoOperation(benchmark::State& state) {
  const std::unique_ptr<Poller> poller = open_numbered(state, state.range(0));
  if (poller == nullptr) return;
  Result<Descriptor*> null =
      poller->attach(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)), DescriptorKind::stream);
  require(null.has_value(), "/dev/null");
  std::uint64_t completions = 0;
  Operation& operation = (*null)->output;
  operation.complete = count_completion;
  operation.owner = &completions;
  operation.kind = OperationKind::writable;
  for (auto _ : state) {
    if (poller->start(operation)) continue;
    while (!operation.is_idle()) poller->wait(never);
  }
  poller->close(**null);
  poller->shutdown();
}
BENCHMARK(BM_Poller_NoOperation)->Apply(each_backend);

// The same through the queue: started, delivered by wait(). Its floor is the empty turn.
void BM_Poller_NoOperationQueued(benchmark::State& state) {
  const std::unique_ptr<Poller> poller = open_numbered(state, state.range(0));
  if (poller == nullptr) return;
  Result<Descriptor*> null =
      poller->attach(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)), DescriptorKind::stream);
  require(null.has_value(), "/dev/null");
  std::uint64_t completions = 0;
  Operation& operation = (*null)->output;
  operation.complete = count_completion;
  operation.owner = &completions;
  operation.kind = OperationKind::writable;
  operation.flags = operation_no_inline;
  for (auto _ : state) {
    benchmark::DoNotOptimize(poller->start(operation));
    while (!operation.is_idle()) poller->wait(never);
  }
  require(completions == static_cast<std::uint64_t>(state.iterations()), "one completion each");
  poller->close(**null);
  poller->shutdown();
}
BENCHMARK(BM_Poller_NoOperationQueued)->Apply(each_backend);

// Its floor on a ring: one entry, one enter, one completion.
void BM_RawRing_NoOperationQueued(benchmark::State& state) {
  if (!has_io_uring()) return state.SkipWithError("io_uring is denied");
  RawRing ring;
  const UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  std::uint64_t completions = 0;
  for (auto _ : state) {
    ring.entry(uring::op_poll_add, static_cast<int>(null.get()), nullptr, 0, 1).op_flags = POLLOUT;
    ring.enter(1);
    ring.reap([&](const uring::Cqe&) { ++completions; });
  }
  require(completions == static_cast<std::uint64_t>(state.iterations()), "one completion each");
}
BENCHMARK(BM_RawRing_NoOperationQueued);

// --- A wake-up -------------------------------------------------------------------------------------------------------

// A turn that was asked for while the loop was awake: the hand-written loop pays for the eventfd.
void BM_RawEpoll_WakeWhileAwake(benchmark::State& state) {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event interest{};
  interest.events = EPOLLIN | EPOLLET;
  require(::epoll_ctl(static_cast<int>(epoll.get()), EPOLL_CTL_ADD, static_cast<int>(event.get()), &interest) == 0,
          "epoll_ctl");
  std::array<epoll_event, 256> events;
  const std::uint64_t one = 1;
  for (auto _ : state) {
    benchmark::DoNotOptimize(::write(static_cast<int>(event.get()), &one, sizeof(one)));
    benchmark::DoNotOptimize(::epoll_wait(static_cast<int>(epoll.get()), events.data(), 256, -1));
  }
}
BENCHMARK(BM_RawEpoll_WakeWhileAwake);

void BM_Poller_WakeWhileAwake(benchmark::State& state) {
  const std::unique_ptr<Poller> poller = open_numbered(state, state.range(0));
  if (poller == nullptr) return;
  for (auto _ : state) {
    poller->wake();
    benchmark::DoNotOptimize(poller->wait(never));
  }
  state.counters["wakes"] = static_cast<double>(poller->stats().wakes);
  poller->shutdown();
}
BENCHMARK(BM_Poller_WakeWhileAwake)->Apply(each_backend);

// Two threads wake each other in turn: there and back. Each sleeps meanwhile.
void BM_RawEpoll_WakePingPong(benchmark::State& state) {
  struct Loop {
    UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
    UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    Loop() {
      epoll_event interest{};
      interest.events = EPOLLIN | EPOLLET;
      require(::epoll_ctl(static_cast<int>(epoll.get()), EPOLL_CTL_ADD, static_cast<int>(event.get()), &interest) == 0,
              "epoll_ctl");
    }
    void wake() {
      const std::uint64_t one = 1;
      benchmark::DoNotOptimize(::write(static_cast<int>(event.get()), &one, sizeof(one)));
    }
    void wait() {
      std::array<epoll_event, 16> events;
      while (::epoll_wait(static_cast<int>(epoll.get()), events.data(), 16, -1) <= 0) {
      }
    }
  };
  Loop here;
  Loop there;
  std::atomic<bool> stop = false;
  std::thread thread([&] {
    for (;;) {
      there.wait();
      if (stop.load(std::memory_order_acquire)) return;
      here.wake();
    }
  });
  for (auto _ : state) {
    there.wake();
    here.wait();
  }
  stop.store(true, std::memory_order_release);
  there.wake();
  thread.join();
}
BENCHMARK(BM_RawEpoll_WakePingPong)->UseRealTime();

void BM_Poller_WakePingPong(benchmark::State& state) {
  const std::unique_ptr<Poller> here = open_numbered(state, state.range(0));
  if (here == nullptr) return;
  std::atomic<Poller*> there = nullptr;
  std::atomic<bool> stop = false;
  std::thread thread([&, number = state.range(0)] {
    // Made on the thread that will wait.
    const std::unique_ptr<Poller> mine = std::move(*open_poller(poller_names()[number]));
    there.store(mine.get(), std::memory_order_release);
    for (;;) {
      mine->wait(never);
      if (stop.load(std::memory_order_acquire)) break;
      here->wake();
    }
    mine->shutdown();
  });
  while (there.load(std::memory_order_acquire) == nullptr) std::this_thread::yield();
  for (auto _ : state) {
    there.load(std::memory_order_relaxed)->wake();
    here->wait(never);
  }
  stop.store(true, std::memory_order_release);
  there.load(std::memory_order_relaxed)->wake();
  thread.join();
  here->shutdown();
}
BENCHMARK(BM_Poller_WakePingPong)->Apply(each_backend)->UseRealTime();

// Two rings, each of which sleeps on a poll of its eventfd; or, by a message, one ring puts a completion into the other.
enum class WakesBy { eventfd, message };
template <WakesBy way>
void BM_RawRing_WakePingPong(benchmark::State& state) {
  if (!has_io_uring()) return state.SkipWithError("io_uring is denied");
  struct Loop {
    RawRing ring;
    UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    Loop() {
      uring::Sqe& entry = ring.entry(uring::op_poll_add, static_cast<int>(event.get()), nullptr, 0, 1);
      entry.op_flags = POLLIN;
      entry.length = uring::poll_add_multishot;
    }
    void wake(Loop& other) {
      if constexpr (way == WakesBy::eventfd) {
        const std::uint64_t one = 1;
        benchmark::DoNotOptimize(::write(static_cast<int>(other.event.get()), &one, sizeof(one)));
      } else {
        constexpr std::uint8_t op_message = 40;  // IORING_OP_MSG_RING
        ring.entry(op_message, other.ring.fd(), nullptr, 0, 2).offset = 3;
        ring.enter(0);
      }
    }
    void wait() {
      std::size_t wakes = 0;
      do {
        ring.enter(1);
        ring.reap([&](const uring::Cqe& completion) { wakes += completion.user_data != 2; });
      } while (wakes == 0);
    }
  };
  Loop here;
  std::atomic<Loop*> there = nullptr;
  std::atomic<bool> stop = false;
  here.ring.enter(0);
  std::thread thread([&] {
    Loop mine;  // a ring belongs to the thread that made it
    mine.ring.enter(0);
    there.store(&mine, std::memory_order_release);
    for (;;) {
      mine.wait();
      if (stop.load(std::memory_order_acquire)) return;
      mine.wake(here);
    }
  });
  while (there.load(std::memory_order_acquire) == nullptr) std::this_thread::yield();
  for (auto _ : state) {
    here.wake(*there.load(std::memory_order_relaxed));
    here.wait();
  }
  stop.store(true, std::memory_order_release);
  here.wake(*there.load(std::memory_order_relaxed));
  thread.join();
}
BENCHMARK_TEMPLATE(BM_RawRing_WakePingPong, WakesBy::eventfd)->Name("BM_RawRing_WakePingPong")->UseRealTime();
BENCHMARK_TEMPLATE(BM_RawRing_WakePingPong, WakesBy::message)->Name("BM_RawRing_WakePingPongByMessage")->UseRealTime();

// --- Echo ------------------------------------------------------------------------------------------------------------
// The client's half is the same bare calls in both, and part of the time; an item is one round trip.

constexpr std::size_t message_size = 64;

void clients_send(const std::vector<TcpPair>& pairs) {
  char message[message_size] = {};
  for (const TcpPair& pair : pairs) {
    require(::send(pair.client, message, message_size, MSG_NOSIGNAL) == message_size, "send");
  }
}

void clients_receive(const std::vector<TcpPair>& pairs) {
  char message[message_size];
  for (const TcpPair& pair : pairs) {
    require(::recv(pair.client, message, message_size, 0) == message_size, "recv");
  }
}

// Edge-triggered, registered once, one call to receive and one to send: as little as can be.
void BM_RawEpoll_Echo(benchmark::State& state) {
  std::vector<TcpPair> pairs(static_cast<std::size_t>(state.range(0)));
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (TcpPair& pair : pairs) {
    pair = open_pair();
    epoll_event interest{};
    interest.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    interest.data.fd = pair.server;
    require(::epoll_ctl(epoll, EPOLL_CTL_ADD, pair.server, &interest) == 0, "epoll_ctl");
  }
  std::array<epoll_event, 256> events;
  char buffer[4096];
  for (auto _ : state) {
    clients_send(pairs);
    for (std::size_t done = 0; done < pairs.size();) {
      const int count = ::epoll_wait(epoll, events.data(), 256, -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if ((event.events & EPOLLIN) == 0) continue;
        const ssize_t received = ::recv(event.data.fd, buffer, sizeof(buffer), 0);
        if (received <= 0) continue;
        require(::send(event.data.fd, buffer, static_cast<std::size_t>(received), MSG_NOSIGNAL) == received, "send");
        ++done;
      }
    }
    clients_receive(pairs);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  for (const TcpPair& pair : pairs) {
    ::close(pair.client);
    ::close(pair.server);
  }
  ::close(epoll);
}
BENCHMARK(BM_RawEpoll_Echo)->ArgName("connections")->Arg(1)->Arg(64);

// Receives by the ring, which is told that there is nothing yet, and sends by a call, as the poller does.
void BM_RawRing_Echo(benchmark::State& state) {
  if (!has_io_uring()) return state.SkipWithError("io_uring is denied");
  struct Server {
    int fd;
    char buffer[4096];
  };
  RawRing ring;
  std::vector<TcpPair> pairs(static_cast<std::size_t>(state.range(0)));
  std::vector<Server> servers(pairs.size());
  const auto receive = [&](std::size_t i) {
    uring::Sqe& entry = ring.entry(uring::op_recv, servers[i].fd, servers[i].buffer, sizeof(servers[i].buffer), i);
    entry.ioprio = uring::recvsend_poll_first;
  };
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = open_pair();
    servers[i].fd = pairs[i].server;
    receive(i);
  }
  for (auto _ : state) {
    clients_send(pairs);
    for (std::size_t done = 0; done < pairs.size();) {
      ring.enter(1);
      ring.reap([&](const uring::Cqe& completion) {
        Server& server = servers[completion.user_data];
        const auto size = static_cast<std::size_t>(completion.result);
        require(::send(server.fd, server.buffer, size, MSG_NOSIGNAL | MSG_DONTWAIT) == completion.result, "send");
        receive(completion.user_data);
        ++done;
      });
    }
    clients_receive(pairs);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  for (const TcpPair& pair : pairs) {
    ::close(pair.client);
    ::close(pair.server);
  }
}
BENCHMARK(BM_RawRing_Echo)->ArgName("connections")->Arg(1)->Arg(64);

struct EchoServer {
  Poller* poller;
  Descriptor* descriptor;
  std::size_t* done;
  char buffer[4096];

  void receive() noexcept {
    for (;;) {
      Operation& input = descriptor->input;
      input.kind = OperationKind::receive;
      input.buffer = buffer;
      input.size = sizeof(buffer);
      if (!poller->start(input)) return;
      if (!echo(input.result)) return;
    }
  }
  // False: it goes on in sent().
  bool echo(std::int64_t size) noexcept {
    if (size <= 0) return false;
    Operation& output = descriptor->output;
    output.kind = OperationKind::send;
    output.buffer = buffer;
    output.size = static_cast<std::size_t>(size);
    if (!poller->start(output)) return false;
    ++*done;
    return true;
  }
  static void received(Operation& operation) noexcept {
    auto& self = *static_cast<EchoServer*>(operation.owner);
    if (self.echo(operation.result)) self.receive();
  }
  static void sent(Operation& operation) noexcept {
    auto& self = *static_cast<EchoServer*>(operation.owner);
    if (operation.result <= 0) return;
    ++*self.done;
    self.receive();
  }
};

void BM_Poller_Echo(benchmark::State& state) {
  const std::unique_ptr<Poller> poller = open_numbered(state, state.range(0));
  if (poller == nullptr) return;
  std::vector<TcpPair> pairs(static_cast<std::size_t>(state.range(1)));
  std::vector<EchoServer> servers(pairs.size());
  std::size_t done = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = open_pair();
    Result<Descriptor*> descriptor = poller->attach(UniqueFd(pairs[i].server), DescriptorKind::socket);
    require(descriptor.has_value(), "attach");
    EchoServer& server = servers[i];
    server.poller = poller.get();
    server.descriptor = *descriptor;
    server.done = &done;
    server.descriptor->input.complete = EchoServer::received;
    server.descriptor->input.owner = &server;
    server.descriptor->output.complete = EchoServer::sent;
    server.descriptor->output.owner = &server;
    server.receive();
  }
  const PollerStats before = poller->stats();
  for (auto _ : state) {
    clients_send(pairs);
    for (done = 0; done < pairs.size();) poller->wait(never);
    clients_receive(pairs);
  }
  const PollerStats after = poller->stats();
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.counters["calls"] = benchmark::Counter(
      static_cast<double>(after.system_calls - before.system_calls) / static_cast<double>(state.range(1)),
      benchmark::Counter::kAvgIterations);
  poller->shutdown();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    poller->close(*servers[i].descriptor);
    ::close(pairs[i].client);
  }
}
BENCHMARK(BM_Poller_Echo)->Apply(each_backend_and_load);

}  // namespace
}  // namespace gyre

BENCHMARK_MAIN();
