#include <gyre/platform/io_uring_buffers_linux.h>

#include <bit>
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
  if (pages_ != nullptr) sys::munmap(pages_, ring_bytes(count_));
  if (memory_ != nullptr) sys::munmap(memory_, std::size_t{count_} << stride_bits_);
}

Result<void> ProvidedBuffers::open(IoUringRing& ring, std::uint32_t count, std::uint32_t size) noexcept {
  GYRE_CHECK_HINT(count > 0 && count <= count_max && (count & (count - 1)) == 0,
                  "PollerOptions::lent_buffers must be a power of two, at most 32768");
  GYRE_CHECK(size > 0);
  const Error no_memory = Error::system(ENOMEM, OperationKind::receive_lent);
  is_lent_.reset(new (std::nothrow) bool[count]());
  free_.reset(new (std::nothrow) std::uint16_t[count]);
  if (is_lent_ == nullptr || free_ == nullptr) return no_memory;
  const auto stride_bits = static_cast<std::uint32_t>(std::bit_width(size - 1));
  const Result<void*> memory = sys::mmap(std::size_t{count} << stride_bits, no_descriptor, 0);
  if (!memory) return memory.error().with(OperationKind::receive_lent);
  memory_ = static_cast<std::byte*>(*memory);
  count_ = count;
  size_ = size;
  stride_bits_ = stride_bits;

  if (ring.features().buffer_rings) {
    const Result<void*> pages = sys::mmap(ring_bytes(count), no_descriptor, 0);
    if (pages) {
      // The kernel keeps these very pages: a fork() must not make a write of ours go to a copy. A child, which may have
      // inherited bytes that it gives back, has pages of its own.
      sys::madvise(*pages, ring_bytes(count), MADV_WIPEONFORK);
      uring::RegisterBufferRing registration{};
      registration.address = reinterpret_cast<std::uint64_t>(*pages);
      registration.entries = count;
      registration.group = group;
      if (ring.register_with(uring::register_pbuf_ring, &registration, 1) >= 0) {
        pages_ = ring_ = static_cast<uring::ProvidedBuffer*>(*pages);
      } else {
        sys::munmap(*pages, ring_bytes(count));  // then without
      }
    }
  }
  for (std::uint32_t number = count; number-- > 0;) provide(number);
  return {};
}

void ProvidedBuffers::withdraw(IoUringRing& ring) noexcept {
  if (pages_ == nullptr) return;
  uring::RegisterBufferRing registration{};
  registration.group = group;
  ring.register_with(uring::unregister_pbuf_ring, &registration, 1);
  sys::munmap(pages_, ring_bytes(count_));
  pages_ = ring_ = nullptr;
}

void ProvidedBuffers::provide_kept() noexcept {
  ring_ = pages_;
  while (free_count_ > 0) provide(free_[--free_count_]);
}

void* ProvidedBuffers::take() noexcept {
  if (free_count_ == 0) return nullptr;
  return lend(free_[--free_count_]);
}

}  // namespace gyre
