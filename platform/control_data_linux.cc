// Credentials in control data.
#include <gyre/platform/control_data.h>

#include <sys/socket.h>

#include <cstring>

#include <gyre/platform/control_parts_posix.h>

namespace gyre {

static_assert(credentials_room >= CMSG_SPACE(sizeof(ucred)));

std::optional<PeerCredentials> find_credentials(std::span<const std::byte> control) noexcept {
  std::optional<PeerCredentials> found;
  for_each_control_part(control, [&](int level, int type, std::span<const std::byte> data) {
    ucred native{};
    if (level != SOL_SOCKET || type != SCM_CREDENTIALS || data.size() < sizeof(native)) return;
    std::memcpy(&native, data.data(), sizeof(native));
    found = PeerCredentials{.process = native.pid, .user = native.uid, .group = native.gid};
  });
  return found;
}

}  // namespace gyre
