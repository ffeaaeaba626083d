#include <gyre/task/task_local.h>

namespace gyre::detail {

void release(const LocalBinding* binding) noexcept {
  while (binding != nullptr && --binding->references == 0) {
    const LocalBinding* const outer = binding->outer;
    binding->destroy(binding);
    binding = outer;
  }
}

}  // namespace gyre::detail
