#include <gyre/net/server.h>

#include <algorithm>

#include <gyre/net/tcp_stream.h>
#include <gyre/platform/check.h>
#include <gyre/platform/inherited_descriptors.h>
#include <gyre/reactor/io.h>
#include <gyre/reactor/reactor.h>
#include <gyre/task/cancel_scope.h>
#include <gyre/task/sleep.h>

namespace gyre {

namespace {

// What a failed accept says about the listener.
enum class Verdict : std::uint8_t {
  connection_lost,  // that connection is gone; the next may be well
  want,             // of descriptors or memory: it will pass
  useless,          // it will never accept anything again
};

Verdict judge(const Error& error) noexcept {
  for (const std::errc want :
       {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
        std::errc::no_buffer_space, std::errc::not_enough_memory}) {
    if (error == want) return Verdict::want;
  }
  for (const std::errc useless :
       {std::errc::bad_file_descriptor, std::errc::not_a_socket, std::errc::invalid_argument,
        std::errc::operation_not_supported}) {
    if (error == useless) return Verdict::useless;
  }
  return Verdict::connection_lost;
}

// So many connections that were gone before they were accepted, one after the other, are treated as
// a want: whatever it is, it must not become a spin.
constexpr std::uint32_t lost_in_a_row_max = 16;

// A share of a period that is long compared with the clock's grain.
Duration quarter(Duration duration) noexcept { return std::max(duration / 4, Duration(1)); }

std::uint64_t bytes_in(Duration window, std::uint64_t per_second) noexcept {
  const double seconds = static_cast<double>(window.count()) / 1e9;
  return static_cast<std::uint64_t>(static_cast<double>(per_second) * seconds);
}

}  // namespace

// --- One connection
// --------------------------------------------------------------------------------------------------

ServerConnection::ServerConnection(Server& server, Stream&& stream)
    : Stream(std::move(stream)), server_(server), task_(*current_task()), timer_(*this) {
  const Result<SocketAddress> peer = peer_address(open().native);
  if (peer) peer_ = place_of(*peer);
  server.connections_.push_back(*this);
  server.stats_.connections_peak =
      std::max(server.stats_.connections_peak, ++server.stats_.connections);
  moved_at_ = window_begin_ = server.scheduler_.now();
  watch();
}

ServerConnection::~ServerConnection() {
  server_.scheduler_.timers().cancel(timer_);
  note_bytes();
  server_.stats_.bytes_received += received_;
  server_.stats_.bytes_sent += sent_;
  --server_.stats_.connections;
  unlink();
  server_.connection_ended_.set();
  if (is_open() && cut_off_ != CutOff::none) Stream::abort();
}

void ServerConnection::cut(CutOff why) noexcept {
  if (cut_off_ != CutOff::none) return;
  cut_off_ = why;
  if (why == CutOff::idle) ++server_.stats_.cut_off_idle;
  if (why == CutOff::too_slow) ++server_.stats_.cut_off_slow;
  task_.cancel();
}

void ServerConnection::note_bytes() noexcept {
  if (!is_open()) return;
  received_ = bytes_received();
  sent_ = bytes_sent();
}

// Looks whether the connection keeps the limits, and arms the timer for the next look. A look costs
// the handler nothing, and a transfer nothing but its count.
void ServerConnection::watch() noexcept {
  const ServerOptions& options = server_.options_;
  const bool has_idle_limit = options.idle_max > Duration::zero();
  const bool has_rate_limit = options.receive_rate_min > 0 || options.send_rate_min > 0;
  if (!(has_idle_limit || has_rate_limit) || !is_open()) return;

  const Instant now = server_.scheduler_.now();
  const std::uint64_t before = received_ + sent_;
  note_bytes();
  if (received_ + sent_ != before) moved_at_ = now;
  if (has_idle_limit && now - moved_at_ >= options.idle_max) return cut(CutOff::idle);
  if (has_rate_limit && now - window_begin_ >= options.rate_window) {
    if (is_too_slow(received_ - window_received_, sent_ - window_sent_))
      return cut(CutOff::too_slow);
    window_begin_ = now;
    window_received_ = received_;
    window_sent_ = sent_;
  }
  if (has_rate_limit && now == window_begin_) {
    was_receiving_ = !open().input.is_idle();
    was_sending_ = !open().output.is_idle();
  }
  Instant next = never;
  if (has_idle_limit) next = now + quarter(options.idle_max);
  if (has_rate_limit) next = std::min(next, window_begin_ + options.rate_window);
  server_.scheduler_.timers().arm(timer_, next);
}

// Precondition: a window has passed since window_begin_. The handler must have waited at both of
// its ends: a slow handler is not the client's fault.
bool ServerConnection::is_too_slow(std::uint64_t received, std::uint64_t sent) noexcept {
  const ServerOptions& options = server_.options_;
  const bool receives = was_receiving_ && !open().input.is_idle() && received > 0;
  const bool sends = was_sending_ && !open().output.is_idle();
  return (receives && received < bytes_in(options.rate_window, options.receive_rate_min)) ||
         (sends && sent < bytes_in(options.rate_window, options.send_rate_min));
}

void ServerConnection::finish(const Error* error, const std::exception_ptr& exception) noexcept {
  const bool is_slow = cut_off_ == CutOff::idle || cut_off_ == CutOff::too_slow;
  if (error == nullptr && exception == nullptr && !is_slow) return;
  // A session that was told to end has not failed.
  const bool told_to_end = server_.stopping_ || cut_off_ == CutOff::aborted;
  if (told_to_end && error != nullptr && error->is_cancelled()) return;

  ConnectionFailure failure{
      .peer = peer_, .cut_off = cut_off_, .error = {}, .exception = exception};
  if (is_slow) {
    failure.error = Error::timed_out(OperationKind::receive).at(peer_);
  } else if (error != nullptr) {
    failure.error = error->place() == Place() ? error->at(peer_) : *error;
  }
  if (!is_slow) ++server_.stats_.failed;
  server_.report(failure);
}

// --- Listening
// -------------------------------------------------------------------------------------------------------

Server::Server(const ServerOptions& options)
    : options_(options), poller_(this_reactor().poller()), scheduler_(this_reactor().scheduler()) {
  GYRE_CHECK_HINT(options.connections_max > 0, "a server for no connection at all");
  GYRE_CHECK_HINT(options.accepts_per_turn > 0, "accepts_per_turn must be positive");
}

Server::~Server() {
  GYRE_CHECK_HINT(!running_, "a Server ends while run() is under way");
  close_listeners();
}

Task<Result<Endpoint>> Server::listen(Endpoint where) {
  if (where.family() == AddressFamily::local) co_return listen_local(where);
  Result<TcpListener> listener = co_await TcpListener::bind(where, options_.listen);
  if (!listener) co_return listener.error();
  co_return listen(std::move(*listener));
}

Result<Endpoint> Server::listen_local(const Endpoint& where) {
  Result<UniqueFd> socket = open_socket(AddressFamily::local, SocketType::stream);
  if (!socket) return socket.error().with(OperationKind::bind).at(where.place());
  Result<SocketFile> file = SocketFile::bind(socket->get(), where, true);
  if (!file) return file.error();
  const Result<void> listening = listen_on(socket->get(), options_.listen.backlog);
  if (!listening) return listening.error().at(where.place());
  Result<Endpoint> bound = listen(std::move(*socket));
  if (bound) files_.push_back(std::move(*file));
  return bound;
}

Result<Endpoint> Server::listen(TcpListener listener) { return listen(listener.release()); }

Result<Endpoint> Server::listen(UniqueFd socket) {
  GYRE_CHECK_HINT(!running_, "listen() comes before run()");
  const Result<SocketAddress> address = detail::listening_address(socket);
  if (!address) return address.error();
  const Result<Descriptor*> descriptor = poller_.attach(std::move(socket), DescriptorKind::socket);
  if (!descriptor) return descriptor.error().at(place_of(*address));
  listeners_.push_back(*descriptor);
  return Endpoint(*address);
}

Result<std::size_t> Server::listen_inherited() {
  Result<std::vector<UniqueFd>> inherited = take_inherited_descriptors();
  if (!inherited) return inherited.error();
  for (UniqueFd& socket : *inherited) {
    const Result<Endpoint> bound = listen(std::move(socket));
    if (!bound) return bound.error();
  }
  return inherited->size();
}

void Server::close_listeners() noexcept {
  files_.clear();
  for (Descriptor* const listener : listeners_) poller_.close(*listener);
  listeners_.clear();
}

// --- Running
// ---------------------------------------------------------------------------------------------------------

Task<Result<void>> Server::serve(const detail::SessionStarter& starter) {
  GYRE_CHECK_HINT(!running_, "run() twice");
  running_ = true;
  TaskGroup acceptors(OnFailure::keep_going);
  co_await run_sessions(acceptors, starter);
  const Result<void> joined = co_await acceptors.join();
  running_ = false;
  if (accept_error_) co_return accept_error_;
  co_return joined;
}

// The acceptors hear of a cancel from outside, and this hears of it by their end: the sessions
// shall have their grace.
Task<void> Server::run_sessions(TaskGroup& acceptors, const detail::SessionStarter& starter) {
  const CancelScope shield(CancelScopeOptions{.shielded = true});
  TaskGroup sessions(OnFailure::keep_going);
  acceptors_ = &acceptors;
  sessions_ = &sessions;
  for (Descriptor* const listener : listeners_) {
    const auto acceptor = acceptors.spawn(accept_from, *this, *listener, sessions, starter);
    if (!acceptor.was_refused()) ++accepting_;
  }
  if (stopping_) acceptors.cancel();
  {
    // abort() cancels the sessions' scope, and this wait is inside it.
    const CancelScope shield_from_abort(CancelScopeOptions{.shielded = true});
    if (accepting_ > 0) static_cast<void>(co_await accepting_ended_.wait());
  }
  close_listeners();
  acceptors_ = nullptr;
  if (!stopping_) stop();
  stop(grace_);
  static_cast<void>(co_await sessions.join());
  sessions_ = nullptr;
}

Task<void> Server::accept_from(Server& server, Descriptor& listener, TaskGroup& sessions,
                               const detail::SessionStarter& starter) {
  Duration pause = server.options_.back_off_first;
  std::uint32_t accepted_in_a_row = 0;
  std::uint32_t lost_in_a_row = 0;
  for (;;) {
    const bool has_room = co_await server.wait_for_room();
    if (!has_room) break;
    listener.input.kind = OperationKind::accept;
    listener.input.flags = 0;
    const Result<std::size_t> descriptor = co_await OperationAwaiter(listener.input);
    Error error;
    if (descriptor) {
      Result<TcpStream> stream =
          TcpStream::adopt(UniqueFd(static_cast<NativeDescriptor>(*descriptor)));
      if (stream) {
        ++server.stats_.accepted;
        starter.start(server, sessions, std::move(*stream));
        pause = server.options_.back_off_first;
        lost_in_a_row = 0;
        if (++accepted_in_a_row < server.options_.accepts_per_turn) continue;
        accepted_in_a_row = 0;
        const Result<void> yielded = co_await yield();
        if (!yielded) break;
        continue;
      }
      error = stream.error();
    } else {
      error = descriptor.error();
    }
    if (current_task()->cancel_requested()) break;
    const Verdict verdict = judge(error);
    if (verdict == Verdict::useless) {
      server.accept_error_ = error;
      break;
    }
    if (verdict == Verdict::connection_lost) {
      ++server.stats_.accept_errors;
      if (++lost_in_a_row < lost_in_a_row_max) continue;
      lost_in_a_row = 0;
    }
    const bool goes_on = co_await server.back_off(pause);
    if (!goes_on) break;
    pause = std::min(pause * 2, server.options_.back_off_max);
  }
  server.acceptor_ended();
}

Task<bool> Server::wait_for_room() {
  while (sessions_->size() >= options_.connections_max) {
    connection_ended_.clear();
    const Result<void> ended = co_await connection_ended_.wait();
    if (!ended) co_return false;
  }
  co_return true;
}

Task<bool> Server::back_off(Duration pause) {
  ++stats_.back_offs;
  connection_ended_.clear();
  CancelScope limit(CancelScope::within(pause));
  static_cast<void>(co_await connection_ended_.wait());
  co_return limit.parent() == nullptr || !limit.parent()->is_effective();
}

void Server::acceptor_ended() noexcept {
  if (--accepting_ == 0) accepting_ended_.set();
}

// --- Stopping
// --------------------------------------------------------------------------------------------------------

void Server::stop(Duration grace) noexcept {
  stopping_ = true;
  grace_ = std::min(grace_, grace);
  if (acceptors_ != nullptr) acceptors_->cancel();
  if (sessions_ == nullptr) return;
  CancelScope& scope = sessions_->scope();
  scope.reschedule(std::min(scope.deadline(), scheduler_.clock().now() + grace_));
}

void Server::abort() noexcept {
  stop(Duration::zero());
  for (ServerConnection& connection : connections_) connection.cut(CutOff::aborted);
  if (sessions_ != nullptr) sessions_->cancel();
}

ServerStats Server::stats() const noexcept {
  ServerStats stats = stats_;
  for (ServerConnection& connection : connections_) {
    // What a handler has closed keeps what it had moved; an open one is not noted, for watch() compares.
    const bool is_open = connection.is_open();
    stats.bytes_received += is_open ? connection.bytes_received() : connection.received_;
    stats.bytes_sent += is_open ? connection.bytes_sent() : connection.sent_;
  }
  return stats;
}

void Server::report(const ConnectionFailure& failure) noexcept {
  if (options_.on_failure != nullptr) return options_.on_failure(options_.failure_owner, failure);
  TaskFailure told;
  told.task_id = current_task()->id;
  told.task_name = "connection";
  told.error = failure.error;
  told.exception = failure.exception;
  scheduler_.report(told);
}

}  // namespace gyre
