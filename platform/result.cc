#include <gyre/platform/result.h>

#include <string>
#include <system_error>

namespace gyre::detail {

void throw_error(const Error& error) {
  // std::system_error appends the code's own text, so only what was attempted, and where, goes in front.
  std::string attempted;
  if (error.operation() != OperationKind::none) attempted = to_string(error.operation());
  const std::string place = error.place().to_string();
  if (!attempted.empty() && !place.empty()) attempted += ' ';
  attempted += place;
  throw std::system_error(error.error_code(), attempted);
}

}  // namespace gyre::detail
