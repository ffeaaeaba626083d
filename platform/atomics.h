// StdAtomics: what the lock-free protocols are built on.
//
// They are templates over such a policy, so that a checker of interleavings can put its own in its place and run the
// very same code (tests/interleaving_test.cc).
#pragma once

#include <atomic>

namespace gyre {

struct StdAtomics {
  template <typename T>
  using Atomic = std::atomic<T>;
};

}  // namespace gyre
