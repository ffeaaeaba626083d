// SignalHandler: takes one signal over for a while, and puts back what was there.
#pragma once

#include <gyre/platform/result.h>

namespace gyre {

// The two that ask a process to end; the same numbers on every system.
inline constexpr int signal_interrupt = 2;   // SIGINT
inline constexpr int signal_terminate = 15;  // SIGTERM
// And the one that asks for a picture of it; a terminal sends it for Ctrl-\ (backslash).
inline constexpr int signal_quit = 3;        // SIGQUIT

class [[nodiscard]] SignalHandler {
 public:
  // Called in signal context, on any thread: it may only do what is async-signal-safe. errno is kept for it.
  using Function = void (*)(int signal);

  SignalHandler() noexcept = default;
  SignalHandler(SignalHandler&& other) noexcept;
  SignalHandler& operator=(SignalHandler&& other) noexcept;
  // Puts the previous disposition back.
  ~SignalHandler();

  // Errors: invalid_argument for a signal that cannot be caught. System calls are restarted after the handler.
  static Result<SignalHandler> install(int signal, Function function) noexcept;
  // The same, unless somebody has already changed the signal's default disposition: then an empty one.
  static Result<SignalHandler> install_over_default(int signal, Function function) noexcept;

  explicit operator bool() const noexcept { return signal_ != 0; }

 private:
  void restore() noexcept;

  int signal_ = 0;
  // The system's own record of the previous disposition.
  alignas(8) unsigned char previous_[160] = {};
};

// Whether the signal tells the whole program something, so that several parts of it may listen; not one that shows a bug where
// it arises (SEGV, BUS, FPE, ILL). Some of them cannot be caught (KILL, STOP).
bool may_be_shared(int signal) noexcept;

// Gives the signal its default disposition and sends it to the calling process. Async-signal-safe.
void raise_by_default(int signal) noexcept;

}  // namespace gyre
