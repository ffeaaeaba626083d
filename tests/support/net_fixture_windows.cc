#include "net_fixture.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#undef near
#undef far

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include <gyre/platform/socket.h>

namespace gyre::test {
namespace {

// How long a plain call may block before the test fails instead of hanging.
constexpr int limit_ms = 10'000;
// A loopback connection that is full, or empty, may not be so any more when a busy system comes to hand its bytes over,
// and when the sender's TCP probes the closed window: after its shortest retransmission time, which is 200 ms in Linux
// below Wine. The peer takes a few more bytes then, once. Nothing tells of that: sends find room that polls do not.
constexpr int settling_ms = 300;

SOCKET socket_of(NativeDescriptor fd) { return static_cast<SOCKET>(fd); }
HANDLE handle_of(NativeDescriptor fd) { return reinterpret_cast<HANDLE>(fd); }

void expect_ok(int result, const char* what) {
  if (result != 0) ADD_FAILURE() << what << ": " << ::WSAGetLastError();
}

template <typename T>
T expect_made(Result<T> made, const char* what) {
  if (made) return std::move(*made);
  ADD_FAILURE() << what << ": " << made.error();
  return T();
}

bool is_socket(NativeDescriptor fd) {
  int type = 0;
  int size = sizeof(type);
  return ::getsockopt(socket_of(fd), SOL_SOCKET, SO_TYPE, reinterpret_cast<char*>(&type), &size) == 0;
}

void set_blocking(NativeDescriptor fd, bool blocking) {
  u_long non_blocking = blocking ? 0 : 1;
  expect_ok(::ioctlsocket(socket_of(fd), static_cast<long>(FIONBIO), &non_blocking), "FIONBIO");
}

void limit_receive(NativeDescriptor fd, DWORD milliseconds) {
  const auto* const value = reinterpret_cast<const char*>(&milliseconds);
  expect_ok(::setsockopt(socket_of(fd), SOL_SOCKET, SO_RCVTIMEO, value, sizeof milliseconds), "SO_RCVTIMEO");
}

// Blocking, with a limit.
void make_plain(const UniqueFd& fd) {
  if (!fd) return;
  set_blocking(fd.get(), true);
  limit_receive(fd.get(), limit_ms);
  const DWORD limit = limit_ms;
  const auto* const value = reinterpret_cast<const char*>(&limit);
  expect_ok(::setsockopt(socket_of(fd.get()), SOL_SOCKET, SO_SNDTIMEO, value, sizeof limit), "SO_SNDTIMEO");
}

void limit_buffers(const UniqueFd& fd, DWORD size) {
  const auto* const value = reinterpret_cast<const char*>(&size);
  expect_ok(::setsockopt(socket_of(fd.get()), SOL_SOCKET, SO_SNDBUF, value, sizeof size), "SO_SNDBUF");
  expect_ok(::setsockopt(socket_of(fd.get()), SOL_SOCKET, SO_RCVBUF, value, sizeof size), "SO_RCVBUF");
}

UniqueFd make_socket(AddressFamily family, SocketType type) {
  UniqueFd fd = expect_made(open_socket(family, type), "socket");
  make_plain(fd);
  return fd;
}

// As in the other half: an address that no other test program uses at the same time.
SocketAddress own_loopback() {
  const auto place = static_cast<std::uint32_t>(::GetCurrentProcessId()) % 0x7e0000 + 0x10000;
  const std::uint8_t ip[4] = {127, static_cast<std::uint8_t>(place >> 16), static_cast<std::uint8_t>(place >> 8),
                              static_cast<std::uint8_t>(place)};
  return make_ipv4_address(ip, 0);
}

// Wine gives a datagram socket that connects the interface's first address, whatever it is bound to.
Bound bound_v4(SocketType type) {
  const std::uint8_t first[4] = {127, 0, 0, 1};
  UniqueFd fd = make_socket(AddressFamily::ipv4, type);
  const Result<void> bound =
      bind_socket(fd.get(), type == SocketType::stream ? own_loopback() : make_ipv4_address(first, 0));
  if (!bound) ADD_FAILURE() << bound.error();
  const SocketAddress where = local_address(fd);
  return {std::move(fd), where};
}

void start_listening(const UniqueFd& fd, int backlog) {
  const Result<void> listening = listen_on(fd.get(), backlog);
  if (!listening) ADD_FAILURE() << listening.error();
}

// One plain transfer through a pipe or a file that may be overlapped; -1: it failed, or there is no more.
std::int64_t transfer(HANDLE file, void* data, std::size_t size, std::uint64_t offset, bool reads) {
  OVERLAPPED overlapped{};
  overlapped.Offset = static_cast<DWORD>(offset);
  overlapped.OffsetHigh = static_cast<DWORD>(offset >> 32);
  const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
  // The lowest bit keeps the packet away from a port that the handle belongs to.
  overlapped.hEvent = reinterpret_cast<HANDLE>(reinterpret_cast<std::uintptr_t>(event) | 1);
  DWORD count = 0;
  BOOL done = reads ? ::ReadFile(file, data, static_cast<DWORD>(size), &count, &overlapped)
                    : ::WriteFile(file, data, static_cast<DWORD>(size), &count, &overlapped);
  if (done == 0 && ::GetLastError() == ERROR_IO_PENDING) {
    if (::WaitForSingleObject(event, static_cast<DWORD>(limit_ms)) != WAIT_OBJECT_0) ::CancelIoEx(file, &overlapped);
    done = ::GetOverlappedResult(file, &overlapped, &count, TRUE);
  }
  ::CloseHandle(event);
  return done != 0 ? static_cast<std::int64_t>(count) : -1;
}

// As read(): 0 at the end, -1 for an error.
std::int64_t read_some(const UniqueFd& fd, void* data, std::size_t size, std::uint64_t offset) {
  if (is_socket(fd.get())) return ::recv(socket_of(fd.get()), static_cast<char*>(data), static_cast<int>(size), 0);
  const std::int64_t count = transfer(handle_of(fd.get()), data, size, offset, true);
  const DWORD error = ::GetLastError();
  return count < 0 && (error == ERROR_HANDLE_EOF || error == ERROR_BROKEN_PIPE) ? 0 : count;
}

// A write that has to wait is taken back.
std::size_t fill_pipe(const UniqueFd& fd) {
  std::string piece(4096, 'f');
  std::size_t total = 0;
  for (;;) {
    OVERLAPPED overlapped{};
    const HANDLE event = ::CreateEventW(nullptr, TRUE, FALSE, nullptr);
    overlapped.hEvent = reinterpret_cast<HANDLE>(reinterpret_cast<std::uintptr_t>(event) | 1);
    DWORD count = 0;
    const bool waits = ::WriteFile(handle_of(fd.get()), piece.data(), 4096, &count, &overlapped) == 0;
    if (waits) {
      ::CancelIoEx(handle_of(fd.get()), &overlapped);
      ::GetOverlappedResult(handle_of(fd.get()), &overlapped, &count, TRUE);
    }
    ::CloseHandle(event);
    total += count;
    if (waits) return total;
  }
}

short poll_once(int fd, short events, int patience_ms) {
  WSAPOLLFD item{};
  item.fd = static_cast<SOCKET>(fd);
  item.events = events;
  return ::WSAPoll(&item, 1, patience_ms) > 0 ? item.revents : static_cast<short>(0);
}

}  // namespace

// Windows has no pairs of local sockets, and Wine no local sockets at all: loopback connections stand in for them.
// About what a local socket takes, and fixed: TCP's own buffers would grow while somebody waits until they are full.
Pair unix_pair() {
  constexpr DWORD buffer_size = 65536;
  DescriptorPair pair = expect_made(open_socket_pair(SocketType::stream), "socket pair");
  for (const UniqueFd* const end : {&pair.first, &pair.second}) {
    make_plain(*end);
    limit_buffers(*end, buffer_size);
  }
  return {std::move(pair.first), std::move(pair.second)};
}

Pair unix_datagram_pair() {
  DescriptorPair pair = expect_made(open_socket_pair(SocketType::datagram), "socket pair");
  make_plain(pair.first);
  make_plain(pair.second);
  return {std::move(pair.first), std::move(pair.second)};
}

Pair tcp_pair() {
  const Bound listener = tcp_listener();
  UniqueFd near = connect_to(listener.address);
  UniqueFd far = accept_from(listener.fd);
  return {std::move(near), std::move(far)};
}

HugeMemory::HugeMemory(std::size_t size)
    : memory_(::VirtualAlloc(nullptr, size, MEM_RESERVE, PAGE_READWRITE)), size_(size) {
  if (memory_ == nullptr) return;
  expect_ok(::VirtualAlloc(memory_, std::min(size, usable), MEM_COMMIT, PAGE_READWRITE) != nullptr ? 0 : -1, "commit");
}
HugeMemory::~HugeMemory() {
  if (memory_ != nullptr) ::VirtualFree(memory_, 0, MEM_RELEASE);
}

Pipe pipe_pair() {
  DescriptorPair pair = expect_made(open_pipe(), "pipe");
  return {std::move(pair.first), std::move(pair.second)};
}

Bound tcp_listener(int backlog) {
  Bound bound = bound_v4(SocketType::stream);
  start_listening(bound.fd, backlog);
  return bound;
}

Bound tcp6_listener() {
  const std::uint8_t loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  UniqueFd fd = make_socket(AddressFamily::ipv6, SocketType::stream);
  const Result<void> bound = bind_socket(fd.get(), make_ipv6_address(loopback, 0));
  if (!bound) ADD_FAILURE() << bound.error();
  start_listening(fd, 128);
  const SocketAddress where = local_address(fd);
  return {std::move(fd), where};
}

Bound unix_listener(int backlog) { return tcp_listener(backlog); }

Bound udp_socket() { return bound_v4(SocketType::datagram); }

Bound refusing_tcp() { return bound_v4(SocketType::stream); }

UniqueFd tcp_socket() { return make_socket(AddressFamily::ipv4, SocketType::stream); }

UniqueFd tcp6_socket() { return make_socket(AddressFamily::ipv6, SocketType::stream); }

UniqueFd unix_socket() { return tcp_socket(); }

UniqueFd event_fd(unsigned value) {
  return UniqueFd(reinterpret_cast<NativeDescriptor>(::CreateEventW(nullptr, TRUE, value > 0, nullptr)));
}

UniqueFd timer_fd(Duration after) {
  const HANDLE timer = ::CreateWaitableTimerW(nullptr, TRUE, nullptr);
  LARGE_INTEGER due{};
  due.QuadPart = -((after.count() + 99) / 100);
  if (timer == nullptr || ::SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE) == 0) {
    ADD_FAILURE() << "timer: " << ::GetLastError();
  }
  return UniqueFd(reinterpret_cast<NativeDescriptor>(timer));
}

UniqueFd temporary_file(std::string_view content) {
  static std::atomic<unsigned> made = 0;
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("gyre_test_" + std::to_string(::GetCurrentProcessId()) + "_" + std::to_string(made.fetch_add(1)));
  const HANDLE file = ::CreateFileW(path.c_str(), GENERIC_READ | GENERIC_WRITE | DELETE,
                                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, CREATE_NEW,
                                    FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, nullptr);
  if (file == INVALID_HANDLE_VALUE) ADD_FAILURE() << "CreateFile: " << ::GetLastError();
  UniqueFd fd(reinterpret_cast<NativeDescriptor>(file));
  if (!content.empty()) write_all(fd, content);
  return fd;
}

UniqueFd connect_to(const SocketAddress& address) {
  UniqueFd fd = make_socket(parse_address(address).family, SocketType::stream);
  expect_ok(::connect(socket_of(fd.get()), reinterpret_cast<const sockaddr*>(address.bytes),
                      static_cast<int>(address.size)), "connect");
  return fd;
}

void begin_to_connect(const UniqueFd& fd, const SocketAddress& address) {
  make_non_blocking(fd);
  static_cast<void>(::connect(socket_of(fd.get()), reinterpret_cast<const sockaddr*>(address.bytes),
                              static_cast<int>(address.size)));
}

UniqueFd accept_from(const UniqueFd& listener) {
  if (!becomes_readable(raw(listener), limit_ms)) ADD_FAILURE() << "accept: nobody has come";
  UniqueFd fd = expect_made(try_accept(listener.get(), nullptr), "accept");
  make_plain(fd);
  return fd;
}

SocketAddress local_address(const UniqueFd& fd) { return expect_made(gyre::local_address(fd.get()), "getsockname"); }

SocketAddress peer_address(const UniqueFd& fd) { return expect_made(gyre::peer_address(fd.get()), "getpeername"); }

std::uint16_t port_of(const SocketAddress& address) { return parse_address(address).port; }

void write_all(const UniqueFd& fd, std::string_view text) {
  const bool sends = is_socket(fd.get());
  std::string copy(text);
  for (std::size_t done = 0; done < copy.size();) {
    const std::size_t left = copy.size() - done;
    const std::int64_t count =
        sends ? ::send(socket_of(fd.get()), copy.data() + done, static_cast<int>(left), 0)
              : transfer(handle_of(fd.get()), copy.data() + done, left, done, false);
    if (count < 0) {
      ADD_FAILURE() << "write: " << ::GetLastError();
      return;
    }
    done += static_cast<std::size_t>(count);
  }
}

void write_nothing(const UniqueFd& fd) {
  char nothing = 0;
  if (transfer(handle_of(fd.get()), &nothing, 0, 0, false) < 0) ADD_FAILURE() << "write: " << ::GetLastError();
}

std::string read_exactly(const UniqueFd& fd, std::size_t size) {
  std::string text(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const std::int64_t count = read_some(fd, text.data() + done, size - done, done);
    if (count <= 0) {
      ADD_FAILURE() << "read " << done << " of " << size << " bytes: " << (count < 0 ? "failed" : "end of stream");
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

std::string read_to_end(const UniqueFd& fd) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const std::int64_t count = read_some(fd, buffer, sizeof buffer, text.size());
    if (count < 0) ADD_FAILURE() << "read: " << ::GetLastError();
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

std::string content_of(NativeDescriptor file) {
  HANDLE copy = nullptr;
  const HANDLE self = ::GetCurrentProcess();
  if (::DuplicateHandle(self, handle_of(file), self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) == 0) {
    ADD_FAILURE() << "DuplicateHandle: " << ::GetLastError();
    return {};
  }
  return read_to_end(UniqueFd(reinterpret_cast<NativeDescriptor>(copy)));
}

std::string content_of(const std::string& path) {
  const HANDLE file = ::CreateFileW(std::filesystem::path(path).c_str(), GENERIC_READ,
                                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                                    FILE_FLAG_OVERLAPPED, nullptr);
  if (file == INVALID_HANDLE_VALUE) ADD_FAILURE() << "CreateFile: " << ::GetLastError();
  return read_to_end(UniqueFd(reinterpret_cast<NativeDescriptor>(file)));
}

std::string drain(const UniqueFd& fd) {
  std::string text;
  char buffer[65536];
  while (becomes_readable(raw(fd), settling_ms)) {
    const std::int64_t count = read_some(fd, buffer, sizeof buffer, text.size());
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

std::size_t fill(const UniqueFd& fd) {
  if (!is_socket(fd.get())) return fill_pipe(fd);
  set_blocking(fd.get(), false);
  const std::string piece(65536, 'f');
  constexpr std::size_t most = std::size_t{1} << 24;
  std::size_t total = 0;
  std::size_t settled = 0;  // what it was when it was full
  for (std::size_t size = piece.size(); size > 0 && total < most;) {
    const int count = ::send(socket_of(fd.get()), piece.data(), static_cast<int>(size), 0);
    if (count > 0) {
      total += static_cast<std::size_t>(count);
      size = piece.size();  // room that has come meanwhile is not filled byte by byte
    } else if (size /= 16; size == 0 && total != settled) {
      settled = total;
      size = piece.size();
      ::Sleep(settling_ms);
    }
  }
  if (total >= most) ADD_FAILURE() << "it never fills";
  set_blocking(fd.get(), true);
  return total;
}

void shrink_buffers(const UniqueFd& fd) { limit_buffers(fd, 4096); }

void shut_down_write(const UniqueFd& fd) { expect_ok(::shutdown(socket_of(fd.get()), SD_SEND), "shutdown"); }

void reset_connection(UniqueFd fd) {
  const linger now = {1, 0};
  expect_ok(::setsockopt(socket_of(fd.get()), SOL_SOCKET, SO_LINGER, reinterpret_cast<const char*>(&now), sizeof now),
            "SO_LINGER");
}

bool becomes_readable(int fd, int patience_ms) {
  if (is_socket(fd)) return poll_once(fd, POLLRDNORM, patience_ms) != 0;
  if (::GetFileType(handle_of(fd)) != FILE_TYPE_PIPE) {
    return ::WaitForSingleObject(handle_of(fd), static_cast<DWORD>(patience_ms)) == WAIT_OBJECT_0;
  }
  for (int waited = 0;; ++waited) {
    DWORD available = 0;
    if (::PeekNamedPipe(handle_of(fd), nullptr, 0, nullptr, &available, nullptr) == 0 || available > 0) return true;
    if (waited >= patience_ms) return false;
    ::Sleep(1);
  }
}

bool is_readable(int fd) { return becomes_readable(fd, 0); }

bool becomes_reset(int fd) {
  return (poll_once(fd, POLLRDNORM, limit_ms) & (POLLERR | POLLHUP)) != 0;
}

bool is_open(int fd) {
  DWORD flags = 0;
  return ::GetHandleInformation(handle_of(fd), &flags) != 0;
}

bool is_close_on_exec(int fd) {
  DWORD flags = 0;
  return ::GetHandleInformation(handle_of(fd), &flags) != 0 && (flags & HANDLE_FLAG_INHERIT) == 0;
}

// Windows does not tell: a receive that finds nothing does.
bool is_non_blocking(int fd) {
  limit_receive(fd, 50);
  char byte = 0;
  const bool blocks_not = !is_readable(fd) && ::recv(static_cast<SOCKET>(fd), &byte, 1, MSG_PEEK) < 0 &&
                          ::WSAGetLastError() == WSAEWOULDBLOCK;
  limit_receive(fd, limit_ms);
  return blocks_not;
}

void make_non_blocking(const UniqueFd& fd) { set_blocking(fd.get(), false); }

std::string pattern(std::size_t size, std::uint32_t seed) {
  std::string text(size, '\0');
  std::uint32_t state = seed * 2654435761u + 1;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

TemporaryDirectory::TemporaryDirectory() {
  static std::atomic<unsigned> made = 0;
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("gyre_dir_" + std::to_string(::GetCurrentProcessId()) + "_" + std::to_string(made.fetch_add(1)));
  std::error_code error;
  std::filesystem::create_directory(path, error);
  if (error) ADD_FAILURE() << "create_directory: " << error.message();
  path_ = path.generic_string();
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::path(std::string_view name) const {
  return name.empty() ? path_ : path_ + "/" + std::string(name);
}

// Windows has no such limit: tests of it are skipped, by name.
NoMoreDescriptors::NoMoreDescriptors() { ADD_FAILURE() << "Windows does not limit the number of handles"; }
NoMoreDescriptors::~NoMoreDescriptors() = default;

}  // namespace gyre::test
