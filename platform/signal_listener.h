// SignalListener: one of several in a process that are told of the same signals.
//
// A signal that somebody listens to is taken over (SignalHandler), and its previous disposition put back when the last
// listener has gone. A handler is used, not a signalfd: that wants the signals blocked in every thread, and what is
// blocked stays so in each child that other code starts.
//
// Threads: add() and remove() any one at a time; `on_signal` is called in signal context, on any thread.
// A process that was forked without exec has none of its parent's listeners: there the signals have their default effect
// until it adds a listener of its own, and then the dispositions from before the parent's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <gyre/platform/result.h>

namespace gyre {

class SignalListener {
 public:
  static constexpr int signals_max = 64;

  // `on_signal` may only do what is async-signal-safe.
  explicit SignalListener(void (*on_signal)(SignalListener&, int signal) noexcept) noexcept
      : on_signal_(on_signal) {}
  SignalListener(const SignalListener&) = delete;
  SignalListener& operator=(const SignalListener&) = delete;
  ~SignalListener() { remove(); }

  // Idempotent. Errors: invalid_argument for what is no signal, cannot be caught (KILL, STOP), or shows a bug of the
  // program (SEGV, BUS, FPE, ILL).
  Result<void> add(int signal);
  // Listens to nothing any more; no call of `on_signal` is under way when it returns.
  void remove() noexcept;

 private:
  friend struct SignalTable;

  void (*const on_signal_)(SignalListener&, int signal) noexcept;
  std::uint64_t signals_ = 0;  // one bit each, the first for signal 1
  // All listeners of the process. Written under the table's lock, read by handlers.
  std::atomic<SignalListener*> next_{nullptr};
  std::atomic<std::uint64_t> heard_{0};  // signals_, for handlers
};

}  // namespace gyre
