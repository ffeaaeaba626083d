// The two unusual ways through the seam of syscalls_linux.h, which includes this: by libc, and with less than was asked.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include <gyre/platform/cut_slices_posix.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre::sys::detail {

// Calls whose interceptors tell a sanitizer what memory is read and written, or who waits for whom; the rest by number.
template <long number, typename... Arguments>
std::int64_t call_libc(Arguments... arguments) noexcept {
  const auto made = [](const auto function, auto... values) noexcept -> std::int64_t {
    return static_cast<std::int64_t>(function(values...));
  };
  std::int64_t result = 0;
  const auto fd = [](NativeDescriptor descriptor) { return static_cast<int>(descriptor); };
  if constexpr (number == SYS_recvfrom) {
    result = made([&](NativeDescriptor d, void* b, std::size_t n, int f, auto, auto) {
      return ::recv(fd(d), b, n, f); }, arguments...);
  } else if constexpr (number == SYS_sendto) {
    result = made([&](NativeDescriptor d, const void* b, std::size_t n, int f, auto, auto) {
      return ::send(fd(d), b, n, f); }, arguments...);
  } else if constexpr (number == SYS_recvmsg) {
    result = made([&](NativeDescriptor d, msghdr* m, int f) { return ::recvmsg(fd(d), m, f); }, arguments...);
  } else if constexpr (number == SYS_sendmsg) {
    result = made([&](NativeDescriptor d, const msghdr* m, int f) { return ::sendmsg(fd(d), m, f); }, arguments...);
  } else if constexpr (number == SYS_recvmmsg) {
    result = made([&](NativeDescriptor d, mmsghdr* m, unsigned n, int f, auto) {
      return ::recvmmsg(fd(d), m, n, f, nullptr); }, arguments...);
  } else if constexpr (number == SYS_sendmmsg) {
    result = made([&](NativeDescriptor d, mmsghdr* m, unsigned n, int f) {
      return ::sendmmsg(fd(d), m, n, f); }, arguments...);
  } else if constexpr (number == SYS_accept4) {
    result = made([&](NativeDescriptor d, void* a, std::uint32_t* n, int f) {
      return ::accept4(fd(d), static_cast<sockaddr*>(a), n, f); }, arguments...);
  } else if constexpr (number == SYS_connect) {
    result = made([&](NativeDescriptor d, const void* a, std::uint32_t n) {
      return ::connect(fd(d), static_cast<const sockaddr*>(a), n); }, arguments...);
  } else if constexpr (number == SYS_read) {
    result = made([&](NativeDescriptor d, void* b, std::size_t n) { return ::read(fd(d), b, n); }, arguments...);
  } else if constexpr (number == SYS_write) {
    result = made([&](NativeDescriptor d, const void* b, std::size_t n) { return ::write(fd(d), b, n); }, arguments...);
  } else if constexpr (number == SYS_readv) {
    result = made([&](NativeDescriptor d, const iovec* v, int n) { return ::readv(fd(d), v, n); }, arguments...);
  } else if constexpr (number == SYS_writev) {
    result = made([&](NativeDescriptor d, const iovec* v, int n) { return ::writev(fd(d), v, n); }, arguments...);
  } else if constexpr (number == SYS_close) {
    result = made([&](NativeDescriptor d) { return ::close(fd(d)); }, arguments...);
  } else if constexpr (number == SYS_epoll_ctl) {
    result = made([&](NativeDescriptor e, int o, NativeDescriptor d, epoll_event* v) {
      return ::epoll_ctl(fd(e), o, fd(d), v); }, arguments...);
  } else if constexpr (number == SYS_epoll_pwait) {
    result = made([&](NativeDescriptor e, epoll_event* v, int n, int t, auto, auto) {
      return ::epoll_wait(fd(e), v, n, t); }, arguments...);
  } else if constexpr (number == SYS_epoll_create1) {
    result = made([&](int f) { return ::epoll_create1(f); }, arguments...);
  } else if constexpr (number == SYS_socket) {
    result = made([&](int f, int t, int p) { return ::socket(f, t, p); }, arguments...);
  } else if constexpr (number == SYS_pipe2) {
    result = made([&](int* p, int f) { return ::pipe2(p, f); }, arguments...);
  } else if constexpr (number == SYS_socketpair) {
    result = made([&](int f, int t, int p, int* e) { return ::socketpair(f, t, p, e); }, arguments...);
  } else if constexpr (number == SYS_mmap) {
    // Otherwise a race detector would hold against us what another thread did when the memory was its.
    result = made([&](std::nullptr_t, std::size_t n, int p, int f, NativeDescriptor d, std::int64_t o) {
      return reinterpret_cast<std::int64_t>(::mmap(nullptr, n, p, f, fd(d), static_cast<::off_t>(o))); }, arguments...);
  } else if constexpr (number == SYS_munmap) {
    result = made([&](void* a, std::size_t n) { return ::munmap(a, n); }, arguments...);
  } else {
    result = ::syscall(number, word(arguments)...);
  }
  return result == -1 ? -static_cast<std::int64_t>(errno) : result;
}

// Which argument counts bytes, messages or events, from 0; -1: none.
constexpr int size_argument(long number) noexcept {
  switch (number) {
    case SYS_recvfrom: case SYS_sendto: case SYS_read: case SYS_write: case SYS_recvmmsg: case SYS_sendmmsg:
    case SYS_epoll_pwait: case number_epoll_pwait2: return 2;
    case SYS_sendfile: return 3;
    case SYS_splice: return 4;
    default: return -1;
  }
}

template <long number, typename... Arguments>
std::int64_t call_shortened(std::int64_t limit, Arguments... arguments) noexcept {
  const auto most = static_cast<std::size_t>(limit);
  std::tuple<Arguments...> changed(arguments...);
  const auto make = [&]() noexcept {
    return std::apply([](auto... values) noexcept { return call_kernel<number>(values...); }, changed);
  };
  constexpr int place = size_argument(number);
  if constexpr (number == SYS_readv || number == SYS_writev || number == SYS_preadv2 ||
                number == SYS_pwritev2) {
    CutSlices cut(std::get<1>(changed), static_cast<std::size_t>(std::get<2>(changed)), most);
    std::get<1>(changed) = cut.data();
    std::get<2>(changed) = static_cast<int>(cut.size());
    return make();
  } else if constexpr (number == SYS_recvmsg || number == SYS_sendmsg) {
    auto* const message = std::get<1>(changed);
    msghdr copy = *message;
    CutSlices cut(copy.msg_iov, copy.msg_iovlen, most);
    copy.msg_iov = cut.data();
    copy.msg_iovlen = cut.size();
    std::get<1>(changed) = &copy;
    const std::int64_t result = make();
    if constexpr (number == SYS_recvmsg) {
      message->msg_namelen = copy.msg_namelen;
      message->msg_controllen = copy.msg_controllen;
      message->msg_flags = copy.msg_flags;
    }
    return result;
  } else if constexpr (place >= 0) {
    auto& size = std::get<static_cast<std::size_t>(place)>(changed);
    using Size = std::remove_reference_t<decltype(size)>;
    size = std::min(size, static_cast<Size>(most));
    return make();
  } else {
    return make();  // has no size
  }
}

}  // namespace gyre::sys::detail
