#include <gyre/platform/worker_process.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

void wait_until_ready(NativeDescriptor socket, short events) noexcept {
  pollfd entry{.fd = static_cast<int>(socket), .events = events, .revents = 0};
  sys::poll(&entry, 1, Duration::max());
}

}  // namespace

bool is_worker_process() noexcept { return std::getenv(worker_variable.data()) != nullptr; }

UniqueFd take_worker_socket() noexcept {
  if (!is_worker_process()) return {};
  ::unsetenv(worker_variable.data());
  if (sys::get_flags(worker_descriptor) < 0) return {};  // somebody else set the variable
  std::signal(SIGINT, SIG_IGN);
  // Under another number it is close-on-exec: children of the function do not keep the line open.
  Result<UniqueFd> socket = sys::duplicate(worker_descriptor);
  if (!socket) return UniqueFd(worker_descriptor);
  sys::close(worker_descriptor);
  return std::move(*socket);
}

bool read_whole(NativeDescriptor socket, void* buffer, std::size_t size) noexcept {
  auto* const bytes = static_cast<std::byte*>(buffer);
  for (std::size_t done = 0; done < size;) {
    const std::int64_t count = sys::recv(socket, bytes + done, size - done, 0);
    if (count == -EAGAIN) {
      wait_until_ready(socket, POLLIN);
    } else if (count <= 0) {
      return false;
    } else {
      done += static_cast<std::size_t>(count);
    }
  }
  return true;
}

bool write_whole(NativeDescriptor socket, const void* bytes, std::size_t size) noexcept {
  const auto* const from = static_cast<const std::byte*>(bytes);
  for (std::size_t done = 0; done < size;) {
    const std::int64_t count = sys::send(socket, from + done, size - done, 0);
    if (count == -EAGAIN) {
      wait_until_ready(socket, POLLOUT);
    } else if (count < 0) {
      return false;
    } else {
      done += static_cast<std::size_t>(count);
    }
  }
  return true;
}

}  // namespace gyre
