#include <gyre/net/buffered_reader.h>

#include <cstring>
#include <utility>

namespace gyre {

namespace detail {

namespace {

constexpr std::size_t first_capacity = 4096;

}  // namespace

std::span<std::byte> ReadBuffer::room() {
  GYRE_DCHECK(!is_full());
  const std::size_t size = end_ - begin_;
  if (size == 0) begin_ = end_ = 0;
  // A stream that fills all of an empty buffer is worth a larger one.
  const bool grows = size == capacity_ || (size == 0 && was_filled_);
  if (grows && capacity_ < limit_) {
    const std::size_t capacity = std::min(limit_, std::max(first_capacity, 2 * capacity_));
    auto bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (size > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, size);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
    begin_ = 0;
    end_ = size;
  } else if (end_ == capacity_ || begin_ > capacity_ - capacity_ / 4) {
    // No room behind the data, or little: to the front with them.
    std::memmove(bytes_.get(), bytes_.get() + begin_, size);
    begin_ = 0;
    end_ = size;
  }
  was_filled_ = false;
  return {bytes_.get() + end_, capacity_ - end_};
}

std::size_t ReadBuffer::take(std::span<std::byte> buffer) noexcept {
  const std::size_t count = std::min(size(), buffer.size());
  if (count == 0) return 0;
  std::memcpy(buffer.data(), bytes_.get() + begin_, count);
  begin_ += count;
  return count;
}

std::size_t ReadBuffer::find_end(std::span<const std::string_view> separators,
                                 std::size_t scanned) const noexcept {
  std::string_view text(reinterpret_cast<const char*>(bytes_.get()) + begin_, size());
  std::size_t end = nowhere;
  for (const std::string_view separator : separators) {
    // The end of what was scanned may be the beginning of a separator.
    const std::size_t from = scanned - std::min(scanned, separator.size() - 1);
    const std::size_t at = text.find(separator, from);
    if (at == text.npos) continue;
    end = at + separator.size();
    text = text.substr(0, end);  // the others must end earlier
  }
  return end;
}

void Separators::check() const noexcept {
  for (const std::string_view separator : all()) {
    GYRE_CHECK_HINT(!separator.empty(), "an empty separator");
  }
}

}  // namespace detail

std::string_view without_line_end(std::string_view line) noexcept {
  if (line.ends_with("\r\n")) return line.substr(0, line.size() - 2);
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

}  // namespace gyre
