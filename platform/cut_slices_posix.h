// CutSlices: a transfer with less than was asked, for injected faults.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace gyre::sys::detail {

// As many of `slices` as hold `limit` bytes, the last one cut; at most 64.
class CutSlices {
 public:
  CutSlices(const iovec* slices, std::size_t count, std::size_t limit) noexcept {
    for (; count_ < count && count_ < slices_.size(); ++count_) {
      if (limit == 0 && count_ > 0) break;
      slices_[count_] = slices[count_];
      slices_[count_].iov_len = std::min(slices_[count_].iov_len, limit);
      limit -= slices_[count_].iov_len;
    }
  }
  iovec* data() noexcept { return slices_.data(); }
  std::size_t size() const noexcept { return count_; }

 private:
  std::array<iovec, 64> slices_ = {};
  std::size_t count_ = 0;
};

}  // namespace gyre::sys::detail
