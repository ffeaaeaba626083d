#include <gyre/task/task.h>

#include <cstdio>
#include <exception>
#include <new>

#include <gyre/platform/check.h>

namespace gyre::detail {

// Not a throw statement: this file also compiles without exceptions, and then aborts.
void out_of_frame_memory() {
  const std::exception_ptr exhausted = std::make_exception_ptr(std::bad_alloc());
  GYRE_CHECK_HINT(exhausted != nullptr, "no memory for a coroutine frame");
  std::rethrow_exception(exhausted);
}

void Unstarted::report_drop(const PromiseBase& promise) noexcept {
  if (thread_state.drops_quietly) return;
  const AwaitPlace place = place_of(promise);
  std::fprintf(stderr, "gyre: task \"%s\" was never awaited or spawned; its coroutine is at %s:%u\n",
               reinterpret_cast<const char*>(promise.context), place.file(), place.line());
}

}  // namespace gyre::detail

namespace gyre {

std::string_view TaskContext::name() const noexcept {
  const char* const name = detail::record_of(*this).name;
  return name != nullptr ? std::string_view(name) : std::string_view();
}

}  // namespace gyre
