#include <gyre/platform/fork_generation.h>

#include <pthread.h>

#include <atomic>

namespace gyre {

namespace {

// One per process by nature.
std::atomic<std::uint32_t> generation{0};

void enter_child() { generation.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

std::uint32_t fork_generation() noexcept {
  // Without memory for the handler, children are not told apart.
  static const int watched = ::pthread_atfork(nullptr, nullptr, enter_child);
  static_cast<void>(watched);
  return generation.load(std::memory_order_relaxed);
}

}  // namespace gyre
