#include <gyre/platform/error_text.h>

namespace gyre::detail {

std::int32_t errno_of_system_code(std::int32_t code) noexcept { return code; }

}  // namespace gyre::detail
