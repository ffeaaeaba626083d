#include <gyre/platform/control_data.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include <gyre/platform/check.h>
#include <gyre/platform/control_parts_posix.h>

namespace gyre {
namespace {

static_assert(sizeof(int) == 4);
static_assert(descriptors_room(1) >= CMSG_SPACE(sizeof(int)));
static_assert(descriptors_room(passed_descriptors_max) >= CMSG_SPACE(passed_descriptors_max * sizeof(int)));
static_assert(segment_size_room >= CMSG_SPACE(sizeof(std::uint16_t)));

// Newer than some headers.
constexpr int udp_segment = 103;
constexpr int udp_gro = 104;

std::size_t pack(std::span<std::byte> room, int level, int type, const void* data, std::size_t size) noexcept {
  GYRE_CHECK(room.size() >= CMSG_SPACE(size));
  std::memset(room.data(), 0, CMSG_SPACE(size));
  cmsghdr header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = static_cast<decltype(header.cmsg_len)>(CMSG_LEN(size));
  std::memcpy(room.data(), &header, sizeof(header));
  std::memcpy(room.data() + CMSG_LEN(0), data, size);
  return CMSG_SPACE(size);
}

}  // namespace

std::size_t pack_descriptors(std::span<std::byte> room, std::span<const NativeDescriptor> descriptors) noexcept {
  GYRE_CHECK_HINT(!descriptors.empty() && descriptors.size() <= passed_descriptors_max,
                  "a message carries 1 to 253 descriptors");
  int numbers[passed_descriptors_max];
  std::transform(descriptors.begin(), descriptors.end(), numbers,
                 [](NativeDescriptor fd) { return static_cast<int>(fd); });
  return pack(room, SOL_SOCKET, SCM_RIGHTS, numbers, descriptors.size() * sizeof(int));
}

std::size_t unpack_descriptors(std::span<const std::byte> control, std::span<UniqueFd> out) noexcept {
  std::size_t count = 0;
  for_each_control_part(control, [&](int level, int type, std::span<const std::byte> data) {
    if (level != SOL_SOCKET || type != SCM_RIGHTS) return;
    for (; data.size() >= sizeof(int); data = data.subspan(sizeof(int))) {
      int number = -1;
      std::memcpy(&number, data.data(), sizeof(number));
      UniqueFd owned{NativeDescriptor{number}};
      if (count < out.size()) out[count] = std::move(owned);
      ++count;
    }
  });
  return count;
}

std::size_t pack_segment_size(std::span<std::byte> room, std::uint16_t size) noexcept {
  return pack(room, IPPROTO_UDP, udp_segment, &size, sizeof(size));
}

std::size_t find_segment_size(std::span<const std::byte> control) noexcept {
  int found = 0;
  for_each_control_part(control, [&](int level, int type, std::span<const std::byte> data) {
    if (level == IPPROTO_UDP && type == udp_gro && data.size() >= sizeof(found)) {
      std::memcpy(&found, data.data(), sizeof(found));
    }
  });
  return found > 0 ? static_cast<std::size_t>(found) : 0;
}

}  // namespace gyre
