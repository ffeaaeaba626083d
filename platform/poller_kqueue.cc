// The kqueue poller (macOS, the BSDs): each descriptor has two filters, for input and for output, registered once and
// edge-triggered (EV_CLEAR). Registrations are handed over with the next wait, so that they cost no call of their own.
//
// EV_EOF says that no more will come, not that nothing is left: the end is what a read of 0 says, and an error what the
// call itself answers. Of input it also says that output is worth a try: NetBSD (seen in 7.99.34) tells a writer who waits
// at a full pipe by that alone that the reader is gone.
//
// What the kernel refuses to register (for want of memory, mostly) is asked for again every other call; the calls in between
// leave it out and wait a little, since a call with a refused change returns at once.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/poller_backends.h>
#include <gyre/platform/readiness.h>
#include <gyre/platform/syscalls_kqueue.h>

namespace gyre {
namespace {

using Event = struct ::kevent;

static_assert(sizeof(void*) == sizeof(std::uint64_t), "a token must fit into udata");

// No slot has this number. The wake-up's identifier is its filter's own: descriptors of the same number are another's.
constexpr std::uint64_t wake_token = ~std::uint64_t{0};
constexpr std::uintptr_t wake_ident = 0;

// What has been refused is tried again after so long, or after the next event.
constexpr Duration retry_interval = std::chrono::milliseconds(10);

void* to_udata(std::uint64_t token) noexcept { return reinterpret_cast<void*>(token); }
std::uint64_t to_token(const Event& event) noexcept { return reinterpret_cast<std::uint64_t>(event.udata); }

Event change(std::uintptr_t ident, int filter, unsigned flags, std::uint64_t token) noexcept {
  Event event{};
  event.ident = ident;
  event.filter = static_cast<decltype(event.filter)>(filter);
  event.flags = static_cast<decltype(event.flags)>(flags);
  event.udata = to_udata(token);
  return event;
}

class KqueuePoller final : public ReadinessPoller {
 public:
  KqueuePoller(const PollerOptions& options, UniqueFd queue) noexcept
      : ReadinessPoller(options, ShortReceive::nothing), queue_(std::move(queue)) {}
  ~KqueuePoller() override { stop_worker(); }

  // The wake-up is an event of the queue's own. Errors: not_enough_memory, invalid_argument (the system has none such:
  // NetBSD before 10).
  Result<void> open() noexcept {
    const Event wake = change(wake_ident, EVFILT_USER, EV_ADD | EV_CLEAR | EV_RECEIPT, wake_token);
    Event receipt{};
    std::int64_t result = -EINTR;
    while (result == -EINTR) result = sys::kevent(queue_.get(), &wake, 1, &receipt, 1, Duration::zero());
    if (result > 0) result = -static_cast<std::int64_t>(receipt.data);
    if (result < 0) return Error::system(static_cast<std::int32_t>(-result), OperationKind::setup);
    return {};
  }

  std::string_view name() const noexcept override { return "kqueue"; }

  // Whoever sleeps on the queue itself hands over nothing: from now on changes are made at once.
  NativeDescriptor native_handle() const noexcept override {
    enter_foreign_loop();
    auto& self = const_cast<KqueuePoller&>(*this);
    self.hands_over_at_once_ = true;
    self.make_changes();
    return queue_.get();
  }

 protected:
  std::int64_t watch(Descriptor& descriptor) noexcept override {
    if (changes_count_ + 2 > changes_.size()) make_changes();
    if (changes_count_ + 2 > changes_.size()) return -ENOMEM;  // they have been refused
    const auto ident = static_cast<std::uintptr_t>(descriptor.native);
    const std::uint64_t token = DescriptorTable::id(descriptor).token();
    add(change(ident, EVFILT_READ, EV_ADD | EV_CLEAR, token));
    add(change(ident, EVFILT_WRITE, EV_ADD | EV_CLEAR, token));
    if (hands_over_at_once_) make_changes();
    return 0;
  }
  std::int64_t watch_output(Descriptor&) noexcept override { return 0; }  // it is, from the beginning

  // The kernel forgets a descriptor that is closed, but what it has not been told yet it must never be told: the number may
  // be another's by then.
  void unwatch(Descriptor& descriptor, bool closes) noexcept override {
    const std::uint64_t token = DescriptorTable::id(descriptor).token();
    const bool has_refused = refused_count_ > 0;  // then the other half of it may be registered
    const bool is_unknown = drop_changes(token) && !has_refused;
    if (closes || is_unknown) return;
    const auto ident = static_cast<std::uintptr_t>(descriptor.native);
    const Event changes[] = {change(ident, EVFILT_READ, EV_DELETE | EV_RECEIPT, token),
                             change(ident, EVFILT_WRITE, EV_DELETE | EV_RECEIPT, token)};
    Event receipts[2];
    ++stats_.system_calls;
    // ENOENT: the kernel had refused it. EINTR: they have been made.
    (void)sys::kevent(queue_.get(), changes, 2, receipts, 2, Duration::zero());
  }

  std::size_t fetch(Duration timeout) noexcept override {
    const std::size_t left_out = std::exchange(pauses_, false) ? refused_count_ : 0;
    if (left_out > 0) timeout = std::min(timeout, retry_interval);
    return exchange(left_out, timeout);
  }

  void signal() const noexcept override {
    Event wake = change(wake_ident, EVFILT_USER, 0, wake_token);
    wake.fflags = NOTE_TRIGGER;
    std::int64_t result = -EINTR;
    while (result == -ENOMEM || result == -EINTR) result = sys::kevent(queue_.get(), &wake, 1, nullptr, 0, Duration::zero());
  }

 private:
  void add(const Event& event) noexcept { changes_[changes_count_++] = event; }

  // Whether there were any.
  bool drop_changes(std::uint64_t token) noexcept {
    std::size_t kept = 0;
    std::size_t refused = 0;
    for (std::size_t i = 0; i < changes_count_; ++i) {
      if (to_token(changes_[i]) == token) continue;
      if (i < refused_count_) ++refused;
      changes_[kept++] = changes_[i];
    }
    refused_count_ = refused;
    return std::exchange(changes_count_, kept) != kept;
  }

  // Makes the changes but the first `left_out`, and waits. Returns the number of events.
  std::size_t exchange(std::size_t left_out, Duration timeout) noexcept {
    const std::size_t made = changes_count_ - left_out;
    changes_count_ = refused_count_ = left_out;
    const std::int64_t count = sys::kevent(queue_.get(), changes_.data() + left_out, static_cast<int>(made), events_.data(),
                                           static_cast<int>(events_.size()), timeout);
    if (count == -ENOMEM && made > 0) {
      // All of them stay to be made; that the first ones have been does no harm.
      changes_count_ = refused_count_ = left_out + made;
      pauses_ = true;
    }
    if (count == -EINTR) ++stats_.interrupted_waits;
    return take(count);
  }

  // Hands over what has been collected, without waiting; events that come with the answer count, too.
  void make_changes() noexcept {
    if (changes_count_ == 0) return;
    ++stats_.system_calls;
    pauses_ = false;
    (void)exchange(0, Duration::zero());
  }

  // Returns the number of events, without the wake-up's and refusals.
  std::size_t take(std::int64_t count) noexcept {
    std::size_t events = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const Event& event = events_[static_cast<std::size_t>(i)];
      if (to_token(event) == wake_token) continue;
      if ((event.flags & EV_ERROR) != 0) [[unlikely]] {
        on_refusal(event);
      } else {
        ++events;
        const bool for_input = event.filter == EVFILT_READ;
        on_event(SlotId::from_token(to_token(event)), to_state(event),
                 for_input ? static_cast<std::int64_t>(event.data) : unknown);
      }
    }
    return events;
  }

  // A registration that failed: once more, later. ENOMEM: nothing is lost by waiting. Otherwise the descriptor may be one that
  // cannot be watched (a device without a filter, a pipe whose other end is closed): then it counts as ready as often as it is
  // refused, and its calls tell what there is, or what is wrong with it.
  void on_refusal(const Event& refused) noexcept {
    const SlotId id = SlotId::from_token(to_token(refused));
    if (refused.data != ENOMEM) on_event(id, refused.filter == EVFILT_READ ? may_read : may_write);
    if (!is_watched(id)) return;  // by now it brings nothing but idle events, and has been taken out
    // There is room: it has been taken out of the same array, and only refusals were put back since.
    add(change(refused.ident, refused.filter, EV_ADD | EV_CLEAR, to_token(refused)));
    refused_count_ = changes_count_;
    pauses_ = true;
  }

  // Of output, the end needs not be remembered: every later call fails with it.
  static std::uint16_t to_state(const Event& event) noexcept {
    if (event.filter == EVFILT_WRITE) return may_write;
    return static_cast<std::uint16_t>((event.flags & EV_EOF) != 0 ? may_read | read_ended | may_write : may_read);
  }

  const UniqueFd queue_;
  bool hands_over_at_once_ = false;
  bool pauses_ = false;            // the next call leaves out what has been refused
  std::size_t changes_count_ = 0;  // to be made
  std::size_t refused_count_ = 0;  // the first ones of them, which have been refused before
  std::array<Event, 256> changes_;
  std::array<Event, 256> events_;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_kqueue_poller(const PollerOptions& options) {
  Result<UniqueFd> queue = sys::kqueue();
  if (!queue) return queue.error();
  std::unique_ptr<KqueuePoller> poller(new (std::nothrow) KqueuePoller(options, std::move(*queue)));
  if (poller == nullptr) return Error::system(ENOMEM, OperationKind::setup);
  const Result<void> opened = poller->open();
  if (!opened) return opened.error();
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace gyre
