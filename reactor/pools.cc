#include <gyre/reactor/pools.h>

#include <cstdio>

namespace gyre {

namespace {

void report_unfinished(const char* name, const JobStats& stats) noexcept {
  if (stats.running == 0) return;
  std::fprintf(stderr, "gyre: pool '%s': %zu job%s did not end within the grace, and will be left behind\n", name,
               stats.running, stats.running == 1 ? "" : "s");
}

}  // namespace

Pools::Pools(const PoolsOptions& options)
    : stop_grace_(options.stop_grace), blocking_(options.blocking), resolver_(options.resolver), cpu_(options.cpu) {}

Pools::~Pools() {
  if (has_given_up_ || stop_until(steady_clock().now() + stop_grace_).unfinished == 0) return;
  report_unfinished(blocking_.name(), blocking_.stats());
  report_unfinished(resolver_.name(), resolver_.stats());
  report_unfinished(cpu_.name(), cpu_.stats().jobs);
}

StopReport Pools::stop_until(Instant deadline) noexcept {
  StopReport report;
  // All are asked before one is waited for.
  report.cancelled += blocking_.stop_until(Instant()).cancelled;
  report.cancelled += resolver_.stop_until(Instant()).cancelled;
  report.cancelled += cpu_.stop_until(Instant()).cancelled;
  report.unfinished += blocking_.stop_until(deadline).unfinished;
  report.unfinished += resolver_.stop_until(deadline).unfinished;
  report.unfinished += cpu_.stop_until(deadline).unfinished;
  has_given_up_ = report.unfinished != 0;
  return report;
}

}  // namespace gyre
