// Control data of messages: what travels beside the bytes, without an operating system's header. (See Message.)
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <gyre/platform/socket.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

// Descriptors that one message of a local socket may carry, and the room that `count` of them take.
inline constexpr std::size_t passed_descriptors_max = 253;
constexpr std::size_t descriptors_room(std::size_t count) noexcept { return 16 + (count * 4 + 7) / 8 * 8; }
// Room for the credentials of a message's sender.
inline constexpr std::size_t credentials_room = 32;
// Room for the size of a datagram's segments.
inline constexpr std::size_t segment_size_room = 24;

// Writes control data that pass `descriptors` on, 1 to passed_descriptors_max. `room` holds descriptors_room() bytes or
// more and is aligned to 8. Returns the size.
std::size_t pack_descriptors(std::span<std::byte> room, std::span<const NativeDescriptor> descriptors) noexcept;
// Takes the descriptors out of received control data; those for which there is no room in `out` are closed. Returns how
// many there were. To be called once for each message, also if nobody wants them.
std::size_t unpack_descriptors(std::span<const std::byte> control, std::span<UniqueFd> out) noexcept;

// Who has sent the message; none unless its receiver has asked for that (SocketOption::receive_credentials).
std::optional<PeerCredentials> find_credentials(std::span<const std::byte> control) noexcept;

// Writes control data that cut what is sent into datagrams of `size` bytes (UDP_SEGMENT, Linux 4.18). Returns the size.
std::size_t pack_segment_size(std::span<std::byte> room, std::uint16_t size) noexcept;
// The size of the datagrams that the system has put together (UDP_GRO, Linux 5.0); 0 if it has not.
std::size_t find_segment_size(std::span<const std::byte> control) noexcept;

}  // namespace gyre
