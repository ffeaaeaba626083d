// What the last call of Windows on this thread has left as its error.
#pragma once

#include <windows.h>

#include <gyre/platform/error.h>
#include <gyre/platform/error_windows.h>

namespace gyre::sys {

inline Error last_error(OperationKind operation) noexcept {
  return Error::system(errno_of(::GetLastError()), operation);
}

}  // namespace gyre::sys
