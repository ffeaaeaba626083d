#include <gyre/platform/shared_descriptor.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>

#include <gyre/platform/syscalls_posix.h>

namespace gyre {
namespace {

bool has_hung_up(NativeDescriptor fd) noexcept {
  pollfd asked{};
  asked.fd = static_cast<int>(fd);
  asked.events = POLLIN;
  std::int64_t result = 0;
  do {
    result = sys::poll(&asked, 1, Duration::zero());
  } while (result == -EINTR);  // bound: signals come to an end
  return result > 0 && (asked.revents & POLLHUP) != 0;
}

// The same file, opened once more; no descriptor if that is not possible.
UniqueFd open_anew(NativeDescriptor shared, std::int64_t flags) noexcept {
  char path[48] = "/proc/self/fd/";
  constexpr std::size_t prefix = sizeof("/proc/self/fd/") - 1;
  const auto end = std::to_chars(path + prefix, path + sizeof(path) - 1, static_cast<long long>(shared));
  *end.ptr = '\0';
  const int access = static_cast<int>(flags & O_ACCMODE);
  const std::int64_t fd = sys::openat(AT_FDCWD, path, access | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) return UniqueFd();
  UniqueFd opened(static_cast<NativeDescriptor>(fd));
  // A named pipe that is opened when its writers have gone hides that they have, until there is another one.
  if (access != O_WRONLY && has_hung_up(shared) && !has_hung_up(opened.get())) return UniqueFd();
  return opened;
}

}  // namespace

Result<SharedDescriptor> open_shared(NativeDescriptor shared) noexcept {
  const std::int64_t flags = sys::get_flags(shared);
  if (flags < 0) return Error::system(static_cast<std::int32_t>(-flags), OperationKind::open_file);
  const Result<struct ::stat> status = sys::fstat(shared);
  if (!status) return status.error().with(OperationKind::open_file);
  if (S_ISDIR(status->st_mode)) return Error::system(EISDIR, OperationKind::open_file);

  SharedDescriptor result;
  if (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode)) {
    result.kind = DescriptorKind::file;
  } else if (S_ISSOCK(status->st_mode)) {
    result.kind = DescriptorKind::socket;
    result.shares_mode = !sys::sockets_stay_blocking && (flags & O_NONBLOCK) == 0;
  } else if (!S_ISFIFO(status->st_mode) && !S_ISCHR(status->st_mode)) {
    // A program that was started with standard input closed: the number has gone to the poller's own descriptor.
    return Error::system(EBADF, OperationKind::open_file);
  } else {
    result.fd = open_anew(shared, flags);
    result.shares_mode = !result.fd && (flags & O_NONBLOCK) == 0;
  }
  if (!result.fd) {
    Result<UniqueFd> copy = sys::duplicate(shared);
    if (!copy) return copy.error().with(OperationKind::open_file);
    result.fd = std::move(*copy);
  }
  return result;
}

void set_blocking(NativeDescriptor shared) noexcept {
  // Closed meanwhile by its owner: there is nothing left to restore.
  if (sys::get_flags(shared) >= 0) static_cast<void>(sys::set_blocking(shared));
}

}  // namespace gyre
