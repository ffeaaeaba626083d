#include "virtual_poller.h"

#include <algorithm>
#include <utility>

#include <gyre/platform/check.h>

namespace gyre::testing {

void VirtualPoller::finish(Operation& operation, std::int64_t result) {
  const auto at = std::find(started_.begin(), started_.end(), &operation);
  GYRE_CHECK(at != started_.end());
  started_.erase(at);
  operation.result = result;
  finished_.push_back(&operation);
}

Result<Descriptor*> VirtualPoller::attach(UniqueFd, DescriptorKind) noexcept {
  return Error::system(static_cast<int>(std::errc::function_not_supported));
}
UniqueFd VirtualPoller::detach(Descriptor&) noexcept { return {}; }
void VirtualPoller::close(Descriptor&) noexcept {}

bool VirtualPoller::start(Operation& operation) noexcept {
  GYRE_CHECK(operation.is_idle());
  operation.state = OperationState::in_flight;
  started_.push_back(&operation);
  return false;
}

void VirtualPoller::cancel(Operation& operation) noexcept {
  if (operation.state != OperationState::in_flight) return;
  if (std::find(started_.begin(), started_.end(), &operation) == started_.end()) return;
  operation.state = OperationState::cancelling;
  finish(operation, -static_cast<std::int64_t>(std::errc::operation_canceled));
}

std::size_t VirtualPoller::wait(Instant deadline) noexcept {
  if (finished_.empty() && !std::exchange(is_awake_, false) && deadline > clock_.now()) {
    GYRE_CHECK_HINT(deadline != never, "nothing is ready, and nothing will be");
    clock_.advance_to(deadline);
  }
  const std::vector<Operation*> completed = std::exchange(finished_, {});
  for (Operation* operation : completed) {
    operation->state = OperationState::idle;
    operation->complete(*operation);
  }
  return completed.size();
}

void VirtualPoller::shutdown() noexcept {
  while (!started_.empty()) cancel(*started_.back());
  if (!finished_.empty()) (void)wait(Instant());
}

}  // namespace gyre::testing
