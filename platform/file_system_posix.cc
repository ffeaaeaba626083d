#include <gyre/platform/file_system.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <limits>
#include <string_view>

#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

FileType type_of(unsigned mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileType::regular;
    case S_IFDIR: return FileType::directory;
    case S_IFIFO: return FileType::pipe;
    case S_IFSOCK: return FileType::socket;
    case S_IFCHR: return FileType::character_device;
    case S_IFBLK: return FileType::block_device;
    default: return FileType::other;
  }
}

Result<FileStatus> status_of(const Result<struct ::stat>& native) noexcept {
  if (!native) return native.error().with(OperationKind::file_status);
  FileStatus status;
  status.type = type_of(native->st_mode);
  status.permissions = native->st_mode & 07777;
  status.size = native->st_size > 0 ? static_cast<std::uint64_t>(native->st_size) : 0;
  status.device = static_cast<std::uint64_t>(native->st_dev);
  status.number = native->st_ino;
  return status;
}

Result<void> named(const Result<void>& result, OperationKind operation, std::string_view path) noexcept {
  if (result) return {};
  const Error error = result.error().with(operation);
  return path.empty() ? error : error.at(Place::text(path));
}

}  // namespace

Result<FileStatus> file_status(const char* path) noexcept {
  const Result<FileStatus> status = status_of(sys::stat(path));
  if (!status) return status.error().at(Place::text(path));
  return status;
}

Result<FileStatus> file_status(NativeDescriptor file) noexcept { return status_of(sys::fstat(file)); }

Result<void> set_permissions(NativeDescriptor file, std::uint32_t permissions) noexcept {
  return named(sys::fchmod(file, permissions), OperationKind::file_status, {});
}

Result<void> resize_file(NativeDescriptor file, std::uint64_t size) noexcept {
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Error::system(EFBIG, OperationKind::resize_file);
  }
  return named(sys::ftruncate(file, static_cast<std::int64_t>(size)), OperationKind::resize_file, {});
}

bool is_readable_file(NativeDescriptor file) noexcept {
  const std::int64_t flags = sys::get_flags(file);
  return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
}

bool is_writable_file(NativeDescriptor file) noexcept {
  const std::int64_t flags = sys::get_flags(file);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

Result<void> rename_file(const char* from, const char* to) noexcept {
  return named(sys::rename(from, to), OperationKind::rename_file, to);
}

Result<void> remove_file(const char* path) noexcept {
  return named(sys::unlink(path), OperationKind::remove_file, path);
}

std::string_view directory_part(std::string_view path) noexcept { return path.substr(0, path.rfind('/') + 1); }

}  // namespace gyre
