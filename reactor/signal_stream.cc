#include <gyre/reactor/signal_stream.h>

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include <gyre/platform/signal_listener.h>
#include <gyre/reactor/inbox.h>
#include <gyre/reactor/reactor.h>

namespace gyre {

// The signal handler notes the signal and sends the state itself, as a message, to the reactor: one that is under way
// brings all signals that come until it is delivered.
struct SignalStream::State : SignalListener, Inbox::Message {
  explicit State(Reactor& home) noexcept : SignalListener(note), reactor(home) {
    deliver = [](Inbox::Message& message, bool) noexcept { static_cast<State&>(message).arrive(); };
  }

  // In signal context, on any thread.
  static void note(SignalListener& listener, int signal) noexcept {
    auto& state = static_cast<State&>(listener);
    state.pending.fetch_or(std::uint64_t{1} << (signal - 1), std::memory_order_relaxed);
    // acq_rel: pairs with arrive(), which clears the flag first and then takes what is pending.
    if (state.is_sent.exchange(true, std::memory_order_acq_rel)) return;
    if (!state.reactor.post_message(state)) state.is_sent.store(false, std::memory_order_relaxed);
  }

  void arrive() noexcept {
    if (is_dropped) {
      delete this;
      return;
    }
    is_sent.exchange(false, std::memory_order_acq_rel);
    arrived |= pending.exchange(0, std::memory_order_relaxed);
    while (arrived != 0 && !waiters.empty()) {
      Waiter& waiter = waiters.take_first();
      waiter.set_number(take());
      waiters.wake(waiter, WaitOutcome::granted);
    }
  }
  // The lowest of those that have arrived.
  std::uint32_t take() noexcept {
    const auto lowest = static_cast<std::uint32_t>(std::countr_zero(arrived));
    arrived &= arrived - 1;
    return lowest + 1;
  }

  Reactor& reactor;
  WaitList waiters;
  std::uint64_t arrived = 0;
  bool is_dropped = false;  // whoever delivers the message deletes it

  // Any thread, in signal context.
  std::atomic<std::uint64_t> pending{0};
  std::atomic<bool> is_sent{false};

  static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);
};

namespace {
constexpr WaitKind signal_wait{"signal", WaitList::cancel};
}  // namespace

bool SignalStream::Awaiter::await_ready() noexcept {
  State& state = *stream_.state_;
  if (is_refused(state.waiters)) return true;
  if (state.arrived == 0) return settle(WaitOutcome::none);
  set_number(state.take());
  return settle(WaitOutcome::granted);
}

void SignalStream::Awaiter::await_suspend(std::coroutine_handle<> frame) noexcept {
  suspend(stream_.state_->waiters, frame, signal_wait);
}

void SignalStream::drop() noexcept {
  State* const state = std::exchange(state_, nullptr);
  if (state == nullptr) return;
  GYRE_CHECK_HINT(state->waiters.empty(), "a task still waits for a signal of this stream");
  state->remove();
  if (state->is_sent.load(std::memory_order_acquire)) {
    state->is_dropped = true;
  } else {
    delete state;
  }
}

Result<SignalStream> signals(std::initializer_list<int> numbers) {
  SignalStream stream(*new SignalStream::State(this_reactor()));
  for (const int number : numbers) {
    const Result<void> added = stream.state_->add(number);
    if (!added) return added.error();
  }
  return stream;
}

}  // namespace gyre
