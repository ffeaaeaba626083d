// ReadyQueue: the deque of runnable frames, a power-of-two ring of their addresses.
//
// A frame is queued at most once, so whoever adds a task reserves a place for it, and pushing never allocates.
#pragma once

#include <cstddef>
#include <cstdint>

#include <gyre/platform/check.h>

namespace gyre {

class ReadyQueue {
 public:
  ReadyQueue();
  ReadyQueue(const ReadyQueue&) = delete;
  ReadyQueue& operator=(const ReadyQueue&) = delete;
  ~ReadyQueue();

  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }

  // One less than the frames for which there is room.
  std::size_t last() const noexcept { return mask_; }
  // Makes room for `count` frames in all. Throws bad_alloc.
  void reserve(std::size_t count) {
    if (count > mask_ + 1) [[unlikely]] grow(count);
  }

  void push(void* frame) noexcept {
    GYRE_DCHECK(size() <= mask_);
    frames_[tail_++ & mask_] = frame;
  }

  void push_front(void* frame) noexcept {
    GYRE_DCHECK(size() <= mask_);
    frames_[--head_ & mask_] = frame;
  }

  // Precondition: !empty().
  void* pop() noexcept {
    return frames_[head_++ & mask_];
  }

  // The frame `ahead` places behind the front; whatever stands there if there are not so many. For prefetching.
  const void* peek(std::size_t ahead) const noexcept { return frames_[(head_ + ahead) & mask_]; }

 private:
  void grow(std::size_t count);

  void** frames_;
  std::size_t mask_;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace gyre
