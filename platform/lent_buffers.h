// LentBuffers: equal buffers that a poller lends to receive_lent. Last in, first out, so that few are warm.
//
// Memory is taken in chunks when it is first needed, and kept.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include <gyre/platform/check.h>

namespace gyre {

class LentBuffers {
 public:
  LentBuffers(std::uint32_t count, std::uint32_t size) noexcept : count_(count), size_(size) {}

  std::size_t size() const noexcept { return size_; }  // of one
  std::uint32_t lent() const noexcept { return made_ - count_free(); }

  // Null if all are lent, or memory is short.
  void* take() noexcept { return has_free() || grow() ? take_free() : nullptr; }
  // Whether there is one at hand, and that one.
  bool has_free() const noexcept { return top_ != free_.get(); }
  void* take_free() noexcept { return *--top_; }

  void give_back(void* buffer) noexcept {
    GYRE_CHECK_HINT(top_ != end_, "a buffer came back that was not lent");
    GYRE_DCHECK(is_mine(buffer));
    *top_++ = buffer;
  }
  // The same with one comparison for two: false, and nothing has happened, if it was not lent, or after watch().
  [[nodiscard]] bool try_give_back(void* buffer) noexcept {
    if (top_ >= limit_) [[unlikely]] return false;
    GYRE_DCHECK(is_mine(buffer));
    *top_++ = buffer;
    return true;
  }
  // Somebody waits for a buffer; nobody does any more.
  void watch() noexcept { limit_ = free_.get(); }
  void unwatch() noexcept { limit_ = end_; }

 private:
  static constexpr std::uint32_t chunks_max = 16;

  std::uint32_t per_chunk() const noexcept { return std::max(1u, (count_ + chunks_max - 1) / chunks_max); }

  std::uint32_t count_free() const noexcept { return static_cast<std::uint32_t>(top_ - free_.get()); }

  // Precondition: none is free.
  [[gnu::cold, gnu::noinline]] bool grow() noexcept {
    if (made_ == count_) return false;
    if (free_ == nullptr) {
      free_.reset(new (std::nothrow) void*[count_]);
      top_ = free_.get();
      if (free_ == nullptr) return false;
    }
    const std::uint32_t more = std::min(per_chunk(), count_ - made_);
    std::unique_ptr<std::byte[]> chunk(new (std::nothrow) std::byte[std::size_t{more} * size_]);
    if (chunk == nullptr) return false;
    for (std::uint32_t i = more; i-- > 0;) {
      *top_++ = chunk.get() + std::size_t{i} * size_;
    }
    chunks_[chunks_count_++] = std::move(chunk);
    made_ += more;
    const bool is_watched = limit_ != end_;
    end_ = free_.get() + made_;
    if (!is_watched) limit_ = end_;
    return true;
  }

  bool is_mine(const void* buffer) const noexcept {
    const auto* const at = static_cast<const std::byte*>(buffer);
    for (std::uint32_t i = 0; i < chunks_count_; ++i) {
      const std::byte* const chunk = chunks_[i].get();
      if (at >= chunk && at < chunk + std::size_t{per_chunk()} * size_) {
        return static_cast<std::size_t>(at - chunk) % size_ == 0;
      }
    }
    return false;
  }

  const std::uint32_t count_;
  const std::uint32_t size_;
  std::uint32_t made_ = 0;
  std::uint32_t chunks_count_ = 0;
  // Those that are free: from free_ up to top_. If all that were made were free, up to end_.
  std::unique_ptr<void*[]> free_;
  void** top_ = nullptr;
  void** end_ = nullptr;
  void** limit_ = nullptr;  // of try_give_back(): end_, or free_ while watched
  std::array<std::unique_ptr<std::byte[]>, chunks_max> chunks_;
};

}  // namespace gyre
