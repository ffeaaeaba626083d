// IocpPoller: its life, its descriptors, and waiting.
#include <gyre/platform/iocp_poller_windows.h>

#include <algorithm>
#include <memory>
#include <new>

#include <gyre/platform/poller_backends.h>

namespace gyre {
namespace {

// The completion key of wake(); everything else has a record.
constexpr ULONG_PTR wake_key = 1;

}  // namespace

// --- Life ------------------------------------------------------------------------------------------------------------

Result<void> IocpPoller::open() noexcept {
  Result<UniqueFd> port = sys::create_port();
  if (!port) return port.error();
  port_ = std::move(*port);
  Result<UniqueFd> timer = sys::create_timer();
  if (timer) timer_ = std::move(*timer);
  return {};
}

IocpPoller::~IocpPoller() {
  shutdown();
  descriptors_.for_each([this](Descriptor& descriptor) { release_native(descriptor); });
}

void IocpPoller::shutdown() noexcept {
  GYRE_CHECK_HINT(!waiting_, "shutdown() inside wait()");
  if (draining_) return;
  draining_ = true;
  records_.for_each([this](SlotId, InFlight& record) { cancel(*record.operation); });
  // Bounded: each record's packet comes once it is cancelled; a call of the pool's that nobody can cut short ends by itself.
  while (records_.size() > 0) wait(never);
}

NativeDescriptor IocpPoller::native_handle() const noexcept {
  // Only whoever owns the poller can ask, and asking changes how it sleeps.
  auto& self = const_cast<IocpPoller&>(*this);
  if (!embedded_ && !draining_) {
    self.embedded_ = true;
    if (!waiting_) self.prepare_for_foreign_loop();
  }
  return port_.get();
}

PollerStats IocpPoller::stats() const noexcept {
  PollerStats stats = stats_;
  stats.wakes = wakes_.load(std::memory_order_relaxed);
  stats.system_calls += stats.wakes;
  return stats;
}

// --- Descriptors -----------------------------------------------------------------------------------------------------

Result<Descriptor*> IocpPoller::attach(UniqueFd fd, DescriptorKind kind) noexcept {
  check_thread();
  GYRE_CHECK(fd.get() != no_descriptor);
  Descriptor* const descriptor = descriptors_.add(fd.get());
  if (descriptor == nullptr) {
    if (kind == DescriptorKind::foreign) (void)fd.release();
    return Error::system(ENOMEM, OperationKind::setup);
  }
  (void)fd.release();
  descriptor->state = static_cast<std::uint16_t>(kind);
  if (kind == DescriptorKind::socket) {
    ++stats_.system_calls;
    sys::set_non_blocking(descriptor->native);
  }
  return descriptor;
}

UniqueFd IocpPoller::detach(Descriptor& descriptor) noexcept {
  check_thread();
  GYRE_CHECK((descriptor.state & descriptor_closing) == 0);
  if ((descriptor.state & descriptor_associated) != 0) {
    ++stats_.system_calls;
    sys::dissociate(descriptor.native);
  }
  UniqueFd fd(descriptor.native);
  descriptors_.remove(descriptor);
  return fd;
}

void IocpPoller::close(Descriptor& descriptor) noexcept {
  check_thread();
  GYRE_CHECK_HINT(descriptor.operations == 0, "start an operation of kind close instead");
  GYRE_CHECK((descriptor.state & descriptor_closing) == 0);
  release_native(descriptor);
}

void IocpPoller::release_native(Descriptor& descriptor) noexcept {
  const NativeDescriptor fd = descriptor.native;
  const bool ours = kind_of(descriptor) != DescriptorKind::foreign;
  descriptors_.remove(descriptor);
  if (!ours) return;
  ++stats_.system_calls;
  sys::close(fd);
}

// --- Waiting ---------------------------------------------------------------------------------------------------------

std::size_t IocpPoller::wait(Instant deadline) noexcept {
  GYRE_CHECK_HINT(!waiting_, "wait() inside a completion");
  if (owner_ == nullptr) owner_ = &thread_mark;
  check_thread();
  waiting_ = true;
  delivered_ = 0;
  ++stats_.waits;
  for (bool first = true;; first = false) {
    bool woken = wake_word_.take();
    const bool is_idle = !woken && ready_.empty();
    Duration patience = Duration::zero();
    if (is_idle) patience = deadline == never ? Duration::max() : deadline - clock_.now();
    if (patience > Duration::zero()) {
      if (first) ++stats_.blocking_waits;
      const std::size_t count = fetch(wake_word_.prepare_to_sleep() ? patience : Duration::zero());
      woken = wake_word_.take();  // before anything is completed: what wakes then is for the next wait
      take_packets(count);
    } else if (packets_ > 0 || wakes_seen_ != wakes_.load(std::memory_order_relaxed)) {
      // Without one coming the port has nothing for us: an idle turn makes no system call.
      take_packets(fetch(Duration::zero()));
    }
    deliver_ready();
    if (delivered_ > 0 || woken || (is_idle && patience <= Duration::zero())) break;
    if (draining_ && records_.size() == 0) break;
  }
  if (embedded_) prepare_for_foreign_loop();
  waiting_ = false;
  return delivered_;
}

// The time-out of a wait has the resolution of the system's tick, 1 to 16 ms. A timer that calls into the wait is finer.
// Returns the milliseconds that the wait may take at most.
DWORD IocpPoller::arm_timer(Duration patience) noexcept {
  constexpr std::int64_t milliseconds_max = 86'400'000;  // who sleeps longer is woken in between, and sleeps again
  if (patience <= Duration::zero()) return 0;
  if (patience == Duration::max()) return INFINITE;
  const std::int64_t milliseconds = std::min((patience.count() - 1) / 1'000'000 + 1, milliseconds_max);
  if (timer_ && milliseconds < 1000) {
    ++stats_.system_calls;
    // A failure costs precision only.
    static_cast<void>(sys::set_timer(timer_.get(), patience));
  }
  return static_cast<DWORD>(milliseconds);
}

// Returns the number of packets, which are in entries_.
std::size_t IocpPoller::fetch(Duration patience) noexcept {
  const DWORD timeout = arm_timer(patience);
  const std::size_t room = options_.completions_max > delivered_ ? options_.completions_max - delivered_ : 1;
  ++stats_.system_calls;
  const std::int64_t count = sys::wait_port(port_.get(), entries_, static_cast<ULONG>(std::min<std::size_t>(room, entries_max)), timeout);
  if (count < 0) {
    ++stats_.interrupted_waits;
    return 0;
  }
  return static_cast<std::size_t>(count);
}

void IocpPoller::take_packets(std::size_t count) noexcept {
  const std::size_t before = delivered_;
  const std::uint64_t wakes_before = wakes_seen_;
  for (std::size_t i = 0; i < count; ++i) {
    if (entries_[i].lpCompletionKey == wake_key) {
      ++wakes_seen_;
    } else {
      on_packet(entries_[i]);
    }
  }
  const bool has_events = count > wakes_seen_ - wakes_before;
  if (has_events && delivered_ == before && ready_.empty()) ++stats_.idle_polls;
}

void IocpPoller::signal() noexcept {
  wakes_.fetch_add(1, std::memory_order_relaxed);
  // Fails for want of memory only. Others that ask leave the wake to us, so it is worth a few more attempts; but who wakes
  // is not held up for ever: without a wake the sleeper sees to it when it next gets up by itself.
  for (int attempts_left = 16; sys::post(port_.get(), wake_key, nullptr) < 0; --attempts_left) {
    if (attempts_left == 0) {
      wakes_.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    ::Sleep(1);
  }
}

void IocpPoller::wake() noexcept {
  if (wake_word_.wake()) signal();
}

// A foreign loop will sleep on native_handle(): each wake must show there, and so must what is to be delivered.
void IocpPoller::prepare_for_foreign_loop() noexcept {
  const bool may_sleep = ready_.empty() && wake_word_.prepare_to_sleep();
  if (!may_sleep) signal();
}

Result<std::unique_ptr<Poller>> make_iocp_poller(const PollerOptions& options) {
  std::unique_ptr<IocpPoller> poller(new (std::nothrow) IocpPoller(options));
  if (poller == nullptr) return Error::system(ENOMEM, OperationKind::setup);
  const Result<void> opened = poller->open();
  if (!opened) return opened.error();
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace gyre
