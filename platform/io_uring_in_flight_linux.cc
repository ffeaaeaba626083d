#include <gyre/platform/io_uring_in_flight_linux.h>

#include <utility>

namespace gyre {

bool InFlightTable::grow() noexcept {
  const std::uint32_t chunks_count = slots_count_ >> chunk_bits;
  if (chunks_count == chunks_max_) {
    const std::uint32_t more = chunks_max_ == 0 ? 16 : 2 * chunks_max_;
    std::unique_ptr<std::unique_ptr<InFlight[]>[]> wider(
        new (std::nothrow) std::unique_ptr<InFlight[]>[more]);
    if (wider == nullptr) return false;
    for (std::uint32_t i = 0; i < chunks_count; ++i) wider[i] = std::move(chunks_[i]);
    chunks_ = std::move(wider);
    chunks_max_ = more;
  }
  std::unique_ptr<InFlight[]> chunk(new (std::nothrow) InFlight[chunk_size]);
  if (chunk == nullptr) return false;
  // Lowest slot first.
  for (std::uint32_t i = chunk_size; i-- > 0;) {
    chunk[i].slot = slots_count_ + i;
    chunk[i].next = first_free_;
    first_free_ = slots_count_ + i;
  }
  chunks_[chunks_count] = std::move(chunk);
  slots_count_ += chunk_size;
  return true;
}

}  // namespace gyre
