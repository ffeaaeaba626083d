#include <gyre/platform/unique_fd.h>

#include <winsock2.h>

namespace gyre {

// A descriptor is a SOCKET or a HANDLE, as the system gave it. Both are numbers of the same table of the process, so none
// is both; and closesocket() knows its own, and leaves what is none alone (WSAENOTSOCK; WSANOTINITIALISED where there are
// no sockets at all). A tag in the number was rejected: Winsock looks a socket up by the whole of it, and whatever
// comes from or goes to other code would have to be translated.
void UniqueFd::close_descriptor(NativeDescriptor fd) noexcept {
  if (::closesocket(static_cast<SOCKET>(fd)) == 0) return;
  const int error = ::WSAGetLastError();
  // A non-blocking socket that was told to linger is refused and stays open, nothing sent: then the system itself sends
  // what is left, and nobody waits. (Wine never refuses.)
  if (error == WSAEWOULDBLOCK) {
    const BOOL on = TRUE;
    ::setsockopt(static_cast<SOCKET>(fd), SOL_SOCKET, SO_DONTLINGER, reinterpret_cast<const char*>(&on), sizeof(on));
    ::closesocket(static_cast<SOCKET>(fd));
    return;
  }
  if (error == WSAENOTSOCK || error == WSANOTINITIALISED) ::CloseHandle(reinterpret_cast<HANDLE>(fd));
}

}  // namespace gyre
