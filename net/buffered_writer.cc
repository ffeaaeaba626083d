#include <gyre/net/buffered_writer.h>

#include <utility>

namespace gyre::detail {

std::span<const std::byte> WriteBuffer::next() noexcept {
  if (sending_begin_ == sending_.size()) {
    sending_.clear();
    sending_begin_ = 0;
    std::swap(sending_, pending_);
  }
  return std::span(sending_).subspan(sending_begin_);
}

BufferedWriterOptions checked(BufferedWriterOptions options) noexcept {
  if (options.low == BufferedWriterOptions::automatic) options.low = options.high / 4;
  if (options.limit == BufferedWriterOptions::automatic) {
    options.limit = options.high > BufferedWriterOptions::automatic / 16 ? options.high : 16 * options.high;
  }
  GYRE_CHECK_HINT(options.low <= options.high, "a low watermark above the high one");
  GYRE_CHECK_HINT(options.high <= options.limit, "a high watermark above the limit");
  return options;
}

}  // namespace gyre::detail
