#include <gyre/platform/fork_generation.h>

namespace gyre {

// There is no fork().
std::uint32_t fork_generation() noexcept { return 0; }

}  // namespace gyre
