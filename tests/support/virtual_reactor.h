// A reactor on a clock and a poller that know no system: time passes when nothing is ready, and then at once.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <gyre/reactor/reactor.h>

#include "task_fixture.h"
#include "virtual_poller.h"

namespace gyre::testing {

struct VirtualReactor {
  explicit VirtualReactor(ReactorOptions options = {}) {
    auto own_poller = std::make_unique<VirtualPoller>(clock);
    poller = own_poller.get();
    options.with_poller = std::move(own_poller);
    options.clock = &clock;
    if (options.scheduler.on_task_failure == nullptr) {
      options.scheduler.on_task_failure = [](void* owner, const TaskFailure& failure) noexcept {
        static_cast<VirtualReactor*>(owner)->failures.push_back(failure);
      };
      options.scheduler.failure_owner = this;
    }
    reactor = std::move(*Reactor::create(std::move(options)));
  }
  VirtualReactor(const VirtualReactor&) = delete;
  VirtualReactor& operator=(const VirtualReactor&) = delete;

  Reactor* operator->() const noexcept { return reactor.get(); }
  Reactor& operator*() const noexcept { return *reactor; }

  ManualClock clock;
  VirtualPoller* poller;
  std::vector<TaskFailure> failures;  // of detached tasks, unless the options say where they go
  std::unique_ptr<Reactor> reactor;
};

}  // namespace gyre::testing
