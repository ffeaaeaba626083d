#include <gyre/platform/signal_listener.h>

#include <windows.h>

#include <signal.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/signal_handler.h>

namespace gyre {

// One of each process. SignalHandler counts the handlers that are under way, and waits for them; but one of another
// signal may still walk the list, so they are counted here, too. Both sides write one and then read the other, so both
// are seq_cst.
struct SignalTable {
  std::mutex mutex;
  unsigned listeners[SignalListener::signals_max + 1] = {};  // of each signal; under the mutex
  SignalHandler handlers[SignalListener::signals_max + 1];   // under the mutex

  std::atomic<SignalListener*> first{nullptr};
  std::atomic<int> running{0};

  static SignalTable& instance() noexcept;
  static void on_signal(int signal);

  void tell(int signal) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (signal - 1);
    for (SignalListener* listener = first.load(); listener != nullptr; listener = listener->next_.load()) {
      if ((listener->heard_.load() & bit) != 0) listener->on_signal_(*listener, signal);
    }
  }
  void link(SignalListener& listener) noexcept {
    listener.next_.store(first.load());
    first.store(&listener);
  }
  void unlink(SignalListener& listener) noexcept {
    std::atomic<SignalListener*>* place = &first;
    while (place->load() != &listener) {
      GYRE_CHECK(place->load() != nullptr);
      place = &place->load()->next_;
    }
    place->store(listener.next_.load());
  }
  // Bound: a handler does nothing that waits.
  void wait_for_handlers() const noexcept {
    while (running.load() != 0) ::SwitchToThread();
  }
};

namespace {

// Never destroyed: an event may come while static objects are.
alignas(SignalTable) constinit std::byte table_storage[sizeof(SignalTable)] = {};

}  // namespace

SignalTable& SignalTable::instance() noexcept {
  static SignalTable* const table = new (table_storage) SignalTable;
  return *table;
}

void SignalTable::on_signal(int signal) {
  SignalTable& table = instance();
  table.running.fetch_add(1);
  table.tell(signal);
  table.running.fetch_sub(1);
}

Result<void> SignalListener::add(int signal) {
  if (signal != SIGINT && signal != SIGTERM && signal != SIGBREAK) return Error::system(EINVAL, OperationKind::signal);
  const std::uint64_t bit = std::uint64_t{1} << (signal - 1);
  if ((signals_ & bit) != 0) return {};
  SignalTable& table = SignalTable::instance();
  const std::lock_guard lock(table.mutex);
  const auto index = static_cast<std::size_t>(signal);
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
