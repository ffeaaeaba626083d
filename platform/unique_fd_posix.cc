#include <gyre/platform/syscalls_posix.h>
#include <gyre/platform/unique_fd.h>

namespace gyre {

void UniqueFd::close_descriptor(NativeDescriptor fd) noexcept { sys::close(fd); }

}  // namespace gyre
