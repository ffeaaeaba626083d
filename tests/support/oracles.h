// Oracles: what must be true after every test, whatever it was about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gyre::test {

// "7 -> socket:[123]" for each open descriptor of this process, in order.
std::vector<std::string> open_descriptors();

// A test failure that names what was leaked, or closed by mistake, since `before` was taken.
void expect_same_descriptors(const std::vector<std::string>& before);

// Calls of global operator new, on this thread, since the thread began. Every test program counts them.
std::uint64_t allocations() noexcept;

// Blocks of the heap, and coroutine frames, that this thread has allocated and not freed, or freed and not allocated.
// Blocks are not counted under a sanitizer, which has an operator new of its own and finds leaks by itself; frames only
// in builds with debug checks.
std::int64_t live_allocations() noexcept;
std::int64_t live_frames() noexcept;

// What the counting operator new takes its memory from, for alignments that malloc() does not have. Null: none left.
void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept;
void free_aligned(void* memory) noexcept;

}  // namespace gyre::test
