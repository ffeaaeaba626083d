#include <gyre/platform/clock.h>

#include <windows.h>

#include <gyre/platform/windows_function_windows.h>

namespace gyre {
namespace {

// Windows 10 has a precise clock that stands still while the machine is suspended, as clock.h asks and as the time-outs
// of its waits do. Wine lacks it; there the performance counter serves, which goes on while the machine is suspended.
class SteadyClock final : public Clock {
 public:
  Instant now() noexcept override {
    static const auto precise =
        windows_function<void(WINAPI*)(ULONGLONG*)>(L"kernelbase.dll", "QueryUnbiasedInterruptTimePrecise");
    if (precise == nullptr) return counter_now();
    ULONGLONG hundred_ns = 0;
    precise(&hundred_ns);
    return Instant(Duration(static_cast<std::int64_t>(hundred_ns) * 100));
  }

 private:
  static Instant counter_now() noexcept {
    // Fixed since the system was started; neither function fails since Windows XP.
    static const std::int64_t per_second = [] {
      LARGE_INTEGER frequency{};
      ::QueryPerformanceFrequency(&frequency);
      return static_cast<std::int64_t>(frequency.QuadPart);
    }();
    LARGE_INTEGER ticks{};
    ::QueryPerformanceCounter(&ticks);
    // Whole seconds apart, so that the product does not overflow.
    const std::int64_t seconds = ticks.QuadPart / per_second;
    const std::int64_t rest = ticks.QuadPart % per_second;
    return Instant(Duration(seconds * 1'000'000'000 + rest * 1'000'000'000 / per_second));
  }
};

constinit SteadyClock the_steady_clock;

}  // namespace

Clock& steady_clock() noexcept { return the_steady_clock; }

}  // namespace gyre
