#include <gyre/platform/thread.h>

#include <sys/param.h>

#include <sys/cpuset.h>

#include <cstddef>

#include <gyre/platform/thread_posix.h>

namespace gyre {
namespace {

// Of this thread; empty if the system does not tell.
cpuset_t allowed_processors() noexcept {
  cpuset_t allowed;
  if (::cpuset_getaffinity(CPU_LEVEL_WHICH, CPU_WHICH_TID, -1, sizeof(allowed), &allowed) < 0) CPU_ZERO(&allowed);
  return allowed;
}

int count_in(const cpuset_t& processors) noexcept {
  int count = 0;
  for (int i = 0; i < CPU_SETSIZE; ++i) count += CPU_ISSET(i, &processors) ? 1 : 0;
  return count;
}

}  // namespace

// To the n-th processor of those allowed, modulo their number.
void detail::pin_this_thread(int processor) noexcept {
  const cpuset_t allowed = allowed_processors();
  const int count = count_in(allowed);
  if (count == 0) return;
  int left = processor % count;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed) || left-- != 0) continue;
    cpuset_t one;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    // Without it the thread only runs where the kernel thinks best.
    static_cast<void>(::cpuset_setaffinity(CPU_LEVEL_WHICH, CPU_WHICH_TID, -1, sizeof(one), &one));
    return;
  }
}

unsigned count_processors() noexcept {
  const int count = count_in(allowed_processors());
  return count > 0 ? static_cast<unsigned>(count) : 1;
}

}  // namespace gyre
