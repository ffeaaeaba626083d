#include <gyre/platform/thread.h>

#include <unistd.h>

#include <gyre/platform/thread_posix.h>

namespace gyre {

// macOS ties no thread to a processor; its affinity tags are hints, and have none on Apple's own processors.
void detail::pin_this_thread(int) noexcept {}

unsigned count_processors() noexcept {
  const long count = ::sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

}  // namespace gyre
