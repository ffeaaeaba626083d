// Texts that only the system knows: the errno values beyond std::errc, and getaddrinfo's codes.
//
// Implemented once per system (error_linux.cc, ...). Literals, hence thread-safe and the same in every locale, which
// strerror() and gai_strerror() are not.
#pragma once

#include <cstdint>
#include <string_view>

namespace gyre::detail {

// Any thread. Empty if the code is unknown.
std::string_view extra_system_text(std::int32_t code) noexcept;
std::string_view resolver_text(std::int32_t code) noexcept;

}  // namespace gyre::detail
