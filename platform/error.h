// What went wrong: code, domain, operation, and where.
//
// An Error is a value: 32 bytes, trivially copyable, owns nothing. Codes of the system domain are POSIX errno values on
// every system (Windows errors are normalised to them), so `error == std::errc::connection_refused` works everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <system_error>

namespace gyre {

// Where a code comes from.
enum class Domain : std::uint8_t {
  none,      // no error at all
  system,    // errno
  gyre,      // Errc, below
  resolver,  // getaddrinfo's EAI_ codes
};

// Gyre's own conditions, for which errno has no word.
enum class Errc : std::int32_t {
  closed = 1,       // the channel, stream or object was closed
  end_of_stream,    // the stream ended before the number of bytes or the delimiter that was asked for
  limit_exceeded,   // more data than the limit that was set; the data are kept
  broken,           // a barrier, lock or promise whose other side has gone away
  would_block,      // a try_ function found nothing to do
  lagged,           // a slow receiver of a Broadcast has missed messages
  malformed,        // text or data that cannot be parsed
  stopped,          // the reactor or pool has been stopped
  child_failed,     // a child task failed; the group has the details
};

// What was attempted. Each I/O request is of one kind; the rest name calls that finish at once.
enum class OperationKind : std::uint8_t {
  none,
  // Requests to a poller (platform/poller.h).
  accept,
  connect,
  receive,
  send,
  receive_vector,
  send_vector,
  receive_message,
  send_message,
  receive_batch,
  send_batch,
  receive_lent,
  read_at,
  write_at,
  readable,
  writable,
  open_file,
  sync_file,
  shutdown,
  close,
  splice,
  send_file,
  // Everything else that may fail.
  resize_file,
  rename_file,
  remove_file,
  file_status,
  socket,
  bind,
  listen,
  set_option,
  get_option,
  address,
  resolve,
  pipe,
  setup,
  wait,
  wake,
  sleep,
  yield,
  lock,
  acquire,
  channel_send,
  channel_receive,
  join,
  spawn_process,
  execute,           // the three steps of a child on its way to its program
  change_directory,
  redirect,          // giving it its descriptors
  wait_process,
  signal,
  offload,
  read,
  write,
};

// The operation's name in lower case with blanks: "connect", "receive message".
std::string_view to_string(OperationKind kind) noexcept;

// What the operation was applied to, small enough to travel in every error: an IP endpoint, or the end of a text (a
// path, a host name), of which the last 22 bytes are kept.
class Place {
 public:
  enum class Kind : std::uint8_t { none, ipv4, ipv6, text };

  constexpr Place() noexcept = default;
  // `bytes` are in network order; `scope` is the IPv6 zone's interface number or 0.
  static Place ipv4(const std::uint8_t (&bytes)[4], std::uint16_t port) noexcept;
  static Place ipv6(const std::uint8_t (&bytes)[16], std::uint16_t port, std::uint32_t scope) noexcept;
  static Place text(std::string_view text) noexcept;

  Kind kind() const noexcept { return kind_; }
  // "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80" (or the number, once the interface is gone), "/run/app.sock", "…longer/than/that.sock"; empty for none.
  std::string to_string() const;

  friend bool operator==(const Place&, const Place&) noexcept = default;

 private:
  static constexpr std::size_t text_max = 22;

  Kind kind_ = Kind::none;
  std::uint8_t length_ = 0;  // of the text; 255: its beginning was cut off, and text_max bytes are kept
  std::uint8_t bytes_[text_max] = {};
};

class Error {
 public:
  // No error. A default Error compares equal to nothing but another one.
  constexpr Error() noexcept = default;
  constexpr Error(Errc code, OperationKind operation = OperationKind::none) noexcept
      : code_(static_cast<std::int32_t>(code)), domain_(Domain::gyre), operation_(operation) {}
  constexpr Error(Domain domain, std::int32_t code,
                  OperationKind operation = OperationKind::none) noexcept
      : code_(code), domain_(domain), operation_(operation) {}

  // An errno value, positive.
  static constexpr Error system(std::int32_t code,
                                OperationKind operation = OperationKind::none) noexcept {
    return Error(Domain::system, code, operation);
  }
  // std::errc::operation_canceled: the surrounding scope was cancelled, or the operation itself.
  static Error cancelled(OperationKind operation = OperationKind::none) noexcept;
  // std::errc::timed_out: the deadline of a surrounding scope has passed (or the system's own time limit).
  static Error timed_out(OperationKind operation = OperationKind::none) noexcept;
  // From any std::error_code; codes of a foreign category become std::errc::io_error.
  static Error from(const std::error_code& code,
                    OperationKind operation = OperationKind::none) noexcept;

  constexpr std::int32_t code() const noexcept { return code_; }
  constexpr Domain domain() const noexcept { return domain_; }
  constexpr OperationKind operation() const noexcept { return operation_; }
  constexpr const Place& place() const noexcept { return place_; }
  constexpr explicit operator bool() const noexcept { return domain_ != Domain::none; }

  bool is_cancelled() const noexcept;
  bool is_timed_out() const noexcept;

  // The same error, with what was attempted, or where, filled in.
  constexpr Error with(OperationKind operation) const noexcept {
    Error copy = *this;
    copy.operation_ = operation;
    return copy;
  }
  constexpr Error at(const Place& place) const noexcept {
    Error copy = *this;
    copy.place_ = place;
    return copy;
  }

  // The code's own text: "connection refused".
  std::string message() const;
  // All of it: "connect [::1]:7000: connection refused".
  std::string to_string() const;

  std::error_code error_code() const noexcept;
  operator std::error_code() const noexcept { return error_code(); }

  // Two errors are equal if code and domain are; operation and place are for people.
  friend constexpr bool operator==(const Error& a, const Error& b) noexcept {
    return a.code_ == b.code_ && a.domain_ == b.domain_;
  }
  friend constexpr bool operator==(const Error& a, Errc b) noexcept {
    return a.domain_ == Domain::gyre && a.code_ == static_cast<std::int32_t>(b);
  }
  friend constexpr bool operator==(const Error& a, std::errc b) noexcept {
    return a.domain_ == Domain::system && a.code_ == static_cast<std::int32_t>(b);
  }

 private:
  std::int32_t code_ = 0;
  Domain domain_ = Domain::none;
  OperationKind operation_ = OperationKind::none;
  Place place_;
};

static_assert(sizeof(Error) <= 32);

std::ostream& operator<<(std::ostream& out, const Error& error);

// The categories behind error_code(): names "gyre" and "resolver".
const std::error_category& gyre_category() noexcept;
const std::error_category& resolver_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

}  // namespace gyre

template <>
struct std::is_error_code_enum<gyre::Errc> : std::true_type {};
