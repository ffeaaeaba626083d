// One buffer in place of many: files and pipes of Windows have no vectored transfers that a port could serve.
//
// What a vector writes to a pipe in one transfer stays in one piece there, however many others write to it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include <gyre/platform/operation.h>

namespace gyre {

// Of one transfer; of a stream the rest is left for the next.
inline constexpr std::size_t gathered_max = 64 * 1024;

class GatheredSlices {
 public:
  // For a vectored operation of several slices that hold something: takes room for all of them, of which a write is a
  // copy. Otherwise, and if memory is short, whole() will be the first slice alone.
  void assign(const Operation& operation, bool reads) noexcept {
    const IoSlice* const begin = operation.slices;
    const IoSlice* const end = begin + operation.size;
    const auto holds = [](const IoSlice& slice) { return slice.size > 0; };
    const IoSlice* const first = std::find_if(begin, end, holds);
    if (first == end) return;
    whole_ = *first;
    if (std::none_of(first + 1, end, holds)) return;
    std::size_t sum = 0;
    for (const IoSlice* slice = first; slice != end; ++slice) sum += std::min(slice->size, gathered_max - sum);
    if (sum <= first->size) return;
    buffer_.reset(new (std::nothrow) std::byte[sum]);
    if (buffer_ == nullptr) return;
    whole_ = {buffer_.get(), sum};
    if (!reads) copy(operation, sum, true);
  }
  IoSlice whole() const noexcept { return whole_; }
  // After a read of `size` bytes.
  void scatter(const Operation& operation, std::size_t size) const noexcept {
    if (buffer_ != nullptr) copy(operation, size, false);
  }

 private:
  void copy(const Operation& operation, std::size_t size, bool gathers) const noexcept {
    std::size_t done = 0;
    for (std::size_t i = 0; i < operation.size && done < size; ++i) {
      const IoSlice& slice = operation.slices[i];
      const std::size_t count = std::min(slice.size, size - done);
      if (count == 0) continue;
      std::byte* const ours = buffer_.get() + done;
      gathers ? std::memcpy(ours, slice.data, count) : std::memcpy(slice.data, ours, count);
      done += count;
    }
  }

  IoSlice whole_{};
  std::unique_ptr<std::byte[]> buffer_;
};

}  // namespace gyre
