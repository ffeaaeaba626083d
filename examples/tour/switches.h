// How switches are measured and shown.
#pragma once

#include <algorithm>
#include <cmath>

#include <gyre/platform/clock.h>

namespace tour {

// Nanoseconds per switch of `run(rounds)`, which makes `switches` in each round: the best of five.
template <typename Run>
double measure(int rounds, int switches, Run run) {
  double best = HUGE_VAL;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const gyre::Instant begin = gyre::steady_clock().now();
    run(rounds);
    const auto took = static_cast<double>((gyre::steady_clock().now() - begin).count());
    best = std::min(best, took / rounds / switches);
  }
  return best;
}

void show(const char* what, double nanoseconds);
// What each system has: contexts of its own, pipes between threads and processes.
void show_contexts();
void show_pipes();

}  // namespace tour
