// ProvidedBuffers: the buffers that a poller lends to those who receive without one of their own.
//
// Where the kernel has buffer rings (5.19) it picks the buffer itself when data arrive; elsewhere the poller takes one
// when a socket has become readable. Either way a connection that waits owns no buffer.
//
// The kernel gives a buffer to whoever has data first. Once somebody had to go without, what comes back is kept, and given out
// in turn, until nobody waits any more.
//
// Invariant: a buffer is either lent (is_lent_[number]) or free; free ones are the kernel's, or on free_.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <gyre/platform/check.h>
#include <gyre/platform/io_uring_abi_linux.h>
#include <gyre/platform/io_uring_ring_linux.h>
#include <gyre/platform/result.h>

namespace gyre {

class ProvidedBuffers {
 public:
  static constexpr std::uint16_t group = 0;

  ProvidedBuffers() = default;
  ~ProvidedBuffers();
  ProvidedBuffers(const ProvidedBuffers&) = delete;
  ProvidedBuffers& operator=(const ProvidedBuffers&) = delete;

  // Takes the memory, and gives it to the kernel if it has buffer rings. `count` is a power of two.
  // Errors: not_enough_memory.
  Result<void> open(IoUringRing& ring, std::uint32_t count, std::uint32_t size) noexcept;
  bool is_open() const noexcept { return memory_ != nullptr; }
  // Takes the buffers back from the kernel. Those that are lent stay valid until this object dies.
  void withdraw(IoUringRing& ring) noexcept;

  // Whether the kernel picks: then completions bring numbers for lend(), else take() is for us to call.
  bool kernel_picks() const noexcept { return ring_ != nullptr; }
  std::uint32_t size() const noexcept { return size_; }
  // Free buffers that take() can give out, and at most so many that the kernel can.
  std::uint32_t at_hand() const noexcept { return free_count_; }
  std::uint32_t with_kernel() const noexcept { return count_ - lent_ - free_count_; }

  // From now on buffers that come back are kept for take(); until hand_over(), which gives them to the kernel if it picks.
  // Precondition: the kernel has none.
  void keep() noexcept { ring_ = nullptr; }
  void hand_over() noexcept {
    if (ring_ != pages_) [[unlikely]] provide_kept();
  }

  // The buffer that the kernel has picked; it is lent from now on.
  void* lend(std::uint16_t number) noexcept {
    GYRE_CHECK_HINT(number < count_ && !is_lent_[number], "the kernel picked a buffer it did not have");
    is_lent_[number] = true;
    ++lent_;
    return at(number);
  }
  // Any free buffer, which is lent from now on; null if there is none.
  void* take() noexcept;
  // Ends a loan.
  void give_back(void* buffer) noexcept {
    const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(buffer) - memory_);
    const std::size_t number = offset >> stride_bits_;
    GYRE_CHECK_HINT(number < count_ && is_lent_[number] && at(static_cast<std::uint32_t>(number)) == buffer,
                    "the buffer is not lent");
    is_lent_[number] = false;
    --lent_;
    provide(static_cast<std::uint32_t>(number));
  }

 private:
  void* at(std::uint32_t number) const noexcept { return memory_ + (std::size_t{number} << stride_bits_); }
  void provide(std::uint32_t number) noexcept {
    if (ring_ == nullptr) [[unlikely]] {
      free_[free_count_++] = static_cast<std::uint16_t>(number);
      return;
    }
    uring::ProvidedBuffer& entry = ring_[tail_ & (count_ - 1)];
    entry.address = reinterpret_cast<std::uint64_t>(at(number));
    entry.length = size_;
    entry.id = static_cast<std::uint16_t>(number);
    ++tail_;
    // Release: the kernel reads the entry once it sees the tail.
    std::atomic_ref<std::uint16_t>(ring_[0].reserved).store(tail_, std::memory_order_release);
  }

  void provide_kept() noexcept;

  std::byte* memory_ = nullptr;
  std::uint32_t stride_bits_ = 0;  // from one buffer to the next: `size_`, rounded up to a power of two
  std::uint32_t count_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t lent_ = 0;
  std::unique_ptr<bool[]> is_lent_;

  uring::ProvidedBuffer* pages_ = nullptr;  // shared with the kernel, which reads up to the tail
  uring::ProvidedBuffer* ring_ = nullptr;   // the same, or null while buffers are kept
  std::uint16_t tail_ = 0;

  std::unique_ptr<std::uint16_t[]> free_;  // without a ring: a stack, so that a warm buffer is used again
  std::uint32_t free_count_ = 0;
};

}  // namespace gyre
