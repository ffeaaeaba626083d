#include <gyre/platform/io_uring_buffers_linux.h>

#include <atomic>
#include <cerrno>
#include <new>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {

namespace {

constexpr std::uint32_t count_max = 32768;  // the limit of the kernel for one ring

std::size_t ring_bytes(std::uint32_t count) noexcept { return count * sizeof(uring::ProvidedBuffer); }

}  // namespace

ProvidedBuffers::~ProvidedBuffers() {
  if (ring_ != nullptr) sys::munmap(ring_, ring_bytes(count_));
  if (memory_ != nullptr) sys::munmap(memory_, std::size_t{count_} * size_);
}

Result<void> ProvidedBuffers::open(IoUringRing& ring, std::uint32_t count, std::uint32_t size) noexcept {
  GYRE_CHECK_HINT(count > 0 && count <= count_max && (count & (count - 1)) == 0,
                  "PollerOptions::lent_buffers must be a power of two, at most 32768");
  GYRE_CHECK(size > 0);
  const Error no_memory = Error::system(ENOMEM, OperationKind::receive_lent);
  is_lent_.reset(new (std::nothrow) bool[count]());
  free_.reset(new (std::nothrow) std::uint16_t[count]);
  if (is_lent_ == nullptr || free_ == nullptr) return no_memory;
  const Result<void*> memory = sys::mmap(std::size_t{count} * size, no_descriptor, 0);
  if (!memory) return memory.error().with(OperationKind::receive_lent);
  memory_ = static_cast<std::byte*>(*memory);
  count_ = count;
  size_ = size;

  if (ring.features().buffer_rings) {
    const Result<void*> pages = sys::mmap(ring_bytes(count), no_descriptor, 0);
    if (pages) {
      // The kernel keeps these very pages. After a fork() a write of ours would go to a copy.
      sys::madvise(*pages, ring_bytes(count), MADV_DONTFORK);
      uring::RegisterBufferRing registration{};
      registration.address = reinterpret_cast<std::uint64_t>(*pages);
      registration.entries = count;
      registration.group = group;
      if (ring.register_with(uring::register_pbuf_ring, &registration, 1) >= 0) {
        ring_ = static_cast<uring::ProvidedBuffer*>(*pages);
      } else {
        sys::munmap(*pages, ring_bytes(count));  // then without
      }
    }
  }
  for (std::uint32_t number = count; number-- > 0;) provide(number);
  return {};
}

void ProvidedBuffers::withdraw(IoUringRing& ring) noexcept {
  if (ring_ == nullptr) return;
  uring::RegisterBufferRing registration{};
  registration.group = group;
  ring.register_with(uring::unregister_pbuf_ring, &registration, 1);
  sys::munmap(ring_, ring_bytes(count_));
  ring_ = nullptr;
}

void ProvidedBuffers::provide(std::uint32_t number) noexcept {
  if (ring_ == nullptr) {
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

void* ProvidedBuffers::lend(std::uint16_t number) noexcept {
  GYRE_CHECK_HINT(number < count_ && !is_lent_[number], "the kernel picked a buffer it did not have");
  is_lent_[number] = true;
  ++lent_;
  return at(number);
}

void* ProvidedBuffers::take() noexcept {
  if (free_count_ == 0) return nullptr;
  return lend(free_[--free_count_]);
}

void ProvidedBuffers::give_back(void* buffer) noexcept {
  const std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(buffer) - memory_);
  const auto number = static_cast<std::uint32_t>(offset / size_);
  GYRE_CHECK_HINT(memory_ != nullptr && offset % size_ == 0 && number < count_ && is_lent_[number],
                  "the buffer is not lent");
  is_lent_[number] = false;
  --lent_;
  provide(number);
}

}  // namespace gyre
