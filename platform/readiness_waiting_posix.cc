// Waiting: what there is to be delivered, in which order, and when to ask the system.
#include <gyre/platform/readiness.h>

#include <algorithm>

namespace gyre {
namespace {

constexpr Duration sleep_max = std::chrono::hours(24);  // who sleeps longer is woken in between, and sleeps again

}  // namespace

inline void ReadinessPoller::run_due() noexcept {
  // What becomes due meanwhile is for the next wait: so each operation is tried once, and the others get their turn.
  for (std::size_t count = due_.size(); count > 0 && !is_full(); --count) {
    Operation* const operation = due_.pop();
    if (due_before_ > 0) --due_before_;
    operation->token &= ~token_due;
    run(*operation);
  }
}

inline void ReadinessPoller::run_done() noexcept {
  while (!is_full()) {
    Operation* const operation = done_.pop();
    if (operation == nullptr) break;
    finish(*operation, operation->result);
  }
}

void ReadinessPoller::take_from_worker() noexcept {
  for (Operation* operation = worker_.take_done(); operation != nullptr;) {
    Operation* const next = operation->next;
    --with_worker_;
    operation->token = 0;
    done_.push(*operation);
    operation = next;
  }
}

std::size_t ReadinessPoller::wait(Instant deadline) noexcept {
  if constexpr (debug_checks) {
    if (thread_ == nullptr) thread_ = &thread_mark;
  }
  check_thread();
  ++stats_.waits;
  delivered_ = 0;
  budget_ = budget_max_;
  bool woken = wake_word_.take();
  // What remains of a sleep that ended too soon (clocks of two processors differ by microseconds) is slept in one piece:
  // the system returns at once from shorter ones, and this would spin until the deadline.
  constexpr Duration rest_min = std::chrono::microseconds(50);
  Duration sleep_min = Duration::zero();
  for (;;) {
    if (with_worker_ != 0) take_from_worker();
    Duration timeout = Duration::zero();
    // Events of the last fetch that are left for this wait: the kernel is not asked before they have been served.
    const bool has_rest = has_fetched() || (due_before_ > 0 && !due_.empty());
    const bool may_sleep = !woken && !has_rest && due_.empty() && done_.empty() && deadline > Instant();
    if (may_sleep) {
      timeout = deadline == never ? Duration::max() : std::min(deadline - clock_.now(), sleep_max);
      timeout = std::max(timeout, sleep_min);
    }
    std::size_t events = 0;
    if (timeout > Duration::zero()) {
      ++stats_.blocking_waits;
      if (!wake_word_.prepare_to_sleep()) timeout = Duration::zero();
    }
    // Of a kernel that has nothing of ours nobody needs to ask: a turn of tasks that only compute makes no system call.
    if (!has_rest && (timeout > Duration::zero() || in_flight_ > 0 || foreign_loop_)) {
      ++stats_.system_calls;
      closed_since_fetch_ = 0;
      events = fetch(timeout);
      due_before_ = due_.size();
    }
    if (wake_word_.take()) woken = true;
    if (with_worker_ != 0) take_from_worker();
    // Each alone may fill every wait, so what is done goes first every other time.
    if ((stats_.waits & 1) != 0) run_done();
    if (has_fetched()) events += serve_fetched();
    run_due();
    run_done();
    if (delivered_ > 0) break;
    if (events > 0) ++stats_.idle_polls;
    if (woken) break;
    if (has_rest) continue;  // the kernel has not been asked yet
    sleep_min = rest_min;
    if (deadline == never) continue;
    if (deadline <= Instant() || clock_.now() >= deadline) break;
  }
  stats_.completions += delivered_;
  if (foreign_loop_) hand_to_foreign_loop();
  return delivered_;
}

void ReadinessPoller::nudge() noexcept {
  if (!wake_word_.nudge()) return;
  wakes_.fetch_add(1, std::memory_order_relaxed);
  signal();
}

void ReadinessPoller::wake() noexcept {
  if (!wake_word_.wake()) return;
  wakes_.fetch_add(1, std::memory_order_relaxed);
  signal();
}

void ReadinessPoller::enter_foreign_loop() const noexcept {
  if (foreign_loop_) return;
  foreign_loop_ = true;
  hand_to_foreign_loop();
}

// Inside a foreign loop we count as sleeping whenever wait() is not running, and what is pending must show.
void ReadinessPoller::hand_to_foreign_loop() const noexcept {
  if (!due_.empty() || !done_.empty() || has_fetched()) {
    static_cast<void>(wake_word_.wake());
    signal();
    return;
  }
  if (!wake_word_.prepare_to_sleep()) signal();
}

void ReadinessPoller::shutdown() noexcept {
  shut_down_ = true;
  table_.for_each([this](Descriptor& descriptor) {
    descriptor.state |= refusing;
    for (Operation* const operation : {descriptor.parked_input, descriptor.parked_output}) {
      if (operation != nullptr) cancel(*operation);
    }
  });
  while (Operation* const operation = worker_.remove_first()) {
    operation->state = OperationState::cancelling;
    take_back(*operation);
  }
  // Bounded: only the file worker's call of the moment can take time.
  while (in_flight_ > 0) wait(never);
  worker_.stop();
}

PollerStats ReadinessPoller::stats() const noexcept {
  PollerStats all = stats_;
  all.wakes = wakes_.load(std::memory_order_relaxed);
  all.system_calls += all.wakes + inline_sends_;
  all.inline_completions += inline_sends_;
  return all;
}

}  // namespace gyre
