// For randomised tests of things that tasks wait for: random numbers that are the same on every system, and tasks that
// are cancelled at random times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/clock.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/join_handle.h>
#include <gyre/task/sleep.h>
#include <gyre/task/task.h>

namespace gyre::testing {

// A fixed sequence for each seed. (The standard's distributions differ from library to library.)
class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  // 0 ... bound - 1.
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(engine_()) % bound; }
  bool one_in(std::uint32_t bound) { return below(bound) == 0; }
  Duration milliseconds_below(std::uint32_t bound) { return std::chrono::milliseconds(below(bound)); }

 private:
  std::mt19937 engine_;
};

// Calls body(random) for `rounds` seeds, and names the seed of a round that fails. GYRE_TEST_SEED=N runs only that one.
template <typename Body>
void for_random_seeds(std::uint32_t rounds, Body body) {
  const char* const only = std::getenv("GYRE_TEST_SEED");
  const std::uint32_t first = only != nullptr ? static_cast<std::uint32_t>(std::atoi(only)) : 1;
  if (only != nullptr) rounds = 1;
  for (std::uint32_t seed = first; seed < first + rounds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "GYRE_TEST_SEED=" << seed);
    Random random(seed);
    body(random);
    if (::testing::Test::HasFailure()) return;
  }
}

// Cancels the tasks one after the other, at random times, about one in two of them, some twice.
inline Task<void> cancel_at_random(std::reference_wrapper<Random> random,
                                   std::reference_wrapper<std::vector<JoinHandle<void>>> tasks,
                                   std::uint32_t pause_ms_max) {
  for (std::size_t i = 0; i < tasks.get().size(); ++i) {
    const Duration pause = random.get().milliseconds_below(pause_ms_max + 1);
    const Result<void> slept = co_await sleep(pause);
    if (!slept) co_return;
    const auto chosen = random.get().below(static_cast<std::uint32_t>(tasks.get().size()));
    tasks.get()[chosen].cancel();
  }
}

}  // namespace gyre::testing
