// The file calls of POSIX systems, blocking and not.
#include <gyre/platform/file_worker.h>

#include <cerrno>

#include <gyre/platform/check.h>
#include <gyre/platform/poller.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

int native_open_flags(std::size_t flags) noexcept {
  // O_NONBLOCK: opening a FIFO or a terminal must not wait for its other end. Regular files do not care.
  int native = O_NONBLOCK | O_NOCTTY;
  const bool reads = (flags & open_read) != 0;
  const bool writes = (flags & (open_write | open_append)) != 0;
  native |= writes ? (reads ? O_RDWR : O_WRONLY) : O_RDONLY;
  if ((flags & open_create) != 0) native |= O_CREAT;
  if ((flags & open_exclusive) != 0) native |= O_EXCL;
  if ((flags & open_truncate) != 0) native |= O_TRUNC;
  if ((flags & open_append) != 0) native |= O_APPEND;
  if ((flags & open_directory) != 0) native |= O_DIRECTORY;
  return native;
}

std::int64_t transfer(const Operation& operation, int flags) noexcept {
  GYRE_CHECK_HINT(operation.offset >= 0, "a file offset is not negative");
  iovec slice{};
  slice.iov_base = operation.buffer;
  slice.iov_len = operation.size < sys::transfer_max ? operation.size : sys::transfer_max;
  const NativeDescriptor fd = operation.descriptor->native;
  return operation.kind == OperationKind::read_at
             ? sys::preadv2(fd, &slice, 1, operation.offset, flags)
             : sys::pwritev2(fd, &slice, 1, operation.offset, flags);
}

}  // namespace

std::int64_t make_file_call(const Operation& operation) noexcept {
  if (operation.kind == OperationKind::open_file) {
    return sys::openat(AT_FDCWD, operation.path, native_open_flags(operation.size),
                       static_cast<unsigned>(operation.offset));
  }
  if (operation.kind == OperationKind::sync_file) return sys::fsync(operation.descriptor->native);
  return transfer(operation, 0);
}

std::int64_t try_file_call(const Operation& operation) noexcept {
  if (operation.kind == OperationKind::sync_file) return -EAGAIN;
  if (operation.kind == OperationKind::open_file) {
    const std::int64_t result =
        sys::open_cached(AT_FDCWD, operation.path, native_open_flags(operation.size),
                         static_cast<unsigned>(operation.offset));
    // What a kernel, a filter or a file system that lacks this answers; the plain call knows better.
    const bool unknown = result == -ENOSYS || result == -EINVAL || result == -EPERM || result == -E2BIG;
    return unknown ? -EAGAIN : result;
  }
  const std::int64_t result = transfer(operation, sys::no_wait);
  const bool unknown = result == -EOPNOTSUPP || result == -EINVAL || result == -ENOSYS;
  return unknown ? -EAGAIN : result;
}

}  // namespace gyre
