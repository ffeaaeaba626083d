// The life of an operation: started, tried, parked, cancelled, finished.
#include <gyre/platform/readiness_serve_posix.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <gyre/platform/check.h>
#include <gyre/platform/syscalls_posix.h>

namespace gyre {

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

inline std::int64_t ReadinessPoller::receive_some(Operation& operation, Descriptor& descriptor, void* buffer,
                                                  std::size_t size) noexcept {
  if ((descriptor.state & classified) == 0) [[unlikely]] classify(descriptor);
  ++stats_.system_calls;
  constexpr std::uint16_t otherwise = local_stream | 3u << kind_shift;  // DescriptorKind::socket is 0
  static_assert(static_cast<int>(DescriptorKind::socket) == 0);
  if ((descriptor.state & otherwise) != 0) return receive_otherwise(operation, descriptor, buffer, size);
  const bool peek = (operation.flags & operation_peek) != 0;
  const std::int64_t result =
      sys::recv(descriptor.native, buffer, size, MSG_DONTWAIT | (peek ? MSG_PEEK : 0));
  const bool proves_nothing = !is_proof(operation, result) || (peek && result > 0);
  note_read(descriptor, result, proves_nothing ? 0 : size);
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
      return receive_some(operation, descriptor, operation.buffer, std::min(operation.size, sys::transfer_max));
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

// The usual case, short: a TCP stream that has to wait for bytes in a lent buffer. start_other() does it as well.
bool ReadinessPoller::start(Operation& operation) noexcept {
  check_thread();
  const bool is_usual = operation.kind == OperationKind::receive_lent && operation.state == OperationState::idle &&
                        operation.flags == 0 && operation.token == 0;
  if (!is_usual) [[unlikely]] return start_other(operation);
  Descriptor& descriptor = *operation.descriptor;
  constexpr std::uint16_t asked = may_read | read_ended | quarantined | refusing | always_ready | classified | byte_stream |
                                  local_stream | kind_bits;
  const bool must_wait = (descriptor.state & asked) == (classified | byte_stream);
  if (!must_wait || descriptor.parked_input != nullptr) [[unlikely]] return start_other(operation);
  operation.kind = OperationKind::receive_lent;  // as it was: with the next three, one store
  operation.state = OperationState::in_flight;
  operation.flags = 0;
  operation.token = token_parked | token_usual;
  ++in_flight_;
  ++descriptor.operations;
  descriptor.parked_input = &operation;
  return false;
}

void ReadinessPoller::note_full(Descriptor& descriptor) noexcept { descriptor.state |= may_read; }

// The usual case of a send: a socket with room.
std::int64_t ReadinessPoller::send_now(Descriptor& descriptor, const void* data, std::size_t size) noexcept {
  check_thread();
  GYRE_DCHECK(size > 0);
  constexpr std::uint16_t asked = may_write | refusing | kind_bits;
  if ((descriptor.state & asked) != may_write || descriptor.parked_output != nullptr) [[unlikely]] return not_tried;
  ++inline_sends_;
  descriptor.bytes_sent += size;
  return sys::send_once(descriptor.native, data, size, MSG_DONTWAIT);
}

std::int64_t ReadinessPoller::settle_send(Descriptor& descriptor, const void* data, std::size_t size,
                                          std::int64_t answer) noexcept {
  if (answer == not_tried) return would_block;
  descriptor.bytes_sent -= size;
  std::int64_t result = answer;
  if (result == -EINTR) {
    ++stats_.system_calls;
    result = sys::send(descriptor.native, data, size, MSG_DONTWAIT);
  }
  note_written(descriptor, sys::judged(result), std::min(size, sys::transfer_max));
  if (result == -EAGAIN) --stats_.inline_completions;  // that of inline_sends_
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

// An operation that finds no buffer waits for give_back(), which keeps one for it.
inline std::int64_t ReadinessPoller::try_receive_lent(Operation& operation, Descriptor& descriptor) noexcept {
  const bool has_buffer = (operation.token & token_has_buffer) != 0;
  void* const buffer = has_buffer ? take_kept_buffer(operation) : lent_.take();
  if (buffer == nullptr) {
    if (lent_.lent() == 0) return -ENOMEM;
    operation.token |= token_unlent;
    unlent_.push(operation);
    lent_.watch();
    return -EAGAIN;  // may_read stays: there may be data, only no place for them
  }
  const std::int64_t result = receive_some(operation, descriptor, buffer, lent_.size());
  if (result > 0) {
    operation.buffer = buffer;
    budget_ -= result;
  } else {
    operation.buffer = nullptr;
    give_back(buffer);
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

void ReadinessPoller::unpark(Operation& operation) noexcept {
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
  // As it is no usual one, whatever note_served() will say: but the system call was made.
  ++in_flight_;
  --delivered_;
  descriptor.state = static_cast<std::uint16_t>((descriptor.state | may_read) & ~idle_all);
  give_back(buffer);
  if (result == -EINTR) return run(operation);
  note_read(descriptor, sys::judged(result), 1);
  if (result == -EAGAIN) return;
  operation.buffer = nullptr;
  finish(operation, result);
}

void ReadinessPoller::serve(SlotId id, std::uint16_t ready) noexcept {
  Descriptor* const descriptor = table_.find_issued(id);
  if (descriptor == nullptr) return note_stale();
  serve_otherwise(*descriptor, ready);
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
  if ((operation.token & token_has_buffer) != 0) [[unlikely]] give_back(take_kept_buffer(operation));
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

// --- Lent buffers ----------------------------------------------------------------------------------------------------

void ReadinessPoller::give_back(void* buffer) noexcept {
  if (!lent_.try_give_back(buffer)) [[unlikely]] give_back_otherwise(buffer);
}

// Somebody waits for a buffer: it is kept for who has waited longest. Otherwise those whose events are served before would
// take every one.
void ReadinessPoller::give_back_otherwise(void* buffer) noexcept {
  lent_.give_back(buffer);
  Operation* const operation = unlent_.pop();
  if (unlent_.empty()) lent_.unwatch();
  if (operation == nullptr) return;
  operation->token = (operation->token & ~token_unlent) | token_has_buffer;
  operation->buffer = lent_.take_free();
  make_due(*operation);
  if (foreign_loop_) wake();
}

void* ReadinessPoller::take_kept_buffer(Operation& operation) noexcept {
  operation.token &= ~token_has_buffer;
  return std::exchange(operation.buffer, nullptr);
}

}  // namespace gyre
