#include <gyre/platform/shared_descriptor.h>

#include <winsock2.h>
#include <windows.h>

#include <cerrno>

#include <gyre/platform/file_system.h>
#include <gyre/platform/last_error_windows.h>

namespace gyre {
namespace {

// 0, 1 and 2 are the standard streams, as on other systems: no handle has such a number.
HANDLE handle_of(NativeDescriptor shared) noexcept {
  switch (shared) {
    case 0: return ::GetStdHandle(STD_INPUT_HANDLE);
    case 1: return ::GetStdHandle(STD_OUTPUT_HANDLE);
    case 2: return ::GetStdHandle(STD_ERROR_HANDLE);
    default: return reinterpret_cast<HANDLE>(shared);
  }
}

bool is_socket(HANDLE handle) noexcept {
  int type = 0;
  int size = sizeof(type);
  return ::getsockopt(reinterpret_cast<SOCKET>(handle), SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &size) == 0;
}

}  // namespace

// Whether its operations can be overlapped was settled when it was opened, mostly against it: consoles, redirected files
// and the pipes of a shell are read and written by threads of the poller, and nobody else notices.
Result<SharedDescriptor> open_shared(NativeDescriptor shared) noexcept {
  const HANDLE handle = handle_of(shared);
  if (handle == nullptr || handle == INVALID_HANDLE_VALUE) return Error::system(EBADF, OperationKind::open_file);
  const DWORD type = ::GetFileType(handle);
  SharedDescriptor result;
  if (type == FILE_TYPE_DISK) {
    const Result<FileStatus> status = file_status(reinterpret_cast<NativeDescriptor>(handle));
    if (!status) return status.error().with(OperationKind::open_file);
    if (status->type == FileType::directory) return Error::system(EISDIR, OperationKind::open_file);
    result.kind = DescriptorKind::file;
  } else if (type == FILE_TYPE_PIPE && is_socket(handle)) {
    result.kind = DescriptorKind::socket;
  } else if (type != FILE_TYPE_PIPE && type != FILE_TYPE_CHAR) {
    return Error::system(EBADF, OperationKind::open_file);  // a process, an event, a completion port, ...
  }
  HANDLE copy = nullptr;
  const HANDLE self = ::GetCurrentProcess();
  if (!::DuplicateHandle(self, handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
    return sys::last_error(OperationKind::open_file);
  }
  result.fd = UniqueFd(reinterpret_cast<NativeDescriptor>(copy));
  return result;
}

// Nothing was changed.
void set_blocking(NativeDescriptor) noexcept {}

}  // namespace gyre
