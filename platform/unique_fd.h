// UniqueFd: owns one descriptor (a file descriptor; on Windows a SOCKET or a HANDLE) and closes it.
#pragma once

#include <cstdint>
#include <utility>

namespace gyre {

// What the system calls a descriptor: an int on POSIX, a SOCKET or HANDLE on Windows.
using NativeDescriptor = std::intptr_t;
inline constexpr NativeDescriptor no_descriptor = -1;

class [[nodiscard]] UniqueFd {
 public:
  constexpr UniqueFd() noexcept = default;
  constexpr explicit UniqueFd(NativeDescriptor fd) noexcept : fd_(fd) {}
  constexpr UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  constexpr NativeDescriptor get() const noexcept { return fd_; }
  constexpr explicit operator bool() const noexcept { return fd_ != no_descriptor; }
  [[nodiscard]] constexpr NativeDescriptor release() noexcept {
    return std::exchange(fd_, no_descriptor);
  }
  void reset(NativeDescriptor fd = no_descriptor) noexcept {
    const NativeDescriptor old = std::exchange(fd_, fd);
    if (old != no_descriptor) close_descriptor(old);
  }

 private:
  // Closes it; never retried, never fails (platform/syscalls_*).
  static void close_descriptor(NativeDescriptor fd) noexcept;

  NativeDescriptor fd_ = no_descriptor;
};

}  // namespace gyre
