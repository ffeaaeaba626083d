#include <gyre/reactor/reactor.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/fork_generation.h>
#include <gyre/platform/thread.h>
#include <gyre/task/dump.h>
#include <gyre/task/generator.h>

namespace gyre {

namespace {

SchedulerOptions hosted(SchedulerOptions options, Reactor* host, Poller* poller) noexcept {
  options.host = host;
  options.poller = poller;
  return options;
}

bool no_tasks(const void* scheduler) noexcept {
  return static_cast<const Scheduler*>(scheduler)->tasks() == 0;
}
bool never_done(const void*) noexcept { return false; }

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::create(ReactorOptions options) {
  options.poller.clock = options.clock;
  if (options.with_poller != nullptr) {
    std::unique_ptr<Poller> poller = std::move(options.with_poller);
    return std::unique_ptr<Reactor>(new Reactor(std::move(options), std::move(poller), "given"));
  }
  Result<PollerChoice> choice = open_poller(options.poller);
  if (!choice) return choice.error();
  return std::unique_ptr<Reactor>(
      new Reactor(std::move(options), std::move(choice->poller), choice->reason));
}

Reactor::Reactor(ReactorOptions&& options, std::unique_ptr<Poller> poller, std::string_view reason)
    : options_(std::move(options)),
      poller_(std::move(poller)),
      poller_reason_(reason),
      scheduler_(options_.clock != nullptr ? *options_.clock : steady_clock(),
                 hosted(options_.scheduler, this, poller_.get())),
      fork_generation_(gyre::fork_generation()),
      mailbox_(std::make_shared<Mailbox>()),
      remote_(mailbox_) {
  GYRE_CHECK(options_.tasks_per_turn > 0);
  mailbox_->poller = poller_.get();
  mailbox_->reactor = this;
}

Reactor::~Reactor() {
  shutdown();
  if (!is_forked()) return;
  // Given up, not destroyed: the poller would forget its descriptors for the parent as well, and the threads of the pools
  // are not there to be joined.
  static_cast<void>(poller_.release());
  static_cast<void>(new std::shared_ptr<Pools>(std::move(options_.pools)));
}

bool Reactor::is_forked() const noexcept { return fork_generation_ != gyre::fork_generation(); }

bool Reactor::begin_run() noexcept {
  return !shut_down_ && !running_ && detail::thread_state.scheduler == nullptr;
}

void Reactor::run() {
  GYRE_CHECK_HINT(begin_run(), "run() inside a task, or after shutdown");
  run_turns({[](const void* self) noexcept {
               const auto& reactor = *static_cast<const Reactor*>(self);
               return reactor.scheduler_.tasks() == 0 && reactor.taken_in_ == nullptr;
             },
             this});
}

bool Reactor::run_once(Instant deadline) {
  GYRE_CHECK_HINT(begin_run(), "run_once() inside a task, or after shutdown");
  running_ = true;
  scheduler_.update_now();
  const bool worked = turn(deadline, {never_done, nullptr});
  running_ = false;
  return worked;
}

bool Reactor::run_turns(const Until& done) {
  running_ = true;
  scheduler_.update_now();
  bool stopped = false;
  while (!done() && !stopped) {
    // A stop that came before the first turn still lets that one happen.
    turn(never, done);
    stopped = stop_.exchange(false, std::memory_order_relaxed);
  }
  running_ = false;
  return done();
}

// The clock is read when the wait is over, and before timers that there are; whoever calls has read it just now.
bool Reactor::turn(Instant deadline, const Until& done) {
  GYRE_CHECK_HINT(!is_forked(), "a Reactor of the parent is used in a forked child: make one there");
  scheduler_.claim_thread();
  ++stats_.turns;
  if (taken_in_ != nullptr || mailbox_->inbox.has_changed()) drain_inbox();
  std::size_t ran = 0;
  if (scheduler_.has_ready()) {
    // When stop() has been called, what is ready now still runs, but not what that makes ready.
    std::size_t at_most = options_.tasks_per_turn;
    if (stop_.load(std::memory_order_relaxed)) at_most = std::min(at_most, scheduler_.count_ready());
    ran = scheduler_.run_ready(at_most, scheduler_.now() + options_.time_per_turn);
    stats_.tasks_run += ran;
  }
  std::size_t fired = 0;
  if (!scheduler_.timers().empty()) {
    scheduler_.update_now();
    fired = scheduler_.fire_timers();
    stats_.timers_fired += fired;
  }

  Instant wait_until = Instant();
  if (!scheduler_.has_ready() && taken_in_ == nullptr && !done() && !stop_.load(std::memory_order_relaxed) &&
      mailbox_->inbox.fall_asleep()) {
    if (!scheduler_.timers().empty()) {
      wait_until = next_timer_wake();
    } else {
      wait_until = never;
      timers_before_wait_ = stats_.timers_fired;
    }
    if (deadline < wait_until) wait_until = deadline;
    if (options_.on_idle != nullptr && ran + fired == 0) call_hook(options_.on_idle, wait_until);
  }
  if (options_.before_wait != nullptr) call_hook(options_.before_wait, wait_until);
  const std::size_t completed = poller_->wait(wait_until);
  if (options_.after_wait != nullptr) options_.after_wait(options_.hook_owner);
  scheduler_.update_now();
  return ran + fired + completed != 0;
}

// What the hook makes ready, or due, must not wait for something else.
void Reactor::call_hook(void (*hook)(void*) noexcept, Instant& wait_until) noexcept {
  const Instant before = next_deadline();
  hook(options_.hook_owner);
  const Instant after = next_deadline();
  if (after < before) wait_until = std::min(wait_until, after);
}

Pools& Reactor::pools() {
  if (options_.pools == nullptr) options_.pools = std::make_shared<Pools>();
  return *options_.pools;
}

Instant Reactor::next_deadline() noexcept {
  const bool is_busy = scheduler_.has_ready() || taken_in_ != nullptr;
  return is_busy ? Instant() : scheduler_.timers().next_deadline();
}

Instant Reactor::next_timer_wake() noexcept {
  const Instant next = next_deadline();
  const std::uint64_t fired = stats_.timers_fired - std::exchange(timers_before_wait_, stats_.timers_fired);
  const Duration gap = options_.gap_per_timer;
  if (fired < 2 || gap <= Duration::zero() || next == never) return next;
  const Duration limit = options_.time_per_turn;
  const bool is_short = fired < static_cast<std::uint64_t>(limit / gap);
  return std::max(next, scheduler_.now() + (is_short ? static_cast<std::int64_t>(fired) * gap : limit));
}

// Bounded, or a thread that posts faster than this one delivers would keep tasks, timers and I/O waiting for ever.
void Reactor::drain_inbox() noexcept {
  if (taken_in_ == nullptr) taken_in_ = mailbox_->inbox.take();
  if (taken_in_ != nullptr) deliver_messages();
}

void Reactor::deliver_messages() noexcept {
  for (std::uint32_t i = 0; i < options_.tasks_per_turn && taken_in_ != nullptr; ++i) {
    Inbox::Message* const message = std::exchange(taken_in_, taken_in_->next);
    ++stats_.posts;
    message->deliver(*message, true);
  }
}

void Reactor::stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  poller_->wake();
}

void Reactor::shutdown() {
  if (shut_down_) return;
  GYRE_CHECK_HINT(begin_run(), "shutdown() inside a task");
  scheduler_.detached().cancel();
  run_last_tasks(clock().now() + options_.shutdown_grace);
  close_generators();
  shut_down_ = true;
  for (Inbox::Message* left : {std::exchange(taken_in_, nullptr), mailbox_->inbox.close()}) {
    while (left != nullptr) {
      Inbox::Message* const message = std::exchange(left, left->next);
      message->deliver(*message, false);
    }
  }
  // The other threads are the parent's, and so is the poller.
  if (is_forked()) return;
  // No bound: whoever is about to wake the poller is between two instructions, or in the system call.
  while (!mailbox_->inbox.is_left_alone()) yield_processor();
  poller_->shutdown();
}

void Reactor::run_last_tasks(Instant give_up) {
  running_ = true;
  scheduler_.update_now();
  while (scheduler_.tasks() != 0 && clock().now() < give_up) {
    turn(give_up, {no_tasks, &scheduler_});
  }
  running_ = false;
  if (scheduler_.tasks() != 0) {
    std::fprintf(stderr, "gyre: %zu tasks did not end within the shutdown grace:\n%s",
                 scheduler_.tasks(), dump_tasks(scheduler_).c_str());
    GYRE_CHECK_HINT(scheduler_.tasks() == 0, "a cancelled task must end: the list above says where each waits");
  }
}

void Reactor::close_generators() {
  if (scheduler_.open_generators().empty() || is_forked()) return;
  const Duration grace = options_.shutdown_grace;
  // Not of those that were cancelled: they may clean up, but not for ever. The failure sink gets what they throw.
  TaskGroup closing(scheduler_, OnFailure::keep_going);
  closing.scope().reschedule(clock().now() + grace / 2);
  while (detail::OpenGenerator* const open = scheduler_.open_generators().front()) {
    // One by one: a generator may own others, and close them.
    closing.spawn(detail::close_generator, open);
    run_last_tasks(clock().now() + grace);
  }
}

}  // namespace gyre
