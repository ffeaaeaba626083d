// The parts of received control data, one after the other.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace gyre {

// Calls visit(level, type, data) for each part. What is cut short or makes no sense ends the walk.
template <typename Visit>
void for_each_control_part(std::span<const std::byte> control, Visit&& visit) noexcept {
  while (control.size() >= CMSG_LEN(0)) {
    cmsghdr header;
    std::memcpy(&header, control.data(), sizeof(header));
    const auto size = static_cast<std::size_t>(header.cmsg_len);
    if (size < CMSG_LEN(0) || size > control.size()) return;
    visit(header.cmsg_level, header.cmsg_type, control.subspan(CMSG_LEN(0), size - CMSG_LEN(0)));
    control = control.subspan(std::min(control.size(), CMSG_SPACE(size - CMSG_LEN(0))));
  }
}

}  // namespace gyre
