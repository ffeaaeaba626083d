#include <gyre/platform/reported_error.h>

#include <cerrno>

namespace gyre {

Result<void> report_errors(NativeDescriptor, bool) noexcept {
  return Error::system(ENOSYS, OperationKind::set_option);
}

ReportedError take_reported_error(NativeDescriptor) noexcept { return {}; }

}  // namespace gyre
