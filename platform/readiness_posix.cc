#include <gyre/platform/readiness_serve_posix.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

constexpr Duration sleep_max = std::chrono::hours(24);  // who sleeps longer is woken in between, and sleeps again

// Its address tells threads apart.
[[maybe_unused]] constinit thread_local char this_thread = 0;

}  // namespace

ReadinessPoller::ReadinessPoller(const PollerOptions& options) noexcept
    : clock_(options.clock == nullptr ? steady_clock() : *options.clock),
      budget_max_(std::clamp(options.completions_max, 1u, completions_per_wait) * bytes_per_completion),
      lent_(options.lent_buffers, options.lent_buffer_size),
      worker_([](void* poller) noexcept { static_cast<ReadinessPoller*>(poller)->nudge(); }, this) {}

ReadinessPoller::~ReadinessPoller() {
  GYRE_CHECK_HINT(in_flight_ == 0, "shutdown() comes before the destructor");
  table_.for_each([](Descriptor& descriptor) {
    if (kind_of(descriptor) != DescriptorKind::foreign) sys::close(descriptor.native);
  });
}

// --- Descriptors -----------------------------------------------------------------------------------------------------

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
  unpark(*operation);
  operation->result = result;
  done_.push(*operation);
}

// --- Starting and cancelling -----------------------------------------------------------------------------------------

inline ReadinessPoller::Side ReadinessPoller::side_of(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::accept:
    case OperationKind::receive:
    case OperationKind::receive_vector:
    case OperationKind::receive_message:
    case OperationKind::receive_batch:
    case OperationKind::receive_lent:
    case OperationKind::readable: return Side::input;
    case OperationKind::connect:
    case OperationKind::send:
    case OperationKind::send_vector:
    case OperationKind::send_message:
    case OperationKind::send_batch:
    case OperationKind::writable:
    case OperationKind::send_file: return Side::output;
    case OperationKind::splice: return Side::both;
    default: return Side::none;
  }
}

// Slices that are all empty: such a transfer waits for nothing.
bool ReadinessPoller::is_empty_transfer(const Operation& operation) noexcept {
  if (operation.kind != OperationKind::receive_vector && operation.kind != OperationKind::send_vector) return false;
  return std::all_of(operation.slices, operation.slices + operation.size,
                     [](const IoSlice& slice) { return slice.size == 0; });
}

// Done inside start().
inline bool ReadinessPoller::answer(Operation& operation, std::int64_t result) noexcept {
  operation.result = result;
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  ++stats_.inline_completions;
  return true;
}

// Done, but the starter wants to hear of it from wait().
bool ReadinessPoller::answer_later(Operation& operation, std::int64_t result) noexcept {
  if ((operation.flags & operation_no_inline) == 0) return answer(operation, result);
  operation.state = OperationState::in_flight;
  operation.token = 0;
  operation.result = result;
  ++in_flight_;
  if (operation.descriptor != nullptr) ++operation.descriptor->operations;
  done_.push(operation);
  if (foreign_loop_) wake();
  return false;
}

inline std::int64_t ReadinessPoller::receive_some(Descriptor& descriptor, void* buffer, std::size_t size,
                                                  bool peek) noexcept {
  if ((descriptor.state & classified) == 0) [[unlikely]] classify(descriptor);
  ++stats_.system_calls;
  constexpr std::uint16_t otherwise = local_stream | 3u << kind_shift;  // DescriptorKind::socket is 0
  static_assert(static_cast<int>(DescriptorKind::socket) == 0);
  if ((descriptor.state & otherwise) != 0) return receive_otherwise(descriptor, buffer, size, peek);
  const std::int64_t result =
      sys::recv(descriptor.native, buffer, size, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  note_read(descriptor, result, peek && result > 0 ? 0 : size);
  return result;
}

inline std::int64_t ReadinessPoller::try_send(Operation& operation, Descriptor& descriptor) noexcept {
  GYRE_DCHECK(operation.size > 0);
  const std::size_t size = std::min(operation.size, sys::transfer_max);
  ++stats_.system_calls;
  const std::int64_t result =
      kind_of(descriptor) == DescriptorKind::socket
          ? sys::send(descriptor.native, operation.buffer, size, MSG_DONTWAIT)
          : sys::write(descriptor.native, operation.buffer, size);
  note_written(descriptor, result, size);
  return result;
}

inline std::int64_t ReadinessPoller::attempt(Operation& operation, Descriptor& descriptor) noexcept {
  switch (operation.kind) {
    case OperationKind::receive:
      GYRE_DCHECK(operation.size > 0);
      return receive_some(descriptor, operation.buffer, std::min(operation.size, sys::transfer_max),
                          (operation.flags & operation_peek) != 0);
    case OperationKind::send: return try_send(operation, descriptor);
    case OperationKind::receive_lent: return try_receive_lent(operation, descriptor);
    default: return attempt_other(operation, descriptor);
  }
}

inline void ReadinessPoller::park(Operation& operation, Descriptor& descriptor, Side side) noexcept {
  operation.state = OperationState::in_flight;
  operation.token |= token_parked;
  ++in_flight_;
  ++descriptor.operations;
  (side == Side::input ? descriptor.parked_input : descriptor.parked_output) = &operation;
  if (side == Side::both) [[unlikely]] park_source(operation);
  if (side != Side::input && (descriptor.state & watches_output) == 0) [[unlikely]] ask_for_output(descriptor);
  if ((descriptor.state & quarantined) != 0) [[unlikely]] restore(descriptor);
}

// In debug builds: everything on the thread that waits.
inline void ReadinessPoller::check_thread() const noexcept {
  if constexpr (debug_checks) {
    GYRE_CHECK_HINT(thread_ == nullptr || thread_ == &this_thread,
                    "a poller is used on the thread that waits; from others only wake() may be called");
  }
}

// The usual case, short: a receive that has to wait. start_other() does it as well.
bool ReadinessPoller::start(Operation& operation) noexcept {
  check_thread();
  const bool receives = operation.kind == OperationKind::receive || operation.kind == OperationKind::receive_lent;
  if (!receives || !operation.is_idle()) return start_other(operation);
  Descriptor& descriptor = *operation.descriptor;
  const bool must_wait = (descriptor.state & (may_read | quarantined | refusing)) == 0;
  if (!must_wait || descriptor.parked_input != nullptr) [[unlikely]] return start_other(operation);
  operation.state = OperationState::in_flight;
  operation.token = token_parked;
  ++in_flight_;
  ++descriptor.operations;
  descriptor.parked_input = &operation;
  return false;
}

// The usual case of a send: a socket with room.
std::int64_t ReadinessPoller::send_now(Descriptor& descriptor, const void* data, std::size_t size) noexcept {
  check_thread();
  GYRE_DCHECK(size > 0);
  constexpr std::uint16_t asked = may_write | refusing | kind_bits;
  if ((descriptor.state & asked) != may_write || descriptor.parked_output != nullptr) [[unlikely]] return would_block;
  ++stats_.system_calls;
  const std::int64_t result = sys::send_once(descriptor.native, data, std::min(size, sys::transfer_max), MSG_DONTWAIT);
  if (result != static_cast<std::int64_t>(size)) [[unlikely]] return settle_send(descriptor, data, size, result);
  ++stats_.inline_completions;
  return result;
}

std::int64_t ReadinessPoller::settle_send(Descriptor& descriptor, const void* data, std::size_t size,
                                          std::int64_t result) noexcept {
  const std::size_t most = std::min(size, sys::transfer_max);
  if (result == -EINTR) {
    ++stats_.system_calls;
    result = sys::send(descriptor.native, data, most, MSG_DONTWAIT);
  }
  note_written(descriptor, sys::judged(result), most);
  if (result != -EAGAIN) ++stats_.inline_completions;
  return result;
}

bool ReadinessPoller::start_other(Operation& operation) noexcept {
  GYRE_CHECK_HINT(operation.is_idle(), "the operation is in flight");
  const Side side = side_of(operation.kind);
  if (side == Side::none) [[unlikely]] return start_unparked(operation);

  Descriptor& descriptor = *operation.descriptor;
  const bool reads = side == Side::input;
  const std::uint16_t state = descriptor.state;
  if ((state & refusing) != 0) [[unlikely]] return answer(operation, -ECANCELED);
  GYRE_CHECK_HINT((reads ? descriptor.parked_input : descriptor.parked_output) == nullptr,
                  "one operation at a time in each direction");
  if (side == Side::both) [[unlikely]] {
    if ((operation.source->state & refusing) != 0) return answer(operation, -ECANCELED);
    GYRE_CHECK_HINT(operation.source->parked_input == nullptr,
                    "one operation at a time in each direction");
  }
  if (is_empty_transfer(operation)) [[unlikely]] return answer_later(operation, 0);
  operation.token = 0;
  if ((state & (reads ? may_read : may_write)) == 0) {
    park(operation, descriptor, side);
    return false;
  }
  constexpr std::uint16_t not_inline = operation_no_inline | operation_multishot;
  if ((operation.flags & not_inline) != 0) [[unlikely]] {
    park(operation, descriptor, side);
    if ((operation.token & token_parked) != 0) make_due(operation);
    if (foreign_loop_) wake();
    return false;
  }
  const std::int64_t result = attempt(operation, descriptor);
  if (result != -EAGAIN) [[likely]] return answer(operation, result);
  park(operation, descriptor, side);
  return false;
}

void ReadinessPoller::park_source(Operation& operation) noexcept {
  Descriptor& source = *operation.source;
  source.parked_input = &operation;
  ++source.operations;
  if ((source.state & quarantined) != 0) restore(source);
}

// An operation that finds no buffer waits for give_back().
inline std::int64_t ReadinessPoller::try_receive_lent(Operation& operation, Descriptor& descriptor) noexcept {
  void* const buffer = lent_.take();
  if (buffer == nullptr) {
    if (lent_.lent() == 0) return -ENOMEM;
    operation.token |= token_unlent;
    unlent_.push(operation);
    return -EAGAIN;  // may_read stays: there may be data, only no place for them
  }
  const std::int64_t result = receive_some(descriptor, buffer, lent_.size(), false);
  if (result > 0) {
    operation.buffer = buffer;
    budget_ -= result;
  } else {
    operation.buffer = nullptr;
    lent_.give_back(buffer);
  }
  return result;
}

// `operation` no longer waits for input of the descriptor.
inline void ReadinessPoller::clear_input(Descriptor& descriptor, const Operation& operation) noexcept {
  if (descriptor.parked_input == &operation) {
    descriptor.parked_input = nullptr;
  } else {
    GYRE_DCHECK(closing_of(descriptor) != nullptr && descriptor.parked_input->next == &operation);
    descriptor.parked_input->next = nullptr;
  }
}

inline void ReadinessPoller::unpark(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  operation.token &= ~token_parked;
  if (descriptor.parked_output != &operation) {
    clear_input(descriptor, operation);
    return;
  }
  descriptor.parked_output = nullptr;
  if (operation.kind == OperationKind::splice) {
    Descriptor& source = *operation.source;
    clear_input(source, operation);
    --source.operations;
    if (Operation* const closing = closing_of(source); closing != nullptr && source.operations == 1) {
      done_.push(*closing);
    }
  }
}

// Operations that wait for no direction.
bool ReadinessPoller::start_unparked(Operation& operation) noexcept {
  Descriptor* const descriptor = operation.descriptor;
  GYRE_CHECK((descriptor != nullptr) == (operation.kind != OperationKind::open_file));
  if (shut_down_ || (descriptor != nullptr && (descriptor->state & refusing) != 0)) {
    return answer(operation, -ECANCELED);
  }
  operation.token = 0;
  switch (operation.kind) {
    case OperationKind::read_at:
    case OperationKind::write_at:
    case OperationKind::open_file:
    case OperationKind::sync_file: return start_file(operation);
    case OperationKind::close: return start_close(operation);
    case OperationKind::shutdown: {
      // ShutdownSide is SHUT_RD, SHUT_WR, SHUT_RDWR.
      ++stats_.system_calls;
      return answer_later(operation, sys::shutdown(descriptor->native, static_cast<int>(operation.size)));
    }
    default: break;
  }
  GYRE_CHECK_HINT(false, "this kind of operation is not for a poller");
  return true;
}

bool ReadinessPoller::start_file(Operation& operation) noexcept {
  if ((operation.flags & operation_no_inline) == 0) {
    ++stats_.system_calls;
    const std::int64_t result = try_file_call(operation);
    if (result != -EAGAIN) return answer(operation, result);
  }
  // Before add(): from then on the worker may be done at any time.
  operation.state = OperationState::in_flight;
  operation.token = token_worker;
  if (!worker_.add(operation)) {
    operation.state = OperationState::idle;
    return answer_later(operation, make_file_call(operation));  // no thread: the loop has to wait for the disk
  }
  ++in_flight_;
  ++with_worker_;
  if (operation.descriptor != nullptr) ++operation.descriptor->operations;
  return false;
}

bool ReadinessPoller::start_close(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  if (descriptor.operations == 0 && (operation.flags & operation_no_inline) == 0) {
    close(descriptor);
    return answer(operation, 0);
  }
  operation.state = OperationState::in_flight;
  operation.token = token_due;  // no event makes it so
  operation.result = 0;
  operation.next = descriptor.parked_input;
  ++in_flight_;
  ++descriptor.operations;
  descriptor.parked_input = &operation;
  descriptor.state |= refusing;
  for (Operation* const parked : {operation.next, descriptor.parked_output}) {
    if (parked != nullptr) cancel(*parked);
  }
  if (descriptor.operations == 1) done_.push(operation);
  if (foreign_loop_) wake();
  return false;
}

void ReadinessPoller::cancel(Operation& operation) noexcept {
  check_thread();
  if (operation.state != OperationState::in_flight) return;
  operation.state = OperationState::cancelling;
  if ((operation.token & token_parked) != 0) {
    if ((operation.token & token_unlent) != 0) {
      unlent_.remove(operation);
      operation.token &= ~token_unlent;
    }
    if ((operation.token & token_due) == 0) make_due(operation);
  } else if ((operation.token & token_worker) != 0 && worker_.remove(operation)) {
    take_back(operation);
  } else {
    return;  // its result is known, or on the way
  }
  if (foreign_loop_) wake();
}

// --- Completing ------------------------------------------------------------------------------------------------------

void ReadinessPoller::run(Operation& operation) noexcept {
  if (operation.state == OperationState::cancelling) [[unlikely]] {
    finish(operation, -ECANCELED);
    return;
  }
  if ((operation.flags & operation_multishot) != 0) [[unlikely]] {
    run_multishot(operation);
    return;
  }
  Descriptor& descriptor = *operation.descriptor;
  const std::int64_t result = attempt(operation, descriptor);
  if (result == -EAGAIN) return;
  // finish(), for the usual case.
  if (descriptor.parked_input == &operation) [[likely]] {
    descriptor.parked_input = nullptr;
    --descriptor.operations;
    end(operation, result);
  } else {
    finish(operation, result);
  }
}

// Nothing, the end of the stream, or an error, which only the first call is told.
void ReadinessPoller::settle_receive(Descriptor& descriptor, void* buffer, std::int64_t result) noexcept {
  Operation& operation = *descriptor.parked_input;
  descriptor.state = static_cast<std::uint16_t>((descriptor.state | may_read) & ~idle_all);
  lent_.give_back(buffer);
  if (result == -EINTR) return run(operation);
  note_read(descriptor, sys::judged(result), 1);
  if (result == -EAGAIN) return;
  operation.buffer = nullptr;
  finish(operation, result);
}

void ReadinessPoller::serve_otherwise(Descriptor& descriptor, std::uint16_t ready) noexcept {
  descriptor.state |= ready;
  Operation* const input = descriptor.parked_input;
  Operation* const output = descriptor.parked_output;
  const bool for_output = output != nullptr && (ready & may_write) != 0;
  if (for_output && (output->token & token_due) == 0) make_due(*output);
  if (input != nullptr && (ready & may_read) != 0) {
    descriptor.state &= static_cast<std::uint16_t>(~idle_all);
    if ((input->token & (token_due | token_unlent)) == 0) run(*input);
  } else if (for_output) {
    descriptor.state &= static_cast<std::uint16_t>(~idle_all);
  } else {
    note_idle(descriptor);
  }
}

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

void ReadinessPoller::run_multishot(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  for (std::size_t count = 0; count < multishot_budget && !is_full(); ++count) {
    if (count > 0 && (descriptor.state & may_read) == 0) return;  // the short-read rule: empty
    const std::int64_t result = attempt(operation, descriptor);
    if (result == -EAGAIN) return;
    const bool is_end = result < 0 || (result == 0 && operation.kind == OperationKind::receive_lent);
    if (is_end) {
      finish(operation, result);
      return;
    }
    operation.result = result;
    operation.flags |= operation_more;
    note_delivery();
    operation.complete(operation);
    if (operation.state != OperationState::in_flight) return;  // cancelled, and due because of that
  }
  if ((operation.token & token_due) == 0) make_due(operation);
}

void ReadinessPoller::finish(Operation& operation, std::int64_t result) noexcept {
  Descriptor* const descriptor = operation.descriptor;
  if ((operation.token & token_parked) != 0) unpark(operation);
  if (descriptor != nullptr) {
    --descriptor->operations;
    if (operation.kind == OperationKind::close) {
      descriptor->parked_input = nullptr;
      close(*descriptor);
    } else if (Operation* const closing = closing_of(*descriptor); closing != nullptr && descriptor->operations == 1) {
      done_.push(*closing);
    }
  }
  end(operation, result);
}

// The worker never began it.
void ReadinessPoller::take_back(Operation& operation) noexcept {
  operation.token = 0;
  operation.result = -ECANCELED;
  --with_worker_;
  done_.push(operation);
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

// --- Lent buffers ----------------------------------------------------------------------------------------------------

void ReadinessPoller::give_back(void* buffer) noexcept {
  lent_.give_back(buffer);
  Operation* const operation = unlent_.pop();
  if (operation == nullptr) return;
  operation->token &= ~token_unlent;
  make_due(*operation);
  if (foreign_loop_) wake();
}

// --- Waiting ---------------------------------------------------------------------------------------------------------

std::size_t ReadinessPoller::wait(Instant deadline) noexcept {
  if constexpr (debug_checks) {
    if (thread_ == nullptr) thread_ = &this_thread;
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
  all.system_calls += all.wakes;
  return all;
}

}  // namespace gyre
