#include <string_view>

#include "poller_fixture.h"
#include "skips.h"

namespace gyre::test {
namespace {

constexpr Backend all[] = {{"iocp", "iocp"}};

// What begins with `name` ("Suite.Test", or "Suite" for all of them).
struct Skip {
  std::string_view name;
  std::string_view reason;
};
constexpr Skip skips[] = {
    {"", ""},
};

}  // namespace

// Known before any test is registered.
constinit const std::span<const Backend> backends = all;

Result<std::unique_ptr<Poller>> open_backend(const Backend& backend, PollerOptions options) {
  options.tier = backend.tier;
  return open_poller(backend.name, options);
}

std::string reason_to_skip() {
  const testing::TestInfo* const running = testing::UnitTest::GetInstance()->current_test_info();
  if (running == nullptr) return {};
  std::string name = std::string(running->test_suite_name()) + "." + running->name();
  if (const std::size_t slash = name.find('/'); slash < name.find('.')) name.erase(0, slash + 1);
  for (const Skip& skip : skips) {
    if (!skip.name.empty() && name.starts_with(skip.name)) return std::string(skip.reason);
  }
  return {};
}

}  // namespace gyre::test
