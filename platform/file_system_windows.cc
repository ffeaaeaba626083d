#include <gyre/platform/file_system.h>

#include <windows.h>
#include <winternl.h>

#include <cerrno>
#include <limits>
#include <string>
#include <string_view>

#include <gyre/platform/last_error_windows.h>
#include <gyre/platform/text_windows.h>
#include <gyre/platform/windows_function_windows.h>

namespace gyre {
namespace {

HANDLE handle_of(NativeDescriptor descriptor) noexcept { return reinterpret_cast<HANDLE>(descriptor); }

constexpr DWORD share_all = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

FileType type_of(HANDLE file) noexcept {
  switch (::GetFileType(file)) {
    case FILE_TYPE_DISK: return FileType::regular;
    case FILE_TYPE_CHAR: return FileType::character_device;
    case FILE_TYPE_PIPE: return FileType::pipe;  // sockets, too
    default: return FileType::other;
  }
}

// There are no mode bits: what Windows knows is whether a file may be written.
std::uint32_t permissions_of(DWORD attributes) noexcept {
  const std::uint32_t read = (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? 0555 : 0444;
  return (attributes & FILE_ATTRIBUTE_READONLY) != 0 ? read : read | 0222;
}

Result<void> answer(BOOL done, OperationKind operation, std::string_view path) noexcept {
  if (done) return {};
  const Error error = sys::last_error(operation);
  return path.empty() ? error : error.at(Place::text(path));
}

// The access rights that a handle was opened with; none if it is no handle.
ACCESS_MASK granted_access(NativeDescriptor file) noexcept {
  using Query = NTSTATUS(NTAPI*)(HANDLE, OBJECT_INFORMATION_CLASS, PVOID, ULONG, PULONG);
  static const auto query = windows_function<Query>(L"ntdll.dll", "NtQueryObject");
  struct {
    ULONG attributes;
    ACCESS_MASK granted;
    ULONG rest[12];
  } basic{};
  constexpr auto basic_information = static_cast<OBJECT_INFORMATION_CLASS>(0);
  if (query == nullptr || query(handle_of(file), basic_information, &basic, sizeof(basic), nullptr) < 0) return 0;
  return basic.granted;
}

}  // namespace

Result<FileStatus> file_status(const char* path) noexcept {
  // With no rights but to ask; the flag is for directories.
  const HANDLE file = ::CreateFileW(sys::to_wide(path).c_str(), FILE_READ_ATTRIBUTES, share_all, nullptr, OPEN_EXISTING,
                                    FILE_FLAG_BACKUP_SEMANTICS, nullptr);
  if (file == INVALID_HANDLE_VALUE) return sys::last_error(OperationKind::file_status).at(Place::text(path));
  const UniqueFd owned(reinterpret_cast<NativeDescriptor>(file));
  const Result<FileStatus> status = file_status(owned.get());
  if (!status) return status.error().at(Place::text(path));
  return status;
}

Result<FileStatus> file_status(NativeDescriptor file) noexcept {
  FileStatus status;
  status.type = type_of(handle_of(file));
  BY_HANDLE_FILE_INFORMATION native{};
  if (status.type != FileType::regular) {
    if (status.type != FileType::other || ::GetLastError() == NO_ERROR) return status;
    return sys::last_error(OperationKind::file_status);
  }
  if (!::GetFileInformationByHandle(handle_of(file), &native)) return sys::last_error(OperationKind::file_status);
  if ((native.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0) status.type = FileType::directory;
  status.permissions = permissions_of(native.dwFileAttributes);
  status.size = std::uint64_t{native.nFileSizeHigh} << 32 | native.nFileSizeLow;
  status.device = native.dwVolumeSerialNumber;
  status.number = std::uint64_t{native.nFileIndexHigh} << 32 | native.nFileIndexLow;
  return status;
}

Result<void> set_permissions(NativeDescriptor file, std::uint32_t permissions) noexcept {
  BY_HANDLE_FILE_INFORMATION now{};
  if (!::GetFileInformationByHandle(handle_of(file), &now)) return sys::last_error(OperationKind::file_status);
  const bool is_read_only = (permissions & 0222) == 0;
  const DWORD others = now.dwFileAttributes & ~static_cast<DWORD>(FILE_ATTRIBUTE_READONLY);
  FILE_BASIC_INFO wanted{};  // times of 0 stay as they are
  wanted.FileAttributes = is_read_only ? others | FILE_ATTRIBUTE_READONLY : others;
  if (wanted.FileAttributes == 0) wanted.FileAttributes = FILE_ATTRIBUTE_NORMAL;
  if (wanted.FileAttributes == now.dwFileAttributes) return {};
  return answer(::SetFileInformationByHandle(handle_of(file), FileBasicInfo, &wanted, sizeof(wanted)),
                OperationKind::file_status, {});
}

Result<void> resize_file(NativeDescriptor file, std::uint64_t size) noexcept {
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Error::system(EFBIG, OperationKind::resize_file);
  }
  FILE_END_OF_FILE_INFO wanted{};
  wanted.EndOfFile.QuadPart = static_cast<std::int64_t>(size);
  return answer(::SetFileInformationByHandle(handle_of(file), FileEndOfFileInfo, &wanted, sizeof(wanted)),
                OperationKind::resize_file, {});
}

bool is_readable_file(NativeDescriptor file) noexcept { return (granted_access(file) & FILE_READ_DATA) != 0; }

bool is_writable_file(NativeDescriptor file) noexcept {
  return (granted_access(file) & (FILE_WRITE_DATA | FILE_APPEND_DATA)) != 0;
}

// A target that somebody has open is replaced where the system can (Windows 10 on NTFS), and is EACCES elsewhere.
Result<void> rename_file(const char* from, const char* to) noexcept {
  const std::wstring target = sys::to_wide(to);
  const DWORD attributes = ::GetFileAttributesW(target.c_str());
  if (attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
    return Error::system(EISDIR, OperationKind::rename_file).at(Place::text(to));
  }
  return answer(::MoveFileExW(sys::to_wide(from).c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING),
                OperationKind::rename_file, to);
}

Result<void> remove_file(const char* path) noexcept {
  const std::wstring name = sys::to_wide(path);
  const DWORD attributes = ::GetFileAttributesW(name.c_str());
  if (attributes != INVALID_FILE_ATTRIBUTES) {
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) != 0) {
      return Error::system(EISDIR, OperationKind::remove_file).at(Place::text(path));
    }
    // On other systems it is the directory that must be writable, not the file.
    if ((attributes & FILE_ATTRIBUTE_READONLY) != 0) {
      ::SetFileAttributesW(name.c_str(), attributes & ~static_cast<DWORD>(FILE_ATTRIBUTE_READONLY));
    }
  }
  return answer(::DeleteFileW(name.c_str()), OperationKind::remove_file, path);
}

std::string_view directory_part(std::string_view path) noexcept {
  return path.substr(0, path.find_last_of("/\\:") + 1);
}

}  // namespace gyre
