// Server: listens, accepts, and runs a handler for each connection until it is told to stop.
//
//   Task<void> session(ServerConnection& connection);
//
//   Server server({.connections_max = 10'000, .idle_max = 60s});
//   Result<Endpoint> bound = co_await server.listen(Endpoint::any_v6(7000));
//   Result<void> ended = co_await server.run(session);   // further arguments go to each session
//
// A handler that throws or returns an error ends its own connection, is reported, and changes
// nothing else. Cancelling run() stops the server as stop() does: no more connections, a grace for
// those that are open, then their cancellation.
//
// Out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) the server backs off, twice as
// long each time, and tries again at once when one of its own connections ends. The clients
// meanwhile wait in the system's backlog, where they lose nothing. (A spare descriptor, given up to
// accept and drop such clients, would turn a short want into refusals.)
//
// A handler that writes what it has received by receive() holds a buffer of its reactor until the client has taken it;
// when all are held, others wait to receive. Against clients that do not read set `send_rate_min`, or read() into memory
// of the connection's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <gyre/net/endpoint.h>
#include <gyre/net/socket_file.h>
#include <gyre/net/socket_options.h>
#include <gyre/net/stream.h>
#include <gyre/net/tcp_listener.h>
#include <gyre/platform/clock.h>
#include <gyre/platform/intrusive_list.h>
#include <gyre/task/event.h>
#include <gyre/task/invoke.h>
#include <gyre/task/task_group.h>
#include <gyre/task/timer_queue.h>

namespace gyre {

class Server;

// Why the server cut a connection off.
enum class CutOff : std::uint8_t {
  none,
  idle,      // nothing moved for `idle_max`
  too_slow,  // less moved than the minimum rate
  aborted,   // by the program
};

// A handler has failed, or a slow connection was cut off.
struct ConnectionFailure {
  Place peer;
  CutOff cut_off = CutOff::none;
  // What the handler returned or threw; timed_out for a connection that was cut off as idle or too
  // slow.
  Error error;
  std::exception_ptr exception;
};

struct ServerOptions {
  ListenOptions listen = {};
  // At this many the server accepts no more until one ends; the others wait in the system's
  // backlog.
  std::size_t connections_max = 65'536;
  // Connections that one listener accepts in a row before it lets other tasks run.
  std::uint32_t accepts_per_turn = 64;
  // How long to wait when the system is out of descriptors or memory.
  Duration back_off_first = std::chrono::milliseconds(5);
  Duration back_off_max = std::chrono::seconds(1);
  // How long the open connections may go on once the server stops; then they are cancelled.
  Duration drain = std::chrono::seconds(5);
  // A connection on which nothing moves in either direction for so long is reset; up to a quarter
  // later. Zero: never.
  Duration idle_max = Duration::zero();
  // Bytes per second, over each `rate_window`; slower connections are reset. Zero: no minimum. What
  // is received counts only while the handler waits for it and some bytes come (a client that sends
  // nothing is idle, not slow); what is sent, while the handler waits for the client to take it.
  std::uint64_t receive_rate_min = 0;
  std::uint64_t send_rate_min = 0;
  Duration rate_window = std::chrono::seconds(5);
  // Called for each failure; without it they go to the reactor's failure sink. Must not throw.
  void (*on_failure)(void* owner, const ConnectionFailure& failure) noexcept = nullptr;
  void* failure_owner = nullptr;
};

// Counters since the server was made.
struct ServerStats {
  std::uint64_t accepted = 0;
  std::uint64_t failed = 0;  // handlers that threw or returned an error
  std::uint64_t cut_off_idle = 0;
  std::uint64_t cut_off_slow = 0;
  std::uint64_t accept_errors =
      0;  // connections that were gone before they were accepted, and the like
  std::uint64_t back_offs = 0;       // pauses for want of descriptors or memory
  std::uint64_t bytes_received = 0;  // of all connections, ended and open
  std::uint64_t bytes_sent = 0;
  std::size_t connections = 0;  // open now
  std::size_t connections_peak = 0;
};

// A connection and who it is with. Closed when the handler ends.
class ServerConnection : public Stream, public SocketAccess<ServerConnection>, public ListLink {
 public:
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;
  ~ServerConnection();

  // As it was when the connection was accepted; none for an unnamed local socket.
  const Place& peer() const noexcept { return peer_; }

  [[nodiscard]] Task<Result<void>> close() {
    note_bytes();
    return Stream::close();
  }
  void abort() noexcept {
    note_bytes();
    Stream::abort();
  }

  Server& server() const noexcept { return server_; }
  CutOff cut_off() const noexcept { return cut_off_; }
  // Ends the handler's waits with `cancelled`, and the connection with a reset.
  void cut(CutOff why) noexcept;

 private:
  friend class Server;

  struct Watch : Timer {
    explicit Watch(ServerConnection& owner) noexcept
        : Timer([](Timer& timer) noexcept { static_cast<Watch&>(timer).connection.watch(); }),
          connection(owner) {}
    ServerConnection& connection;
  };

  // Inside the task that runs the handler.
  ServerConnection(Server& server, Stream&& stream);
  void watch() noexcept;
  void note_bytes() noexcept;
  bool is_too_slow(std::uint64_t received, std::uint64_t sent) noexcept;
  void finish(const Error* error, const std::exception_ptr& exception) noexcept;

  Server& server_;
  TaskContext& task_;
  Place peer_;
  CutOff cut_off_ = CutOff::none;
  bool was_receiving_ = false;  // at the beginning of the window
  bool was_sending_ = false;
  Watch timer_;
  Instant moved_at_;  // when something was last seen to have moved
  Instant window_begin_;
  std::uint64_t received_ = 0;  // as seen last
  std::uint64_t sent_ = 0;
  std::uint64_t window_received_ = 0;  // as seen at the beginning of the window
  std::uint64_t window_sent_ = 0;
};

namespace detail {

// A handler with its arguments, whatever their types.
class SessionStarter {
 public:
  virtual void start(Server& server, TaskGroup& sessions, Stream&& stream) const = 0;

 protected:
  ~SessionStarter() = default;
};

}  // namespace detail

class Server {
 public:
  // Must be made and used inside tasks of one reactor.
  explicit Server(const ServerOptions& options = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Precondition: run() is not under way.
  ~Server();

  // Before run(), as often as needed. Each returns where it listens. Errors name the endpoint. The file of a local socket
  // goes when the server stops; one that nobody owns makes way.
  [[nodiscard]] Task<Result<Endpoint>> listen(Endpoint where);
  [[nodiscard]] Result<Endpoint> listen(TcpListener listener);
  // A socket that listens already. Errors: invalid_argument if it does not.
  [[nodiscard]] Result<Endpoint> listen(UniqueFd socket);
  // All descriptors that the process was started with by LISTEN_FDS and LISTEN_PID; returns their
  // number, 0 if there are none. The first call in a process takes them. Errors: those of
  // take_inherited_descriptors(), and invalid_argument for a socket that does not listen.
  [[nodiscard]] Result<std::size_t> listen_inherited();

  // Runs `handler(connection, arguments...)`, which returns a Task<void> or a Task<Result<void>>,
  // for each connection; each gets its own copy of the arguments. Returns once the server was
  // stopped and all handlers have ended: success after stop() and abort(), `cancelled` if the
  // caller was cancelled, else what made the last listener useless.
  template <typename Handler, typename... Arguments>
  [[nodiscard]] Task<Result<void>> run(Handler handler, Arguments... arguments);

  // No more connections: the listeners are closed. Those that are open may go on for `grace` (the
  // first form: for options.drain), then they are cancelled. Idempotent; a later call may only
  // shorten the grace. Handlers are not woken: one that waits for its client meanwhile waits to the end of the grace, unless
  // its connections() are told, by shutdown(ShutdownSide::read): then it reads the end once it has read what is there.
  void stop() noexcept { stop(options_.drain); }
  void stop(Duration grace) noexcept;
  // stop(), and all connections are reset at once.
  void abort() noexcept;
  // Whether the server has been stopped: handlers that come to a good place should end.
  bool is_stopping() const noexcept { return stopping_; }

  ServerStats stats() const noexcept;
  // Open ones, oldest first. Good until the next await.
  const IntrusiveList<ServerConnection>& connections() const noexcept { return connections_; }
  const ServerOptions& options() const noexcept { return options_; }

 private:
  friend class ServerConnection;

  template <typename Handler, typename... Arguments>
  class Starter;
  template <typename Handler, typename... Arguments>
  static Task<void> session(Server& server, Stream stream,
                            const Starter<Handler, Arguments...>& starter);

  Result<Endpoint> listen_local(const Endpoint& where);
  Task<Result<void>> serve(const detail::SessionStarter& starter);
  Task<void> run_sessions(TaskGroup& acceptors, const detail::SessionStarter& starter);
  static Task<void> accept_from(Server& server, Descriptor& listener, TaskGroup& sessions,
                                const detail::SessionStarter& starter);
  // Waits until a connection may be accepted. False: the server stops.
  Task<bool> wait_for_room();
  // Waits for `pause`, or until one of our connections ends. False: the server stops.
  Task<bool> back_off(Duration pause);
  void acceptor_ended() noexcept;
  void close_listeners() noexcept;
  void report(const ConnectionFailure& failure) noexcept;

  ServerOptions options_;
  Poller& poller_;
  Scheduler& scheduler_;
  std::vector<Descriptor*> listeners_;
  std::vector<SocketFile> files_;  // of those that are local sockets
  IntrusiveList<ServerConnection> connections_;
  ServerStats stats_;  // bytes: of ended connections

  // While run() is under way.
  TaskGroup* acceptors_ = nullptr;
  TaskGroup* sessions_ = nullptr;
  std::size_t accepting_ = 0;
  Event connection_ended_;
  Event accepting_ended_;
  Error accept_error_;
  Duration grace_ = Duration::max();
  bool running_ = false;
  bool stopping_ = false;
};

template <typename Handler, typename... Arguments>
class Server::Starter final : public detail::SessionStarter {
 public:
  explicit Starter(Handler&& handler, Arguments&&... arguments)
      : handler_(std::move(handler)), arguments_(std::move(arguments)...) {}

  void start(Server& server, TaskGroup& sessions, Stream&& stream) const override {
    sessions.spawn(session<Handler, Arguments...>, server, std::move(stream), *this);
  }
  auto call(ServerConnection& connection) const {
    return std::apply(
        [&](const Arguments&... arguments) {
          return detail::invoke(Handler(handler_), connection, Arguments(arguments)...);
        },
        arguments_);
  }

 private:
  Handler handler_;
  std::tuple<Arguments...> arguments_;
};

template <typename Handler, typename... Arguments>
Task<void> Server::session(Server& server, Stream stream,
                           const Starter<Handler, Arguments...>& starter) {
  ServerConnection connection(server, std::move(stream));
  std::exception_ptr exception;
  Error error;
  GYRE_TRY({
    auto handling = starter.call(connection);
    using Value = typename decltype(handling)::value_type;
    if constexpr (std::is_void_v<Value>) {
      co_await std::move(handling);
    } else {
      const Result<void> handled = co_await std::move(handling);
      if (!handled) error = handled.error();
    }
  })
  GYRE_CATCH(..., exception = std::current_exception();)
  connection.finish(error ? &error : nullptr, exception);
}

template <typename Handler, typename... Arguments>
Task<Result<void>> Server::run(Handler handler, Arguments... arguments) {
  static_assert(std::is_pointer_v<Handler> || std::is_empty_v<Handler>,
                "captures die with the closure: pass them to run() as arguments");
  const Starter<Handler, Arguments...> starter(std::move(handler), std::move(arguments)...);
  const Result<void> served = co_await serve(starter);
  co_return served;
}

}  // namespace gyre
