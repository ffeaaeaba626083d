// The epoll poller: one registration per descriptor (a second one for output, where that is waited for), no epoll_ctl per
// operation.
#include <array>
#include <cerrno>
#include <new>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/poller_backends.h>
#include <gyre/platform/readiness_serve_posix.h>
#include <gyre/platform/syscalls_linux.h>

namespace gyre {
namespace {

// No descriptor has this generation, which is even, and there is memory for this slot.
constexpr std::uint64_t wake_token = SlotId{0, 0xfffffffe}.token();

constexpr std::uint32_t input_events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET;

std::int64_t add_wake(const UniqueFd& epoll, const UniqueFd& wake_fd) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = wake_token;
  return sys::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake_fd.get(), &event);
}

class EpollPoller final : public ReadinessPoller {
 public:
  EpollPoller(const PollerOptions& options, UniqueFd epoll, UniqueFd wake_fd) noexcept
      : ReadinessPoller(options), epoll_(std::move(epoll)), wake_fd_(std::move(wake_fd)) {}
  ~EpollPoller() override { stop_worker(); }
  using ReadinessPoller::reserve_slots;

  std::string_view name() const noexcept override { return "epoll"; }
  NativeDescriptor native_handle() const noexcept override {
    enter_foreign_loop();
    return epoll_.get();
  }

 protected:
  std::int64_t watch(Descriptor& descriptor) noexcept override {
    const std::int64_t result = watch_in(epoll_, descriptor, EPOLL_CTL_ADD);
    // ENOSPC is the user's limit on watches (fs.epoll.max_user_watches), not a full disk.
    return result == -ENOSPC ? -EMFILE : result;
  }
  std::int64_t watch_output(Descriptor& descriptor) noexcept override { return watch_in(epoll_, descriptor, EPOLL_CTL_MOD); }

  // The registration belongs to the open file, not to its number: it outlives close() if somebody else (a child, a
  // duplicate) holds the file, and then reports events that name nobody and that nobody can stop. Of a connection that is
  // so rare that it is not taken out: see renew(). Inside a foreign loop, which would be woken, it is.
  // ENOENT and EPERM: it was not there. Nobody could do anything about the others.
  void unwatch(Descriptor& descriptor, bool closes) noexcept override {
    if (closes && is_connection(descriptor) && !is_in_foreign_loop()) return;
    epoll_event event{};  // before Linux 2.6.9 it had to be there
    ++stats_.system_calls;
    (void)sys::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor.native, &event);
  }

  std::size_t fetch(Duration timeout) noexcept override {
    constexpr int events_max = static_cast<int>(std::tuple_size_v<decltype(events_)>);
    std::int64_t count = 0;
    if (timeout == Duration::max()) {
      count = sys::epoll_wait_for_ever(epoll_.get(), events_.data(), events_max);
    } else if (timeout <= Duration::zero()) {
      count = sys::epoll_poll(epoll_.get(), events_.data(), events_max);
    } else {
      count = sys::epoll_wait(epoll_.get(), events_.data(), events_max, timeout);
    }
    if (count < 0) [[unlikely]] ++stats_.interrupted_waits;
    served_ = 0;
    fetched_ = count > 0 ? static_cast<std::uint32_t>(count) : 0;
    return 0;
  }

  std::size_t serve_fetched() noexcept override {
    const epoll_event* const begin = events_.data() + served_;
    const epoll_event* const end = events_.data() + fetched_;
    const epoll_event* at = begin;
    std::size_t wakes = 0;
    std::size_t unusual = 0;
    for (; at != end && !is_full(); ++at) {
      if (at->events != EPOLLIN || !serve_usual(SlotId::from_token(at->data.u64))) [[unlikely]] {
        ++unusual;
        if (!serve_unusual(*at)) ++wakes;
      }
    }
    // Only now: a descriptor that is closed meanwhile counts as closed before the end.
    served_ = static_cast<std::uint32_t>(at - events_.data());
    const auto events = static_cast<std::size_t>(at - begin);
    note_served(events - unusual);
    if (stale_events_ != 0) [[unlikely]] renew();
    return events - wakes;
  }

  // False: it is a wake.
  [[gnu::noinline]] bool serve_unusual(const epoll_event& event) noexcept {
    if (event.data.u64 == wake_token) return false;
    serve(SlotId::from_token(event.data.u64), to_state(event.events));
    return true;
  }

  // The eventfd is registered edge-triggered and never read: each write is an edge, whatever the counter says (it would
  // take 2^64 - 2 of them to fill it). A wake-up that was written late finds us awake, or asleep again, and then only costs a turn; it cannot be
  // missed, because an edge is reported only after it was written, and it is written only after `notified` was.
  void signal() const noexcept override {
    const std::uint64_t one = 1;
    (void)sys::write(wake_fd_.get(), &one, sizeof(one));
  }

 private:
  static std::uint16_t to_state(std::uint32_t events) noexcept {
    static_assert(EPOLLIN == may_read);
    static_assert(EPOLLOUT == 2 * may_write);
    unsigned state = (events & EPOLLIN) | (events & EPOLLOUT) / 2;
    if ((events & ~(EPOLLIN | EPOLLOUT)) != 0) [[unlikely]] {
      state |= may_read | read_ended;
      if ((events & (EPOLLERR | EPOLLHUP)) != 0) state |= may_write | write_ended;
    }
    return static_cast<std::uint16_t>(state);
  }

  std::int64_t watch_in(const UniqueFd& epoll, const Descriptor& descriptor, int operation) noexcept {
    epoll_event event{};
    event.events = (descriptor.state & watches_output) != 0 ? input_events | EPOLLOUT : input_events;
    event.data.u64 = DescriptorTable::id(descriptor).token();
    ++stats_.system_calls;
    return sys::epoll_ctl(epoll.get(), operation, descriptor.native, &event);
  }

  // Once there have been so many events of descriptors that we have closed that it pays, a new set takes the place, and
  // the number, of the old one. What is ready counts as an edge in it, so that none is lost. If that fails, the old one
  // does for as many events more.
  void renew() noexcept {
    if (stale_events_ < 16 + attached() / 4 || is_in_foreign_loop()) return;
    stale_events_ = 0;
    stats_.system_calls += 3;
    const Result<UniqueFd> fresh = sys::epoll_create1();
    if (!fresh || add_wake(*fresh, wake_fd_) < 0) return;
    bool complete = true;
    for_each_watched([&](const Descriptor& descriptor) { complete = complete && watch_in(*fresh, descriptor, EPOLL_CTL_ADD) == 0; });
    if (complete) (void)sys::dup3(fresh->get(), epoll_.get(), false);
  }

  const UniqueFd epoll_;
  const UniqueFd wake_fd_;
  std::array<epoll_event, 256> events_;
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller(const PollerOptions& options) {
  Result<UniqueFd> epoll = sys::epoll_create1();
  if (!epoll) return epoll.error();
  Result<UniqueFd> wake_fd = sys::eventfd(0);
  if (!wake_fd) return wake_fd.error();
  const std::int64_t added = add_wake(*epoll, *wake_fd);
  if (added < 0) return Error::system(static_cast<std::int32_t>(-added), OperationKind::setup);
  std::unique_ptr<EpollPoller> poller(
      new (std::nothrow) EpollPoller(options, std::move(*epoll), std::move(*wake_fd)));
  if (poller == nullptr || !poller->reserve_slots()) return Error::system(ENOMEM, OperationKind::setup);
  return std::unique_ptr<Poller>(std::move(poller));
}

}  // namespace gyre
