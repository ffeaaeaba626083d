#include <gyre/platform/signal_handler.h>

#include <windows.h>

#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include <gyre/platform/exit_code_windows.h>
#include <gyre/platform/last_error_windows.h>

// Windows has two things that are like signals, and a handler here takes both over. The console's events come on a thread
// of their own: Ctrl-C is SIGINT; Ctrl-Break is SIGBREAK, or else SIGTERM, by which a parent asks its child to end;
// the closing of the window, the end of the session and of the system are SIGTERM. And raise() of the C runtime, in the
// thread that calls it.

namespace gyre {
namespace {

constexpr int signals_max = NSIG;

using Disposition = void (*)(int);

// Of the process. The mutex is for install and restore; the rest is read by handlers, which come on any thread.
struct Table {
  std::mutex mutex;
  int installed = 0;  // handlers that there are; under the mutex
  std::atomic<SignalHandler::Function> functions[signals_max] = {};
  std::atomic<int> running{0};  // handlers under way

  static Table& instance() noexcept;
  // False: nobody has taken the signal over. seq_cst, as restore() writes one and reads the other, and this the reverse.
  bool tell(int signal) noexcept {
    running.fetch_add(1);
    const SignalHandler::Function function = functions[signal].load();
    if (function != nullptr) function(signal);
    running.fetch_sub(1);
    return function != nullptr;
  }
};

// Never destroyed: an event may come while static objects are.
alignas(Table) constinit std::byte table_storage[sizeof(Table)] = {};

Table& Table::instance() noexcept {
  static Table* const table = new (table_storage) Table;
  return *table;
}

BOOL WINAPI on_console_event(DWORD event) {
  Table& table = Table::instance();
  switch (event) {
    case CTRL_C_EVENT: return table.tell(SIGINT) ? TRUE : FALSE;
    case CTRL_BREAK_EVENT: return table.tell(SIGBREAK) || table.tell(SIGTERM) ? TRUE : FALSE;
    case CTRL_CLOSE_EVENT: case CTRL_LOGOFF_EVENT: case CTRL_SHUTDOWN_EVENT:
      if (!table.tell(SIGTERM)) return FALSE;
      // The system ends the process as soon as this returns, and after some seconds in any case: the time is the program's.
      ::Sleep(INFINITE);
      return TRUE;
    default: return FALSE;
  }
}

// The runtime has put the default disposition back before it calls.
void on_raise(int signal) {
  ::signal(signal, on_raise);
  Table::instance().tell(signal);
}

bool is_catchable(int signal) noexcept {
  switch (signal) {
    case SIGINT: case SIGTERM: case SIGBREAK: case SIGABRT: case SIGFPE: case SIGILL: case SIGSEGV: return true;
    default: return false;
  }
}

// What `previous_` holds.
struct Previous {
  SignalHandler::Function function = nullptr;
  Disposition runtime = SIG_DFL;
};

}  // namespace

SignalHandler::SignalHandler(SignalHandler&& other) noexcept : signal_(std::exchange(other.signal_, 0)) {
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

// Whoever was told of the signal has finished with it when this returns.
void SignalHandler::restore() noexcept {
  if (signal_ == 0) return;
  Previous previous;
  std::memcpy(&previous, previous_, sizeof(previous));
  const int signal = std::exchange(signal_, 0);
  Table& table = Table::instance();
  const std::lock_guard lock(table.mutex);
  table.functions[signal].store(previous.function);
  ::signal(signal, previous.runtime);
  if (--table.installed == 0) ::SetConsoleCtrlHandler(on_console_event, FALSE);
  while (table.running.load() != 0) ::SwitchToThread();  // bound: a handler does nothing that waits
}

Result<SignalHandler> SignalHandler::install(int signal, Function function) noexcept {
  if (!is_catchable(signal)) return Error::system(EINVAL, OperationKind::signal);
  Table& table = Table::instance();
  const std::lock_guard lock(table.mutex);
  if (table.installed == 0 && !::SetConsoleCtrlHandler(on_console_event, TRUE)) {
    return sys::last_error(OperationKind::signal);
  }
  ++table.installed;
  SignalHandler handler;
  handler.signal_ = signal;
  Previous previous;
  previous.function = table.functions[signal].exchange(function);
  previous.runtime = ::signal(signal, on_raise);
  std::memcpy(handler.previous_, &previous, sizeof(previous));
  return handler;
}

// The runtime cannot be asked, only told.
Result<SignalHandler> SignalHandler::install_over_default(int signal, Function function) noexcept {
  if (!is_catchable(signal)) return Error::system(EINVAL, OperationKind::signal);
  const Disposition current = ::signal(signal, SIG_DFL);
  if (current != SIG_DFL) {
    ::signal(signal, current);
    return SignalHandler();
  }
  return install(signal, function);
}

bool may_be_shared(int signal) noexcept { return signal == SIGINT || signal == SIGTERM || signal == SIGBREAK; }

void raise_by_default(int signal) noexcept {
  ::TerminateProcess(::GetCurrentProcess(), sys::exit_code_of_signal(signal));
  ::Sleep(INFINITE);
}

}  // namespace gyre
