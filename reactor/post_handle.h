// PostHandle: a call that was posted to a reactor, and can be taken back from any thread.
//
//   PostHandle handle = post_cancellable(reactor.remote(), callable);
//   handle.cancel();
//
// Threads: any; copies name the same call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include <gyre/platform/atomics.h>
#include <gyre/platform/clock.h>
#include <gyre/reactor/mailbox.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

namespace detail {

// Where a call stands that one thread runs and others may take back.
//   waiting -> running -> ended   by the one that runs it
//   waiting -> cancelled          by whoever cancels first
// Threads are told apart by an address that stands for each (`self`).
template <typename Atomics>
class BasicPostPhase {
 public:
  // False: it was taken back.
  [[nodiscard]] bool begin(void* self) noexcept {
    // Read only by who finds `running`, which is written after it.
    thread_.store(self, std::memory_order_relaxed);
    std::uint32_t expected = waiting;
    return phase_.compare_exchange_strong(expected, running, std::memory_order_acq_rel, std::memory_order_acquire);
  }
  void end() noexcept {
    // release: pairs with the acquires in cancel(), which returns only when the call has done what it does.
    phase_.store(ended, std::memory_order_release);
    Atomics::wake(phase_, 1 << 30);
  }
  // True: it never begins. False: it has ended, or it is this very thread that runs it.
  bool cancel(void* self) noexcept {
    std::uint32_t expected = waiting;
    if (phase_.compare_exchange_strong(expected, cancelled, std::memory_order_acq_rel, std::memory_order_acquire)) {
      return true;
    }
    if (expected == cancelled) return true;
    if (thread_.load(std::memory_order_relaxed) == self) return false;
    while (phase_.load(std::memory_order_acquire) == running) Atomics::sleep_on(phase_, running, never);
    return false;
  }

 private:
  static constexpr std::uint32_t waiting = 0;
  static constexpr std::uint32_t running = 1;
  static constexpr std::uint32_t ended = 2;
  static constexpr std::uint32_t cancelled = 3;

  typename Atomics::template Atomic<std::uint32_t> phase_{waiting};
  typename Atomics::template Atomic<void*> thread_{nullptr};
};

using PostPhase = BasicPostPhase<StdAtomics>;

}  // namespace detail

class PostHandle {
 public:
  // A call that was refused, or none.
  PostHandle() noexcept = default;

  // The reactor has taken it.
  explicit operator bool() const noexcept { return state_ != nullptr; }

  // True: it has not begun, and never will. If it runs just now, waits until it has ended, unless it is the call itself that
  // asks: that changes nothing.
  bool cancel() noexcept { return state_ != nullptr && state_->cancel(&detail::thread_state); }

 private:
  template <typename Callable>
  friend PostHandle post_cancellable(const RemoteReactor& where, Callable callable);

  explicit PostHandle(std::shared_ptr<detail::PostPhase> state) noexcept : state_(std::move(state)) {}

  std::shared_ptr<detail::PostPhase> state_;
};

// As RemoteReactor::post().
template <typename Callable>
PostHandle post_cancellable(const RemoteReactor& where, Callable callable) {
  auto state = std::make_shared<detail::PostPhase>();
  struct Call {
    std::shared_ptr<detail::PostPhase> state;
    Callable callable;
    void operator()() {
      struct End {
        detail::PostPhase& state;
        ~End() { state.end(); }
      };
      if (!state->begin(&detail::thread_state)) return;
      const End end{*state};
      callable();
    }
  };
  if (!where.post(Call{state, std::move(callable)})) return PostHandle();
  return PostHandle(std::move(state));
}

}  // namespace gyre
