// A poller of a system that can do nothing but wait: what a port starts from. Every other call answers "not supported".
#pragma once

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <utility>

#include <gyre/platform/poller.h>

namespace gyre::test {

class UnsupportedPoller final : public Poller {
 public:
  Result<Descriptor*> attach(UniqueFd fd, DescriptorKind kind) noexcept override {
    if (kind == DescriptorKind::foreign) (void)fd.release();
    return Error::system(EOPNOTSUPP, OperationKind::setup);
  }
  // Nothing is ever attached, so nothing can be given back.
  UniqueFd detach(Descriptor&) noexcept override { return {}; }
  void close(Descriptor&) noexcept override {}

  bool start(Operation& operation) noexcept override {
    operation.result = -EOPNOTSUPP;
    return true;
  }
  void cancel(Operation&) noexcept override {}

  std::size_t wait(Instant deadline) noexcept override {
    std::unique_lock lock(mutex_);
    for (;;) {
      const Instant now = steady_clock().now();
      if (std::exchange(is_woken_, false) || now >= deadline) return 0;
      if (deadline == never) {
        woken_.wait(lock);
      } else {
        woken_.wait_for(lock, deadline - now);
      }
    }
  }
  void wake() noexcept override {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
    woken_.notify_one();
  }

  void give_back(void*) noexcept override {}
  void shutdown() noexcept override {}
  NativeDescriptor native_handle() const noexcept override { return no_descriptor; }
  std::string_view name() const noexcept override { return "unsupported"; }
  PollerStats stats() const noexcept override { return {}; }
  std::size_t in_flight() const noexcept override { return 0; }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = false;
};

}  // namespace gyre::test
