#include "oracles.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include <gyre/task/frame_pool.h>

namespace gyre::test {
namespace {

thread_local std::uint64_t allocations_count = 0;
thread_local std::uint64_t frees_count = 0;

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  ++allocations_count;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
  return allocate_aligned(size, alignment);
}

void release(void* memory, std::size_t alignment = 0) noexcept {
  if (memory != nullptr) ++frees_count;
  if (alignment <= alignof(std::max_align_t)) {
    std::free(memory);
  } else {
    free_aligned(memory);
  }
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* const memory = allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void expect_same_descriptors(const std::vector<std::string>& before) {
  const std::vector<std::string> after = open_descriptors();
  for (const std::string& line : after) {
    if (std::find(before.begin(), before.end(), line) == before.end()) {
      ADD_FAILURE() << "a descriptor was leaked: " << line;
    }
  }
  for (const std::string& line : before) {
    if (std::find(after.begin(), after.end(), line) == after.end()) {
      ADD_FAILURE() << "a descriptor of somebody else was closed: " << line;
    }
  }
}

std::uint64_t allocations() noexcept { return allocations_count; }

std::int64_t live_allocations() noexcept {
  return static_cast<std::int64_t>(allocations_count - frees_count);
}
std::int64_t live_frames() noexcept {
  const detail::ThreadState& state = detail::thread_state;
  return static_cast<std::int64_t>(state.frames_allocated - state.frames_freed);
}

}  // namespace gyre::test

// Weak, so that a test that counts in its own way can replace them once more. (Windows has no such symbols.)
#if defined(_WIN32)
#define GYRE_TEST_WEAK
#else
#define GYRE_TEST_WEAK __attribute__((weak))
#endif

GYRE_TEST_WEAK void* operator new(std::size_t size) {
  return gyre::test::allocate_or_throw(size, 0);
}
GYRE_TEST_WEAK void* operator new[](std::size_t size) {
  return gyre::test::allocate_or_throw(size, 0);
}
GYRE_TEST_WEAK void* operator new(std::size_t size, std::align_val_t alignment) {
  return gyre::test::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void* operator new[](std::size_t size, std::align_val_t alignment) {
  return gyre::test::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return gyre::test::allocate(size, 0);
}
GYRE_TEST_WEAK void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return gyre::test::allocate(size, 0);
}
GYRE_TEST_WEAK void* operator new(std::size_t size, std::align_val_t alignment,
                                  const std::nothrow_t&) noexcept {
  return gyre::test::allocate(size, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void* operator new[](std::size_t size, std::align_val_t alignment,
                                    const std::nothrow_t&) noexcept {
  return gyre::test::allocate(size, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void operator delete(void* memory) noexcept { gyre::test::release(memory); }
GYRE_TEST_WEAK void operator delete[](void* memory) noexcept { gyre::test::release(memory); }
GYRE_TEST_WEAK void operator delete(void* memory, std::size_t) noexcept { gyre::test::release(memory); }
GYRE_TEST_WEAK void operator delete[](void* memory, std::size_t) noexcept { gyre::test::release(memory); }
GYRE_TEST_WEAK void operator delete(void* memory, std::align_val_t alignment) noexcept {
  gyre::test::release(memory, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void operator delete[](void* memory, std::align_val_t alignment) noexcept {
  gyre::test::release(memory, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void operator delete(void* memory, std::size_t, std::align_val_t alignment) noexcept {
  gyre::test::release(memory, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void operator delete[](void* memory, std::size_t, std::align_val_t alignment) noexcept {
  gyre::test::release(memory, static_cast<std::size_t>(alignment));
}
GYRE_TEST_WEAK void operator delete(void* memory, const std::nothrow_t&) noexcept {
  gyre::test::release(memory);
}
GYRE_TEST_WEAK void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  gyre::test::release(memory);
}
