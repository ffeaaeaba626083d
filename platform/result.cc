#include <gyre/platform/result.h>

#include <system_error>

namespace gyre::detail {

void throw_error(const Error& error) {
  throw std::system_error(error.error_code(), error.to_string());
}

}  // namespace gyre::detail
