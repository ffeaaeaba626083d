// signals({SIGTERM, SIGHUP}): the signals of the process as a stream that a task can wait for. (The names are in <csignal>.)
//
//   Result<SignalStream> stream = signals({SIGHUP});
//   while (Result<int> signal = co_await stream->receive()) reload();
//
// Every stream is told of every signal that it listens to; of several tasks at one stream, each signal is one task's, first
// come, first served. Signals of one kind that come before the last one was received are one, as the system has it.
// While any stream listens to a signal it does nothing else; then its previous disposition is put back. So gyre::run()
// leaves SIGINT and SIGTERM to a stream that listens to them, for as long as it lives.
// Children are started with default dispositions (Process); SIGCHLD is touched only if it is asked for.
#pragma once

#include <coroutine>
#include <initializer_list>
#include <utility>

#include <gyre/platform/result.h>
#include <gyre/task/wait_list.h>

namespace gyre {

class SignalStream {
 public:
  SignalStream(SignalStream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  SignalStream& operator=(SignalStream&& other) noexcept {
    if (this != &other) {
      drop();
      state_ = std::exchange(other.state_, nullptr);
    }
    return *this;
  }
  // Precondition: no task waits.
  ~SignalStream() { drop(); }

  class Awaiter;
  // Waits for the next signal: its number. Atomic. Errors: cancelled, timed_out.
  [[nodiscard]] auto receive() noexcept { return detail::WaitOperation<Awaiter, SignalStream>(*this); }

 private:
  friend Result<SignalStream> signals(std::initializer_list<int> numbers);
  struct State;
  explicit SignalStream(State& state) noexcept : state_(&state) {}
  void drop() noexcept;

  State* state_;
};

class [[nodiscard]] SignalStream::Awaiter : public Waiter {
 public:
  explicit Awaiter(SignalStream& stream) noexcept : stream_(stream) {}

  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> frame) noexcept;
  Result<int> await_resume() const noexcept {
    if (is_granted()) return static_cast<int>(number());
    return error(OperationKind::signal);
  }

 private:
  SignalStream& stream_;
};

// Must be called inside a task; the stream is that reactor's. Errors: invalid_argument for what is no signal, cannot be
// caught, or shows a bug of the program (SIGSEGV and the like); then none of them is listened to.
[[nodiscard]] Result<SignalStream> signals(std::initializer_list<int> numbers);

}  // namespace gyre
