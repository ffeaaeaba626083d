#include "poller_driver.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

namespace gyre::test {

std::string Request::scattered_text() const {
  std::string text;
  auto left = result > 0 ? static_cast<std::size_t>(result) : 0;
  for (const std::string& piece : pieces) {
    const std::size_t taken = std::min(left, piece.size());
    text.append(piece, 0, taken);
    left -= taken;
  }
  return text;
}

PollerDriver::PollerDriver(std::unique_ptr<Poller> poller) : poller_(std::move(poller)) {}

PollerDriver::~PollerDriver() { finish_all(); }

Descriptor* PollerDriver::try_attach(UniqueFd fd, DescriptorKind kind, Error* error) {
  const Result<Descriptor*> descriptor = poller_->attach(std::move(fd), kind);
  if (!descriptor) {
    *error = descriptor.error();
    return nullptr;
  }
  attached_.push_back(*descriptor);
  EXPECT_EQ((*descriptor)->operations, 0);
  return *descriptor;
}

Descriptor& PollerDriver::attach(UniqueFd fd, DescriptorKind kind) {
  Error error;
  Descriptor* const descriptor = try_attach(std::move(fd), kind, &error);
  GYRE_CHECK_HINT(descriptor != nullptr, "a test's descriptor cannot be attached");
  return *descriptor;
}

UniqueFd PollerDriver::detach(Descriptor& descriptor) {
  forget(descriptor);
  return poller_->detach(descriptor);
}

void PollerDriver::close_now(Descriptor& descriptor) {
  forget(descriptor);
  poller_->close(descriptor);
}

void PollerDriver::forget(Descriptor& descriptor) { std::erase(attached_, &descriptor); }

Request& PollerDriver::make(OperationKind kind, Descriptor* descriptor) {
  requests_.push_back(std::make_unique<Request>());
  Request& request = *requests_.back();
  request.kind = kind;
  request.descriptor = descriptor;
  request.driver_ = this;
  return request;
}

bool PollerDriver::start(Request& request) {
  Operation& operation = request.operation;
  EXPECT_TRUE(operation.is_idle()) << "started twice";
  operation.complete = &PollerDriver::on_complete;
  operation.owner = &request;
  operation.descriptor = request.descriptor;
  operation.kind = request.kind;
  operation.flags = request.flags;
  operation.buffer = request.argument;
  operation.size = request.size;
  operation.offset = request.offset;
  ++request.starts;

  const bool outer = std::exchange(inside_call_, true);
  request.was_inline = poller_->start(operation);
  inside_call_ = outer;
  EXPECT_EQ(operation.is_idle(), request.was_inline);
  if (request.was_inline) {
    record(request);
    if (request.hook_) deferred_.push_back(&request);
  }
  return request.was_inline;
}

void PollerDriver::cancel(Request& request) {
  const bool outer = std::exchange(inside_call_, true);
  const bool was_idle = request.operation.is_idle();
  poller_->cancel(request.operation);
  EXPECT_EQ(request.operation.is_idle(), was_idle) << "cancel() completed the operation";
  inside_call_ = outer;
}

void PollerDriver::on_complete(Operation& operation) noexcept {
  Request& request = *static_cast<Request*>(operation.owner);
  PollerDriver& driver = *request.driver_;
  EXPECT_FALSE(driver.inside_call_) << "a completion inside start() or cancel()";
  EXPECT_TRUE(driver.inside_wait_) << "a completion outside wait()";
  ++driver.completions_;
  driver.record(request);
  if (request.hook_) request.hook_->run(request);
}

void PollerDriver::record(Request& request) {
  const Operation& operation = request.operation;
  const bool more = (operation.flags & operation_more) != 0;
  EXPECT_EQ(operation.is_idle(), !more);
  EXPECT_TRUE(!more || (request.flags & operation_multishot) != 0)
      << "more of a single-shot operation";
  if (!more) ++request.terminals;
  EXPECT_LE(request.terminals, request.starts) << "a second terminal completion";

  request.result = operation.result;
  request.results.push_back(operation.result);
  const bool made_one =
      request.kind == OperationKind::accept || request.kind == OperationKind::open_file;
  if (made_one && operation.result >= 0) request.descriptors.emplace_back(operation.result);
  if (request.kind == OperationKind::receive_lent && operation.result > 0) {
    const auto size = static_cast<std::size_t>(operation.result);
    request.data.append(static_cast<const char*>(operation.buffer), size);
    request.lent.push_back(operation.buffer);
    if (!request.keep_lent) give_back(request);
  }
  if (request.kind == OperationKind::close && request.descriptor != nullptr) {
    forget(*request.descriptor);
  }
}

Request& PollerDriver::plain(OperationKind kind, Descriptor& descriptor, std::uint16_t flags) {
  Request& request = make(kind, &descriptor);
  request.flags = flags;
  start(request);
  return request;
}

Request& PollerDriver::make_receive(OperationKind kind, Descriptor& descriptor, std::size_t size) {
  Request& request = make(kind, &descriptor);
  request.data.resize(size);
  request.argument = request.data.data();
  request.size = size;
  return request;
}

Request& PollerDriver::make_send(OperationKind kind, Descriptor& descriptor,
                                 std::string_view text) {
  Request& request = make(kind, &descriptor);
  request.data = text;
  request.argument = request.data.data();
  request.size = text.size();
  return request;
}

Request& PollerDriver::receive(Descriptor& descriptor, std::size_t size, std::uint16_t flags) {
  Request& request = make_receive(OperationKind::receive, descriptor, size);
  request.flags = flags;
  start(request);
  return request;
}

Request& PollerDriver::send(Descriptor& descriptor, std::string_view text, std::uint16_t flags) {
  Request& request = make_send(OperationKind::send, descriptor, text);
  request.flags = flags;
  start(request);
  return request;
}

Request& PollerDriver::read_at(Descriptor& descriptor, std::size_t size, std::int64_t offset) {
  Request& request = make_receive(OperationKind::read_at, descriptor, size);
  request.offset = offset;
  start(request);
  return request;
}

Request& PollerDriver::write_at(Descriptor& descriptor, std::string_view text,
                                std::int64_t offset) {
  Request& request = make_send(OperationKind::write_at, descriptor, text);
  request.offset = offset;
  start(request);
  return request;
}

void PollerDriver::start_vector(Request& request) {
  for (std::string& piece : request.pieces) request.slices.push_back({piece.data(), piece.size()});
  request.argument = request.slices.data();
  request.size = request.slices.size();
  start(request);
}

Request& PollerDriver::receive_vector(Descriptor& descriptor,
                                      const std::vector<std::size_t>& sizes) {
  Request& request = make(OperationKind::receive_vector, &descriptor);
  for (const std::size_t size : sizes) request.pieces.emplace_back(size, '\0');
  start_vector(request);
  return request;
}

Request& PollerDriver::send_vector(Descriptor& descriptor, const std::vector<std::string>& pieces) {
  Request& request = make(OperationKind::send_vector, &descriptor);
  request.pieces = pieces;
  start_vector(request);
  return request;
}

Request& PollerDriver::accept(Descriptor& listener, std::uint16_t flags) {
  return plain(OperationKind::accept, listener, flags);
}

Request& PollerDriver::connect(Descriptor& descriptor, const SocketAddress& address) {
  Request& request = make(OperationKind::connect, &descriptor);
  request.address = address;
  request.argument = &request.address;
  start(request);
  return request;
}

Request& PollerDriver::receive_lent(Descriptor& descriptor, std::uint16_t flags) {
  return plain(OperationKind::receive_lent, descriptor, flags);
}

Request& PollerDriver::open_file(const std::string& path, std::size_t open_flags,
                                 std::int64_t mode) {
  Request& request = make(OperationKind::open_file, nullptr);
  request.data = path;
  request.argument = request.data.data();
  request.size = open_flags;
  request.offset = mode;
  start(request);
  return request;
}

Request& PollerDriver::shutdown(Descriptor& descriptor, ShutdownSide side) {
  Request& request = make(OperationKind::shutdown, &descriptor);
  request.size = static_cast<std::size_t>(side);
  start(request);
  return request;
}

Request& PollerDriver::close(Descriptor& descriptor) {
  return plain(OperationKind::close, descriptor);
}

Request& PollerDriver::splice(Descriptor& to, Descriptor& from, std::size_t size) {
  Request& request = make(OperationKind::splice, &to);
  request.argument = &from;
  request.size = size;
  start(request);
  return request;
}

Request& PollerDriver::send_file(Descriptor& to, Descriptor& file, std::int64_t offset,
                                 std::size_t size) {
  Request& request = make(OperationKind::send_file, &to);
  request.argument = &file;
  request.offset = offset;
  request.size = size;
  start(request);
  return request;
}

Request& PollerDriver::blocked_send(Descriptor& descriptor) {
  for (int i = 0; i < 1000; ++i) {
    Request& request = send(descriptor, std::string(1 << 20, 'b'));
    quiet();
    if (!request.done()) return request;
  }
  GYRE_CHECK_HINT(false, "the peer takes everything");
  return *requests_.back();
}

std::int64_t PollerDriver::error_of_sends(Request& request) {
  std::int64_t result = finish(request);
  for (int i = 0; i < 1000 && result > 0; ++i) {
    start(request);
    result = finish(request);
  }
  return result;
}

Request& PollerDriver::make_messages(OperationKind single, OperationKind batch,
                                     Descriptor& descriptor, std::size_t count) {
  Request& request = make(count == 1 ? single : batch, &descriptor);
  request.pieces.resize(count);
  request.slices.resize(count);
  request.messages.resize(count);
  request.addresses.resize(count);
  request.controls.resize(count);
  request.argument = request.messages.data();
  request.size = count;
  return request;
}

Request& PollerDriver::make_receive_messages(Descriptor& descriptor, std::size_t count,
                                             std::size_t size, std::size_t control) {
  Request& request = make_messages(OperationKind::receive_message, OperationKind::receive_batch,
                                   descriptor, count);
  for (std::size_t i = 0; i < count; ++i) {
    request.pieces[i].resize(size);
    request.controls[i].resize(control);
    request.slices[i] = {request.pieces[i].data(), size};
    Message& message = request.messages[i];
    message.slices = &request.slices[i];
    message.slices_count = 1;
    message.address = &request.addresses[i];
    message.control = control > 0 ? request.controls[i].data() : nullptr;
    message.control_size = control;
  }
  return request;
}

Request& PollerDriver::make_send_messages(Descriptor& descriptor,
                                          const std::vector<std::string>& texts,
                                          const SocketAddress* to) {
  Request& request = make_messages(OperationKind::send_message, OperationKind::send_batch,
                                   descriptor, texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    request.pieces[i] = texts[i];
    request.slices[i] = {request.pieces[i].data(), texts[i].size()};
    Message& message = request.messages[i];
    message.slices = &request.slices[i];
    message.slices_count = 1;
    if (to != nullptr) {
      request.addresses[i] = *to;
      message.address = &request.addresses[i];
    }
  }
  return request;
}

void PollerDriver::run_deferred_hooks() {
  for (Request* request : std::exchange(deferred_, {})) request->hook_->run(*request);
}

std::size_t PollerDriver::turn(Duration patience) {
  // A deadline long past must not need the clock.
  return turn_until(patience <= Duration::zero() ? Instant() : steady_clock().now() + patience);
}

std::size_t PollerDriver::turn_until(Instant deadline) {
  if (!deferred_.empty()) {
    run_deferred_hooks();
    deadline = Instant();
  }
  const std::size_t before = completions_;
  const bool may_return_early = std::exchange(woken_, false) || foreign_wakes_;
  ++turns_;
  inside_wait_ = true;
  const std::size_t count = poller_->wait(deadline);
  inside_wait_ = false;
  EXPECT_TRUE(foreign_operations_ || count == completions_ - before)
      << "wait() says " << count << " completions and made " << completions_ - before;
  if (count == 0 && !may_return_early) {
    EXPECT_GE(steady_clock().now(), deadline) << "wait() returned early without a completion";
  }
  return count;
}

std::int64_t PollerDriver::finish(Request& request) {
  run_until([&] { return request.done(); });
  return request.done() ? request.result : unfinished;
}

std::size_t PollerDriver::quiet(Duration span) {
  const Instant end = steady_clock().now() + span;
  const std::size_t before = completions_;
  do {
    turn_until(end);
  } while (steady_clock().now() < end);
  return completions_ - before;
}

bool PollerDriver::sleeps_through(Duration span) {
  const PollerStats before = poller_->stats();
  const std::uint64_t calls_before = undisturbed_calls();
  EXPECT_EQ(quiet(span), 0u);
  const std::uint64_t calls = undisturbed_calls() - calls_before;
  const std::uint64_t idle_polls = poller_->stats().idle_polls - before.idle_polls;
  if (calls <= 16 && idle_polls <= 4) return true;
  ADD_FAILURE() << "it spins: " << calls << " system calls, " << idle_polls << " idle polls";
  return false;
}

void PollerDriver::settle() {
  for (int i = 0; i < 100000 && turn() > 0; ++i) {
  }
}

void PollerDriver::wake() {
  woken_ = true;
  poller_->wake();
}

std::size_t PollerDriver::in_flight_requests() const {
  return static_cast<std::size_t>(std::count_if(requests_.begin(), requests_.end(), [](auto& r) {
    return r->starts > r->terminals;
  }));
}

void PollerDriver::give_back(Request& request, std::size_t count) {
  count = std::min(count, request.lent.size());
  for (std::size_t i = 0; i < count; ++i) poller_->give_back(request.lent[i]);
  request.lent.erase(request.lent.begin(), request.lent.begin() + static_cast<std::ptrdiff_t>(count));
}

bool PollerDriver::report_hang() {
  ADD_FAILURE() << "hang: " << in_flight_requests() << " requests unfinished on "
                << poller_->name();
  return false;
}

void PollerDriver::finish_all() {
  if (std::exchange(finished_, true)) return;
  EXPECT_TRUE(foreign_operations_ || poller_->in_flight() == in_flight_requests());
  inside_wait_ = true;
  poller_->shutdown();
  inside_wait_ = false;
  check_oracles();
  for (const auto& request : requests_) give_back(*request);
  for (Descriptor* descriptor : std::exchange(attached_, {})) poller_->close(*descriptor);
  poller_.reset();
}

void PollerDriver::check_oracles() {
  EXPECT_EQ(poller_->in_flight(), 0u) << "operations are alive after shutdown()";
  for (const auto& request : requests_) {
    EXPECT_EQ(request->starts, request->terminals)
        << to_string(request->kind) << " has not completed exactly once per start";
  }
  const PollerStats stats = poller_->stats();
  EXPECT_TRUE(foreign_operations_ || stats.completions == completions_)
      << stats.completions << " counted, " << completions_ << " seen";
  EXPECT_LE(stats.idle_polls, 4 * (stats.completions + stats.inline_completions) + 32)
      << "a spin: polls with events but without completions";
}

}  // namespace gyre::test
