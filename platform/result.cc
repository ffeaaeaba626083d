#include <gyre/platform/result.h>

#include <exception>
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
  // No throw statement: the library compiles with -fno-exceptions, where there is nothing to throw.
  const std::exception_ptr exception = std::make_exception_ptr(std::system_error(error.error_code(), attempted));
  GYRE_CHECK_HINT(exception != nullptr, "value() of a Result that holds an error, without exceptions");
  std::rethrow_exception(exception);
}

}  // namespace gyre::detail
