#include <gyre/platform/check.h>

#include <cstdio>
#include <cstdlib>

namespace gyre::detail {

void check_failed(const char* file, int line, const char* condition, const char* hint) noexcept {
  if (hint == nullptr) {
    std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  } else {
    std::fprintf(stderr, "%s:%d: check failed: %s (%s)\n", file, line, condition, hint);
  }
  std::fflush(stderr);
  std::abort();
}

}  // namespace gyre::detail
