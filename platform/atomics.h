// StdAtomics: what the lock-free protocols are built on.
//
// They are templates over such a policy, so that a checker of interleavings can put its own in its place and run the
// very same code (tests/support/interleaving.h).
#pragma once

#include <atomic>
#include <cstdint>

#include <gyre/platform/clock.h>
#include <gyre/platform/thread.h>

namespace gyre {

struct StdAtomics {
  template <typename T>
  using Atomic = std::atomic<T>;

  // platform/thread.h
  static void sleep_on(const Atomic<std::uint32_t>& word, std::uint32_t expected, Instant deadline) noexcept {
    gyre::sleep_on(word, expected, deadline);
  }
  static void wake(const Atomic<std::uint32_t>& word, int count) noexcept { wake_threads(word, count); }
};

}  // namespace gyre
