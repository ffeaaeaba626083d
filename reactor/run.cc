#include <gyre/reactor/run.h>

#include <atomic>
#include <cstdio>

#include <gyre/platform/signal_handler.h>
#include <gyre/task/dump.h>

namespace gyre {

int exit_status(const Result<void>& ended) {
  if (ended || ended.error().is_cancelled()) return 0;
  std::fprintf(stderr, "%s\n", ended.error().to_string().c_str());
  return 1;
}

}  // namespace gyre

namespace gyre::detail {

namespace {

// Sent by SIGQUIT; one at a time.
struct DumpMessage : Inbox::Message {
  explicit DumpMessage(Reactor& home) : reactor(home) {
    deliver = [](Inbox::Message& message, bool wanted) noexcept {
      auto& dump = static_cast<DumpMessage&>(message);
      dump.is_sent.store(false, std::memory_order_relaxed);
      if (wanted) dump.print();
    };
  }
  void print() {
    Scheduler& scheduler = reactor.scheduler();
    std::fprintf(stderr, "gyre: %zu tasks:\n%s", scheduler.tasks(), dump_tasks(scheduler).c_str());
  }

  Reactor& reactor;
  std::atomic<bool> is_sent{false};
};

}  // namespace

// The message is sent by the first signal, and delivered in the reactor.
struct InterruptGuard::State : Inbox::Message {
  explicit State(Reactor& home) : reactor(home), dump(home) {
    deliver = [](Inbox::Message& message, bool wanted) noexcept {
      auto& state = static_cast<State&>(message);
      if (wanted && state.task != nullptr) state.task->cancel();
    };
  }

  Reactor& reactor;
  DumpMessage dump;
  TaskContext* task = nullptr;
  std::atomic<int> signals{0};
  SignalHandler interrupt;
  SignalHandler terminate;
  SignalHandler quit;

  // Whose the signals are: a process has one of each. Null: nobody's; only its owner resets it.
  static inline std::atomic<State*> active{nullptr};
  static void on_signal(int signal);
  static void on_quit(int signal);
};

void InterruptGuard::State::on_signal(int signal) {
  State* const state = active.load(std::memory_order_acquire);
  if (state == nullptr || state->signals.fetch_add(1, std::memory_order_relaxed) > 0) {
    raise_by_default(signal);
    return;
  }
  // Refused: the reactor has shut down already, and the program is about to end.
  static_cast<void>(state->reactor.post_message(*state));
}

void InterruptGuard::State::on_quit(int signal) {
  State* const state = active.load(std::memory_order_acquire);
  if (state == nullptr) {
    raise_by_default(signal);
    return;
  }
  if (state->dump.is_sent.exchange(true, std::memory_order_relaxed)) return;
  // Refused: nothing is left to be shown.
  static_cast<void>(state->reactor.post_message(state->dump));
}

InterruptGuard::InterruptGuard(Reactor& reactor, const RunOptions& options) {
  if (!options.handle_signals && !options.dump_on_quit) return;
  auto state = std::make_unique<State>(reactor);
  State* nobody = nullptr;
  // release: pairs with the acquire in on_signal, which then sees the whole state.
  if (!State::active.compare_exchange_strong(nobody, state.get(), std::memory_order_release)) return;
  state_ = std::move(state);
  // A signal that cannot be taken over keeps its disposition.
  if (options.dump_on_quit) {
    Result<SignalHandler> quit = SignalHandler::install(signal_quit, State::on_quit);
    if (quit) state_->quit = std::move(*quit);
  }
  if (!options.handle_signals) return;
  Result<SignalHandler> interrupt = SignalHandler::install_over_default(signal_interrupt, State::on_signal);
  if (interrupt) state_->interrupt = std::move(*interrupt);
  Result<SignalHandler> terminate = SignalHandler::install_over_default(signal_terminate, State::on_signal);
  if (terminate) state_->terminate = std::move(*terminate);
}

InterruptGuard::~InterruptGuard() {
  if (state_ == nullptr) return;
  state_->interrupt = SignalHandler();
  state_->terminate = SignalHandler();
  state_->quit = SignalHandler();
  // The message may still be in the inbox.
  state_->reactor.shutdown();
  State::active.store(nullptr, std::memory_order_relaxed);
}

void InterruptGuard::watch(TaskContext* task) noexcept {
  if (state_ != nullptr) state_->task = task;
}

}  // namespace gyre::detail
