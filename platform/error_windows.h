// The one table from Windows' error codes to errno's.
#pragma once

#include <cstdint>

namespace gyre {

// `code` is what GetLastError() or WSAGetLastError() gave (their numbers do not overlap). 0 stays 0; a code that the table
// does not have becomes EIO. Any thread.
std::int32_t errno_of(std::uint32_t code) noexcept;

}  // namespace gyre
