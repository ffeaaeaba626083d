// Memory for coroutine frames: a per-thread pool of size classes.
//
// Threads: each thread has its own free lists; a frame may be freed on another thread than it came from.
// Invariants: 1. A block of up to 256 bytes is a multiple of 64 and 64-byte aligned, so that what is resumed most touches
// few lines of the cache; of larger ones there may be many that wait, and they go in steps of 32 bytes. 2. The frame of a
// nested coroutine begins at a multiple of 32; that of a task's root coroutine begins root_prefix bytes into its block,
// behind the task's record, so the address itself tells which of the two a frame is.
//
// Under a sanitizer every frame comes from the heap. Translation units with and without a sanitizer may be mixed: the
// inline fast path only ever sees blocks that the library's own allocate_block() made.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>

namespace gyre {

class Poller;
class Scheduler;
class TaskContext;

namespace detail {

inline constexpr std::size_t frame_granule = 32;
inline constexpr std::size_t aligned_frame_max = 256;
inline constexpr std::size_t pooled_frame_max = 1024;
inline constexpr std::size_t frame_classes = pooled_frame_max / frame_granule;
inline constexpr std::size_t root_prefix = 80;
static_assert(root_prefix % frame_granule == 16);

// Granules of the block for so many bytes.
constexpr std::size_t granules_for(std::size_t size) noexcept {
  constexpr std::size_t line = 2 * frame_granule;
  return size <= aligned_frame_max ? (size + line - 1) / line * 2 : (size + frame_granule - 1) / frame_granule;
}

struct FreeBlock {
  FreeBlock* next;
};

// What a thread that runs coroutines needs at hand.
struct ThreadState {
  // Frames of more granules than this take the slow path: frame_classes, or 0 while the next frame is to be a root's.
  std::size_t pooled_granules_max = frame_classes;
  // Symmetric transfers left until one has to go through the loop; see Scheduler.
  std::uint32_t transfers_left = 1;
  // The task that runs on this thread, and who runs it; null between tasks.
  TaskContext* current = nullptr;
  Scheduler* scheduler = nullptr;
  // The poller beside that scheduler; null if it has none.
  Poller* poller = nullptr;
  // Frames allocated and freed so far on this thread, and the last that was allocated; kept in builds with debug checks
  // only.
  std::uint64_t frames_allocated = 0;
  std::uint64_t frames_freed = 0;
  void* last_frame = nullptr;
  // Tasks that are dropped now are dropped by Gyre, not by mistake; see Unstarted. In such builds only.
  bool drops_quietly = false;
  // By size in granules; [0] is unused.
  FreeBlock* free[frame_classes + 1] = {};
};

// initial-exec: one addition to the thread pointer instead of a call, also in a shared library.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadState thread_state;

// All the cases that the fast path leaves: empty list, large frame, root frame, sanitizer. `root_granules` is what a root
// frame of that size takes: the caller's compiler knows it. Null if memory is exhausted.
[[gnu::cold]] void* allocate_frame_slow(std::size_t size, std::size_t root_granules) noexcept;
void free_frame_slow(void* frame, std::size_t size, std::size_t root_granules) noexcept;

inline bool is_root_frame(const void* frame) noexcept {
  return reinterpret_cast<std::uintptr_t>(frame) % frame_granule != 0;
}

inline void* allocate_frame(std::size_t size) noexcept {
  if constexpr (!sanitized) {
    ThreadState& state = thread_state;
    const std::size_t granules = granules_for(size);
    // The first test is for the compiler, which knows the size; the second finds out whether a root is wanted.
    if (granules <= frame_classes && granules <= state.pooled_granules_max) [[likely]] {
      FreeBlock* const block = state.free[granules];
      if (block != nullptr) [[likely]] {
        state.free[granules] = block->next;
        if constexpr (debug_checks) ++state.frames_allocated;
        return block;
      }
    }
  }
  return allocate_frame_slow(size, granules_for(size + root_prefix));
}

inline void free_frame(void* frame, std::size_t size) noexcept {
  if constexpr (!sanitized) {
    const std::size_t granules = granules_for(size);
    if (granules <= frame_classes && !is_root_frame(frame)) [[likely]] {
      ThreadState& state = thread_state;
      auto* const block = static_cast<FreeBlock*>(frame);
      block->next = state.free[granules];
      state.free[granules] = block;
      if constexpr (debug_checks) ++state.frames_freed;
      return;
    }
  }
  free_frame_slow(frame, size, granules_for(size + root_prefix));
}

// While one of these lives the next frame that this thread allocates gets the prefix of a root.
class RootAllocation {
 public:
  RootAllocation() noexcept : state_(thread_state) { state_.pooled_granules_max = 0; }
  RootAllocation(const RootAllocation&) = delete;
  RootAllocation& operator=(const RootAllocation&) = delete;
  ~RootAllocation() { state_.pooled_granules_max = frame_classes; }

 private:
  ThreadState& state_;
};

}  // namespace detail

// Bytes of frame memory that the calling thread keeps in its free lists.
std::size_t count_pooled_frame_bytes() noexcept;

}  // namespace gyre
