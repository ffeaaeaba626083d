// What only the system knows of error codes: texts of the errno values beyond std::errc and of getaddrinfo's codes.
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

// The errno value of a code of std::system_category(): errno's already on POSIX, Win32's elsewhere.
std::int32_t errno_of_system_code(std::int32_t code) noexcept;

}  // namespace gyre::detail
