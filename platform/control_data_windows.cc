#include <gyre/platform/control_data.h>

#include <gyre/platform/syscalls_windows.h>

#include <algorithm>
#include <cstring>

#include <gyre/platform/check.h>

namespace gyre {
namespace {

static_assert(segment_size_room >= WSA_CMSG_SPACE(sizeof(DWORD)));

// Newer than some headers; since Windows 10, version 2004.
constexpr int udp_send_size = 2;       // UDP_SEND_MSG_SIZE
constexpr int udp_coalesced_size = 3;  // UDP_COALESCED_INFO
constexpr int descriptors_type = 1;    // Windows passes none: who sends them is told so

std::size_t pack(std::span<std::byte> room, int level, int type, const void* data, std::size_t size) noexcept {
  const std::size_t space = WSA_CMSG_SPACE(size);
  GYRE_CHECK(room.size() >= space);
  std::memset(room.data(), 0, space);
  WSACMSGHDR header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = WSA_CMSG_LEN(size);
  std::memcpy(room.data(), &header, sizeof(header));
  if (size > 0) std::memcpy(room.data() + WSA_CMSG_LEN(0), data, size);
  return space;
}

}  // namespace

std::size_t pack_descriptors(std::span<std::byte> room, std::span<const NativeDescriptor> descriptors) noexcept {
  GYRE_CHECK_HINT(!descriptors.empty() && descriptors.size() <= passed_descriptors_max,
                  "a message carries 1 to 253 descriptors");
  return pack(room, SOL_SOCKET, descriptors_type, nullptr, 0);
}

std::size_t unpack_descriptors(std::span<const std::byte>, std::span<UniqueFd>) noexcept { return 0; }

std::optional<PeerCredentials> find_credentials(std::span<const std::byte>) noexcept { return std::nullopt; }

std::size_t pack_segment_size(std::span<std::byte> room, std::uint16_t size) noexcept {
  const DWORD wide = size;
  return pack(room, IPPROTO_UDP, udp_send_size, &wide, sizeof(wide));
}

// What is cut short or makes no sense ends the walk.
std::size_t find_segment_size(std::span<const std::byte> control) noexcept {
  constexpr std::size_t head = WSA_CMSG_LEN(0);
  while (control.size() >= head) {
    WSACMSGHDR header;
    std::memcpy(&header, control.data(), sizeof(header));
    const std::size_t size = header.cmsg_len;
    if (size < head || size > control.size()) return 0;
    DWORD found = 0;
    if (header.cmsg_level == IPPROTO_UDP && header.cmsg_type == udp_coalesced_size && size >= head + sizeof(found)) {
      std::memcpy(&found, control.data() + head, sizeof(found));
      return found;
    }
    control = control.subspan(std::min<std::size_t>(control.size(), WSA_CMSG_SPACE(size - head)));
  }
  return 0;
}

}  // namespace gyre
