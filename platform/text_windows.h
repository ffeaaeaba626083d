// Texts between Gyre, which has UTF-8, and the calls of Windows, which want UTF-16.
//
// Threads: any.
#pragma once

#include <string>
#include <string_view>

namespace gyre::sys {

// What is no UTF-8 becomes U+FFFD, and so the name of nothing.
std::wstring to_wide(std::string_view utf8);
// What is no UTF-16 (a surrogate by itself) becomes U+FFFD.
std::string to_utf8(std::wstring_view wide);

}  // namespace gyre::sys
