#include <gyre/task/frame_pool.h>

#include <cstdlib>
#include <mutex>
#include <new>

namespace gyre {
namespace detail {

constinit thread_local ThreadState thread_state;

namespace {

constexpr std::size_t slab_size = 64 * 1024;

void* allocate_aligned(std::size_t size) noexcept {
  return ::operator new(size, std::align_val_t(2 * frame_granule), std::nothrow);
}

void free_aligned(void* block) noexcept {
  ::operator delete(block, std::align_val_t(2 * frame_granule));
}

// Free blocks of threads that have ended, for threads that run short. Slabs are never returned to the heap: blocks of
// one slab may sit in the lists of many threads.
struct Depot {
  std::mutex mutex;
  FreeBlock* free[frame_classes + 1] = {};
};

// Lives for ever: threads may end after static destructors have run.
Depot& depot() {
  alignas(Depot) static unsigned char memory[sizeof(Depot)];
  static Depot* const instance = new (memory) Depot;
  return *instance;
}

// Hands this thread's free blocks to the depot when the thread ends.
struct ReturnAtThreadExit {
  bool armed = false;
  ~ReturnAtThreadExit() {
    if (!armed) return;
    Depot& shared = depot();
    const std::lock_guard lock(shared.mutex);
    for (std::size_t granules = 1; granules <= frame_classes; ++granules) {
      while (FreeBlock* block = thread_state.free[granules]) {
        thread_state.free[granules] = block->next;
        block->next = shared.free[granules];
        shared.free[granules] = block;
      }
    }
  }
};
thread_local ReturnAtThreadExit return_at_thread_exit;

// Fills the empty list of one class: with all that the depot has of it, else from a new slab.
[[gnu::noinline]] bool refill(std::size_t granules) noexcept {
  return_at_thread_exit.armed = true;
  {
    Depot& shared = depot();
    const std::lock_guard lock(shared.mutex);
    if (shared.free[granules] != nullptr) {
      thread_state.free[granules] = shared.free[granules];
      shared.free[granules] = nullptr;
      return true;
    }
  }
  auto* const slab = static_cast<std::byte*>(allocate_aligned(slab_size));
  if (slab == nullptr) return false;
  const std::size_t block_size = granules * frame_granule;
  FreeBlock* list = nullptr;
  // From the end, so that blocks are handed out in rising order.
  for (std::size_t i = slab_size / block_size; i > 0; --i) {
    list = new (slab + (i - 1) * block_size) FreeBlock{list};
  }
  thread_state.free[granules] = list;
  return true;
}

// Null if there is none at hand.
inline void* take_pooled(std::size_t granules) noexcept {
  FreeBlock* const block = thread_state.free[granules];
  if (block == nullptr) [[unlikely]] return nullptr;
  thread_state.free[granules] = block->next;
  if constexpr (debug_checks) ++thread_state.frames_allocated;
  return block;
}

// Neither this nor the next is inlined: what calls them saves no registers then.
[[gnu::noinline]] void* allocate_block(std::size_t size) noexcept {
  const std::size_t granules = granules_for(size);
  if (sanitized || granules > frame_classes) {
    if constexpr (debug_checks) ++thread_state.frames_allocated;
    return allocate_aligned(granules * frame_granule);
  }
  if (thread_state.free[granules] == nullptr && !refill(granules)) return nullptr;
  return take_pooled(granules);
}

[[gnu::noinline]] void* allocate_root(std::size_t size) noexcept {
  auto* const block = static_cast<std::byte*>(allocate_block(size + root_prefix));
  return block != nullptr ? block + root_prefix : nullptr;
}

inline void free_block(void* block, std::size_t granules) noexcept {
  if constexpr (debug_checks) ++thread_state.frames_freed;
  if (sanitized || granules > frame_classes) {
    free_aligned(block);
    return;
  }
  thread_state.free[granules] = new (block) FreeBlock{thread_state.free[granules]};
}

}  // namespace

void* allocate_frame_slow(std::size_t size, std::size_t root_granules) noexcept {
  if (thread_state.pooled_granules_max != 0) [[unlikely]] return allocate_block(size);
  // The first frame after a RootAllocation began.
  thread_state.pooled_granules_max = frame_classes;
  if (!sanitized && root_granules <= frame_classes) [[likely]] {
    if (void* const block = take_pooled(root_granules)) [[likely]] return static_cast<std::byte*>(block) + root_prefix;
  }
  return allocate_root(size);
}

void free_frame_slow(void* frame, std::size_t size, std::size_t root_granules) noexcept {
  if (is_root_frame(frame)) [[likely]] {
    free_block(static_cast<std::byte*>(frame) - root_prefix, root_granules);
  } else {
    free_block(frame, granules_for(size));
  }
}

}  // namespace detail

std::size_t count_pooled_frame_bytes() noexcept {
  std::size_t bytes = 0;
  for (std::size_t granules = 1; granules <= detail::frame_classes; ++granules) {
    for (auto* block = detail::thread_state.free[granules]; block != nullptr; block = block->next) {
      bytes += granules * detail::frame_granule;
    }
  }
  return bytes;
}

}  // namespace gyre
