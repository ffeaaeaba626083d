#include <gyre/platform/signal_listener.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/handler_watch.h>
#include <gyre/platform/signal_handler.h>
#include <gyre/platform/this_process.h>
#include <gyre/platform/thread.h>

namespace gyre {

// One of each process, as its signals are.
struct SignalTable {
  std::mutex mutex;
  unsigned listeners[SignalListener::signals_max + 1] = {};  // of each signal; under the mutex
  SignalHandler handlers[SignalListener::signals_max + 1];   // under the mutex

  std::atomic<std::int64_t> process{0};  // whose signals these are; written before a handler is installed
  BasicHandlerWatch<StdAtomics, SignalListener> watch;  // changed under the mutex

  static SignalTable& instance() noexcept;
  static void on_signal(int signal);

  static void tell(SignalListener* first, int signal) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (signal - 1);
    for (SignalListener* listener = first; listener != nullptr; listener = listener->next_.load()) {
      if ((listener->heard_.load() & bit) != 0) listener->on_signal_(*listener, signal);
    }
  }
  void link(SignalListener& listener) noexcept {
    listener.next_.store(watch.first().load());
    watch.first().store(&listener);
  }
  void unlink(SignalListener& listener) noexcept {
    std::atomic<SignalListener*>* place = &watch.first();
    while (place->load() != &listener) {
      GYRE_CHECK(place->load() != nullptr);
      place = &place->load()->next_;
    }
    place->store(listener.next_.load());
  }
  // What a forked process has copied is not its own: it begins with what was there before.
  void begin_anew_if_forked() noexcept {
    const std::int64_t self = process_id();
    if (process.load() == self) return;
    watch.begin_anew();
    for (int signal = 1; signal <= SignalListener::signals_max; ++signal) {
      listeners[signal] = 0;
      handlers[signal] = SignalHandler();
    }
    process.store(self);
  }
  // Bound: a handler does nothing that waits, and one that interrupts this thread ends before this goes on.
  void wait_for_handlers() const noexcept {
    while (!watch.is_left_alone()) yield_processor();
  }
};

namespace {

// Never destroyed: a signal may come while static objects are.
alignas(SignalTable) constinit std::byte table_storage[sizeof(SignalTable)] = {};

}  // namespace

SignalTable& SignalTable::instance() noexcept {
  static SignalTable* const table = new (table_storage) SignalTable;
  return *table;
}

void SignalTable::on_signal(int signal) {
  SignalTable& table = instance();
  if (table.process.load() != process_id()) {
    // A copy of this memory in a forked process: its listeners belong to the parent's loops.
    raise_by_default(signal);
    return;
  }
  const int error = errno;
  tell(table.watch.enter(), signal);
  table.watch.leave();
  errno = error;
}

Result<void> SignalListener::add(int signal) {
  if (signal < 1 || signal > signals_max || !may_be_shared(signal)) return Error::system(EINVAL, OperationKind::signal);
  const std::uint64_t bit = std::uint64_t{1} << (signal - 1);
  if ((signals_ & bit) != 0) return {};
  SignalTable& table = SignalTable::instance();
  const std::lock_guard lock(table.mutex);
  const auto index = static_cast<std::size_t>(signal);
  table.begin_anew_if_forked();
  if (table.listeners[index] == 0) {
    Result<SignalHandler> handler = SignalHandler::install(signal, SignalTable::on_signal);
    if (!handler) return handler.error();
    table.handlers[index] = std::move(*handler);
  }
  ++table.listeners[index];
  if (signals_ == 0) table.link(*this);
  signals_ |= bit;
  heard_.store(signals_);
  return {};
}

void SignalListener::remove() noexcept {
  if (signals_ == 0) return;
  SignalTable& table = SignalTable::instance();
  const std::lock_guard lock(table.mutex);
  if (table.process.load() != process_id()) {
    signals_ = 0;  // a copy in a forked process, and on no list there
    return;
  }
  for (int signal = 1; signal <= signals_max; ++signal) {
    if ((signals_ >> (signal - 1) & 1) == 0) continue;
    const auto index = static_cast<std::size_t>(signal);
    if (--table.listeners[index] == 0) table.handlers[index] = SignalHandler();
  }
  table.unlink(*this);
  signals_ = 0;
  table.wait_for_handlers();
}

}  // namespace gyre
