#include <gyre/net/connect.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/signal.h>
#include <gyre/task/task_group.h>

namespace gyre {

namespace {

struct Race {
  Race(ConnectReport& of, const TcpConnectOptions& with) noexcept : report(of), options(with) {}

  ConnectReport& report;
  const TcpConnectOptions& options;
  std::optional<TcpStream> winner;
  detail::Signal changed;  // an attempt has ended
  std::size_t failed = 0;
};

Task<void> attempt(Race& race, std::size_t index) {
  Result<TcpStream> stream = co_await TcpStream::connect(race.report.attempts[index].peer, race.options);
  Error& error = race.report.attempts[index].error;
  if (!stream) {
    error = stream.error();
    ++race.failed;
  } else if (race.winner) {
    // Late: it is closed here.
    error = Error::cancelled(OperationKind::connect).at(race.report.attempts[index].peer.place());
  } else {
    error = Error();
    race.winner = std::move(*stream);
  }
  race.changed.set();
}

// Until an attempt has ended, `delay` has passed, or the task is cancelled.
Task<void> wait_for_change(Race& race, Duration delay) {
  CancelScope limit(CancelScope::within(delay));
  static_cast<void>(co_await race.changed.wait());
}

// Starts one attempt after the other. Ends with a winner, or when all have failed, or when the task
// is cancelled.
Task<void> start_attempts(Race& race, TaskGroup& group, const std::vector<Endpoint>& peers,
                          Duration delay) {
  for (std::size_t i = 0; i < peers.size(); ++i) {
    race.report.attempts.push_back(
        {.peer = peers[i], .error = Error::cancelled(OperationKind::connect).at(peers[i].place())});
    race.changed.reset();
    group.spawn(attempt, race, std::size_t{i});
    const bool is_last = i + 1 == peers.size();
    if (!is_last) {
      co_await wait_for_change(race, delay);
      if (race.winner || current_task()->cancel_requested()) co_return;
    }
  }
  while (!race.winner && race.failed < peers.size()) {
    race.changed.reset();
    const bool changed = co_await race.changed.wait();
    if (!changed) co_return;
  }
}

// Of the addresses that have failed, the first that is more than a word about this machine's own
// network: "no IPv6 here" says little where IPv4 was refused.
Error most_telling(const std::vector<ConnectAttempt>& attempts) noexcept {
  for (const ConnectAttempt& each : attempts) {
    bool is_local = false;
    for (const std::errc local : {std::errc::network_unreachable, std::errc::address_not_available,
                                  std::errc::address_family_not_supported}) {
      is_local = is_local || each.error == local;
    }
    if (!is_local) return each.error;
  }
  return attempts.front().error;
}

}  // namespace

std::string ConnectReport::to_string() const {
  std::string text = "connect " + host + ":" + std::to_string(port) + ": ";
  if (resolve_error) return text + resolve_error.message();
  const char* separator = "";
  for (const ConnectAttempt& each : attempts) {
    text += separator + each.peer.to_string() + ": " +
            (each.error ? each.error.message() : "connected");
    separator = "; ";
  }
  return text;
}

std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& endpoints) {
  std::vector<Endpoint> first_family;
  std::vector<Endpoint> others;
  for (const Endpoint& endpoint : endpoints) {
    (endpoint.family() == endpoints.front().family() ? first_family : others).push_back(endpoint);
  }
  std::vector<Endpoint> order;
  order.reserve(endpoints.size());
  for (std::size_t i = 0; i < std::max(first_family.size(), others.size()); ++i) {
    if (i < first_family.size()) order.push_back(first_family[i]);
    if (i < others.size()) order.push_back(others[i]);
  }
  return order;
}

Task<Result<TcpStream>> connect(std::vector<Endpoint> peers, ConnectOptions options) {
  GYRE_CHECK_HINT(!peers.empty(), "connect() to no endpoint");
  ConnectReport own_report;
  ConnectReport& report = options.report != nullptr ? *options.report : own_report;
  report.attempts.clear();
  // Attempts refer to their entries by number, and the vector must not move under them.
  report.attempts.reserve(peers.size());
  Race race(report, options.tcp);
  TaskGroup group(OnFailure::keep_going);
  const std::vector<Endpoint> order = interleave_families(peers);
  co_await start_attempts(race, group, order, options.attempt_delay);
  group.cancel();
  const Result<void> joined = co_await group.join();
  if (race.winner) co_return std::move(*race.winner);
  if (!joined)
    co_return joined.error().with(OperationKind::connect).at(report.attempts.front().peer.place());
  co_return most_telling(report.attempts);
}

Task<Result<TcpStream>> connect(std::string host, std::uint16_t port, ConnectOptions options) {
  ConnectReport own_report;
  if (options.report == nullptr) options.report = &own_report;
  *options.report = ConnectReport{.host = host, .port = port, .resolve_error = {}, .attempts = {}};
  SystemResolver system;
  Resolver& resolver = options.resolver != nullptr ? *options.resolver : system;
  const NameQuery query{.host = host, .port = port, .family = options.family};
  Result<std::vector<Endpoint>> found = co_await resolver.resolve(query);
  if (!found) {
    options.report->resolve_error = found.error();
    co_return found.error();
  }
  if (found->empty()) {
    options.report->resolve_error =
        Error::system(static_cast<int>(std::errc::address_not_available), OperationKind::resolve)
            .at(Place::text(host));
    co_return options.report->resolve_error;
  }
  Result<TcpStream> stream = co_await connect(std::move(*found), options);
  co_return stream;
}

}  // namespace gyre
