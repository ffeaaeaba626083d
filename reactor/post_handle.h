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

#include <gyre/platform/thread.h>
#include <gyre/reactor/mailbox.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

class PostHandle {
 public:
  // A call that was refused, or none.
  PostHandle() noexcept = default;

  // The reactor has taken it.
  explicit operator bool() const noexcept { return state_ != nullptr; }

  // True: it has not begun, and never will. If it runs just now, waits until it has ended, unless it is the call itself that
  // asks: that changes nothing.
  bool cancel() noexcept { return state_ != nullptr && state_->cancel(); }

 private:
  template <typename Callable>
  friend PostHandle post_cancellable(const RemoteReactor& where, Callable callable);

  struct State {
    static constexpr std::uint32_t waiting = 0;
    static constexpr std::uint32_t running = 1;
    static constexpr std::uint32_t ended = 2;
    static constexpr std::uint32_t cancelled = 3;

    // waiting -> running -> ended, by the reactor; waiting -> cancelled, by whoever cancels.
    std::atomic<std::uint32_t> phase{waiting};
    // Whose call it is while it runs. Written before `running` is.
    std::atomic<const detail::ThreadState*> thread{nullptr};

    bool begin() noexcept {
      thread.store(&detail::thread_state, std::memory_order_relaxed);
      std::uint32_t expected = waiting;
      return phase.compare_exchange_strong(expected, running, std::memory_order_acq_rel);
    }
    void end() noexcept {
      phase.store(ended, std::memory_order_release);
      wake_threads(phase, 1 << 30);
    }
    bool cancel() noexcept {
      std::uint32_t expected = waiting;
      if (phase.compare_exchange_strong(expected, cancelled, std::memory_order_acq_rel)) return true;
      if (expected == cancelled) return true;
      if (thread.load(std::memory_order_relaxed) == &detail::thread_state) return false;
      while (phase.load(std::memory_order_acquire) == running) sleep_on(phase, running);
      return false;
    }
  };

  explicit PostHandle(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

// As RemoteReactor::post().
template <typename Callable>
PostHandle post_cancellable(const RemoteReactor& where, Callable callable) {
  auto state = std::make_shared<PostHandle::State>();
  struct Call {
    std::shared_ptr<PostHandle::State> state;
    Callable callable;
    void operator()() {
      struct End {
        PostHandle::State& state;
        ~End() { state.end(); }
      };
      if (!state->begin()) return;
      const End end{*state};
      callable();
    }
  };
  if (!where.post(Call{state, std::move(callable)})) return PostHandle();
  return PostHandle(std::move(state));
}

}  // namespace gyre
