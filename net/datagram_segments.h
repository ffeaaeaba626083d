// DatagramSegments: the datagrams in what a socket with SocketOptions::receive_segments has received at once.
//
//   for (std::span<const std::byte> datagram : DatagramSegments(bytes.first(received->size), received->segment_size)) ...
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>

namespace gyre {

class DatagramSegments {
 public:
  // Pieces of `segment_size` bytes, the last one shorter perhaps; 0: all of it is one datagram, which may be empty.
  DatagramSegments(std::span<const std::byte> bytes, std::size_t segment_size) noexcept
      : bytes_(bytes), step_(segment_size != 0 ? segment_size : bytes.size()) {}

  class Iterator {
   public:
    using value_type = std::span<const std::byte>;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    Iterator() noexcept = default;
    value_type operator*() const noexcept { return all_->operator[](index_); }
    Iterator& operator++() noexcept {
      ++index_;
      return *this;
    }
    Iterator operator++(int) noexcept {
      const Iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.index_ == b.index_; }

   private:
    friend class DatagramSegments;
    Iterator(const DatagramSegments* all, std::size_t index) noexcept : all_(all), index_(index) {}
    const DatagramSegments* all_ = nullptr;
    std::size_t index_ = 0;
  };

  // At least 1: an empty datagram is one.
  std::size_t size() const noexcept { return bytes_.empty() ? 1 : (bytes_.size() + step_ - 1) / step_; }
  // Precondition: index < size().
  std::span<const std::byte> operator[](std::size_t index) const noexcept {
    const std::span<const std::byte> rest = bytes_.subspan(index * step_);
    return rest.first(std::min(step_, rest.size()));
  }
  Iterator begin() const noexcept { return {this, 0}; }
  Iterator end() const noexcept { return {this, size()}; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t step_;
};

}  // namespace gyre
