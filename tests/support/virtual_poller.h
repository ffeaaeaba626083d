// A poller without a system: wait() does not sleep but moves the clock to the deadline.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <gyre/platform/poller.h>

#include "task_fixture.h"

namespace gyre::testing {

// Knows no descriptors. An operation that was started stays in flight until finish() or cancel(), and completes in the
// next wait(). One thread.
class VirtualPoller final : public Poller {
 public:
  explicit VirtualPoller(ManualClock& clock) noexcept : clock_(clock) {}

  // The system has finished `operation`.
  void finish(Operation& operation, std::int64_t result);

  Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept override;
  UniqueFd detach(Descriptor& descriptor) noexcept override;
  void close(Descriptor& descriptor) noexcept override;
  bool start(Operation& operation) noexcept override;
  void cancel(Operation& operation) noexcept override;
  // Aborts if nothing would ever end the wait.
  std::size_t wait(Instant deadline) noexcept override;
  void wake() noexcept override { is_awake_ = true; }
  void give_back(void*) noexcept override {}
  void shutdown() noexcept override;
  NativeDescriptor native_handle() const noexcept override { return no_descriptor; }
  std::string_view name() const noexcept override { return "virtual"; }
  PollerStats stats() const noexcept override { return {}; }
  std::size_t in_flight() const noexcept override { return started_.size() + finished_.size(); }

 private:
  ManualClock& clock_;
  std::vector<Operation*> started_;
  std::vector<Operation*> finished_;  // in order of their end
  bool is_awake_ = false;
};

}  // namespace gyre::testing
