#include <gyre/platform/syscalls_bsd.h>

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <gyre/platform/cut_slices_posix.h>

namespace gyre::sys {
namespace {

int native(NativeDescriptor fd) noexcept { return static_cast<int>(fd); }

Result<void> answer(std::int64_t result, OperationKind operation) noexcept {
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), operation);
  return {};
}

Result<UniqueFd> answer_descriptor(std::int64_t result, OperationKind operation) noexcept {
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result), operation);
  return UniqueFd(static_cast<NativeDescriptor>(result));
}

// The one place that makes a new descriptor what Gyre wants it to be. 0 or a negated errno.
std::int64_t prepare(int fd, bool non_blocking) noexcept {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
  if (!non_blocking) return 0;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
  return 0;
}

std::int64_t prepared(std::int64_t result) noexcept {
  if (result < 0) return result;
  const std::int64_t failed = prepare(static_cast<int>(result), true);
  if (failed == 0) return result;
  ::close(static_cast<int>(result));
  return failed;
}

// EPROTOTYPE: the connection is being taken down at this very moment; a moment later it would be EPIPE.
std::int64_t sent(std::int64_t result) noexcept { return result == -EPROTOTYPE ? -EPIPE : result; }

// `message` with at most `most` bytes.
class CutMessage {
 public:
  CutMessage(const msghdr& message, std::size_t most) noexcept
      : slices_(message.msg_iov, static_cast<std::size_t>(message.msg_iovlen), most), cut_(message) {
    if (most == detail::whole) return;
    cut_.msg_iov = slices_.data();
    cut_.msg_iovlen = static_cast<decltype(cut_.msg_iovlen)>(slices_.size());
  }
  msghdr& get() noexcept { return cut_; }

 private:
  detail::CutSlices slices_;
  msghdr cut_;
};

void close_received_on_exec(const msghdr& message) noexcept {
  msghdr walked = message;
  for (cmsghdr* part = CMSG_FIRSTHDR(&walked); part != nullptr; part = CMSG_NXTHDR(&walked, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const unsigned char* const data = CMSG_DATA(part);
    const std::size_t size = part->cmsg_len - static_cast<std::size_t>(data - reinterpret_cast<unsigned char*>(part));
    for (std::size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, data + at, sizeof(fd));
      (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
}

// Control data of Linux (UDP_SEGMENT) would be ignored here, and the segments go out as one large datagram.
bool has_foreign_control(const msghdr& message) noexcept {
  msghdr walked = message;
  for (cmsghdr* part = CMSG_FIRSTHDR(&walked); part != nullptr; part = CMSG_NXTHDR(&walked, part)) {
    if (part->cmsg_level == IPPROTO_UDP) return true;
  }
  return false;
}

int to_milliseconds(Duration timeout) noexcept {
  if (timeout == Duration::max()) return -1;
  constexpr std::int64_t most = 1 << 30;  // 12 days
  const std::int64_t whole = timeout.count() / 1'000'000 + (timeout.count() % 1'000'000 != 0);
  return static_cast<int>(std::min(whole, most));
}

}  // namespace

std::int64_t recv(NativeDescriptor fd, void* buffer, std::size_t size, int flags, const Site& site) noexcept {
  return call_whole(number_recvfrom, site, [&](std::size_t most) {
    return ::recv(native(fd), buffer, std::min(size, most), flags);
  });
}

std::int64_t send(NativeDescriptor fd, const void* buffer, std::size_t size, int flags, const Site& site) noexcept {
  return sent(call_whole(number_sendto, site, [&](std::size_t most) {
    return ::send(native(fd), buffer, std::min(size, most), flags);
  }));
}

std::int64_t recvmsg(NativeDescriptor fd, msghdr* message, int flags, const Site& site) noexcept {
  const std::int64_t result = call_whole(number_recvmsg, site, [&](std::size_t most) {
    if (most == detail::whole) return ::recvmsg(native(fd), message, flags);
    CutMessage cut(*message, most);
    const ssize_t count = ::recvmsg(native(fd), &cut.get(), flags);
    message->msg_namelen = cut.get().msg_namelen;
    message->msg_controllen = cut.get().msg_controllen;
    message->msg_flags = cut.get().msg_flags;
    return count;
  });
  if (result >= 0 && message->msg_controllen != 0) close_received_on_exec(*message);
  return result;
}

std::int64_t sendmsg(NativeDescriptor fd, const msghdr* message, int flags, const Site& site) noexcept {
  if (message->msg_controllen != 0 && has_foreign_control(*message)) return -EOPNOTSUPP;
  return sent(call_whole(number_sendmsg, site, [&](std::size_t most) {
    if (most == detail::whole) return ::sendmsg(native(fd), message, flags);
    CutMessage cut(*message, most);
    return ::sendmsg(native(fd), &cut.get(), flags);
  }));
}

std::int64_t recvmmsg(NativeDescriptor fd, mmsghdr* messages, unsigned count, int flags, const Site& site) noexcept {
  for (unsigned i = 0; i < count; ++i) {
    const std::int64_t result = recvmsg(fd, &messages[i].msg_hdr, flags, site);
    if (result < 0) return i == 0 ? result : i;
    messages[i].msg_len = static_cast<unsigned>(result);
  }
  return count;
}

std::int64_t sendmmsg(NativeDescriptor fd, mmsghdr* messages, unsigned count, int flags, const Site& site) noexcept {
  for (unsigned i = 0; i < count; ++i) {
    const std::int64_t result = sendmsg(fd, &messages[i].msg_hdr, flags, site);
    if (result < 0) return i == 0 ? result : i;
    messages[i].msg_len = static_cast<unsigned>(result);
  }
  return count;
}

std::int64_t accept4(NativeDescriptor fd, void* peer, std::uint32_t* peer_size, const Site& site) noexcept {
  socklen_t size = peer_size == nullptr ? 0 : *peer_size;
  const std::int64_t result = call_whole(number_accept, site, [&] {
    return ::accept(native(fd), static_cast<sockaddr*>(peer), peer == nullptr ? nullptr : &size);
  });
  if (peer_size != nullptr) *peer_size = size;
  return prepared(result);
}

std::int64_t connect(NativeDescriptor fd, const void* address, std::uint32_t size, const Site& site) noexcept {
  const std::int64_t result =
      call(number_connect, site, [&] { return ::connect(native(fd), static_cast<const sockaddr*>(address), size); });
  if (result >= 0) return result;
  if (result == -EINTR) return -EINPROGRESS;
  detail::check_no_bug(-result);
  return result;
}

std::int64_t read(NativeDescriptor fd, void* buffer, std::size_t size, const Site& site) noexcept {
  return call_whole(number_read, site, [&](std::size_t most) { return ::read(native(fd), buffer, std::min(size, most)); });
}

std::int64_t write(NativeDescriptor fd, const void* buffer, std::size_t size, const Site& site) noexcept {
  return call_whole(number_write, site, [&](std::size_t most) { return ::write(native(fd), buffer, std::min(size, most)); });
}

std::int64_t readv(NativeDescriptor fd, const iovec* slices, int count, const Site& site) noexcept {
  return call_whole(number_readv, site, [&](std::size_t most) {
    if (most == detail::whole) return ::readv(native(fd), slices, count);
    detail::CutSlices cut(slices, static_cast<std::size_t>(count), most);
    return ::readv(native(fd), cut.data(), static_cast<int>(cut.size()));
  });
}

std::int64_t writev(NativeDescriptor fd, const iovec* slices, int count, const Site& site) noexcept {
  return call_whole(number_writev, site, [&](std::size_t most) {
    if (most == detail::whole) return ::writev(native(fd), slices, count);
    detail::CutSlices cut(slices, static_cast<std::size_t>(count), most);
    return ::writev(native(fd), cut.data(), static_cast<int>(cut.size()));
  });
}

std::int64_t preadv2(NativeDescriptor fd, const iovec* slices, int count, std::int64_t offset, int flags,
                     const Site& site) noexcept {
  if (flags != 0) return -EOPNOTSUPP;
  GYRE_CHECK(count == 1);
  return call_whole(number_pread, site, [&](std::size_t most) {
    return ::pread(native(fd), slices->iov_base, std::min(slices->iov_len, most), offset);
  });
}

std::int64_t pwritev2(NativeDescriptor fd, const iovec* slices, int count, std::int64_t offset, int flags,
                      const Site& site) noexcept {
  if (flags != 0) return -EOPNOTSUPP;
  GYRE_CHECK(count == 1);
  return call_whole(number_pwrite, site, [&](std::size_t most) {
    return ::pwrite(native(fd), slices->iov_base, std::min(slices->iov_len, most), offset);
  });
}

std::int64_t splice(NativeDescriptor, NativeDescriptor, std::size_t, const Site&) noexcept { return -ENOSYS; }

std::int64_t openat(NativeDescriptor directory, const char* path, int flags, unsigned mode, const Site& site) noexcept {
  return call_whole(number_openat, site, [&] { return ::openat(static_cast<int>(directory), path, flags | O_CLOEXEC, mode); });
}

std::int64_t open_cached(NativeDescriptor, const char*, int, unsigned, const Site&) noexcept { return -ENOSYS; }

Result<void> unlink(const char* path, const Site& site) noexcept {
  return answer(call_whole(number_unlink, site, [&] { return ::unlink(path); }), OperationKind::none);
}

Result<void> rename(const char* from, const char* to, const Site& site) noexcept {
  return answer(call_whole(number_rename, site, [&] { return std::rename(from, to); }), OperationKind::none);
}

Result<void> ftruncate(NativeDescriptor fd, std::int64_t size, const Site& site) noexcept {
  return answer(call_whole(number_ftruncate, site, [&] { return ::ftruncate(native(fd), size); }), OperationKind::none);
}

Result<void> fchmod(NativeDescriptor fd, unsigned mode, const Site& site) noexcept {
  return answer(call_whole(number_fchmod, site, [&] { return ::fchmod(native(fd), static_cast<mode_t>(mode)); }),
                OperationKind::none);
}

Result<struct ::stat> stat(const char* path, const Site& site) noexcept {
  struct ::stat status {};
  const std::int64_t result = call_whole(number_stat, site, [&] { return ::stat(path, &status); });
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result));
  return status;
}

Result<struct ::stat> fstat(NativeDescriptor fd, const Site& site) noexcept {
  struct ::stat status {};
  const std::int64_t result = call_whole(number_fstat, site, [&] { return ::fstat(native(fd), &status); });
  if (result < 0) return Error::system(static_cast<std::int32_t>(-result));
  return status;
}

std::int64_t close(NativeDescriptor fd, const Site& site) noexcept {
  const std::int64_t result = call(number_close, site, [&] { return ::close(native(fd)); });
  GYRE_CHECK_HINT(result != -EBADF, "a descriptor was closed twice");
  return result;
}

std::int64_t shutdown(NativeDescriptor fd, int how, const Site& site) noexcept {
  return call_whole(number_shutdown, site, [&] { return ::shutdown(native(fd), how); });
}

Result<UniqueFd> duplicate(NativeDescriptor fd, const Site& site) noexcept {
  return answer_descriptor(call_whole(number_fcntl, site, [&] { return ::fcntl(native(fd), F_DUPFD_CLOEXEC, 0); }),
                           OperationKind::none);
}

Result<void> set_non_blocking(NativeDescriptor fd, const Site& site) noexcept {
  const std::int64_t flags = call_whole(number_fcntl, site, [&] { return ::fcntl(native(fd), F_GETFL); });
  if (flags < 0) return answer(flags, OperationKind::setup);
  if ((flags & O_NONBLOCK) != 0) return {};
  const int wanted = static_cast<int>(flags | O_NONBLOCK);
  return answer(call_whole(number_fcntl, site, [&] { return ::fcntl(native(fd), F_SETFL, wanted); }), OperationKind::setup);
}

Result<void> set_blocking(NativeDescriptor fd, const Site& site) noexcept {
  const std::int64_t flags = call_whole(number_fcntl, site, [&] { return ::fcntl(native(fd), F_GETFL); });
  if (flags < 0) return answer(flags, OperationKind::setup);
  if ((flags & O_NONBLOCK) == 0) return {};
  const int wanted = static_cast<int>(flags & ~O_NONBLOCK);
  return answer(call_whole(number_fcntl, site, [&] { return ::fcntl(native(fd), F_SETFL, wanted); }), OperationKind::setup);
}

std::int64_t get_flags(NativeDescriptor fd, const Site& site) noexcept {
  return call(number_fcntl, site, [&] { return ::fcntl(native(fd), F_GETFL); });
}

std::int64_t ioctl(NativeDescriptor fd, unsigned long request, void* argument, const Site& site) noexcept {
  return call_whole(number_ioctl, site, [&] { return ::ioctl(native(fd), request, argument); });
}

std::int64_t poll(pollfd* descriptors, std::size_t count, Duration timeout, const Site& site) noexcept {
  return call(number_poll, site, [&] { return ::poll(descriptors, static_cast<nfds_t>(count), to_milliseconds(timeout)); });
}

Result<UniqueFd> socket(int family, int type, int protocol, const Site& site) noexcept {
  const std::int64_t fd = call_whole(number_socket, site, [&] { return ::socket(family, type, protocol); });
  return answer_descriptor(prepared(fd), OperationKind::socket);
}

Result<void> socketpair(int type, UniqueFd (&ends)[2], const Site& site) noexcept {
  int both[2] = {-1, -1};
  const std::int64_t result = call_whole(number_socketpair, site, [&] { return ::socketpair(AF_UNIX, type, 0, both); });
  if (result < 0) return answer(result, OperationKind::socket);
  for (int i = 0; i < 2; ++i) {
    ends[i].reset(both[i]);
    prevent_broken_pipe_signal(both[i]);
  }
  for (const int fd : both) {
    const std::int64_t failed = prepare(fd, true);
    if (failed < 0) return answer(failed, OperationKind::socket);
  }
  return {};
}

Result<void> pipe2(UniqueFd (&ends)[2], int flags, const Site& site) noexcept {
  int both[2] = {-1, -1};
  const std::int64_t result = call_whole(number_pipe, site, [&] { return ::pipe(both); });
  if (result < 0) return answer(result, OperationKind::pipe);
  ends[0].reset(both[0]);
  ends[1].reset(both[1]);
  for (const int fd : both) {
    const std::int64_t failed = prepare(fd, (flags & O_NONBLOCK) != 0);
    if (failed < 0) return answer(failed, OperationKind::pipe);
  }
  return {};
}

Result<void> bind(NativeDescriptor fd, const void* address, std::uint32_t size, const Site& site) noexcept {
  return answer(call_whole(number_bind, site, [&] { return ::bind(native(fd), static_cast<const sockaddr*>(address), size); }),
                OperationKind::bind);
}

Result<void> listen(NativeDescriptor fd, int backlog, const Site& site) noexcept {
  return answer(call_whole(number_listen, site, [&] { return ::listen(native(fd), backlog); }), OperationKind::listen);
}

Result<void> getsockname(NativeDescriptor fd, void* address, std::uint32_t* size, const Site& site) noexcept {
  return answer(call_whole(number_getsockname, site, [&] { return ::getsockname(native(fd), static_cast<sockaddr*>(address), size); }),
                OperationKind::address);
}

Result<void> getpeername(NativeDescriptor fd, void* address, std::uint32_t* size, const Site& site) noexcept {
  return answer(call_whole(number_getpeername, site, [&] { return ::getpeername(native(fd), static_cast<sockaddr*>(address), size); }),
                OperationKind::address);
}

std::int64_t get_peer_name(NativeDescriptor fd, void* address, std::uint32_t* size, const Site& site) noexcept {
  return call(number_getpeername, site, [&] { return ::getpeername(native(fd), static_cast<sockaddr*>(address), size); });
}

Result<void> setsockopt(NativeDescriptor fd, int level, int name, const void* value, std::uint32_t size,
                        const Site& site) noexcept {
  return answer(call_whole(number_setsockopt, site, [&] { return ::setsockopt(native(fd), level, name, value, size); }),
                OperationKind::set_option);
}

Result<void> getsockopt(NativeDescriptor fd, int level, int name, void* value, std::uint32_t* size,
                        const Site& site) noexcept {
  return answer(call_whole(number_getsockopt, site, [&] { return ::getsockopt(native(fd), level, name, value, size); }),
                OperationKind::get_option);
}

std::int64_t take_socket_error(NativeDescriptor fd, const Site& site) noexcept {
  int error = 0;
  socklen_t size = sizeof(error);
  const std::int64_t result =
      call_whole(number_getsockopt, site, [&] { return ::getsockopt(native(fd), SOL_SOCKET, SO_ERROR, &error, &size); });
  return result < 0 ? -result : error;
}

void prevent_broken_pipe_signal(NativeDescriptor fd) noexcept {
  const int on = 1;
  if (::setsockopt(native(fd), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) == 0) return;
  // EINVAL: the connection is over already, and nobody can set options of it any more.
  if (errno == EINVAL) ignore_broken_pipes();
}

std::int64_t getpid() noexcept { return ::getpid(); }

std::int64_t duplicate_above(NativeDescriptor fd, int least, const Site& site) noexcept {
  return call(number_fcntl, site, [&] { return ::fcntl(native(fd), F_DUPFD_CLOEXEC, least); });
}

bool is_inheritable(NativeDescriptor fd) noexcept {
  const int flags = ::fcntl(native(fd), F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

std::int64_t spawn(const char* path, const posix_spawn_file_actions_t* actions, const posix_spawnattr_t* attributes,
                   char* const* arguments, char* const* environment, const Site& site) noexcept {
  pid_t child = 0;
  const std::int64_t result = call(number_spawn, site, [&] {
    errno = ::posix_spawn(&child, path, actions, attributes, arguments, environment);
    return errno == 0 ? 0 : -1;
  });
  return result < 0 ? result : child;
}

std::int64_t waitpid(std::int64_t process, int* status, int options, const Site& site) noexcept {
  return call_whole(number_wait4, site, [&] { return ::waitpid(static_cast<pid_t>(process), status, options); });
}

std::int64_t kill(std::int64_t process, int signal, const Site& site) noexcept {
  return call_whole(number_kill, site, [&] { return ::kill(static_cast<pid_t>(process), signal); });
}

}  // namespace gyre::sys
