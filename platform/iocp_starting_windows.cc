// IocpPoller: what start() and cancel() do, and how operations are put to the system.
#include <gyre/platform/iocp_poller_windows.h>

#include <threadpoolapiset.h>

#include <utility>

namespace gyre {
namespace {

constexpr ULONG_PTR operation_key = 2;

// The packet of a record, from a thread of the system's pool: nobody else would ever end the operation. Posting fails for
// want of memory only.
void post_surely(InFlight& record) noexcept {
  while (sys::post(record.port, operation_key, record.overlapped()) < 0) ::Sleep(1);
}

// From now on the record is the poller's, if nobody else uses it.
void let_go(InFlight& record) noexcept {
  if (record.parties.fetch_sub(1, std::memory_order_acq_rel) == 1) post_surely(record);
}

}  // namespace

// --- Starting --------------------------------------------------------------------------------------------------------

// Done inside start().
bool IocpPoller::answer(Operation& operation, std::int64_t result) noexcept {
  operation.result = result;
  operation.flags &= static_cast<std::uint16_t>(~operation_more);
  ++stats_.inline_completions;
  return true;
}

InFlight& IocpPoller::record_of(const Operation& operation) noexcept {
  InFlight* const record = records_.find_current(operation.token);
  GYRE_CHECK(record != nullptr && record->operation == &operation);
  return *record;
}

// A record for the operation, which is in flight from now on; null if memory is short.
InFlight* IocpPoller::begin(Operation& operation, std::uint8_t traits) noexcept {
  const auto entry = records_.emplace();
  if (entry.item == nullptr) return nullptr;
  InFlight& record = *entry.item;
  record.id = entry.id;
  record.operation = &operation;
  record.port = port_.get();
  if (operation.kind == OperationKind::receive_lent) operation.buffer = nullptr;
  operation.token = entry.id.slot;
  operation.state = OperationState::in_flight;
  claim_sides(operation, traits);
  return &record;
}

bool IocpPoller::start(Operation& operation) noexcept {
  check_thread();
  GYRE_CHECK_HINT(operation.is_idle(), "the operation is in flight already");
  const std::uint8_t traits = traits_of(operation.kind);
  const Descriptor* const descriptor = operation.descriptor;
  const Descriptor* const source = source_of(operation);
  const bool is_close = (traits & kind_is_close) != 0;
  const bool is_closing = (descriptor != nullptr && (descriptor->state & descriptor_closing) != 0) ||
                          (source != nullptr && (source->state & descriptor_closing) != 0);
  if ((draining_ && !is_close) || is_closing) return answer(operation, -ECANCELED);
  if (is_close) return start_close(operation);
  check_sides_are_free(operation, traits);

  const bool may_inline = (operation.flags & (operation_no_inline | operation_multishot)) == 0;
  std::int64_t result = answer_without_system(operation);
  if (result != -EAGAIN && may_inline) return answer(operation, result);
  InFlight* const record = begin(operation, traits);
  if (record == nullptr) return answer(operation, -ENOMEM);
  if (result == -EAGAIN) result = attempt(*record);
  if (result != -EINPROGRESS && may_inline) {
    release_sides(operation, traits);
    records_.erase(record->id);
    operation.state = OperationState::idle;
    return answer(operation, as_received(operation, result));
  }
  note(*record, result);
  if (embedded_ && !waiting_) prepare_for_foreign_loop();
  return false;
}

// What attempt() has answered, for later.
void IocpPoller::note(InFlight& record, std::int64_t result) noexcept {
  if (result != -EINPROGRESS) finish_later(record, result);
}

void IocpPoller::go_on(InFlight& record) noexcept {
  if (record.operation->state == OperationState::cancelling) return finish_later(record, -ECANCELED);
  record.fruitless = 0;
  note(record, attempt(record));
}

// Whether what can be overlapped may be on this descriptor. Belongs to the port from then on.
bool IocpPoller::is_overlapped(Descriptor& descriptor) noexcept {
  if ((descriptor.state & descriptor_associated) != 0) return true;
  if ((descriptor.state & descriptor_polled) != 0) return false;
  bool skips = false;
  stats_.system_calls += 2;
  const std::int64_t result = sys::associate(port_.get(), descriptor.native, operation_key, &skips);
  descriptor.state |= result < 0 ? descriptor_polled : descriptor_associated;
  if (skips) descriptor.state |= descriptor_skips;
  return result >= 0;
}

// Puts the operation to the system. Its result; -EINPROGRESS: it is under way, or waits in a list.
std::int64_t IocpPoller::attempt(InFlight& record) noexcept {
  Operation& operation = *record.operation;
  const std::uint8_t traits = traits_of(operation.kind);
  if ((traits & kind_is_pooled) != 0) return give_to_pool(record);
  Descriptor& descriptor = *operation.descriptor;
  if (operation.kind == OperationKind::shutdown) return call(record);
  const bool asks_readiness = operation.kind == OperationKind::readable || operation.kind == OperationKind::writable;
  if ((descriptor.state & descriptor_classified) == 0) {
    ++stats_.system_calls;
    classify(descriptor);
  }
  const bool is_socket = (descriptor.state & descriptor_socket) != 0;
  if (is_socket) {
    if (asks_readiness) return poll(record);
    const bool peeks = (operation.flags & operation_peek) != 0;
    const bool is_called = (traits & kind_is_called) != 0 || peeks || (descriptor.state & descriptor_datagram) != 0 ||
                           (operation.kind == OperationKind::connect && (descriptor.state & descriptor_local) != 0);
    return is_called || !is_overlapped(descriptor) ? call(record) : ask_for(record);
  }
  if (asks_readiness) {
    if ((descriptor.state & descriptor_waitable) != 0) return wait_for_handle(record);
    // Files are always ready, and pipes do not tell about room.
    if (kind_of(descriptor) == DescriptorKind::file || operation.kind == OperationKind::writable) return 0;
  }
  if (operation.kind == OperationKind::receive_lent) return receive_into_lent(record);
  return is_overlapped(descriptor) ? ask_for(record) : give_to_pool(record);
}

// Without waiting; polls if it would have to.
std::int64_t IocpPoller::call(InFlight& record) noexcept {
  Operation& operation = *record.operation;
  if (operation.kind == OperationKind::receive_lent) return receive_into_lent(record);
  ++stats_.system_calls;
  const std::int64_t result = operation.kind == OperationKind::connect ? call_connect(record) : call_directly(operation);
  if (operation.kind == OperationKind::shutdown) {
    if (result >= 0 && static_cast<ShutdownSide>(operation.size) != ShutdownSide::write) end_input(*operation.descriptor);
    return result;
  }
  return result == -EAGAIN ? poll(record) : result;
}

// A receive that waits learns of a shutdown by nobody else.
void IocpPoller::end_input(Descriptor& descriptor) noexcept {
  descriptor.state |= descriptor_ended;
  Operation* const input = descriptor.parked_input;
  if (input == nullptr || input->state != OperationState::in_flight) return;
  InFlight& record = record_of(*input);
  const bool is_asked_for = record.stage == Stage::kernel;
  if (!is_asked_for && record.stage != Stage::polling) return;
  ++stats_.system_calls;
  const NativeDescriptor target = is_asked_for ? descriptor.native : poll_socket_.get();
  static_cast<void>(sys::cancel(target, record.overlapped()));
}

// A buffer is taken when there are data for it; or it is there already, kept for who had to wait for one.
std::int64_t IocpPoller::receive_into_lent(InFlight& record) noexcept {
  Operation& operation = *record.operation;
  if (operation.buffer == nullptr) operation.buffer = lent_.take();
  if (operation.buffer == nullptr) {
    if (lent_.lent() == 0) return -ENOMEM;
    record.stage = Stage::starved;
    starved_.push_back(record);
    return -EINPROGRESS;
  }
  operation.size = lent_.size();
  std::int64_t result = 0;
  if ((operation.descriptor->state & descriptor_socket) == 0) {
    // Pipes keep the buffer while they wait.
    result = is_overlapped(*operation.descriptor) ? ask_for(record) : give_to_pool(record);
    if (result == -EINPROGRESS) return result;
  } else {
    ++stats_.system_calls;
    result = call_directly(operation);
  }
  if (result <= 0) give_back(std::exchange(operation.buffer, nullptr));
  return result == -EAGAIN ? poll(record) : result;
}

std::int64_t IocpPoller::ask_for(InFlight& record) noexcept {
  Descriptor& descriptor = *record.operation->descriptor;
  const bool is_socket = (descriptor.state & descriptor_socket) != 0;
  std::int64_t result = 0;
  do {
    ++stats_.system_calls;
    record.renew();
    record.stage = Stage::kernel;
    result = call_overlapped(record);
    const bool sends_packet = result == -EINPROGRESS || (result >= 0 && (descriptor.state & descriptor_skips) == 0);
    if (sends_packet) {
      ++packets_;
      return -EINPROGRESS;
    }
  } while (!is_socket && is_empty_write(*record.operation, result));  // bound: the empty writes that are there
  return conclude_or_repeat(record, result);
}

// A socket whose last attempt to connect has failed answers the next one with that, once, where Linux is below Wine.
std::int64_t IocpPoller::conclude_or_repeat(InFlight& record, std::int64_t result) noexcept {
  const Operation& operation = *record.operation;
  const bool repeats = result == -ECONNABORTED && operation.kind == OperationKind::connect &&
                       operation.state == OperationState::in_flight && record.fruitless == 0;
  if (!repeats) return conclude(record, result);
  ++record.fruitless;
  return ask_for(record);
}

// Through a socket of our own, so that sockets can be polled that are not ours, or not our port's.
std::int64_t IocpPoller::poll(InFlight& record) noexcept {
  if (!poll_socket_) {
    Result<UniqueFd> opened = sys::socket(AF_INET, SOCK_DGRAM, 0);
    if (!opened) return -opened.error().code();
    bool skips = false;
    const std::int64_t result = sys::associate(port_.get(), opened->get(), operation_key, &skips);
    if (result < 0) return result;
    poll_socket_skips_ = skips;
    poll_socket_ = std::move(*opened);
  }
  const Operation& operation = *record.operation;
  record.poll = {};
  record.poll.timeout.QuadPart = INT64_MAX;
  record.poll.count = 1;
  record.poll.socket = sys::handle_of(operation.descriptor->native);
  record.poll.events = poll_events(operation);
  record.renew();
  ++stats_.system_calls;
  record.stage = Stage::polling;
  const std::int64_t result = sys::poll_socket(poll_socket_.get(), &record.poll, sizeof(record.poll), record.overlapped());
  if (result == -EINPROGRESS || (result >= 0 && !poll_socket_skips_)) {
    ++packets_;
    return -EINPROGRESS;
  }
  if (result < 0) return result;
  if (operation.kind == OperationKind::readable || operation.kind == OperationKind::writable) return 0;
  make_due(record);
  return -EINPROGRESS;
}

// --- Threads of the system's pool ------------------------------------------------------------------------------------

std::int64_t IocpPoller::wait_for_handle(InFlight& record) noexcept {
  record.renew();
  record.stage = Stage::waiting;
  ++stats_.system_calls;
  const auto signalled = [](void* context, BOOLEAN) {
    InFlight& waiter = *static_cast<InFlight*>(context);
    waiter.signalled.store(true, std::memory_order_release);  // pairs with cancel()
    post_surely(waiter);
  };
  const std::int64_t result =
      sys::register_wait(&record.wait, record.operation->descriptor->native, signalled, &record);
  if (result < 0) return result;
  ++packets_;
  return -EINPROGRESS;
}

std::int64_t IocpPoller::give_to_pool(InFlight& record) noexcept {
  record.renew();
  record.stage = Stage::pool;
  ++stats_.system_calls;
  const auto run = [](PTP_CALLBACK_INSTANCE, void* context) {
    InFlight& given = *static_cast<InFlight*>(context);
    given.result = call_blocking(*given.operation, given.blocking);
    let_go(given);
  };
  record.blocking.renew();
  record.parties.store(1, std::memory_order_relaxed);
  // Without a thread the loop has to wait for the disk.
  if (sys::submit(run, &record) < 0) return call_blocking(*record.operation, record.blocking);
  ++packets_;
  return -EINPROGRESS;
}

// The call may be about to be made, and only its thread knows: then another thread goes on asking.
void IocpPoller::cancel_in_pool(InFlight& record) noexcept {
  ++stats_.system_calls;
  if (record.blocking.cancel() == BlockingCall::Outcome::asked) return;
  const auto insist = [](PTP_CALLBACK_INSTANCE, void* context) {
    InFlight& given = *static_cast<InFlight*>(context);
    while (given.blocking.cancel() == BlockingCall::Outcome::missed) ::Sleep(1);  // bound: the call begins, or ends
    let_go(given);
  };
  // The packet may be on the way already: then nobody has to insist, and the record must not be held.
  int parties = 1;
  if (!record.parties.compare_exchange_strong(parties, 2, std::memory_order_acq_rel)) return;
  if (sys::submit(insist, &record) < 0) let_go(record);
}

// --- Closing, cancelling ---------------------------------------------------------------------------------------------

bool IocpPoller::start_close(Operation& operation) noexcept {
  Descriptor& descriptor = *operation.descriptor;
  if (descriptor.operations == 0 && (operation.flags & operation_no_inline) == 0) {
    release_native(descriptor);
    return answer(operation, 0);
  }
  InFlight* const record = begin(operation, kind_is_close);
  if (record == nullptr) return answer(operation, -ENOMEM);
  record->stage = Stage::closing;
  descriptor.state |= descriptor_closing;
  Operation* const input = std::exchange(descriptor.parked_input, &operation);
  if (descriptor.operations == 0) {
    finish_close(descriptor);
    if (embedded_ && !waiting_) prepare_for_foreign_loop();
    return false;
  }
  std::uint16_t found = 0;
  for (Operation* const taken : {input, descriptor.parked_output}) {
    if (taken == nullptr) continue;
    cancel(*taken);
    ++found;
  }
  // Files have any number of operations, and a file that is sent does not know by whom.
  if (found == descriptor.operations) return false;
  records_.for_each([&](SlotId, InFlight& other) {
    Operation& started = *other.operation;
    if (&started == &operation) return;
    if (started.descriptor == &descriptor || source_of(started) == &descriptor) cancel(started);
  });
  return false;
}

void IocpPoller::cancel(Operation& operation) noexcept {
  check_thread();
  if (operation.state != OperationState::in_flight) return;
  InFlight& record = record_of(operation);
  operation.state = OperationState::cancelling;
  switch (record.stage) {
    case Stage::kernel:
      ++stats_.system_calls;
      static_cast<void>(sys::cancel(operation.descriptor->native, record.overlapped()));
      return;
    case Stage::polling:
      ++stats_.system_calls;
      static_cast<void>(sys::cancel(poll_socket_.get(), record.overlapped()));
      return;
    case Stage::waiting:
      ++stats_.system_calls;
      // After this nobody will call; if somebody has, its packet is on the way.
      sys::unregister_wait(std::exchange(record.wait, nullptr));
      if (record.signalled.load(std::memory_order_acquire)) return;
      --packets_;
      finish_later(record, -ECANCELED);
      break;
    case Stage::due:
      --ready_count_;
      [[fallthrough]];
    case Stage::starved:
      record.unlink();
      finish_later(record, -ECANCELED);
      break;
    case Stage::pool: return cancel_in_pool(record);
    case Stage::ready:    // the result has won
    case Stage::closing:
      return;
  }
  if (embedded_ && !waiting_) prepare_for_foreign_loop();
}

void IocpPoller::give_back(void* buffer) noexcept {
  lent_.give_back(buffer);
  InFlight* const record = starved_.pop_front();
  if (record == nullptr) return;
  record->operation->buffer = lent_.take_free();  // the same: nobody who asks first gets it
  make_due(*record);
  if (embedded_ && !waiting_) prepare_for_foreign_loop();
}

}  // namespace gyre
