// Credentials in control data: local sockets of macOS do not attach any.
#include <gyre/platform/control_data.h>

namespace gyre {

std::optional<PeerCredentials> find_credentials(std::span<const std::byte>) noexcept { return std::nullopt; }

}  // namespace gyre
