#include <gyre/platform/error_windows.h>

#include <winsock2.h>
#include <ws2tcpip.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>

#include <gyre/platform/error_text.h>

namespace gyre {
namespace {

struct Mapping {
  std::uint32_t code;
  std::int32_t to;
};

// In the order of the numbers. Several codes mean the same. Where one means several things, it is the one that a socket,
// pipe, file or process of ours can run into.
constexpr Mapping mappings[] = {
    {ERROR_SUCCESS, 0},
    {ERROR_INVALID_FUNCTION, EINVAL},
    {ERROR_FILE_NOT_FOUND, ENOENT},
    {ERROR_PATH_NOT_FOUND, ENOENT},
    {ERROR_TOO_MANY_OPEN_FILES, EMFILE},
    {ERROR_ACCESS_DENIED, EACCES},
    {ERROR_INVALID_HANDLE, EBADF},
    {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
    {ERROR_BAD_ENVIRONMENT, E2BIG},
    {ERROR_BAD_FORMAT, ENOEXEC},
    {ERROR_INVALID_ACCESS, EACCES},
    {ERROR_OUTOFMEMORY, ENOMEM},
    {ERROR_INVALID_DRIVE, ENOENT},
    {ERROR_CURRENT_DIRECTORY, EACCES},
    {ERROR_NOT_SAME_DEVICE, EXDEV},
    {ERROR_NO_MORE_FILES, ENOENT},
    {ERROR_WRITE_PROTECT, EROFS},
    {ERROR_BAD_UNIT, ENODEV},
    {ERROR_NOT_READY, EAGAIN},
    {ERROR_BAD_COMMAND, EIO},
    {ERROR_CRC, EIO},
    {ERROR_BAD_LENGTH, EINVAL},
    {ERROR_SEEK, EIO},
    {ERROR_WRITE_FAULT, EIO},
    {ERROR_READ_FAULT, EIO},
    {ERROR_GEN_FAILURE, EIO},
    {ERROR_SHARING_VIOLATION, EBUSY},
    {ERROR_LOCK_VIOLATION, EBUSY},
    {ERROR_HANDLE_DISK_FULL, ENOSPC},
    {ERROR_NOT_SUPPORTED, EOPNOTSUPP},
    {ERROR_REM_NOT_LIST, ECONNREFUSED},
    {ERROR_DUP_NAME, EADDRINUSE},  // what WSAEADDRINUSE is called in a completion packet
    {ERROR_BAD_NETPATH, ENOENT},
    {ERROR_NETWORK_BUSY, EBUSY},
    {ERROR_DEV_NOT_EXIST, ENODEV},
    {ERROR_UNEXP_NET_ERR, EIO},
    {ERROR_NETNAME_DELETED, ECONNRESET},  // what WSAECONNRESET is called in a completion packet
    {ERROR_NETWORK_ACCESS_DENIED, EACCES},
    {ERROR_BAD_NET_NAME, ENOENT},
    {ERROR_TOO_MANY_NAMES, ENOBUFS},  // too many addresses of one socket
    {ERROR_FILE_EXISTS, EEXIST},
    {ERROR_CANNOT_MAKE, EACCES},
    {ERROR_INVALID_PARAMETER, EINVAL},
    {ERROR_NO_PROC_SLOTS, EAGAIN},
    {ERROR_BROKEN_PIPE, EPIPE},
    {ERROR_OPEN_FAILED, ENOENT},
    {ERROR_BUFFER_OVERFLOW, ENAMETOOLONG},
    {ERROR_DISK_FULL, ENOSPC},
    {ERROR_CALL_NOT_IMPLEMENTED, ENOSYS},
    {ERROR_SEM_TIMEOUT, ETIMEDOUT},  // what WSAETIMEDOUT is called in a completion packet
    {ERROR_INSUFFICIENT_BUFFER, ENOBUFS},
    {ERROR_INVALID_NAME, ENOENT},
    {ERROR_MOD_NOT_FOUND, ENOENT},
    {ERROR_PROC_NOT_FOUND, ENOSYS},
    {ERROR_WAIT_NO_CHILDREN, ECHILD},
    {ERROR_CHILD_NOT_COMPLETE, ENOEXEC},
    {ERROR_NEGATIVE_SEEK, EINVAL},
    {ERROR_SEEK_ON_DEVICE, ESPIPE},
    {ERROR_DIR_NOT_EMPTY, ENOTEMPTY},
    {ERROR_TOO_MANY_TCBS, EAGAIN},
    {ERROR_NOT_LOCKED, EACCES},
    {ERROR_BAD_PATHNAME, ENOENT},
    {ERROR_MAX_THRDS_REACHED, EAGAIN},
    {ERROR_LOCK_FAILED, EACCES},
    {ERROR_BUSY, EBUSY},
    {ERROR_ALREADY_EXISTS, EEXIST},
    {ERROR_INVALID_STARTING_CODESEG, ENOEXEC},
    {ERROR_INVALID_EXE_SIGNATURE, ENOEXEC},
    {ERROR_EXE_MARKED_INVALID, ENOEXEC},
    {ERROR_BAD_EXE_FORMAT, ENOEXEC},
    {ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG},
    {ERROR_EXE_MACHINE_TYPE_MISMATCH, ENOEXEC},
    {ERROR_FILE_TOO_LARGE, EFBIG},
    {225, EACCES},  // ERROR_VIRUS_INFECTED: a program that the system's guard does not let start
    {226, EACCES},  // ERROR_VIRUS_DELETED
    {ERROR_BAD_PIPE, EPIPE},
    {ERROR_PIPE_BUSY, EBUSY},
    {ERROR_NO_DATA, EPIPE},  // the other end of the pipe is being closed
    {ERROR_PIPE_NOT_CONNECTED, EPIPE},
    {ERROR_MORE_DATA, EMSGSIZE},
    {ERROR_VC_DISCONNECTED, ECONNRESET},
    {WAIT_TIMEOUT, ETIMEDOUT},
    {ERROR_DIRECTORY, ENOTDIR},
    {ERROR_DELETE_PENDING, EACCES},
    {336, EISDIR},  // ERROR_DIRECTORY_NOT_SUPPORTED
    {ERROR_PIPE_CONNECTED, EISCONN},
    {ERROR_PIPE_LISTENING, ENOTCONN},
    {740, EPERM},  // ERROR_ELEVATION_REQUIRED
    {ERROR_OPERATION_ABORTED, ECANCELED},
    {ERROR_IO_INCOMPLETE, EINPROGRESS},
    {ERROR_IO_PENDING, EINPROGRESS},
    {ERROR_NOACCESS, EFAULT},
    {ERROR_INVALID_FLAGS, EINVAL},
    {ERROR_NO_MEDIA_IN_DRIVE, ENODEV},
    {ERROR_NO_UNICODE_TRANSLATION, EILSEQ},
    {ERROR_IO_DEVICE, EIO},
    {ERROR_POSSIBLE_DEADLOCK, EDEADLK},
    {ERROR_TOO_MANY_LINKS, EMLINK},
    {ERROR_INVALID_DLL, ENOEXEC},
    {ERROR_DEVICE_NOT_CONNECTED, ENODEV},
    {ERROR_NOT_FOUND, ENOENT},
    {ERROR_INVALID_NETNAME, EADDRNOTAVAIL},
    {ERROR_NO_NETWORK, ENETDOWN},
    {ERROR_USER_MAPPED_FILE, EBUSY},
    {ERROR_CONNECTION_REFUSED, ECONNREFUSED},
    {ERROR_GRACEFUL_DISCONNECT, EPIPE},
    {ERROR_ADDRESS_ALREADY_ASSOCIATED, EADDRINUSE},
    {ERROR_ADDRESS_NOT_ASSOCIATED, EADDRNOTAVAIL},
    {ERROR_CONNECTION_INVALID, ENOTCONN},
    {ERROR_CONNECTION_ACTIVE, EISCONN},
    {ERROR_NETWORK_UNREACHABLE, ENETUNREACH},
    {ERROR_HOST_UNREACHABLE, EHOSTUNREACH},
    {ERROR_PROTOCOL_UNREACHABLE, ENETUNREACH},
    {ERROR_PORT_UNREACHABLE, ECONNREFUSED},
    {ERROR_REQUEST_ABORTED, ECANCELED},
    {ERROR_CONNECTION_ABORTED, ECONNABORTED},
    {ERROR_RETRY, EAGAIN},
    {ERROR_CONNECTION_COUNT_LIMIT, EAGAIN},
    {ERROR_INCORRECT_ADDRESS, EADDRNOTAVAIL},
    {ERROR_NOT_AUTHENTICATED, EACCES},
    {ERROR_HOST_DOWN, EHOSTUNREACH},
    {ERROR_ACCESS_DISABLED_BY_POLICY, EPERM},
    {1295, ENOSPC},  // ERROR_DISK_QUOTA_EXCEEDED
    {ERROR_PRIVILEGE_NOT_HELD, EPERM},
    {ERROR_NO_SYSTEM_RESOURCES, ENOBUFS},
    {ERROR_NONPAGED_SYSTEM_RESOURCES, ENOBUFS},
    {ERROR_PAGED_SYSTEM_RESOURCES, ENOBUFS},
    {ERROR_WORKING_SET_QUOTA, ENOMEM},
    {ERROR_PAGEFILE_QUOTA, ENOMEM},
    {ERROR_COMMITMENT_LIMIT, ENOMEM},
    {ERROR_TIMEOUT, ETIMEDOUT},
    {ERROR_INVALID_USER_BUFFER, ENOBUFS},  // too many overlapped transfers at once
    {ERROR_NOT_ENOUGH_QUOTA, ENOBUFS},
    {ERROR_CANT_ACCESS_FILE, EACCES},
    {ERROR_CANT_RESOLVE_FILENAME, ELOOP},
    {WSAEINTR, EINTR},
    {WSAEBADF, EBADF},
    {WSAEACCES, EACCES},
    {WSAEFAULT, EFAULT},
    {WSAEINVAL, EINVAL},
    {WSAEMFILE, EMFILE},
    {WSAEWOULDBLOCK, EAGAIN},
    {WSAEINPROGRESS, EINPROGRESS},
    {WSAEALREADY, EALREADY},
    {WSAENOTSOCK, ENOTSOCK},
    {WSAEDESTADDRREQ, EDESTADDRREQ},
    {WSAEMSGSIZE, EMSGSIZE},
    {WSAEPROTOTYPE, EPROTOTYPE},
    {WSAENOPROTOOPT, ENOPROTOOPT},
    {WSAEPROTONOSUPPORT, EPROTONOSUPPORT},
    {WSAESOCKTNOSUPPORT, EPROTONOSUPPORT},
    {WSAEOPNOTSUPP, EOPNOTSUPP},
    {WSAEPFNOSUPPORT, EAFNOSUPPORT},
    {WSAEAFNOSUPPORT, EAFNOSUPPORT},
    {WSAEADDRINUSE, EADDRINUSE},
    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL},
    {WSAENETDOWN, ENETDOWN},
    {WSAENETUNREACH, ENETUNREACH},
    {WSAENETRESET, ENETRESET},
    {WSAECONNABORTED, ECONNABORTED},
    {WSAECONNRESET, ECONNRESET},
    {WSAENOBUFS, ENOBUFS},
    {WSAEISCONN, EISCONN},
    {WSAENOTCONN, ENOTCONN},
    {WSAESHUTDOWN, EPIPE},
    {WSAETIMEDOUT, ETIMEDOUT},
    {WSAECONNREFUSED, ECONNREFUSED},
    {WSAELOOP, ELOOP},
    {WSAENAMETOOLONG, ENAMETOOLONG},
    {WSAEHOSTDOWN, EHOSTUNREACH},
    {WSAEHOSTUNREACH, EHOSTUNREACH},
    {WSAENOTEMPTY, ENOTEMPTY},
    {WSAEPROCLIM, EAGAIN},
    {WSAEDQUOT, ENOSPC},
    {WSASYSNOTREADY, ENETDOWN},
    {WSAVERNOTSUPPORTED, ENOSYS},
    {WSANOTINITIALISED, ENOSYS},
    {WSAEDISCON, EPIPE},
    {WSAECANCELLED, ECANCELED},
    {WSAEPROVIDERFAILEDINIT, ENETDOWN},  // also what sockets say to a process without SystemRoot in its environment
    {WSA_E_CANCELLED, ECANCELED},
    {WSAEREFUSED, ECONNREFUSED},
    {ERROR_SXS_CANT_GEN_ACTCTX, ENOEXEC},  // a program whose manifest asks for what is not there
};

constexpr bool is_ordered() noexcept {
  for (std::size_t i = 1; i < std::size(mappings); ++i) {
    if (mappings[i - 1].code >= mappings[i].code) return false;
  }
  return true;
}
static_assert(is_ordered());

}  // namespace

std::int32_t errno_of(std::uint32_t code) noexcept {
  const auto* const found = std::lower_bound(
      std::begin(mappings), std::end(mappings), code,
      [](const Mapping& mapping, std::uint32_t wanted) { return mapping.code < wanted; });
  return found != std::end(mappings) && found->code == code ? found->to : EIO;
}

namespace detail {

std::int32_t errno_of_system_code(std::int32_t code) noexcept { return errno_of(static_cast<std::uint32_t>(code)); }

// std::errc has all that <errno.h> has here.
std::string_view extra_system_text(std::int32_t) noexcept { return {}; }

// EAI_FAIL and the like are Winsock's own numbers on Windows.
std::string_view resolver_text(std::int32_t code) noexcept {
  switch (code) {
    case EAI_AGAIN: return "temporary failure in name resolution";
    case EAI_BADFLAGS: return "bad flags for name resolution";
    case EAI_FAIL: return "permanent failure in name resolution";
    case EAI_FAMILY: return "address family not supported";
    case EAI_MEMORY: return "not enough memory for name resolution";
    case EAI_NONAME: return "host or service not found";
    case EAI_SERVICE: return "service not supported for this socket type";
    case EAI_SOCKTYPE: return "socket type not supported";
    case WSANO_DATA: return "host has no address";
    default: return {};
  }
}

}  // namespace detail
}  // namespace gyre
