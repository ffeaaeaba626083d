#include "poller_fixture.h"

#include <ostream>

#include "skips.h"

namespace gyre::test {

std::ostream& operator<<(std::ostream& out, const Backend& backend) { return out << backend.label; }

std::string backend_label(const testing::TestParamInfo<Backend>& parameter) {
  return std::string(parameter.param.label);
}

bool is_available(const Backend& backend, std::string* why) {
  const Result<std::unique_ptr<Poller>> poller = open_backend(backend, {});
  if (poller) return true;
  const Error error = poller.error();
  *why = std::string(backend.name) + " is denied: " + error.to_string();
  const bool denied = error == std::errc::operation_not_permitted ||
                      error == std::errc::permission_denied ||
                      error == std::errc::function_not_supported;
  EXPECT_TRUE(denied && backend.name == "io_uring") << *why;
  return false;
}

PollerFixture::~PollerFixture() {
  if (was_set_up_) expect_same_descriptors(descriptors_before_);
}

void PollerFixture::SetUp() {
  descriptors_before_ = open_descriptors();
  was_set_up_ = true;
  std::string why = reason_to_skip();
  if (!why.empty() || !is_available(GetParam(), &why)) GTEST_SKIP() << why;
  io_ = std::make_unique<PollerDriver>(open());
}

void PollerFixture::TearDown() { io_.reset(); }

void PollerFixture::reopen(PollerOptions options) {
  io_.reset();
  io_ = std::make_unique<PollerDriver>(open(options));
}

std::unique_ptr<Poller> PollerFixture::open(PollerOptions options) {
  Result<std::unique_ptr<Poller>> poller = open_backend(GetParam(), options);
  GYRE_CHECK_HINT(poller.has_value(), "the backend was available a moment ago");
  return std::move(*poller);
}

void expect_echo(Poller& poller) {
  Pair pair = unix_pair();
  Result<Descriptor*> attached = poller.attach(std::move(pair.near), DescriptorKind::socket);
  ASSERT_TRUE(attached.has_value()) << attached.error();
  Descriptor& near = **attached;

  char buffer[16] = {};
  const auto run = [&](Operation& operation, OperationKind kind, std::size_t size) {
    bool done = false;
    operation.owner = &done;
    operation.complete = [](Operation& o) noexcept { *static_cast<bool*>(o.owner) = true; };
    operation.descriptor = &near;
    operation.kind = kind;
    operation.flags = 0;
    operation.buffer = buffer;
    operation.size = size;
    done = poller.start(operation);
    const Instant limit = steady_clock().now() + PollerDriver::time_limit;
    while (!done && steady_clock().now() < limit) poller.wait(limit);
    EXPECT_TRUE(done) << "the echo hangs on " << poller.name();
    return operation.result;
  };
  write_all(pair.far, "hello");
  EXPECT_EQ(run(near.input, OperationKind::receive, sizeof buffer), 5);
  EXPECT_EQ(run(near.output, OperationKind::send, 5), 5);
  EXPECT_EQ(read_exactly(pair.far, 5), "hello");
  poller.close(near);
}

}  // namespace gyre::test
