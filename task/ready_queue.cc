#include <gyre/task/ready_queue.h>

#include <bit>

namespace gyre {

namespace {
constexpr std::size_t first_capacity = 64;
}

// Zeroed, so that peek() never sees garbage.
ReadyQueue::ReadyQueue() : frames_(new void*[first_capacity]()), mask_(first_capacity - 1) {}

ReadyQueue::~ReadyQueue() { delete[] frames_; }

void ReadyQueue::grow(std::size_t count) {
  const std::size_t capacity = std::bit_ceil(count);
  void** const frames = new void*[capacity]();
  const std::size_t queued = size();
  for (std::size_t i = 0; i < queued; ++i) frames[i] = frames_[(head_ + i) & mask_];
  delete[] frames_;
  frames_ = frames;
  mask_ = capacity - 1;
  head_ = 0;
  tail_ = queued;
}

}  // namespace gyre
