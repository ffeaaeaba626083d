// Network interfaces by name and by number, which is what an IPv6 zone is.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <string_view>

#include <gyre/platform/result.h>

namespace gyre {

// Longer names cannot be, on any system that we know.
inline constexpr std::size_t interface_name_max = 255;

// Whether `text` may name an interface inside an address: it is no number, and nothing in it could end the address.
constexpr bool is_interface_name(std::string_view text) noexcept {
  bool is_number = true;
  for (const char c : text) {
    if (c <= ' ' || c == 127 || c == '/' || c == ':' || c == '%' || c == '[' || c == ']') return false;
    is_number = is_number && c >= '0' && c <= '9';
  }
  return !is_number && text.size() <= interface_name_max;
}

// Errors: no_such_device; too_many_files_open (some systems ask through a socket).
Result<std::uint32_t> interface_number(std::string_view name) noexcept;

struct InterfaceName {
  std::uint8_t size = 0;
  char text[interface_name_max] = {};
  std::string_view view() const noexcept { return {text, size}; }
};
// Empty if there is no such interface (any more).
InterfaceName interface_name(std::uint32_t number) noexcept;

}  // namespace gyre
