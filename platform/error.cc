#include <gyre/platform/error.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ostream>

#include <gyre/platform/error_text.h>
#include <gyre/platform/network_interface.h>

namespace gyre {
namespace {

struct SystemText {
  std::errc code;
  std::string_view text;
};

// Searched from the top: where two names share a number (EAGAIN and EWOULDBLOCK on Linux) the first one speaks. Our own
// words, because strerror() follows the locale and is not thread-safe everywhere.
constexpr SystemText system_texts[] = {
    {std::errc::operation_canceled, "cancelled"},
    {std::errc::timed_out, "timed out"},
    {std::errc::connection_refused, "connection refused"},
    {std::errc::connection_reset, "connection reset by peer"},
    {std::errc::connection_aborted, "connection aborted"},
    {std::errc::broken_pipe, "broken pipe"},
    {std::errc::resource_unavailable_try_again, "resource temporarily unavailable"},
    {std::errc::operation_would_block, "operation would block"},
    {std::errc::operation_in_progress, "operation in progress"},
    {std::errc::connection_already_in_progress, "connection already in progress"},
    {std::errc::already_connected, "already connected"},
    {std::errc::not_connected, "not connected"},
    {std::errc::address_in_use, "address in use"},
    {std::errc::address_not_available, "address not available"},
    {std::errc::address_family_not_supported, "address family not supported"},
    {std::errc::bad_address, "bad address"},
    {std::errc::destination_address_required, "destination address required"},
    {std::errc::host_unreachable, "host unreachable"},
    {std::errc::network_down, "network is down"},
    {std::errc::network_reset, "connection dropped by network reset"},
    {std::errc::network_unreachable, "network unreachable"},
    {std::errc::message_size, "message too long"},
    {std::errc::no_buffer_space, "no buffer space"},
    {std::errc::no_protocol_option, "no such protocol option"},
    {std::errc::not_a_socket, "not a socket"},
    {std::errc::protocol_error, "protocol error"},
    {std::errc::protocol_not_supported, "protocol not supported"},
    {std::errc::wrong_protocol_type, "wrong protocol type for socket"},
    {std::errc::operation_not_supported, "operation not supported"},
    {std::errc::not_supported, "not supported"},
    {std::errc::function_not_supported, "function not supported"},
    {std::errc::interrupted, "interrupted"},
    {std::errc::invalid_argument, "invalid argument"},
    {std::errc::bad_file_descriptor, "bad file descriptor"},
    {std::errc::io_error, "input/output error"},
    {std::errc::permission_denied, "permission denied"},
    {std::errc::operation_not_permitted, "operation not permitted"},
    {std::errc::no_such_file_or_directory, "no such file or directory"},
    {std::errc::file_exists, "file exists"},
    {std::errc::file_too_large, "file too large"},
    {std::errc::filename_too_long, "file name too long"},
    {std::errc::is_a_directory, "is a directory"},
    {std::errc::not_a_directory, "not a directory"},
    {std::errc::directory_not_empty, "directory not empty"},
    {std::errc::read_only_file_system, "read-only file system"},
    {std::errc::no_space_on_device, "no space on device"},
    {std::errc::no_such_device, "no such device"},
    {std::errc::no_such_device_or_address, "no such device or address"},
    {std::errc::device_or_resource_busy, "device or resource busy"},
    {std::errc::cross_device_link, "cross-device link"},
    {std::errc::too_many_links, "too many links"},
    {std::errc::too_many_symbolic_link_levels, "too many levels of symbolic links"},
    {std::errc::too_many_files_open, "too many open files"},
    {std::errc::too_many_files_open_in_system, "too many open files in system"},
    {std::errc::not_enough_memory, "not enough memory"},
    {std::errc::invalid_seek, "invalid seek"},
    {std::errc::text_file_busy, "text file busy"},
    {std::errc::inappropriate_io_control_operation, "inappropriate control operation for device"},
    {std::errc::no_child_process, "no child process"},
    {std::errc::no_such_process, "no such process"},
    {std::errc::argument_list_too_long, "argument list too long"},
    {std::errc::executable_format_error, "executable format error"},
    {std::errc::argument_out_of_domain, "argument out of domain"},
    {std::errc::result_out_of_range, "result out of range"},
    {std::errc::value_too_large, "value too large"},
    {std::errc::bad_message, "bad message"},
    {std::errc::no_message, "no message of the desired type"},
    {std::errc::no_lock_available, "no lock available"},
    {std::errc::no_link, "link has been severed"},
    {std::errc::identifier_removed, "identifier removed"},
    {std::errc::illegal_byte_sequence, "illegal byte sequence"},
    {std::errc::owner_dead, "owner died"},
    {std::errc::state_not_recoverable, "state not recoverable"},
    {std::errc::resource_deadlock_would_occur, "deadlock would occur"},
};

constexpr std::string_view gyre_text(Errc code) noexcept {
  switch (code) {
    case Errc::closed: return "closed";
    case Errc::end_of_stream: return "end of stream";
    case Errc::limit_exceeded: return "limit exceeded";
    case Errc::broken: return "broken";
    case Errc::would_block: return "would block";
    case Errc::lagged: return "lagged behind";
    case Errc::malformed: return "malformed";
    case Errc::stopped: return "stopped";
    case Errc::child_failed: return "child task failed";
  }
  return {};
}

std::string_view system_text(std::int32_t code) noexcept {
  for (const SystemText& entry : system_texts) {
    if (static_cast<std::int32_t>(entry.code) == code) return entry.text;
  }
  return detail::extra_system_text(code);
}

std::string text_or_number(std::string_view text, std::string_view domain, std::int32_t code) {
  if (!text.empty()) return std::string(text);
  std::string out(domain);
  out += " error ";
  out += std::to_string(code);
  return out;
}

std::string message_of(Domain domain, std::int32_t code) {
  switch (domain) {
    case Domain::none: return "no error";
    case Domain::system: return text_or_number(system_text(code), "system", code);
    case Domain::gyre: return text_or_number(gyre_text(static_cast<Errc>(code)), "gyre", code);
    case Domain::resolver: return text_or_number(detail::resolver_text(code), "resolver", code);
  }
  return "unknown error";
}

class Category final : public std::error_category {
 public:
  constexpr Category(const char* name, Domain domain) noexcept : name_(name), domain_(domain) {}
  const char* name() const noexcept override { return name_; }
  std::string message(int code) const override { return message_of(domain_, code); }

 private:
  const char* name_;
  Domain domain_;
};

// A category that outlives every static object, so that an error printed at exit still finds its words: the union's
// destructor destroys nothing.
union Immortal {
  constexpr Immortal(const char* name, Domain domain) noexcept : category(name, domain) {}
  ~Immortal() {}
  Category category;
};

constinit Immortal gyre_instance("gyre", Domain::gyre);
constinit Immortal resolver_instance("resolver", Domain::resolver);

constexpr std::uint8_t cut_off = 255;

void append_number(std::string& out, std::uint32_t value, int base = 10) {
  char digits[10];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value, base).ptr;
  out.append(digits, end);
}

void append_dotted(std::string& out, const std::uint8_t* bytes) {
  for (int i = 0; i < 4; ++i) {
    if (i != 0) out += '.';
    append_number(out, bytes[i]);
  }
}

struct Run {
  int begin = 8;
  int length = 0;
};

// The first longest run of at least two zero groups, which RFC 5952 writes as "::".
Run longest_zero_run(const std::uint32_t (&groups)[8]) noexcept {
  Run best;
  for (int i = 0; i < 8; ++i) {
    int end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > best.length && end - i >= 2) best = {i, end - i};
    i = end;
  }
  return best;
}

// As RFC 5952 says: lower case, no leading zeros, IPv4-mapped addresses with dots.
void append_ipv6(std::string& out, const std::uint8_t* bytes) {
  constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::memcmp(bytes, mapped, sizeof(mapped)) == 0) {
    out += "::ffff:";
    append_dotted(out, bytes + 12);
    return;
  }
  std::uint32_t groups[8];
  for (int i = 0; i < 8; ++i) {
    groups[i] = static_cast<std::uint32_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  }
  const Run zeros = longest_zero_run(groups);
  for (int i = 0; i < 8; ++i) {
    if (i == zeros.begin) {
      out += "::";
      i += zeros.length - 1;
      continue;
    }
    if (i != 0 && out.back() != ':') out += ':';
    append_number(out, groups[i], 16);
  }
}

// By its interface's name, as people know it, where that says the same as the number.
void append_zone(std::string& out, std::uint32_t scope) {
  out += '%';
  const InterfaceName name = interface_name(scope);
  if (is_interface_name(name.view())) {
    out += name.view();
  } else {
    append_number(out, scope);
  }
}

std::uint32_t read_big_endian(const std::uint8_t* bytes, int count) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

void write_big_endian(std::uint8_t* bytes, int count, std::uint32_t value) noexcept {
  for (int i = count - 1; i >= 0; --i) {
    bytes[i] = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
}

// Control characters become '?': a file name must not be able to forge a line of somebody's log.
void append_printable(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
}

bool continues_utf8(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

std::string_view to_string(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::none: return "none";
    case OperationKind::accept: return "accept";
    case OperationKind::connect: return "connect";
    case OperationKind::receive: return "receive";
    case OperationKind::send: return "send";
    case OperationKind::receive_vector: return "receive vector";
    case OperationKind::send_vector: return "send vector";
    case OperationKind::receive_message: return "receive message";
    case OperationKind::send_message: return "send message";
    case OperationKind::receive_batch: return "receive batch";
    case OperationKind::send_batch: return "send batch";
    case OperationKind::receive_lent: return "receive lent";
    case OperationKind::read_at: return "read at";
    case OperationKind::write_at: return "write at";
    case OperationKind::readable: return "readable";
    case OperationKind::writable: return "writable";
    case OperationKind::open_file: return "open file";
    case OperationKind::sync_file: return "sync file";
    case OperationKind::resize_file: return "resize file";
    case OperationKind::rename_file: return "rename file";
    case OperationKind::remove_file: return "remove file";
    case OperationKind::file_status: return "file status";
    case OperationKind::shutdown: return "shutdown";
    case OperationKind::close: return "close";
    case OperationKind::splice: return "splice";
    case OperationKind::send_file: return "send file";
    case OperationKind::socket: return "socket";
    case OperationKind::bind: return "bind";
    case OperationKind::listen: return "listen";
    case OperationKind::set_option: return "set option";
    case OperationKind::get_option: return "get option";
    case OperationKind::address: return "address";
    case OperationKind::resolve: return "resolve";
    case OperationKind::pipe: return "pipe";
    case OperationKind::setup: return "setup";
    case OperationKind::wait: return "wait";
    case OperationKind::wake: return "wake";
    case OperationKind::sleep: return "sleep";
    case OperationKind::yield: return "yield";
    case OperationKind::lock: return "lock";
    case OperationKind::acquire: return "acquire";
    case OperationKind::channel_send: return "channel send";
    case OperationKind::channel_receive: return "channel receive";
    case OperationKind::join: return "join";
    case OperationKind::spawn_process: return "spawn process";
    case OperationKind::execute: return "execute";
    case OperationKind::change_directory: return "change directory";
    case OperationKind::redirect: return "redirect";
    case OperationKind::wait_process: return "wait process";
    case OperationKind::signal: return "signal";
    case OperationKind::offload: return "offload";
    case OperationKind::read: return "read";
    case OperationKind::write: return "write";
  }
  return "unknown operation";
}

Place Place::ipv4(const std::uint8_t (&bytes)[4], std::uint16_t port) noexcept {
  Place place;
  place.kind_ = Kind::ipv4;
  std::memcpy(place.bytes_, bytes, 4);
  write_big_endian(place.bytes_ + 4, 2, port);
  return place;
}

Place Place::ipv6(const std::uint8_t (&bytes)[16], std::uint16_t port,
                  std::uint32_t scope) noexcept {
  Place place;
  place.kind_ = Kind::ipv6;
  std::memcpy(place.bytes_, bytes, 16);
  write_big_endian(place.bytes_ + 16, 2, port);
  write_big_endian(place.bytes_ + 18, 4, scope);
  return place;
}

Place Place::text(std::string_view text) noexcept {
  Place place;
  place.kind_ = Kind::text;
  place.length_ = text.size() > text_max ? cut_off : static_cast<std::uint8_t>(text.size());
  const std::string_view kept = text.substr(text.size() - std::min(text.size(), text_max));
  std::copy(kept.begin(), kept.end(), place.bytes_);
  return place;
}

std::string Place::to_string() const {
  std::string out;
  switch (kind_) {
    case Kind::none: break;
    case Kind::ipv4:
      append_dotted(out, bytes_);
      out += ':';
      append_number(out, read_big_endian(bytes_ + 4, 2));
      break;
    case Kind::ipv6: {
      out += '[';
      append_ipv6(out, bytes_);
      const std::uint32_t scope = read_big_endian(bytes_ + 18, 4);
      if (scope != 0) append_zone(out, scope);
      out += "]:";
      append_number(out, read_big_endian(bytes_ + 16, 2));
      break;
    }
    case Kind::text: {
      const bool cut = length_ == cut_off;
      std::string_view kept(reinterpret_cast<const char*>(bytes_), cut ? text_max : length_);
      if (cut) {
        out += "…";
        // Never start in the middle of a character.
        while (!kept.empty() && continues_utf8(kept.front())) kept.remove_prefix(1);
      }
      append_printable(out, kept);
      break;
    }
  }
  return out;
}

Error Error::cancelled(OperationKind operation) noexcept {
  return system(static_cast<std::int32_t>(std::errc::operation_canceled), operation);
}

Error Error::timed_out(OperationKind operation) noexcept {
  return system(static_cast<std::int32_t>(std::errc::timed_out), operation);
}

Error Error::from(const std::error_code& code, OperationKind operation) noexcept {
  if (!code) return Error();
  if (code.category() == std::generic_category()) return system(code.value(), operation);
  if (code.category() == std::system_category()) {
    return system(detail::errno_of_system_code(code.value()), operation);
  }
  if (code.category() == gyre_category()) return Error(Domain::gyre, code.value(), operation);
  if (code.category() == resolver_category()) {
    return Error(Domain::resolver, code.value(), operation);
  }
  return system(static_cast<std::int32_t>(std::errc::io_error), operation);
}

bool Error::is_cancelled() const noexcept { return *this == std::errc::operation_canceled; }

bool Error::is_timed_out() const noexcept { return *this == std::errc::timed_out; }

std::string Error::message() const { return message_of(domain_, code_); }

std::string Error::to_string() const {
  std::string out;
  if (operation_ != OperationKind::none) out += gyre::to_string(operation_);
  if (place_.kind() != Place::Kind::none) {
    if (!out.empty()) out += ' ';
    out += place_.to_string();
  }
  if (!out.empty()) out += ": ";
  out += message();
  return out;
}

std::error_code Error::error_code() const noexcept {
  switch (domain_) {
    case Domain::none: return {};
    // The generic category: on every system its values are errno's, and they compare equal to std::errc.
    case Domain::system: return {code_, std::generic_category()};
    case Domain::gyre: return {code_, gyre_category()};
    case Domain::resolver: return {code_, resolver_category()};
  }
  return {code_, std::generic_category()};
}

std::ostream& operator<<(std::ostream& out, const Error& error) { return out << error.to_string(); }

const std::error_category& gyre_category() noexcept { return gyre_instance.category; }

const std::error_category& resolver_category() noexcept { return resolver_instance.category; }

std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), gyre_category()};
}

}  // namespace gyre
