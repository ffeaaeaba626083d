#include <gyre/platform/signal_handler.h>

#include <signal.h>

#include <cerrno>
#include <cstring>
#include <utility>

// sigemptyset and sigaddset are written without :: because some systems have macros of that name.
namespace gyre {

static_assert(sizeof(struct sigaction) <= 160);

SignalHandler::SignalHandler(SignalHandler&& other) noexcept
    : signal_(std::exchange(other.signal_, 0)) {
  std::memcpy(previous_, other.previous_, sizeof(previous_));
}

SignalHandler& SignalHandler::operator=(SignalHandler&& other) noexcept {
  if (this != &other) {
    restore();
    signal_ = std::exchange(other.signal_, 0);
    std::memcpy(previous_, other.previous_, sizeof(previous_));
  }
  return *this;
}

SignalHandler::~SignalHandler() { restore(); }

void SignalHandler::restore() noexcept {
  if (signal_ == 0) return;
  struct sigaction previous;
  std::memcpy(&previous, previous_, sizeof(previous));
  ::sigaction(std::exchange(signal_, 0), &previous, nullptr);
}

// EINVAL is returned: the signal does not exist or cannot be caught. EFAULT is a bug.
Result<SignalHandler> SignalHandler::install(int signal, Function function) noexcept {
  struct sigaction action = {};
  action.sa_handler = function;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  struct sigaction previous = {};
  if (::sigaction(signal, &action, &previous) != 0) {
    return Error::system(errno, OperationKind::signal);
  }
  SignalHandler handler;
  handler.signal_ = signal;
  std::memcpy(handler.previous_, &previous, sizeof(previous));
  return handler;
}

Result<SignalHandler> SignalHandler::install_over_default(int signal, Function function) noexcept {
  struct sigaction current = {};
  if (::sigaction(signal, nullptr, &current) != 0) {
    return Error::system(errno, OperationKind::signal);
  }
  const bool is_default = (current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == SIG_DFL;
  if (!is_default) return SignalHandler();
  return install(signal, function);
}

bool may_be_shared(int signal) noexcept {
  switch (signal) {
    case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: return false;
    default: return true;
  }
}

void raise_by_default(int signal) noexcept {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  ::raise(signal);
  // The signal is blocked while its handler runs.
  ::pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

}  // namespace gyre
