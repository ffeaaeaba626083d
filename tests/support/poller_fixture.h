// PollerFixture: runs each claim on every backend, and ends each test with the oracles.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/platform/poller.h>

#include "net_fixture.h"
#include "oracles.h"
#include "poller_driver.h"

namespace gyre::test {

struct Backend {
  std::string_view label;  // what test names end in
  std::string_view name;   // what open_poller() knows
  PollerOptions::Tier tier = PollerOptions::Tier::full;
};

// Those of this system.
extern const std::span<const Backend> backends;

std::ostream& operator<<(std::ostream& out, const Backend& backend);

// Skips the test, by name and reason, where the kernel denies the backend.
class PollerFixture : public testing::TestWithParam<Backend> {
 public:
  // Last of all, when the descriptors that a test's own fixture holds are closed.
  ~PollerFixture() override;

 protected:
  void SetUp() override;
  void TearDown() override;

  // Replaces the poller by one with other options (the tier is the parameter's).
  void reopen(PollerOptions options);
  // One more poller of the same backend.
  std::unique_ptr<Poller> open(PollerOptions options = {});
  bool is_io_uring() const { return GetParam().name == "io_uring"; }

  std::unique_ptr<PollerDriver> io_;

 private:
  std::vector<std::string> descriptors_before_;
  bool was_set_up_ = false;
};

std::string backend_label(const testing::TestParamInfo<Backend>& parameter);

// As open_poller(), which does not know the pollers of other systems.
Result<std::unique_ptr<Poller>> open_backend(const Backend& backend, PollerOptions options);

// Whether this process may use the backend; if not, `why` says what the kernel answered.
bool is_available(const Backend& backend, std::string* why);

// An echo of a few bytes over a fresh pair on a fresh poller of this kind: does it still work at all?
void expect_echo(Poller& poller);

}  // namespace gyre::test

// Instantiates `Suite`, a PollerFixture, for every backend.
#define GYRE_INSTANTIATE_FOR_EVERY_POLLER(Suite)                                   \
  INSTANTIATE_TEST_SUITE_P(Poller, Suite, ::testing::ValuesIn(gyre::test::backends), \
                           gyre::test::backend_label)
