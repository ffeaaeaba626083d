// What the io_uring poller costs, beside a ring driven by hand.
//
// An echo round trip: a client sends, a server receives and sends back, the client receives; both ends are on one thread
// and one ring, so that nothing but the work itself is measured. BM_RawRing_* is the floor: the same system calls and
// the same entries without a poller. Counters are per round trip.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <gyre/platform/check.h>
#include <gyre/platform/io_uring_abi_linux.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/poller_backends.h>
#include <gyre/platform/socket.h>

#include "raw_ring.h"

namespace gyre {
namespace {

DescriptorPair tcp_pair() {
  Result<DescriptorPair> pair = open_tcp_pair();
  GYRE_CHECK(pair.has_value());
  const int on = 1;
  for (const UniqueFd* fd : {&pair->first, &pair->second}) {
    ::setsockopt(static_cast<int>(fd->get()), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  return std::move(*pair);
}

enum class Sends { by_ring, directly };

// One end of a connection: it receives `bytes`, and sends them back.
struct RawEnd {
  int fd = -1;
  bool counts = false;  // the client's: each receive ends a round trip
  bool first = true;    // the POLL_FIRST rule: nothing is known yet
  char buffer[4096] = {};
};

template <Sends sends>
void BM_RawRing_Echo(benchmark::State& state) {
  const auto pairs_count = static_cast<std::size_t>(state.range(0));
  const auto bytes = static_cast<std::size_t>(state.range(1));
  RawRing ring;
  std::vector<DescriptorPair> pairs;
  std::vector<RawEnd> ends(2 * pairs_count);
  std::uint64_t trips = 0;
  std::uint64_t sends_made = 0;
  const auto receive = [&](std::size_t i) {
    uring::Sqe& entry = ring.entry(uring::op_recv, ends[i].fd, ends[i].buffer, bytes, 2 * i);
    entry.ioprio = uring::recvsend_poll_first;
  };
  const auto send = [&](std::size_t i) {
    if constexpr (sends == Sends::directly) {
      ++sends_made;
      GYRE_CHECK(::send(ends[i].fd, ends[i].buffer, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) ==
                 static_cast<ssize_t>(bytes));
      receive(i);
    } else {
      ring.entry(uring::op_send, ends[i].fd, ends[i].buffer, bytes, 2 * i + 1).op_flags = MSG_NOSIGNAL;
    }
  };
  for (std::size_t i = 0; i < pairs_count; ++i) {
    pairs.push_back(tcp_pair());
    ends[2 * i].fd = static_cast<int>(pairs[i].first.get());
    ends[2 * i].counts = true;
    ends[2 * i + 1].fd = static_cast<int>(pairs[i].second.get());
    receive(2 * i + 1);
    send(2 * i);
    ring.enter(0);
  }
  const auto run = [&](std::uint64_t until) {
    while (trips < until) {
      ring.enter(1);
      ring.reap([&](const uring::Cqe& completion) {
        const std::size_t i = completion.user_data / 2;
        GYRE_CHECK(completion.result == static_cast<std::int32_t>(bytes));
        if ((completion.user_data & 1) != 0) return receive(i);
        trips += ends[i].counts;
        send(i);
      });
    }
  };
  run(100 * pairs_count);
  const std::uint64_t trips_before = trips;
  const std::uint64_t enters_before = ring.enters;
  const std::uint64_t sends_before = sends_made;
  for (auto _ : state) run(trips + pairs_count);
  const auto made = static_cast<double>(trips - trips_before);
  state.counters["enters"] = static_cast<double>(ring.enters - enters_before) / made;
  state.counters["system_calls"] =
      static_cast<double>(ring.enters - enters_before + sends_made - sends_before) / made;
  state.SetItemsProcessed(static_cast<std::int64_t>(trips - trips_before));
}

// --- The poller ----------------------------------------------------------------------------------------------------

struct PolledEnd {
  Poller* poller = nullptr;
  Descriptor* descriptor = nullptr;
  std::size_t bytes = 0;
  std::uint64_t* trips = nullptr;  // the client's
  std::uint16_t flags = 0;
  char buffer[4096] = {};

  void receive() {
    Operation& operation = descriptor->input;
    operation.kind = OperationKind::receive;
    operation.flags = 0;
    operation.buffer = buffer;
    operation.size = bytes;
    operation.owner = this;
    operation.complete = [](Operation& o) noexcept { static_cast<PolledEnd*>(o.owner)->received(); };
    if (poller->start(operation)) received();
  }
  void received() {
    GYRE_CHECK(descriptor->input.result == static_cast<std::int64_t>(bytes));
    if (trips != nullptr) ++*trips;
    send();
  }
  void send() {
    Operation& operation = descriptor->output;
    operation.kind = OperationKind::send;
    operation.flags = flags;
    operation.buffer = buffer;
    operation.size = bytes;
    operation.owner = this;
    operation.complete = [](Operation& o) noexcept { static_cast<PolledEnd*>(o.owner)->sent(); };
    if (poller->start(operation)) sent();
  }
  void sent() {
    GYRE_CHECK(descriptor->output.result == static_cast<std::int64_t>(bytes));
    receive();
  }
};

void run_echo(benchmark::State& state, Poller& poller, std::uint16_t send_flags) {
  const auto pairs_count = static_cast<std::size_t>(state.range(0));
  std::vector<PolledEnd> ends(2 * pairs_count);
  std::uint64_t trips = 0;
  for (std::size_t i = 0; i < ends.size(); i += 2) {
    DescriptorPair pair = tcp_pair();
    UniqueFd fds[2] = {std::move(pair.first), std::move(pair.second)};
    for (std::size_t side = 0; side < 2; ++side) {
      PolledEnd& end = ends[i + side];
      end.poller = &poller;
      end.bytes = static_cast<std::size_t>(state.range(1));
      end.flags = send_flags;
      end.descriptor = *poller.attach(std::move(fds[side]), DescriptorKind::socket);
      if (side == 0) end.trips = &trips;
    }
    ends[i + 1].receive();
    ends[i].send();
  }
  while (trips < 100 * pairs_count) poller.wait(never);
  const std::uint64_t trips_before = trips;
  const PollerStats before = poller.stats();
  for (auto _ : state) {
    const std::uint64_t until = trips + pairs_count;
    while (trips < until) poller.wait(never);
  }
  const PollerStats after = poller.stats();
  const auto made = static_cast<double>(trips - trips_before);
  state.counters["waits"] = static_cast<double>(after.waits - before.waits) / made;
  state.counters["system_calls"] = static_cast<double>(after.system_calls - before.system_calls) / made;
  state.SetItemsProcessed(static_cast<std::int64_t>(trips - trips_before));
  for (PolledEnd& end : ends) {
    end.descriptor->input.complete = [](Operation&) noexcept {};
    end.descriptor->output.complete = [](Operation&) noexcept {};
  }
  poller.shutdown();
}

template <std::uint16_t send_flags>
void BM_IoUring_Echo(benchmark::State& state) {
  Result<std::unique_ptr<Poller>> poller = make_io_uring_poller({});
  if (!poller) return state.SkipWithError("io_uring is denied");
  run_echo(state, **poller, send_flags);
}

void BM_Epoll_Echo(benchmark::State& state) {
  Result<std::unique_ptr<Poller>> poller = make_epoll_poller({});
  GYRE_CHECK(poller.has_value());
  run_echo(state, **poller, 0);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"pairs", "bytes"});
  for (const int pairs : {1, 8, 64}) benchmark->Args({pairs, 64});
  benchmark->Args({64, 4096});
}

BENCHMARK_TEMPLATE(BM_RawRing_Echo, Sends::by_ring)->Name("BM_RawRing_Echo/sends:ring")->Apply(sizes);
BENCHMARK_TEMPLATE(BM_RawRing_Echo, Sends::directly)->Name("BM_RawRing_Echo/sends:call")->Apply(sizes);
BENCHMARK_TEMPLATE(BM_IoUring_Echo, operation_no_inline)->Name("BM_IoUring_Echo/sends:ring")->Apply(sizes);
BENCHMARK_TEMPLATE(BM_IoUring_Echo, 0)->Name("BM_IoUring_Echo/sends:call")->Apply(sizes);
BENCHMARK(BM_Epoll_Echo)->Apply(sizes);

}  // namespace
}  // namespace gyre

BENCHMARK_MAIN();
