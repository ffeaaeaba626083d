// The life of a descriptor: attached, watched, taken out while it brings nothing but idle events, closed.
#include <gyre/platform/readiness.h>

#include <cerrno>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {

ReadinessPoller::ReadinessPoller(const PollerOptions& options, ShortReceive means) noexcept
    : clock_(options.clock == nullptr ? steady_clock() : *options.clock),
      budget_max_(std::clamp(options.completions_max, 1u, completions_per_wait) * bytes_per_completion),
      short_receive_(means),
      waits_in_send_(means == ShortReceive::nothing),
      lent_(options.lent_buffers, options.lent_buffer_size),
      worker_([](void* poller) noexcept { static_cast<ReadinessPoller*>(poller)->nudge(); }, this) {}

ReadinessPoller::~ReadinessPoller() {
  GYRE_CHECK_HINT(in_flight_ == 0, "shutdown() comes before the destructor");
  table_.for_each([](Descriptor& descriptor) {
    if (kind_of(descriptor) != DescriptorKind::foreign) sys::close(descriptor.native);
  });
}

// Looks at all: for the few that are somebody else's.
bool ReadinessPoller::watches(NativeDescriptor native) noexcept {
  bool found = false;
  table_.for_each([&](Descriptor& descriptor) { found = found || (descriptor.native == native && is_watched(descriptor)); });
  return found;
}

Result<Descriptor*> ReadinessPoller::attach(UniqueFd fd, DescriptorKind kind) noexcept {
  GYRE_CHECK_HINT(static_cast<bool>(fd), "attach() needs an open descriptor");
  const bool is_foreign = kind == DescriptorKind::foreign;
  const NativeDescriptor native = fd.get();
  if (is_foreign) (void)fd.release();  // left open, also on failure

  // epoll says so by itself; kqueue would let the newcomer take over.
  if (is_foreign && watches(native)) return Error::system(EEXIST, OperationKind::setup);
  if (!due_.reserve(2 * table_.size() + 2)) return Error::system(ENOMEM, OperationKind::setup);
  Descriptor* const descriptor = table_.add(native);
  if (descriptor == nullptr) return Error::system(ENOMEM, OperationKind::setup);
  // Reading starts with waiting for an event: what has just been opened seldom has data. Writing can be tried at once.
  descriptor->state = static_cast<std::uint16_t>(
      may_write | static_cast<std::uint16_t>(kind) << kind_shift);

  std::int64_t result = 0;
  if (kind == DescriptorKind::stream) {
    // The flag is of the open file, which may be shared: a terminal stays non-blocking for our siblings, too. There is
    // no other way to read it without waiting.
    result = make_non_blocking(*descriptor);
    sys::ignore_broken_pipes();
  } else if (kind != DescriptorKind::file) {
    sys::prevent_broken_pipe_signal(native);
    if (kind == DescriptorKind::socket && waits_in_send_) result = make_non_blocking(*descriptor);
  }
  bool watched = false;
  if (result == 0 && kind != DescriptorKind::file) {
    result = watch(*descriptor);
    watched = result != -EPERM;
    if (!watched) result = 0;
  }
  if (!watched) descriptor->state |= always_ready | may_read;
  if (result < 0) {
    table_.remove(*descriptor);
    return Error::system(static_cast<std::int32_t>(-result), OperationKind::setup);
  }
  (void)fd.release();
  return descriptor;
}

void ReadinessPoller::forget(Descriptor& descriptor, bool closes) noexcept {
  GYRE_CHECK_HINT(descriptor.operations == 0, "operations of the descriptor are in flight");
  GYRE_CHECK_HINT(descriptor.native != no_descriptor, "the descriptor is not attached");
  if (is_watched(descriptor)) unwatch(descriptor, closes);
  table_.remove(descriptor);
  if (has_fetched()) ++closed_since_fetch_;
}

UniqueFd ReadinessPoller::detach(Descriptor& descriptor) noexcept {
  UniqueFd fd(descriptor.native);
  forget(descriptor, false);
  return fd;
}

void ReadinessPoller::close(Descriptor& descriptor) noexcept {
  const NativeDescriptor native = descriptor.native;
  const bool is_foreign = kind_of(descriptor) == DescriptorKind::foreign;
  forget(descriptor, !is_foreign);
  if (is_foreign) return;
  ++stats_.system_calls;
  sys::close(native);
}

// A descriptor that has brought nothing but idle events is taken out; restore() puts it back once somebody waits for it.
void ReadinessPoller::note_idle(Descriptor& descriptor) noexcept {
  if ((descriptor.state & idle_all) != idle_all) {
    descriptor.state = static_cast<std::uint16_t>(descriptor.state + idle_one);
    return;
  }
  // An event that a parked operation waits for may still come.
  if (descriptor.parked_input != nullptr || descriptor.parked_output != nullptr) return;
  ++stats_.quarantined;
  unwatch(descriptor, false);
  // Nobody tells us any more what is ready, so everything may be.
  descriptor.state |= quarantined | may_read | may_write;
}

void ReadinessPoller::restore(Descriptor& descriptor) noexcept {
  descriptor.state &= static_cast<std::uint16_t>(~(quarantined | idle_all));
  const std::int64_t result = watch(descriptor);
  if (result >= 0) return;
  descriptor.state |= quarantined;
  give_up(descriptor.parked_input, result);
  give_up(descriptor.parked_output, result);
}

void ReadinessPoller::ask_for_output(Descriptor& descriptor) noexcept {
  descriptor.state |= watches_output;
  if (!is_watched(descriptor)) return;
  const std::int64_t result = watch_output(descriptor);
  if (result >= 0) return;
  descriptor.state &= static_cast<std::uint16_t>(~watches_output);
  give_up(descriptor.parked_output, result);
}

// A parked operation, or null, whose event cannot come.
void ReadinessPoller::give_up(Operation* operation, std::int64_t result) noexcept {
  if (operation == nullptr) return;
  if ((operation->token & token_due) != 0) due_.remove(*operation);
  if ((operation->token & token_unlent) != 0) unlent_.remove(*operation);
  if ((operation->token & token_has_buffer) != 0) give_back(take_kept_buffer(*operation));
  unpark(*operation);
  operation->result = result;
  done_.push(*operation);
}

}  // namespace gyre
