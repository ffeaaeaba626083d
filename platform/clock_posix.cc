#include <gyre/platform/clock.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

class SteadyClock final : public Clock {
 public:
  Instant now() noexcept override { return sys::monotonic_now(); }
};

constinit SteadyClock the_steady_clock;

}  // namespace

Clock& steady_clock() noexcept { return the_steady_clock; }

}  // namespace gyre
